#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# debug.sh kcsan|kasan: makes a small Linux for QEMU, of the source of the backports kernel, if it is not in the cache, and prints the path
# of its build directory, against which our modules are built: arch/x86/boot/bzImage, and the kernel's own modules in modules/. It boots
# with the guest tree of backports.
. "$(dirname "$0")/lib.sh"

kernel=${1:-}
here=$SRC/scripts
case $kernel in
kcsan | kasan) fragments=("$here/debug.config" "$here/debug-$kernel.config") ;;
*) die "debug.sh: no kernel is called '$kernel'" ;;
esac
. "$here/kconfig.sh"

# The compiler that makes the kernel also makes the modules.
compiler=$(gcc -dumpfullversion 2>/dev/null || echo none)
key=$(cache_key "$here/debug.sh" "$here/kconfig.sh" "$here/source.sh" "${fragments[@]}" -- "$compiler")
dir=$CACHE/$kernel-$key
tmp=$CACHE/tmp-$kernel-$key

build()
{
	local source=$1 make
	rm -rf "$tmp"
	mkdir -p "$tmp/build"
	make=(make -C "$source" ARCH=x86_64 "O=$tmp/build" -j "$(nproc)" -s)
	"${make[@]}" allnoconfig
	cat "${fragments[@]}" >>"$tmp/build/.config"
	"${make[@]}" olddefconfig
	check_config "$tmp/build/.config" "${fragments[@]}"
	"${make[@]}" bzImage modules
	"${make[@]}" modules_install "INSTALL_MOD_PATH=$tmp/build/install"
	mv "$tmp/build/install/lib/modules" "$tmp/build/modules"
	rm -rf "$tmp/build/install" "$tmp/build"/modules/*/{build,source}
	# Objects are no longer needed: modules are built against headers and Module.symvers. vmlinux tells where an address of a report lies.
	find "$tmp/build" \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' \) ! -path '*/scripts/*' ! -path '*/tools/objtool/*' -delete
	rm -f "$tmp/build"/{vmlinux.unstripped,arch/x86/boot/compressed/vmlinux}
	mv -T "$tmp" "$dir"
}

if [ "${2:-}" = --build ]; then
	build "$3"
	exit
fi

ensure()
{
	[ ! -d "$dir" ] || return 0
	need_space 8
	prune_cache "$kernel" "$key"
	step "building a Linux for QEMU ($kernel), 5 to 15 minutes" "$CACHE/log/$kernel.log" \
		unshare --pid --fork --kill-child "$0" "$kernel" --build "$source"
}

source=$("$here/source.sh")
if [ ! -d "$dir" ]; then
	"$here/host.sh" uml
	with_lock "$kernel" ensure
fi
touch "$dir"
echo "$dir/build"
