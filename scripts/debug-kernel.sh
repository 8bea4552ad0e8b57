#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# debug-kernel.sh: ./run debug-kernel
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/session.sh"
. "$(dirname "$0")/guest-session.sh"

# Who is at work in several threads of the kernel at once, and who is hostile.
kcsan_tests=(storm fuzz_wire fuzz_rings fuzz_uverbs umem_races umem_overlap_storm umem_moves umem_hot_leaf umem_age umem_threads
	umem_many_waiters umem_signal 'odp_*' 'rc_*' 'srq_*' 'ud_*' 'uc_*' 'xrc_*' 'cq_*' 'mw_*' 'provider_poll' provider_doorbell_storm
	provider_threads dev_churn dev_teardown local_path local_cut storm.local)
# What User Mode Linux has not, and the suites that know of huge pages.
kasan_tests=(kunit_umem_odp umem_huge umem_overlap umem_refuse umem_age umem_races odp_hugetlb odp_moves odp_dirty odp_refused
	odp_zram_swapin mr_residency mr_dmabuf umem_address_space storm)

usage()
{
	cat <<-TEXT
	usage: ./run debug-kernel [kcsan|kasan] [-a ARGS] [TEST...]

	Makes a small Linux for QEMU of the source of the backports kernel (5 to 15 minutes once), boots it with the tree of backports, and
	runs guest tests in it. No part of ./run test: emulated, one run takes an hour and more.

	  kcsan      looks for data races and missing barriers (the default). A report that has a function of ours in a stack fails its
	             program; all of those are listed at the end, by pairs of functions.
	  kasan      KASAN, lockdep and the checks of the kernel's own memory management, on a kernel that has huge pages, soft-dirty
	             bits and secret memory; KUnit.
	  -a ARGS    kernel parameters instead of "kcsan.skip_watch=1500 kcsan.udelay_task=1500 kcsan.udelay_interrupt=300": a watchpoint
	             at every 1500th access of a CPU at the latest, of 1500 us at most. An emulated CPU may have to wait for one of
	             this machine's: in the 80 us of KCSAN's default the other one does next to nothing.
	  TEST       names of programs of tests/guest, or patterns such as 'rc_*'; NAME.provider runs through our provider, NAME.local
	             without packets; kunit_umem_odp are the suites. Without, those of the kernel: see scripts/debug-kernel.sh

	STORM_S, FUZZ_S, FUZZ_SEED as for ./run test. What a failed program left is kept in build/failed, the reports of KCSAN in
	build/kcsan/races.
	TEXT
}

tell() { say "$@"; }

kernel=kcsan chosen=() append='kcsan.skip_watch=1500 kcsan.udelay_task=1500 kcsan.udelay_interrupt=300'
while [ $# -gt 0 ]; do
	case $1 in
	kcsan | kasan) kernel=$1; shift ;;
	-a) [ $# -ge 2 ] || die "option -a needs kernel parameters"; append=$2; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run debug-kernel --help" ;;
	*) chosen+=("$1"); shift ;;
	esac
done
if [ ${#chosen[@]} -eq 0 ]; then
	case $kernel in
	kcsan) chosen=("${kcsan_tests[@]}") ;;
	kasan) chosen=("${kasan_tests[@]}") ;;
	esac
fi

# names PATTERN: of programs; a suffix stays as it is.
names()
{
	local f base=${1%%.*} suffix='' found=0
	[ "$base" = "$1" ] || suffix=.${1#*.}
	if [[ $base == kunit_* ]]; then
		[ -e "$SRC/kernel/${base#kunit_}/kunit/Kbuild" ] || die "there are no suites '$1'"
		echo "$1"
		return
	fi
	for f in "$SRC"/tests/guest/*.c "$SRC"/tests/guest/*.sh; do
		f=$(basename "$f")
		# shellcheck disable=SC2053
		[[ ${f%.*} == $base ]] || continue
		echo "${f%.*}$suffix"
		found=1
	done
	[ $found = 1 ] || die "there is no program '$1' in tests/guest"
}

# races: the reports that have a function of ours, in build/kcsan/races: one file a pair of functions.
races()
{
	local dir=$SRC/build/$kernel/races
	rm -rf "$dir"
	mkdir -p "$dir"
	cat "$session"/results/*.klog | tr -d '\r' | awk -v dir="$dir" '
		/BUG: KCSAN: / { on = 1; text = ours = ""; title = $0; sub(/.*BUG: KCSAN: /, "", title); gsub(/ \[[a-z_]*\]/, "", title) }
		on { text = text $0 "\n" }
		on && / \[(umem_odp|rxe_odp)[a-z_]*\]/ { ours = 1 }
		on && /====================/ {
			on = 0
			if (ours) {
				file = title
				gsub(/[^A-Za-z0-9_-]+/, "_", file)
				printf "%s\n", text >> (dir "/" substr(file, 1, 100))
				close(dir "/" substr(file, 1, 100))
				n[title]++
			}
		}
		END { for (t in n) printf "%5d  %s\n", n[t], t }' | sort -rn
}

"$SRC/scripts/host.sh" guest build provider
mkdir -p "$SRC/build"
# Results lie in build/.
exec {lock}>"$SRC/build/.lock"
flock -n "$lock" || { say "waiting for another run of tests in this clone"; flock "$lock"; }
"$SRC/scripts/modules.sh" "$kernel"
"$SRC/scripts/programs.sh" backports tests/guest tests
"$SRC/scripts/provider.sh" backports

# Emulated, and each access or lock is looked at.
factor=15
session=$SRC/build/$kernel/session title=debug.$kernel
mapfile -t todo < <(for name in "${chosen[@]}"; do names "$name"; done | awk '!seen[$0]++')
vm_args=(--append "$append")
begin_session "$SRC/build/backports"
for name in "${todo[@]}"; do
	put_program "$SRC/build/backports" "$name"
done
trap 'exit 130' INT
trap 'exit 143' TERM HUP
run_session >&2
bad=0
for name in "${todo[@]}"; do
	read -r status seconds <"$session/results/$name.status"
	case $status in
	0) text=passed ;;
	77) text=skipped ;;
	*)
		text=FAILED bad=1
		{
			cat "$session/results/$name.out"
			tell_kept "$name"
		} >&2
		;;
	esac
	printf '%-32s %-8s %8s s\n' "$name" "$text" "$seconds"
done
end_of_session >&2 || { say "the guest did not end well"; bad=1; }
if [ "$kernel" = kcsan ]; then
	echo
	races
	grep -ao 'rdma-odp: kcsan: .*' "$session/boot.klog" | tail -n 2 || :
fi
[ $bad = 0 ] || say "something failed; what it left is in build/failed"
exit $bad
