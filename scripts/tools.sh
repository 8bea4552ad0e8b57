#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# tools.sh KERNEL: builds the tools of userspace/tools, in the kernel's guest tree, into build/KERNEL/tools.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

kernel=${1:?tools.sh: name a kernel}
tree=$("$SRC/scripts/tree.sh" "${kernel/#uml*/backports}")

build()
{
	local log=$SRC/build/$kernel/tools.log
	mkdir -p "$SRC/build/$kernel/tools"
	in_tree "$tree/root" make -s -k -j "$(nproc)" -f /odp/build/scripts/tools.mk TOP=/odp/build \
		"OUT=/odp/build/build/$kernel/tools" >"$log" 2>&1 || {
		sed 's|/odp/build/||g' "$log" | { head -n 60; cat >/dev/null; } >&2
		die "the tools do not build for $kernel; the whole log is $log"
	}
	sed 's|/odp/build/||g' "$log" | { head -n 40; cat >/dev/null; } >&2
}
with_lock "tools-$kernel-$(cache_key -- "$SRC")" build
