#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# tree.sh stable|backports: makes the guest tree of a Debian kernel, if it is not in the cache, and prints its path:
#   root/      the tree; modules and test programs are built in it, by its own compiler
#   disk.img   the same as an ext4 image
#   vmlinuz initrd.img release
. "$(dirname "$0")/lib.sh"

flavour=${1:-}
case $flavour in
stable)    suites=("$SUITE") ;;
backports) suites=("$SUITE" "$SUITE-backports") ;;
*) die "tree.sh: no guest tree is called '$flavour'" ;;
esac

here=$SRC/scripts
key=$(cache_key "$here/tree.sh" "$here/guest/packages" "$here/guest/init" -- "${suites[@]}")
dir=$CACHE/tree-$flavour-$key

# Only what mounts the root file system: a small initrd boots in half the time where the CPU is emulated.
write_initramfs_conf()
{
	local etc=$1/etc/initramfs-tools
	mkdir -p "$etc/conf.d"
	printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\nRUNSIZE=10%%\n' >"$etc/conf.d/rdma-odp"
	printf 'virtio_pci\nvirtio_blk\next4\n' >"$etc/modules"
}

mmdebstrap_tree()
{
	local tmp=$1 opts=() line include
	while read -r line; do
		opts+=(--aptopt="$line")
	done < <(apt_acquire_options)
	[ "$flavour" = stable ] || opts+=(--aptopt="APT::Default-Release \"$SUITE-backports\"")
	include=$(paste -sd, "$here/guest/packages")
	# The initramfs settings must be there before the kernel is configured. UCX's plugin for AMD's GPUs is a dead end in a
	# guest, and what it needs is large.
	mmdebstrap --mode=root --variant=minbase --include="$include" "${opts[@]}" \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/lib/*/libamd*' \
		--essential-hook="cp -r '$tmp/initramfs/.' \"\$1/\"" \
		"$SUITE" "$tmp/root" - < <(sources_list "${suites[@]}")
}

build()
{
	local tmp=$1 root=$1/root release
	rm -rf --one-file-system "$tmp"
	mkdir -p "$tmp/initramfs"
	write_initramfs_conf "$tmp/initramfs"
	mmdebstrap_tree "$tmp"
	rm -rf "$tmp/initramfs"

	mkdir -p "$root/odp/host" "$root/odp/upper" "$root/odp/root" "$root/odp/old" "$root/odp/build" "$root/mnt"
	install -m 755 "$here/guest/init" "$root/odp/init"
	echo rdma-odp >"$root/etc/hostname"
	printf '127.0.0.1 localhost rdma-odp\n::1 localhost\n' >"$root/etc/hosts"
	rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin

	release=$(basename "$(echo "$root"/boot/vmlinuz-*)" | sed s/vmlinuz-//)
	case $release in *' '*) die "two kernels in the tree: $release" ;; esac
	[ -d "$root/lib/modules/$release/build/" ] || die "the tree has no headers for kernel $release"
	echo "$release" >"$tmp/release"
	cp "$root/boot/vmlinuz-$release" "$tmp/vmlinuz"
	cp "$root/boot/initrd.img-$release" "$tmp/initrd.img"

	truncate -s 4G "$tmp/disk.img"
	mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1 -O ^has_journal -d "$root" "$tmp/disk.img"
	sync -f "$tmp/disk.img"
	mv -T "$tmp" "$dir"
}

# A child of unshare: whatever mmdebstrap mounts goes with it, Ctrl-C or not.
if [ "${2:-}" = --build ]; then
	build "$CACHE/tmp-tree-$flavour-$key"
	exit
fi

ensure()
{
	[ ! -d "$dir" ] || return 0
	need_root
	need_space 8
	prune_cache "tree-$flavour" "$key"
	step "building the guest tree ($flavour)" "$CACHE/log/tree-$flavour.log" \
		unshare --mount --pid --fork --kill-child "$0" "$flavour" --build
}

[ -d "$dir" ] || with_lock "tree-$flavour" ensure
touch "$dir"
echo "$dir"
