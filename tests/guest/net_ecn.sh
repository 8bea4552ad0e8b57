#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Congestion that a queue marks: with "ecn" on at both ends the receiver answers marked packets by CNPs, the sender slows down, and
# (nearly) nothing is lost; by netem, and by fq_codel where the kernel has it. With "ecn" off no packet says that it may be marked.
# rdma-odp: timeout 240
set -u
# shellcheck source=lib/gid.sh
. "$(dirname "$0")/../lib/gid.sh" || exit 1

fail() { echo "net_ecn: $*"; cat /tmp/ecn_server /tmp/ecn_client 2>/dev/null; exit 1; }

in_peer() { ip netns exec peer "$@"; }

# ecn 0|1: both ends
ecn()
{
	echo "$1" >/sys/class/infiniband/rxe_odp0/ecn && in_peer bash -c "echo $1 >/sys/class/infiniband/rxe_odp1/ecn"
}

shape_end()
{
	tc qdisc del dev veth0 root
	in_peer tc qdisc del dev veth1 root
} 2>/dev/null

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	shape_end
	ecn 0
	rm -f /tmp/ecn_server /tmp/ecn_client
} 2>/dev/null
trap cleanup EXIT

sender() { cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/"$1"; }
receiver() { in_peer cat /sys/class/infiniband/rxe_odp1/ports/1/hw_counters/"$1"; }

look()
{
	sent=$(sender sent_pkts) handled=$(sender rp_cnp_handled)
	# Lost is what leaves a gap: what is sent again may have come, when the guest has stood still for a second.
	gaps=$(receiver out_of_seq_request)
	marked=$(receiver np_ecn_marked_roce_packets) told=$(receiver np_cnp_sent)
}

index0=$(index_of rxe_odp0 0000:0000:0000:0000:0000:ffff:0a4d:0001)
index1=$(in_peer bash -c "$(declare -f index_of); index_of rxe_odp1 0000:0000:0000:0000:0000:ffff:0a4d:0002")

# Eight queue pairs write; sets what was counted meanwhile. On one CPU: two that take packets out of the qdisc would put those of
# one queue pair into two backlogs of veth, out of order, and what is sent again for that is not what is looked at here.
# write_through OPTION...: of ib_write_bw
write_through()
{
	local server was
	look
	was="$sent $gaps $handled $marked $told"
	in_peer taskset -c 0 ib_write_bw -d rxe_odp1 -x "$index1" -F "$@" -q 8 -s 524288 -n 5 >/tmp/ecn_server 2>&1 &
	server=$!
	until [ -n "$(in_peer ss -Hltn 'sport = :18515')" ]; do
		kill -0 $server 2>/dev/null || fail "the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-240}" ] || fail "the server does not listen"
		sleep 0.1
	done
	taskset -c 0 ib_write_bw -d rxe_odp0 -x "$index0" -F "$@" -q 8 -s 524288 -n 5 10.77.0.2 >/tmp/ecn_client 2>&1 ||
		fail "status $?"
	wait $server || fail "the server failed"
	look
	# shellcheck disable=SC2086
	set -- $was
	sent=$((sent - $1)) gaps=$((gaps - $2)) handled=$((handled - $3)) marked=$((marked - $4)) told=$((told - $5))
	echo "$sent sent, $gaps gaps; $marked marked, $told told, $handled times slower"
}

slows_down()
{
	[ "$marked" -gt 0 ] || fail "$1: no packet was marked"
	[ "$told" -gt 0 ] || fail "$1: the receiver tells nothing"
	[ "$handled" -gt 0 ] || fail "$1: the sender does not slow down"
	[ $((100 * gaps)) -lt "$sent" ] || fail "$1: packets are lost"
}

modprobe -a sch_netem sch_tbf sch_fq_codel 2>/dev/null
[ "$(cat /sys/class/infiniband/rxe_odp0/ecn)" = 0 ] || fail "it is on without being asked for"

ecn 1 || fail "no attribute ecn"
tc qdisc add dev veth0 root netem loss 3% ecn || fail "no netem"
write_through -u 18
slows_down netem
write_through -c UC
slows_down "netem, UC"
shape_end

tc qdisc add dev veth0 root handle 1: tbf rate 200mbit burst 32k limit 4m || fail "no tbf"
if tc qdisc add dev veth0 parent 1:1 fq_codel target 1ms interval 10ms ecn 2>/tmp/ecn_client; then
	write_through -u 18
	slows_down fq_codel
else
	echo "this kernel has no fq_codel"
fi
shape_end

ecn 0 || fail "it cannot be switched off"
tc qdisc add dev veth0 root netem delay 1ms limit 10000
write_through -u 18
[ $((marked + told + handled)) = 0 ] || fail "something is marked with ecn off"
exit 0
