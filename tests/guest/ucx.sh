#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# UCX as it comes: its rc and ud transports between the two devices and over one, IPv4 and IPv6, and its protocols above
# them. UCX drops each datagram whose completion does not tell IPv4 from IPv6, and connects rc by datagrams.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
trap end_jobs EXIT

# between NAMESPACE DEVICE ADDRESS: of the server
between() { there=$1 device=$2 address=$3; }

# run SERVER_ARGS -- CLIENT_ARGS: all of 100 messages go by the device. -P 0: two programs by themselves, without MPI.
run()
{
	local before args=()

	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	before=$(sent)
	serve "$there" 13337 env "${index_there[@]}" "${args[@]}"
	client env "${index_here[@]}" "$@" "$address"
	[ $(($(sent) - before)) -ge 100 ] || fail "$*: it did not go through the device"
}

perf=(ucx_perftest -P 0 -n 100 -w 10)
# uct TEST TRANSPORT ARGS...: a transport alone.
uct()
{
	local test=$1 transport=$2
	shift 2
	run "${perf[@]}" -t "$test" -x "$transport" -d "$device:1" "$@" -- \
		"${perf[@]}" -t "$test" -x "$transport" -d rxe_odp0:1 "$@"
}

# ucp TEST ARGS...: UCX chooses among the transports of the device. Left to itself it takes shared memory on one machine.
ucp()
{
	run env UCX_TLS=rc,ud,self UCX_NET_DEVICES="$device:1" "${perf[@]}" -t "$@" -- \
		env UCX_TLS=rc,ud,self UCX_NET_DEVICES=rxe_odp0:1 "${perf[@]}" -t "$@"
}

transports()
{
	uct am_lat ud_verbs -D bcopy -s 1000
	uct am_lat rc_verbs -D bcopy -s 1000
	uct put_lat rc_verbs -D zcopy -s 4096
}

index_here=() index_there=()
between peer rxe_odp1 10.77.0.2
transports
uct put_bw rc_verbs -D zcopy -s 4096
uct get rc_verbs -D zcopy -s 4096
uct fadd rc_verbs -s 8
ucp tag_lat -s 4096
ucp tag_bw -s 65536
between '' rxe_odp0 10.77.0.1
transports
# UCX takes an IPv4 GID where there is one.
between peer rxe_odp1 10.77.0.2
index_here=(UCX_IB_GID_INDEX="$(index_of rxe_odp0 fd77::1)") || fail "rxe_odp0 has no GID of fd77::1"
index_there=(UCX_IB_GID_INDEX="$(in_peer index_of rxe_odp1 fd77::2)") || fail "rxe_odp1 has no GID of fd77::2"
transports
exit 0
