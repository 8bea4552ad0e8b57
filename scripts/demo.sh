#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# demo.sh: ./run demo
. "$(dirname "$0")/lib.sh"

kernel=stable rounds=3 packets=()
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernel=$2; shift 2 ;;
	--packets) packets=(--packets); shift ;;
	-h | --help)
		cat <<-'TEXT'
		usage: ./run demo [-k KERNEL] [--packets]

		Installs what is missing, builds both modules and the guest, boots it, and runs stock perftest over rxe_odp,
		pinned and with --odp. The table shows the median of three rounds and how many pages were faulted in. Both ends are
		in one kernel, so that no packets are needed; with --packets they are sent all the same.

		  -k KERNEL   stable (default), backports, uml or uml-fast
		TEXT
		exit 0
		;;
	*) die "unknown option '$1'; see ./run demo --help" ;;
	esac
done
case $kernel in
stable | backports | uml | uml-fast) ;;
*) die "unknown kernel '$kernel': use stable, backports, uml or uml-fast" ;;
esac
begin=$SECONDS
"$SRC/scripts/host.sh" guest build
"$SRC/scripts/modules.sh" "$kernel"

results=$(mktemp)
trap 'rm -f "$results"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "booting the guest ($kernel) and running perftest, $rounds rounds of write, read and send"
"$SRC/scripts/vm.sh" -k "$kernel" --no-build "${packets[@]}" -t 600 -- /odp/host/demo $rounds |
	while read -r word op size mode rate pages; do
		if [ "$word" = RESULT ]; then
			say "ib_${op}_bw, $size bytes, ${mode#--}: $rate MB/s"
			echo "$op $size ${mode#--} $rate $pages" >>"$results"
		else
			echo "$word $op $size $mode $rate $pages"
		fi
	done

echo
printf '%-10s %8s %14s %14s %8s %14s\n' operation bytes 'pinned MB/s' 'ODP MB/s' ratio 'page faults'
sort -k1,3 -k4,4n "$results" | awk '
	{ key = $1 " " $2; n[key, $3]++; rate[key, $3, n[key, $3]] = $4; if ($3 == "odp") pages[key] = $5; seen[key] = 1 }
	END {
		split("write read send", order)
		for (i = 1; i <= 3; i++) for (key in seen) {
			split(key, k)
			if (k[1] != order[i]) continue
			p = rate[key, "pinned", int((n[key, "pinned"] + 1) / 2)]
			o = rate[key, "odp", int((n[key, "odp"] + 1) / 2)]
			printf "%-10s %8d %14.1f %14.1f %8.2f %14d\n", k[1], k[2], p, o, o / p, pages[key]
		}
	}'
if [ ${#packets[@]} = 0 ]; then
	echo "Both ends are in one kernel: requests were executed by one copy. ./run demo --packets has them sent in packets."
	echo "The CPU is an emulated one, unless there is KVM: on one that is not, ODP moves as much as pinned memory (docs/performance.md)."
else
	echo "ODP below pinned here is not the cost of paging: after its first fault a flow stays split over both CPUs, and sends a whole window ahead (docs/performance.md)."
fi
say "done in $((SECONDS - begin)) s; kernel: $kernel, medians of $rounds rounds, pages faulted in on both sides in one run"
