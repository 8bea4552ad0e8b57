#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# modules.sh KERNEL [MAKE ARGUMENTS]: builds our modules for a kernel into build/KERNEL/modules, through Kbuild: for a
# Debian kernel in its guest tree with the compiler there, for UML and the kernels of debug.sh with the compiler that made them.
# ODP_DIRS="umem_odp" builds only that one. KERNEL-check is KERNEL built into a directory of its own (check.sh).
#
# Kbuild writes beside its sources, and 6.12 knows no MO=, so it works on a mirror of symbolic links in build/KERNEL/kmod.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

kernel=${1:?modules.sh: name a kernel}
shift
flavour=${kernel%-check}
out=$SRC/build/$kernel
mirror=$out/kmod

# Relative links, because a guest tree shows the sources under another path. None for what is gone. Kbuild descends from kernel/
# alone, so samples are mirrored below that.
mirror_sources()
{
	local f at up
	mkdir -p "$mirror"
	find "$mirror" -xtype l -delete
	(cd "$SRC" && find kernel include samples -type f ! -name '.*') | while read -r f; do
		at=$f
		[[ $f != samples/* ]] || at=kernel/$f
		[ ! -e "$mirror/$at" ] || continue
		mkdir -p "$mirror/$(dirname "$at")"
		up=$(dirname "$at" | sed 's|[^/][^/]*|..|g')
		ln -s "$up/../../../$f" "$mirror/$at"
	done
}

# kbuild TOP KDIR MAKE-ARGUMENTS: TOP is where the sources are seen.
kbuild()
{
	local top=$1/build/$kernel/kmod/kernel kdir=$2
	shift 2
	sh "$top/compat/probe.sh" "$top/compat/probes" "$kdir" "$top/generated" "$@" &&
		make -C "$kdir" M="$top" -j "$(nproc)" ${ODP_DIRS:+"ODP_DIRS=$ODP_DIRS"} "$@" modules
}

build()
{
	local tree kdir rc=0 log=$out/kbuild.log where
	mkdir -p "$out/modules"
	mirror_sources
	case $kernel in
	uml*)
		kdir=$(dirname "$("$SRC/scripts/uml.sh" "$flavour")")
		where=$SRC
		# Its Makefile still names the directory in which it was built, before that was complete and renamed.
		kbuild "$SRC" "$kdir" ARCH=um "KBUILD_OUTPUT=$kdir" "$@" >"$log" 2>&1 || rc=$?
		;;
	kcsan* | kasan*)
		kdir=$("$SRC/scripts/debug.sh" "$flavour")
		where=$SRC
		# With lines: a report names addresses.
		kbuild "$SRC" "$kdir" ARCH=x86_64 "KBUILD_OUTPUT=$kdir" KCFLAGS=-g "$@" >"$log" 2>&1 || rc=$?
		;;
	*)
		tree=$("$SRC/scripts/tree.sh" "$flavour") || exit 1
		kdir=/lib/modules/$(cat "$tree/release")/build
		where=/odp/build
		in_tree "$tree/root" /bin/bash -c "$(declare -f kbuild)
			kernel=$kernel ODP_DIRS='${ODP_DIRS:-}' kbuild /odp/build \"\$@\"" kbuild "$kdir" "$@" >"$log" 2>&1 || rc=$?
		;;
	esac
	# Messages name the sources, not their mirror.
	sed -i "s|$where/build/$kernel/kmod/||g; s|\.\./build/$kernel/kmod/||g" "$log"
	if [ $rc -ne 0 ]; then
		grep -E -A6 'error|Error|undefined' "$log" | head -n 80 >&2 || tail -n 20 "$log" >&2
		die "the modules do not build for $kernel; the whole log is $log"
	fi
	grep -E -A6 'warning:' "$log" | head -n 40 >&2 || :
	find "$mirror/kernel" -name '*.ko' -exec cp -u {} "$out/modules/" \;
}

shopt -s nullglob
kbuilds=("$SRC"/kernel/*/Kbuild)
if [ ${#kbuilds[@]} -eq 0 ]; then
	say "there is no module yet"
	exit 0
fi
with_lock "modules-$kernel-$(cache_key -- "$SRC")" build "$@"
