#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The rdma tool's statistics: counters of the link count; there are none per queue pair, and asking for them harms nobody.
set -u

fail() { echo "rdma_statistic: $*"; cat /tmp/stat_server /tmp/stat_client 2>/dev/null; exit 1; }
link=rxe_odp0/1
cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	rdma statistic qp set link "$link" auto off
	rm -f /tmp/stat_server /tmp/stat_client
} 2>/dev/null
trap cleanup EXIT

# eventually CMD...: within 10 s
eventually()
{
	for _ in {1..100}; do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

listens() { [ -n "$(ss -Hltn 'sport = :18515')" ]; }
counter() { rdma statistic show link $link | grep -oE "$1 [0-9]+" | cut -d' ' -f2; }

# refused ERROR CMD...
refused()
{
	local error=$1 said
	shift
	said=$("$@" 2>&1) && fail "accepted: $*"
	[[ $said == *"$error"* ]] || fail "'$*' said '$said', not '$error'"
}

serve()
{
	for index in {0..15}; do
		! grep -qx 0000:0000:0000:0000:0000:ffff:0a4d:0001 "/sys/class/infiniband/rxe_odp0/ports/1/gids/$index" || break
	done
	ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 50 -s 8192 -c >/tmp/stat_server 2>&1 &
	server=$!
	eventually listens || fail "the server does not listen"
}

exchange()
{
	ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 50 -s 8192 -c 127.0.0.1 >/tmp/stat_client 2>&1 || fail "status $?"
	wait $server || fail "the server failed"
}

rdma statistic qp set link $link auto type on || fail "no automatic mode"
sent=$(counter sent_bytes) received=$(counter rcvd_bytes)
serve
qpn=$(rdma resource show qp link $link | grep -oE "lqpn [0-9]+ .* type RC" | head -n 1 | cut -d' ' -f2)
exchange
rdma statistic qp set link $link auto off || fail "the automatic mode does not end"
[ $(($(counter sent_bytes) - sent)) -ge $((2 * 50 * 8192)) ] || fail "sent_bytes does not count"
[ $(($(counter rcvd_bytes) - received)) -ge $((2 * 50 * 8192)) ] || fail "rcvd_bytes does not count"
[ -n "$qpn" ] || fail "the queue pair is not shown"

serve
qpn=$(rdma resource show qp link $link | grep -oE "lqpn [0-9]+ .* type RC" | head -n 1 | cut -d' ' -f2)
refused 'Cannot allocate memory' rdma statistic qp bind link $link lqpn "$qpn"
refused 'Invalid argument' rdma -r resource show qp
exchange
exit 0
