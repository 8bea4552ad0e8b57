#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# provider.sh KERNEL [headers]: builds the libibverbs provider for the rdma-core that the kernel's guest tree has, in that tree, into
# build/KERNEL/provider:
#   librxe_odp.so.1.0         the library; librxe_odp.so.1 and, by the name that libibverbs loads,
#   librxe_odp-rdmavNN.so     are links to it
#   librxe_odp.a              the same for programs that link libibverbs statically
#   abi                       NN
#   include, make_abi_structs.py    of rdma-core's source, what it is built with; with "headers" these and abi alone
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

kernel=${1:?provider.sh: name a kernel} what=${2:-}
flavour=${kernel/#uml*/backports}
tree=$("$SRC/scripts/tree.sh" "$flavour")
out=$SRC/build/$kernel/provider

# libibverbs' private ABI: providers of another number are not loaded, so it stands in their names. Both the source and the
# library say it, and have to agree.
private_abi()
{
	local source=$1 lib abi theirs
	abi=$(sed -n 's/^set(IBVERBS_PABI_VERSION "\([0-9]*\)").*/\1/p' "$source/CMakeLists.txt")
	lib=$(find "$tree/root/usr/lib" -name libibverbs.so.1 | head -n 1)
	theirs=$(grep -aoE 'IBVERBS_PRIVATE_[0-9]+' "$lib" | sort -u | sed 's/.*_//')
	[[ -n $abi && $abi = "$theirs" ]] ||
		die "the source of rdma-core has the private ABI '$abi', the libibverbs of the tree '$theirs'; remove $tree, so that it is made anew"
	echo "$abi"
}

# A provider sees them under the names that they have while rdma-core is built.
copy_headers()
{
	local source=$1 abi=$2 to=$out/include
	rm -rf "$to"
	mkdir -p "$to/infiniband" "$to/rdma" "$to/ccan" "$to/util" "$to/kernel-abi"
	cp "$source"/libibverbs/*.h "$to/infiniband/"
	cp "$source"/kernel-headers/rdma/*.h "$to/rdma/"
	cp "$source"/ccan/*.h "$to/ccan/"
	cp "$source"/util/*.h "$to/util/"
	cp "$source/buildlib/make_abi_structs.py" "$out/"
	# Of the file that its CMake makes, what these headers ask for.
	printf '#define %s 1\n' HAVE_STATEMENT_EXPR HAVE_BUILTIN_TYPES_COMPATIBLE_P HAVE_TYPEOF HAVE_ISBLANK HAVE_BUILTIN_CLZ \
		HAVE_BUILTIN_CLZL HAVE_FUNC_ATTRIBUTE_ALWAYS_INLINE >"$to/config.h"
	printf '#define %s\n' 'VERBS_IOCTL_ONLY 0' 'VERBS_WRITE_ONLY 0' "IBVERBS_PABI_VERSION $abi" >>"$to/config.h"
}

build()
{
	local source abi log=$SRC/build/$kernel/provider.log
	mkdir -p "$out"
	source=$("$SRC/scripts/rdma-core.sh" "$flavour") && abi=$(private_abi "$source") || return 1
	if [ "$(cat "$out/source" 2>/dev/null)" != "$source" ]; then
		rm -rf "$out"
		mkdir -p "$out"
		copy_headers "$source" "$abi"
		echo "$source" >"$out/source"
		echo "$abi" >"$out/abi"
	fi
	[ "$what" != headers ] || return 0
	in_tree "$tree/root" make -s -k -j "$(nproc)" -f /odp/build/scripts/provider.mk TOP=/odp/build \
		"OUT=/odp/build/build/$kernel/provider" "ABI=$abi" >"$log" 2>&1 || {
		sed 's|/odp/build/||g' "$log" | { head -n 60; cat >/dev/null; } >&2
		die "the provider does not build for $kernel; the whole log is $log"
	}
	sed 's|/odp/build/||g' "$log" | { head -n 40; cat >/dev/null; } >&2
	say "the provider for $kernel: private ABI rdmav$abi of libibverbs ($(basename "$(dirname "$source")" | sed 's/-[0-9a-f]*$//'))"
}
with_lock "provider-$kernel-$(cache_key -- "$SRC")" build
