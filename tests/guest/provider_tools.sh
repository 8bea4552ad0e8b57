#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The tools that users have, unmodified, through the provider and across the wire: rdma-core's ping-pongs, pinned and on demand,
# polling and waiting for events, posting the old way and the new, and perftest's bandwidths and latencies.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
provider=$(cd "${0%/*}/../provider" && pwd) || exit 1
export IBV_DRIVERS=$provider/librxe_odp

trap end_jobs EXIT

ibv_devinfo -d rxe_odp0 | grep -qF '(librxe_odp)' || fail "rxe_odp0 is not driven by the provider"
in_peer ibv_devinfo -d rxe_odp1 | grep -qF '(librxe_odp)' || fail "rxe_odp1 is not driven by the provider"

index0=$(index_of rxe_odp0 10.77.0.1) || fail "no GID"
index1=$(in_peer index_of rxe_odp1 10.77.0.2) || fail "no GID in peer"

# pair TOOL ARGS...: a server in peer, and a client
# shellcheck disable=SC2086
pair()
{
	serve peer 18515 "$1" -d rxe_odp1 "${@:2}" $peer_args
	client "$1" -d rxe_odp0 "${@:2}" $own_args 10.77.0.2
}

own_args="-g $index0" peer_args="-g $index1"
for args in '' '-e' '-o -c' '-o -e' '-N' '-N -e' '-N -o -c'; do
	# shellcheck disable=SC2086
	pair ibv_rc_pingpong -n 200 $args
done
for args in '' '-e'; do
	# shellcheck disable=SC2086
	pair ibv_uc_pingpong -n 200 $args
	# shellcheck disable=SC2086
	pair ibv_ud_pingpong -n 200 -s 1024 $args
done
for args in '' '-e' '-o -c'; do
	# shellcheck disable=SC2086
	pair ibv_srq_pingpong -q 4 -n 200 $args
done

for args in '' '-e'; do
	# shellcheck disable=SC2086
	pair ibv_xsrq_pingpong -n 200 $args
done

own_args="-x $index0 -F" peer_args="-x $index1 -F"
for tool in write read send; do
	pair ib_${tool}_bw -n 100 -s 20000
	pair ib_${tool}_lat -n 100 -s 20000 --odp
done
pair ib_atomic_bw -n 100
pair ib_atomic_lat -n 100
pair ib_send_bw -c UD -n 100 -s 1024
pair ib_send_lat -c UD -n 100 -s 1024 -I 64
# With UC perftest refuses --odp itself, whatever the device can do.
for tool in write send; do
	pair ib_${tool}_bw -c UC -n 100 -s 20000
	pair ib_${tool}_lat -c UC -n 100 -s 20000
done
# What it posts to an SRQ it makes as long as whole pages, also where that exceeds its region.
for tool in write read send; do
	pair ib_${tool}_bw -c XRC -n 100 -s 20480
	pair ib_${tool}_lat -c XRC -n 100 -s 20480 --odp
done
pair ib_atomic_bw -c XRC -n 100
pair ib_write_bw -n 100 -q 4 -s 4096
pair ib_send_bw -n 100 -q 4 -s 4096 -e
pair ib_send_bw -n 100 -q 4 -s 4096 --use-srq
exit 0
