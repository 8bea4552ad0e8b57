#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# qemu.sh: unpacks the QEMU of Debian's $SUITE, if it is not in the cache, and prints the path of a program that runs it. That of Debian 12
# (7.2) will not do: it reads code before it locks the page, so that a CPU executes the breakpoint with which the other one patches a static
# branch after it is gone, and the guest dies of "Oops: int3". QEMU 8.1 and later do not.
. "$(dirname "$0")/lib.sh"

key=$(cache_key "$SRC/scripts/qemu.sh" -- "$SUITE")
dir=$CACHE/qemu-$key

# It is not installed, and has the C library of its own suite: whatever this machine has serves as well.
unpack()
{
	local tmp=$1 opts=() line
	rm -rf --one-file-system "$tmp"
	mkdir "$tmp"
	while read -r line; do
		opts+=(--aptopt="$line")
	done < <(apt_acquire_options)
	mmdebstrap --mode=root --variant=extract --include=qemu-system-x86 "${opts[@]}" "$SUITE" "$tmp/root" - < <(sources_list "$SUITE")
	# The name by which processes are listed.
	ln -s root/usr/lib64/ld-linux-x86-64.so.2 "$tmp/qemu-system-x86_64"
	cat >"$tmp/qemu" <<-'QEMU'
	#!/bin/sh
	dir=$(dirname "$0")
	lib=$dir/root/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=$lib/qemu exec "$dir/qemu-system-x86_64" --library-path "$lib" "$dir/root/usr/bin/qemu-system-x86_64" \
		-L "$dir/root/usr/share/qemu" -L "$dir/root/usr/share/seabios" "$@"
	QEMU
	chmod +x "$tmp/qemu"
	"$tmp/qemu" --version
	mv -T "$tmp" "$dir"
}

# A child of unshare: whatever mmdebstrap mounts goes with it, Ctrl-C or not.
if [ "${1:-}" = --unpack ]; then
	unpack "$CACHE/tmp-qemu-$key"
	exit
fi

ensure()
{
	[ ! -d "$dir" ] || return 0
	need_root
	need_space 1
	prune_cache qemu "$key"
	step "unpacking QEMU" "$CACHE/log/qemu.log" unshare --mount --pid --fork --kill-child "$0" --unpack
}

[ -d "$dir" ] || with_lock qemu ensure
touch "$dir"
echo "$dir/qemu"
