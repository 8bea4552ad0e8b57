#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# uml.sh uml|uml-fast: makes a User Mode Linux, if it is not in the cache, and prints the path of its executable. That lies in its
# build directory, against which our modules are built; the kernel's own modules are in modules/ beside it.
. "$(dirname "$0")/lib.sh"

kernel=${1:-}
here=$SRC/scripts
case $kernel in
uml)      fragments=("$here/uml.config" "$here/uml-debug.config") ;;
uml-fast) fragments=("$here/uml.config") ;;
*) die "uml.sh: no User Mode Linux is called '$kernel'" ;;
esac

# The compiler that makes the kernel also makes the modules.
compiler=$(gcc -dumpfullversion 2>/dev/null || echo none)
key=$(cache_key "$here/uml.sh" "$here/source.sh" "$here"/uml{,-mends,-cpu}.patch "${fragments[@]}" -- "$compiler" "$kernel")
dir=$CACHE/$kernel-$key
tmp=$CACHE/tmp-$kernel-$key

# Every line of the fragments must have survived the dependencies.
check_config()
{
	local config=$1 line name missing=()
	while read -r line; do
		name=${line%%=*}
		case $line in
		'#'* | '') ;;
		*=n) ! grep -q "^$name=" "$config" || missing+=("$line") ;;
		*) grep -qx "$line" "$config" || missing+=("$line") ;;
		esac
	done < <(cat "${fragments[@]}")
	[ ${#missing[@]} -eq 0 ] || die "this kernel does not take: ${missing[*]}"
}

build()
{
	local source=$1 make
	rm -rf "$tmp"
	mkdir -p "$tmp/build"
	make=(make -C "$source" ARCH=um "O=$tmp/build" -j "$(nproc)")
	"${make[@]}" -s defconfig
	cat "${fragments[@]}" >>"$tmp/build/.config"
	"${make[@]}" -s olddefconfig
	check_config "$tmp/build/.config"
	"${make[@]}" -s
	"${make[@]}" -s modules_install "INSTALL_MOD_PATH=$tmp/build/install"
	mv "$tmp/build/install/lib/modules" "$tmp/build/modules"
	rm -rf "$tmp/build/install" "$tmp/build"/modules/*/{build,source}
	# Objects are no longer needed: modules are built against headers and Module.symvers.
	find "$tmp/build" \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' \) ! -path '*/scripts/*' -delete
	rm -f "$tmp/build/vmlinux" "$tmp/build/vmlinux.unstripped"
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
	step "building User Mode Linux ($kernel), 5 to 10 minutes" "$CACHE/log/$kernel.log" \
		unshare --pid --fork --kill-child "$0" "$kernel" --build "$source"
}

source=$("$here/source.sh")
if [ ! -d "$dir" ]; then
	"$here/host.sh" uml
	with_lock "$kernel" ensure
fi
touch "$dir"
echo "$dir/build/linux"
