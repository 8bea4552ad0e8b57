#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The tools that users have, unmodified, through the provider and across the wire: rdma-core's ping-pongs, pinned and on demand,
# polling and waiting for events, posting the old way and the new, and perftest's bandwidths and latencies.
#
# rdma-odp: timeout 240
set -u
provider=$(cd "$(dirname "$0")/../provider" && pwd) || exit 1
export IBV_DRIVERS=$provider/librxe_odp
out=/tmp/provider_tools

fail() { echo "provider_tools: $*"; cat $out.* 2>/dev/null; exit 1; }
trap 'rm -f $out.*; kill $(jobs -p) 2>/dev/null' EXIT

in_peer() { ip netns exec peer "$@"; }

ibv_devinfo -d rxe_odp0 | grep -qF '(librxe_odp)' || fail "rxe_odp0 is not driven by the provider"
in_peer ibv_devinfo -d rxe_odp1 | grep -qF '(librxe_odp)' || fail "rxe_odp1 is not driven by the provider"

# gid_of DEV ADDRESS: the index of its RoCEv2 GID.
gid_of()
{
	local i gids=/sys/class/infiniband/$1/ports/1/gids types=/sys/class/infiniband/$1/ports/1/gid_attrs/types
	for ((i = 0; i < 16; i++)); do
		grep -qs "$2\$" "$gids/$i" && grep -qs v2 "$types/$i" && echo "$i" && return
	done
}
gid0=$(gid_of rxe_odp0 ffff:0a4d:0001)
gid1=$(in_peer bash -c "$(declare -f gid_of); gid_of rxe_odp1 ffff:0a4d:0002")
[[ -n $gid0 && -n $gid1 ]] || fail "no RoCEv2 GID"

# pair PORT TOOL ARGS...: a server in peer, whose socket is waited for, and a client.
pair()
{
	local port=$1 tool=$2 server
	shift 2
	# shellcheck disable=SC2086
	in_peer "$tool" -d rxe_odp1 "$@" ${peer_args:-} >$out.server 2>&1 &
	server=$!
	until in_peer ss -Hltn "sport = :$port" | grep -q .; do
		kill -0 $server 2>/dev/null || fail "$tool $*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$tool $*: it does not listen"
		sleep 0.1
	done
	# shellcheck disable=SC2086
	"$tool" -d rxe_odp0 "$@" ${own_args:-} 10.77.0.2 >$out.client 2>&1 || fail "$tool $*: status $?"
	wait $server || fail "$tool $*: the server failed"
}

own_args="-g $gid0" peer_args="-g $gid1"
for args in '' '-e' '-o -c' '-o -e' '-N' '-N -e' '-N -o -c'; do
	# shellcheck disable=SC2086
	pair 18515 ibv_rc_pingpong -n 200 $args
done
for args in '' '-e'; do
	# shellcheck disable=SC2086
	pair 18515 ibv_uc_pingpong -n 200 $args
	# shellcheck disable=SC2086
	pair 18515 ibv_ud_pingpong -n 200 -s 1024 $args
done
for args in '' '-e' '-o -c'; do
	# shellcheck disable=SC2086
	pair 18515 ibv_srq_pingpong -q 4 -n 200 $args
done

for args in '' '-e'; do
	# shellcheck disable=SC2086
	pair 18515 ibv_xsrq_pingpong -n 200 $args
done

own_args="-x $gid0 -F" peer_args="-x $gid1 -F"
for tool in write read send; do
	pair 18515 ib_${tool}_bw -n 100 -s 20000
	pair 18515 ib_${tool}_lat -n 100 -s 20000 --odp
done
pair 18515 ib_atomic_bw -n 100
pair 18515 ib_atomic_lat -n 100
pair 18515 ib_send_bw -c UD -n 100 -s 1024
pair 18515 ib_send_lat -c UD -n 100 -s 1024 -I 64
# With UC perftest refuses --odp itself, whatever the device can do.
for tool in write send; do
	pair 18515 ib_${tool}_bw -c UC -n 100 -s 20000
	pair 18515 ib_${tool}_lat -c UC -n 100 -s 20000
done
# What it posts to an SRQ it makes as long as whole pages, also where that exceeds its region.
for tool in write read send; do
	pair 18515 ib_${tool}_bw -c XRC -n 100 -s 20480
	pair 18515 ib_${tool}_lat -c XRC -n 100 -s 20480 --odp
done
pair 18515 ib_atomic_bw -c XRC -n 100
pair 18515 ib_write_bw -n 100 -q 4 -s 4096
pair 18515 ib_send_bw -n 100 -q 4 -s 4096 -e
pair 18515 ib_send_bw -n 100 -q 4 -s 4096 --use-srq
exit 0
