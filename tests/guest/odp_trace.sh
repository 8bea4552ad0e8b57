#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The recipes of docs/recipes that trace page faults of on-demand regions, by trace-cmd and by bpftrace.
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

trap 'end_jobs; rm -f /tmp/odp_trace_done' EXIT
recipes=$(cd "${0%/*}/../recipes" && pwd) || exit 1
[ "$RDMA_ODP_KERNEL" != uml ] || { echo "SKIP: User Mode Linux has neither kprobes nor BPF"; exit 77; }

index=$(index_of rxe_odp0 10.77.0.1)

# exchange: sets server
exchange()
{
	serve '' 18515 ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 20 -s 65536 -c -o
	client ibv_rc_pingpong -d rxe_odp0 -g "$index" -n 20 -s 65536 -c -o 127.0.0.1
}

bpftrace -B line "$recipes/fault-latency.bt" >/tmp/said_bpf 2>&1 &
bpf=$!
await $bpf bpftrace grep -qs '^Tracing' /tmp/said_bpf
exchange
kill -INT $bpf
wait $bpf || fail "bpftrace: status $?"
grep -qF "@fault_us[$server]:" /tmp/said_bpf || fail "no histogram of the server, $server"
grep -qF "@invalidated_pages[$server]:" /tmp/said_bpf || fail "nothing was taken from the server, $server"
! grep -qF '@failed[' /tmp/said_bpf || fail "faults failed"

event=/sys/kernel/tracing/events/umem_odp/umem_odp_wake/enable
"$recipes/slow-faults.sh" sh -c 'until [ -e /tmp/odp_trace_done ]; do sleep 0.1; done' >/tmp/said_slow 2>/tmp/said_errors &
slow=$!
await $slow slow-faults.sh grep -qx 1 $event
exchange
touch /tmp/odp_trace_done
wait $slow || fail "slow-faults.sh: status $?"
grep -qE "^[0-9]+ ns pid $server address 0x[0-9a-f]+ error 0$" /tmp/said_slow || fail "no fault of the server, $server"
grep -qx 0 $event || fail "the event is still on"
exit 0
