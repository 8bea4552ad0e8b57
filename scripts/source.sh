#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# source.sh: unpacks the kernel source that belongs to the newest linux-image-amd64 of the backports suite, if it is
# not in the cache, and prints its path. apt checks the signatures; nothing is installed.
. "$(dirname "$0")/lib.sh"

patches=("$SRC"/scripts/uml{,-mends,-cpu}.patch)
key=$(cache_key "$SRC/scripts/source.sh" "${patches[@]}" -- "$SUITE-backports")
dir=$CACHE/source-backports-$key
tmp=$CACHE/tmp-source-backports-$key

# An apt of our own, that knows only the backports suite and touches nothing of the machine's.
write_apt()
{
	mkdir -p "$tmp/apt/state/lists/partial" "$tmp/apt/cache/archives/partial" "$tmp/apt/etc/parts"
	: >"$tmp/apt/status"
	sources_list "$SUITE-backports" >"$tmp/apt/sources.list"
	cat >"$tmp/apt/apt.conf" <<-CONF
	Dir::State "$tmp/apt/state";
	Dir::State::status "$tmp/apt/status";
	Dir::Cache "$tmp/apt/cache";
	Dir::Etc::sourcelist "$tmp/apt/sources.list";
	Dir::Etc::sourceparts "$tmp/apt/etc/parts";
	Dir::Etc::preferencesparts "$tmp/apt/etc/parts";
	APT::Sandbox::User "root";
	CONF
}

# A newer kernel that a patch does not fit does without, and what that means is said.
apply()
{
	local patch=$1 without=$2
	if patch -d "$tmp/linux" -p1 -s -f --dry-run <"$patch"; then
		patch -d "$tmp/linux" -p1 -s -f <"$patch"
	else
		say "scripts/$(basename "$patch") does not fit this kernel: $without"
	fi
}

build()
{
	local image package
	rm -rf "$tmp"
	write_apt
	export APT_CONFIG=$tmp/apt/apt.conf
	apt-get update
	image=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: linux-image-\([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
	[ -n "$image" ] || die "the mirror has no linux-image-amd64 in $SUITE-backports"
	package=linux-source-$image
	(cd "$tmp/apt" && apt-get download "$package")
	dpkg-deb --fsys-tarfile "$tmp/apt/$package"_*.deb | tar xO "./usr/src/$package.tar.xz" | tar xJ -C "$tmp"
	mv "$tmp/$package" "$tmp/linux"
	rm -rf "$tmp/apt"
	apply "${patches[0]}" "User Mode Linux will be slow"
	apply "${patches[1]}" "vm_replaced and kunit_umem_odp fail on uml, and KASAN may report there what is none"
	apply "${patches[2]}" "crc32_le() goes byte by byte in User Mode Linux and memcpy() word by word, and ./run bench compares nothing there"
	mv -T "$tmp" "$dir"
}

if [ "${1:-}" = --build ]; then
	build
	exit
fi

ensure()
{
	[ ! -d "$dir" ] || return 0
	"$SRC/scripts/host.sh" uml
	need_space 6
	prune_cache source-backports "$key"
	step "fetching the kernel source for UML" "$CACHE/log/source.log" unshare --pid --fork --kill-child "$0" --build
	sed -n '/does not fit this kernel/p' "$CACHE/log/source.log" >&2
}

[ -d "$dir" ] || with_lock source-backports ensure
touch "$dir"
echo "$dir/linux"
