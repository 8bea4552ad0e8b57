#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The recipes of docs/recipes that trace page faults of on-demand regions, by trace-cmd and by bpftrace.
# rdma-odp: timeout 240
set -u

fail() { echo "odp_trace: $*"; tail -n 50 /tmp/odp_trace_* 2>/dev/null; exit 1; }
# shellcheck disable=SC2046
trap 'kill -9 $(jobs -p) 2>/dev/null; rm -f /tmp/odp_trace_*' EXIT
recipes=$(cd "$(dirname "$0")/../recipes" && pwd) || exit 1
[ "$RDMA_ODP_KERNEL" != uml ] || { echo "SKIP: User Mode Linux has neither kprobes nor BPF"; exit 77; }

for index in {0..15}; do
	! grep -qx 0000:0000:0000:0000:0000:ffff:0a4d:0001 "/sys/class/infiniband/rxe_odp0/ports/1/gids/$index" || break
done

# exchange: sets server
exchange()
{
	ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 20 -s 65536 -c -o >/tmp/odp_trace_server 2>&1 &
	server=$!
	until [ -n "$(ss -Hltn 'sport = :18515')" ]; do
		kill -0 $server 2>/dev/null || fail "the server has ended"
		sleep 0.1
	done
	ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 20 -s 65536 -c -o 127.0.0.1 >/tmp/odp_trace_client 2>&1 || fail "the client failed"
	wait $server || fail "the server failed"
}

# until_true PID CMD...: while PID lives; only a hang takes the program's time
until_true()
{
	local pid=$1
	shift
	until "$@"; do
		kill -0 "$pid" 2>/dev/null || fail "it has ended before: $*"
		[ $SECONDS -lt "${TEST_LIMIT_S:-240}" ] || fail "never: $*"
		sleep 0.1
	done
}

bpftrace -B line "$recipes/fault-latency.bt" >/tmp/odp_trace_bpf 2>&1 &
bpf=$!
until_true $bpf grep -qs '^Tracing' /tmp/odp_trace_bpf
exchange
kill -INT $bpf
wait $bpf || fail "bpftrace: status $?"
grep -qF "@fault_us[$server]:" /tmp/odp_trace_bpf || fail "no histogram of the server, $server"
grep -qF "@invalidated_pages[$server]:" /tmp/odp_trace_bpf || fail "nothing was taken from the server, $server"
! grep -qF '@failed[' /tmp/odp_trace_bpf || fail "faults failed"

event=/sys/kernel/tracing/events/umem_odp/umem_odp_wake/enable
"$recipes/slow-faults.sh" sh -c 'until [ -e /tmp/odp_trace_done ]; do sleep 0.1; done' >/tmp/odp_trace_slow 2>/tmp/odp_trace_errors &
slow=$!
until_true $slow grep -qx 1 $event
exchange
touch /tmp/odp_trace_done
wait $slow || fail "slow-faults.sh: status $?"
grep -qE "^[0-9]+ ns pid $server address 0x[0-9a-f]+ error 0$" /tmp/odp_trace_slow || fail "no fault of the server, $server"
grep -qx 0 $event || fail "the event is still on"
exit 0
