#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The rdma tool's statistics: counters of the link count; so do those that queue pairs are bound to, by hand or automatically,
# and what these count is in the link's once. What the tool shows of the objects beside.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

link=rxe_odp0/1
cleanup()
{
	end_jobs
	rdma statistic qp set link "$link" auto off
} 2>/dev/null
trap cleanup EXIT

# shown NAME: a counter of the link
shown() { rdma statistic show link "$link" | grep -oE "$1 [0-9]+" | cut -d' ' -f2; }

# refused ERROR CMD...
refused()
{
	local error=$1 said
	shift
	said=$("$@" 2>&1) && fail "accepted: $*"
	[[ $said == *"$error"* ]] || fail "'$*' said '$said', not '$error'"
}

index=$(index_of rxe_odp0 10.77.0.1)

pingpong() { serve '' 18515 ibv_rc_pingpong -d rxe_odp0 -g "$index" -s 8192 -c "${@:--n50}"; }

exchange() { client ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 50 -s 8192 -c 127.0.0.1; }

# the number of the first connected queue pair
first_qpn() { rdma resource show qp link "$link" | grep -oE "lqpn [0-9]+ .* type RC" | head -n 1 | cut -d' ' -f2; }
# qp_counter NAME QPN: of the counter that the queue pair is bound to
qp_counter() { rdma statistic qp show link "$link" | tr '\n' ' ' | sed 's/link /\n&/g' | grep -E "LQPN: <([0-9]+,)*$2[,>]" | grep -oE "$1 [0-9]+" | cut -d' ' -f2; }
counts() { [ "$(qp_counter "$1" "$2")" -gt 0 ] 2>/dev/null; }

within_bounds() { [ "$1" -ge $((2 * 50 * 8192)) ] && [ "$1" -lt $((3 * 50 * 8192)) ]; }

# What 50 exchanges are for the link: unbound, bound by hand, bound automatically, the same each time.
measure()
{
	local sent received
	sent=$(shown sent_bytes) received=$(shown rcvd_bytes)
	pingpong
	qpn=$(first_qpn)
	[ -n "$qpn" ] || fail "the queue pair is not shown"
	"$@"
	exchange
	sent=$(($(shown sent_bytes) - sent)) received=$(($(shown rcvd_bytes) - received))
	within_bounds $sent || fail "$1: sent_bytes has grown by $sent"
	within_bounds $received || fail "$1: rcvd_bytes has grown by $received"
}

is_bound() { rdma statistic qp show link "$link" | grep -qE "LQPN: <([0-9]+,)*${qpn}[,>]"; }

bind_it()
{
	rdma statistic qp bind link "$link" lqpn "$qpn" || fail "cannot bind"
	is_bound || fail "the counter is not shown"
}

unbind_it()
{
	local cntn
	bind_it
	cntn=$(rdma statistic qp show link "$link" | grep -oE 'cntn [0-9]+' | head -n 1 | cut -d' ' -f2)
	rdma statistic qp unbind link "$link" cntn "$cntn" lqpn "$qpn" || fail "cannot unbind"
	! is_bound || fail "the counter is still shown"
}

measure true
measure bind_it
measure unbind_it
automatic() { is_bound || fail "no automatic counter"; }
for by in type pid; do
	rdma statistic qp set link "$link" auto $by on || fail "no automatic mode by $by"
	measure automatic
	rdma statistic qp set link "$link" auto off || fail "the automatic mode by $by does not end"
done

# While it goes on.
pingpong -n 100000000
qpn=$(first_qpn)
bind_it
ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 100000000 -s 8192 -c 127.0.0.1 >/tmp/said_client 2>&1 &
client=$!
for name in sent_pkts rcvd_pkts sent_bytes rcvd_bytes rdma_sends rdma_recvs; do
	eventually counts $name "$qpn" || fail "$name of a queue pair does not count"
done
rdma -dd resource show qp link "$link" lqpn "$qpn" | grep -q 'drv_sq_una_psn' || fail "no details of the queue pair"
rdma -dd resource show cq dev rxe_odp0 | grep -q 'drv_filled' || fail "no details of the completion queue"
for object in pd mr cq ctx; do
	rdma resource show $object dev rxe_odp0 | grep -q ibv_rc_pingpong || fail "the $object of a process is not shown"
done
kill $client $server
wait $client $server 2>/dev/null
serve '' 18515 ibv_srq_pingpong -d rxe_odp0 -g "$index" -r 40
rdma -dd resource show srq dev rxe_odp0 | grep -q 'drv_posted 40' || fail "no details of the shared receive queue"
kill $server
wait $server 2>/dev/null
refused 'Invalid argument' rdma -r resource show qp
exit 0
