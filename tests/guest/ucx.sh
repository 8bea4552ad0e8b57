#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# UCX as it comes: its rc and ud transports between the two devices and over one, IPv4 and IPv6, and its protocols above
# them. UCX drops each datagram whose completion does not tell IPv4 from IPv6, and connects rc by datagrams.
#
# rdma-odp: timeout 240
set -u
trap 'rm -f /tmp/ucx_server /tmp/ucx_client; kill $(jobs -p) 2>/dev/null' EXIT

fail() { echo "ucx: $*"; cat /tmp/ucx_server /tmp/ucx_client 2>/dev/null; exit 1; }
counter() { cat "/sys/class/infiniband/rxe_odp0/ports/1/hw_counters/$1"; }
# In packets or, with local=on, without.
sent() { echo $(($(counter sent_pkts) + $(counter local_ops))); }
listens() { "${there[@]}" ss -Hltn 'sport = 13337' | grep -q .; }

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-240} > SECONDS ? ${TEST_LIMIT_S:-240} - SECONDS : 1)); }

# index DEVICE PREFIX [CMD...]: sets index, for UCX, to that of DEVICE's GID that begins so; CMD leads to its namespace.
index()
{
	index=$("${@:3}" grep -ls "^$2" "/sys/class/infiniband/$1/ports/1/gids"/{0..15} | head -n 1)
	[ -n "$index" ] || fail "$1 has no GID $2"
	index=UCX_IB_GID_INDEX=${index##*/}
}

# between SERVER_NAMESPACE SERVER_DEVICE ADDRESS
between() { there=(ip netns exec "$1") device=$2 address=$3; }
over_one() { there=() device=rxe_odp0 address=10.77.0.1; }

# run SERVER_ARGS -- CLIENT_ARGS: all of 100 messages go by the device. -P 0: two programs by themselves, without MPI.
run()
{
	local server before args=()

	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	before=$(sent)
	"${there[@]}" env "${index_there[@]}" "${args[@]}" >/tmp/ucx_server 2>&1 &
	server=$!
	until listens; do
		kill -0 $server 2>/dev/null || fail "$*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-240}" ] || fail "$*: the server does not listen"
		sleep 0.1
	done
	timeout "$(left)" env "${index_here[@]}" "$@" "$address" >/tmp/ucx_client 2>&1 || fail "$*: status $?"
	wait $server || fail "$*: the server failed"
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
over_one
transports
# UCX takes an IPv4 GID where there is one.
between peer rxe_odp1 10.77.0.2
index rxe_odp0 fd77:
index_here=("$index")
index rxe_odp1 fd77: "${there[@]}"
index_there=("$index")
transports
exit 0
