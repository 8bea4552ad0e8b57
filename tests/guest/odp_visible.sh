#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# What an administrator sees of on-demand regions while they are used: the figures of each one by the rdma tool, in mlx5's names
# where mlx5 has the same, a histogram of their faults, their sums by process and by device.
set -u

fail() { echo "odp_visible: $*"; cat /tmp/visible_server /tmp/visible_client 2>/dev/null; exit 1; }
trap 'rm -f /tmp/visible_*; kill -9 $(jobs -p) 2>/dev/null' EXIT
recipes=$(cd "$(dirname "$0")/../recipes" && pwd) || exit 1

for index in {0..15}; do
	! grep -qx 0000:0000:0000:0000:0000:ffff:0a4d:0001 "/sys/class/infiniband/rxe_odp0/ports/1/gids/$index" || break
done
test=(ib_write_bw -d rxe_odp0 -x "$index" -F -s 65536 -D "${TEST_LIMIT_S:-120}" --odp)
"${test[@]}" >/tmp/visible_server 2>&1 &
server=$!
until [ -n "$(ss -Hltn 'sport = :18515')" ]; do
	kill -0 $server 2>/dev/null || fail "the server has ended"
	sleep 0.1
done
"${test[@]}" 10.77.0.1 >/tmp/visible_client 2>&1 &
client=$!

# sum NAME: over the regions
sum() { rdma statistic show mr | awk -v name="$1" '$1 == name { n += $2 } END { print n + 0 }'; }
until [ "$(sum page_faults)" -ge 32 ]; do
	kill -0 $client 2>/dev/null || fail "the client has ended"
	[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "no page faults in: $(rdma statistic show mr)"
	sleep 0.1
done
rdma -dd resource show mr | grep -qx ' *drv_kind odp *' || fail "no kind in: $(rdma -dd resource show mr)"
for name in page_faults page_invalidations page_prefetch resident_pages table_bytes worst_fault_ns; do
	rdma statistic show mr | grep -q "^ *$name " || fail "no $name"
	rdma statistic show link rxe_odp0/1 | grep -q "^ *odp_$name " || fail "no odp_$name"
done
ended=0
for class in below_10us below_100us below_1ms below_10ms below_100ms below_1s above_1s; do
	ended=$((ended + $(sum faults_$class)))
done
[[ $ended -gt 0 && $ended -le $(sum faults) ]] || fail "$ended faults in the histogram, $(sum faults) faults"

"$recipes/by-process.py" >/tmp/visible_sums || fail "by-process.py: status $?"
for pid in $server $client; do
	grep -qE "^ib_write_bw \(pid $pid\) on rxe_odp0: regions 1, faults [1-9].* page_faults [1-9]" /tmp/visible_sums ||
		fail "not the sums of $pid: $(cat /tmp/visible_sums)"
done
exit 0
