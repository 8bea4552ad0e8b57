#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Congestion that a queue marks: with "ecn" on at both ends the receiver answers marked packets by CNPs, the sender slows down, and
# (nearly) nothing is lost; by netem, and by fq_codel where the kernel has it. With "ecn" off no packet says that it may be marked.
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

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
	end_jobs
	shape_end
	ecn 0
} 2>/dev/null
trap cleanup EXIT

look()
{
	sent=$(counter sent_pkts) handled=$(counter rp_cnp_handled)
	# Lost is what leaves a gap: what is sent again may have come, when the guest has stood still for a second.
	gaps=$(in_peer counter out_of_seq_request rxe_odp1)
	marked=$(in_peer counter np_ecn_marked_roce_packets rxe_odp1) told=$(in_peer counter np_cnp_sent rxe_odp1)
}

index0=$(index_of rxe_odp0 10.77.0.1)
index1=$(in_peer index_of rxe_odp1 10.77.0.2)

# Eight queue pairs write; sets what was counted meanwhile. On one CPU: two that take packets out of the qdisc would put those of
# one queue pair into two backlogs of veth, out of order, and what is sent again for that is not what is looked at here.
# write_through OPTION...: of ib_write_bw
write_through()
{
	local was
	look
	was="$sent $gaps $handled $marked $told"
	serve peer 18515 taskset -c 0 ib_write_bw -d rxe_odp1 -x "$index1" -F "$@" -q 8 -s 524288 -n 5
	client taskset -c 0 ib_write_bw -d rxe_odp0 -x "$index0" -F "$@" -q 8 -s 524288 -n 5 10.77.0.2
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
if tc qdisc add dev veth0 parent 1:1 fq_codel target 1ms interval 10ms ecn 2>/tmp/said_client; then
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
