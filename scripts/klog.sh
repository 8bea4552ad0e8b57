#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# klog.sh FILE: looks for trouble in a kernel log. Prints the first places with their surroundings; exits with 1 if there are any, with 3
# if there is nothing but races that KCSAN has reported, after which the kernel is as good as before.
here=$(dirname "$0")
log=${1:?klog.sh: name a log}

patterns() { grep -v '^#' "$here/$1"; }

# The OOM killer at work in a memory cgroup is no failure, and its report has a call trace: blanked, line by line.
without_cgroup_oom()
{
	awk '/invoked oom-killer/ { oom = 1 }
		{ line[NR] = $0; in_oom[NR] = oom }
		/oom-kill:constraint=|no killable processes/ {
			# Without a victim the kernel goes on in a cgroup only; elsewhere it panics.
			if (/CONSTRAINT_MEMCG|no killable/)
				for (n = NR; in_oom[n]; n--)
					line[n] = ""
			oom = 0
		}
		END { for (n = 1; n <= NR; n++) print line[n] }'
}

# races_that_stay KIND: of the data races that KCSAN tells, each from "BUG:" to a line of "=", only those stay that have a function of ours in a
# stack ("ours"), or none ("none").
races_that_stay()
{
	awk -v kind="$1" '
		/BUG: KCSAN: / { from = NR }
		{ line[NR] = $0 }
		from && / \[(umem_odp|rxe_odp)[a-z_]*\]/ { ours = 1 }
		from && /====================/ {
			if (kind == "none" || !ours)
				while (from <= NR)
					line[from++] = ""
			from = ours = 0
		}
		END { for (n = 1; n <= NR; n++) print line[n] }'
}

lines_of_trouble() { grep -anE -f <(patterns klog-bad) | grep -avE -f <(patterns klog-benign) | cut -d: -f1; }

# Most logs are clean, and where the CPU is emulated every process counts.
grep -qaE -f <(patterns klog-bad) "$log" || exit 0
lines=$(tr -d '\r' <"$log" | without_cgroup_oom | races_that_stay ours | lines_of_trouble)
[ -n "$lines" ] || exit 0
status=1
[ -n "$(tr -d '\r' <"$log" | without_cgroup_oom | races_that_stay none | lines_of_trouble)" ] || status=3

# One report is many lines (KASAN's, with its two stacks and its memory map, a hundred): show a window, skip what it covered,
# three at most.
last=0 shown=0
for n in $lines; do
	[ "$n" -gt "$last" ] || continue
	[ $shown -lt 3 ] || { echo "  ... and more"; break; }
	from=$((n > 3 ? n - 3 : 1)) last=$((n + 120)) shown=$((shown + 1))
	echo "  --- kernel log, line $n"
	tr -d '\r' <"$log" | sed -n "${from},${last}p" | sed 's/^/  /'
done
exit $status
