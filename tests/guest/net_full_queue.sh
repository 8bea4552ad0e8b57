#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Queues on the way out that are short and slow: token buckets, a fifo of ten packets, netem's limit, fq_codel. What they refuse
# is made again when there is room, and counts neither as sent nor as lost: eight queue pairs write and read through them
# without losing a hundredth of their packets, and every datagram that completes arrives.
# rdma-odp: timeout 300
set -u

fail() { echo "net_full_queue: $*"; cat /tmp/queue_server /tmp/queue_client 2>/dev/null; exit 1; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	shape_end
	rm -f /tmp/queue_server /tmp/queue_client
} 2>/dev/null
trap cleanup EXIT

in_peer() { ip netns exec peer "$@"; }

shape_end()
{
	tc qdisc del dev veth0 root
	in_peer tc qdisc del dev veth1 root
	ip link set veth0 txqueuelen 1000
	in_peer ip link set veth1 txqueuelen 1000
} 2>/dev/null

# shape ROOT-QDISC [, CHILD-QDISC]: on both ends
# shellcheck disable=SC2086
shape()
{
	local root=${1%%,*} child=${1#*,} run
	shape_end
	for run in 'veth0 ' 'veth1 in_peer'; do
		${run#* } tc qdisc add dev ${run%% *} root handle 1: $root || return 1
		[ "$child" = "$1" ] || ${run#* } tc qdisc add dev ${run%% *} parent 1:1 $child || return 1
	done 2>/tmp/queue_client
}

# count NAME: of both devices
count()
{
	local a b
	a=$(cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/"$1") || fail "no counter $1"
	b=$(in_peer cat /sys/class/infiniband/rxe_odp1/ports/1/hw_counters/"$1") || fail "no counter $1"
	echo $((a + b))
}

# exchange TOOL ARGS...
exchange()
{
	local server tool=$1
	shift
	in_peer "$tool" -R -d rxe_odp1 -F -u 18 "$@" >/tmp/queue_server 2>&1 &
	server=$!
	until in_peer rdma resource show cm_id | grep -q 'state LISTEN'; do
		kill -0 $server 2>/dev/null || fail "$tool $*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-300}" ] || fail "$tool $*: it does not listen"
		sleep 0.1
	done
	"$tool" -R -d rxe_odp0 -F -u 18 "$@" 10.77.0.2 >/tmp/queue_client 2>&1 || fail "$queue: $tool $*: status $?"
	wait $server || fail "$queue: $tool $*: the server failed"
}

# check WHAT: since the counters were read last
sent=0 again=0 refused=0
look() { sent=$(count sent_pkts) again=$(count retried_pkts) refused=$(count send_refused); }
check()
{
	local was_sent=$sent was_again=$again was_refused=$refused
	look
	echo "$queue: $1: $((sent - was_sent)) sent, $((again - was_again)) again, $((refused - was_refused)) refused"
	[ $((100 * (again - was_again))) -lt $((sent - was_sent)) ] || fail "$queue: $1: packets are lost"
}

modprobe -a sch_tbf sch_netem sch_fq_codel 2>/dev/null
look
for queue in 'tbf rate 100mbit burst 32k limit 64k' 'tbf rate 200mbit burst 32k limit 64k, pfifo limit 10' \
	'tbf rate 200mbit burst 32k limit 1m, pfifo_fast' 'netem rate 200mbit limit 20' 'netem delay 2ms limit 10'; do
	shape "$queue" || fail "no $queue"
	[[ $queue != *pfifo_fast ]] || { ip link set veth0 txqueuelen 10; in_peer ip link set veth1 txqueuelen 10; }
	look
	exchange ib_write_bw -q 8 -s 1048576 -n 5
	check "eight queue pairs write"
	exchange ib_read_bw -q 2 -s 4194304 -n 5
	check "two queue pairs read"
	[[ $queue == tbf*64k* ]] || continue
	exchange ib_send_bw -c UD -s 2048 -n 1000
	check "datagrams"
done
[ "$refused" -gt 0 ] || fail "no queue was ever full"
exit 0
