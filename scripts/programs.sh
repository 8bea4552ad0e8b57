#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# programs.sh KERNEL SRC OUT: builds every C file of the directory SRC (tests/guest, benchmarks), or what its own Makefile makes of
# them (userspace/examples), into build/KERNEL/OUT, in the guest tree, with its compiler and its libibverbs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

kernel=${1:?} src=${2:?} out=${3:?}
case $kernel in
uml*) tree=$("$SRC/scripts/tree.sh" backports) ;;
*) tree=$("$SRC/scripts/tree.sh" "$kernel") ;;
esac

build()
{
	local dir=$SRC/build/$kernel/$out log=$SRC/build/$kernel/$out.log p makefile=(-f /odp/build/scripts/programs.mk)
	[ ! -e "$SRC/$src/Makefile" ] || makefile=(-C "/odp/build/$src")
	mkdir -p "$dir/lib"
	# Programs whose source is gone must not run.
	for p in "$dir"/*; do
		[ ! -f "$p" ] || [ -e "$SRC/$src/$(basename "$p").c" ] || rm -f "$p"
	done
	in_tree "$tree/root" make -s -k -j "$(nproc)" "${makefile[@]}" TOP=/odp/build "SRC=$src" \
		"OUT=/odp/build/build/$kernel/$out" >"$log" 2>&1 || {
		sed 's|/odp/build/||g' "$log" | { head -n 60; cat >/dev/null; } >&2
		die "the programs of $src do not build for $kernel; the whole log is $log"
	}
	sed 's|/odp/build/||g' "$log" | { head -n 40; cat >/dev/null; } >&2
}
with_lock "programs-$kernel-$out-$(cache_key -- "$SRC")" build
