#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# What an administrator sees of on-demand regions while they are used: the figures of each one by the rdma tool, in mlx5's names
# where mlx5 has the same, a histogram of their faults, their sums by process and by device.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

trap end_jobs EXIT
recipes=$(cd "${0%/*}/../recipes" && pwd) || exit 1

index=$(index_of rxe_odp0 10.77.0.1)
test=(ib_write_bw -d rxe_odp0 -x "$index" -F -s 65536 -D "$limit" --odp)
serve '' 18515 "${test[@]}"
"${test[@]}" 10.77.0.1 >/tmp/said_client 2>&1 &
client=$!

# sum NAME: over the regions
sum() { rdma statistic show mr | awk -v name="$1" '$1 == name { n += $2 } END { print n + 0 }'; }
has_faults() { [ "$(sum page_faults)" -ge "$1" ]; }
await $client "the client" has_faults 32
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

"$recipes/by-process.py" >/tmp/said_sums || fail "by-process.py: status $?"
for pid in $server $client; do
	grep -qE "^ib_write_bw \(pid $pid\) on rxe_odp0: regions 1, faults [1-9].* page_faults [1-9]" /tmp/said_sums ||
		fail "not the sums of $pid: $(cat /tmp/said_sums)"
done
exit 0
