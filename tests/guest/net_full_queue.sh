#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Queues on the way out that are short and slow: token buckets, a fifo of ten packets, netem's limit. What they refuse is made again
# when there is room, and counts neither as sent nor as lost: eight queue pairs write and read through them without losing a
# hundredth of their packets, and every datagram and every message of UC that completes arrives. A queue that refuses everything for
# ever is a dead path, and queue pairs may go while they wait for one.
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	shape_end
} 2>/dev/null
trap cleanup EXIT

shape_end()
{
	tc qdisc del dev veth0 root
	in_peer tc qdisc del dev veth1 root
	ip link set veth0 txqueuelen 1000
	in_peer ip link set veth1 txqueuelen 1000
} 2>/dev/null

# shape ROOT-QDISC [, CHILD-QDISC]: on both ends. pfifo_fast is as long as the netdev says when it is made.
# shellcheck disable=SC2086
shape()
{
	local root=${1%%,*} child=${1#*,} run
	shape_end
	for run in 'veth0 ' 'veth1 in_peer'; do
		[[ $1 != *pfifo_fast ]] || ${run#* } ip link set ${run%% *} txqueuelen 10 || return 1
		${run#* } tc qdisc add dev ${run%% *} root handle 1: $root || return 1
		[ "$child" = "$1" ] || ${run#* } tc qdisc add dev ${run%% *} parent 1:1 $child || return 1
	done 2>/tmp/said_client
}

# count NAME: of both devices
count()
{
	local a b
	a=$(counter "$1") || fail "no counter $1"
	b=$(in_peer counter "$1" rxe_odp1) || fail "no counter $1"
	echo $((a + b))
}

index0=$(index_of rxe_odp0 10.77.0.1)
index1=$(in_peer index_of rxe_odp1 10.77.0.2)

# begin TOOL ARGS...: sets server, client
on=
# shellcheck disable=SC2086
begin()
{
	serve peer 18515 $on "$1" -d rxe_odp1 -x "$index1" -F "${@:2}"
	$on "$1" -d rxe_odp0 -x "$index0" -F "${@:2}" 10.77.0.2 >/tmp/said_client 2>&1 &
	client=$!
}

exchange()
{
	begin "$@"
	wait $client || fail "$*: status $?"
	wait $server || fail "$*: the server failed"
}

# check WHAT: since the counters were read last
# Lost is what leaves a gap. What is sent again is no measure of it: a guest that stands still for a second asks again for what came.
look()
{
	sent=$(count sent_pkts) again=$(count retried_pkts) refused=$(count send_refused)
	lost=$(($(count out_of_seq_request) + $(count rcvd_seq_err)))
}

check()
{
	local was_sent=$sent was_again=$again was_refused=$refused was_lost=$lost
	look
	echo "$about: $1: $((sent - was_sent)) sent, $((again - was_again)) again, $((lost - was_lost)) gaps, $((refused - was_refused)) refused"
	[ $((100 * (lost - was_lost))) -lt $((sent - was_sent)) ] || fail "$1: packets are lost"
	all_refused=$((all_refused + refused - was_refused))
}

modprobe -a sch_tbf sch_netem 2>/dev/null
# On one CPU, since packets are counted: newer kernels do not tell of a packet that was refused while two CPUs used the qdisc, and two
# that take packets out of it put those of one queue pair into two backlogs of veth, out of order.
on='taskset -c 0'
# -u 18: an ACK timeout of 1.07 s. Where others run too, a guest stands still for longer than the usual 67 ms, and what is asked for
# again then was not lost.
all_refused=0
for about in 'tbf rate 100mbit burst 32k limit 64k' 'tbf rate 200mbit burst 32k limit 64k, pfifo limit 10' \
	'tbf rate 200mbit burst 32k limit 1m, pfifo_fast' 'netem rate 200mbit limit 20' 'netem delay 2ms limit 10'; do
	shape "$about" || fail "no such qdisc"
	look
	exchange ib_write_bw -q 8 -u 18 -s 262144 -n 8
	check "eight queue pairs write"
	# A reader hears nothing while its answers wait in the other host.
	exchange ib_read_bw -q 2 -u 18 -s 1048576 -n 5
	check "two queue pairs read"
	[[ $about == tbf*64k ]] || continue
	exchange ib_send_bw -c UD -s 2048 -n 1000
	check "datagrams"
	exchange ib_send_bw -c UC -s 65536 -n 200
	check "messages of UC"
done
about=''
[ "$all_refused" -gt 0 ] || fail "no queue was ever full"
on=

# moving SENT: waits until more was sent than that
moving() { await $client "the client" has_sent $(($1 + 100)); }
has_sent() { [ "$(counter sent_pkts)" -gt "$1" ]; }
has_refused() { [ "$(count send_refused)" -gt "$1" ]; }

about='nothing let out'
shape_end
was=$(counter sent_pkts)
begin ib_write_bw -u 10 -D 60 -s 65536
moving "$was"
shape 'pfifo limit 0' || fail "no pfifo"
wait $client && fail "a dead path is not told"
grep -q 'status 12' /tmp/said_client || fail "another error"
kill -9 $server
wait $server

# Killed while they wait, on both sides, for room of their own or for a turn.
for about in 'tbf rate 1mbit burst 10k limit 64k' 'pfifo limit 0' 'netem delay 100s limit 30'; do
	for tool in ib_write_bw ib_read_bw; do
		shape_end
		was=$(counter sent_pkts)
		begin $tool -q 8 -D 60 -s 65536
		moving "$was"
		refused=$(count send_refused)
		shape "$about" || fail "no such qdisc"
		eventually has_refused "$refused" || fail "$tool: nothing is refused"
		kill -9 $client $server
		wait $client $server
	done
done
exit 0
