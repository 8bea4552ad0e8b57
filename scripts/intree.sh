# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash

# in_tree ROOT CMD...: runs CMD in the tree, in a mount namespace of its own, with the sources in /odp/build. The
# backports kernel's objtool reads /proc.
in_tree()
{
	local root=$1
	shift
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child sh -ec '
		root=$1 src=$2
		shift 2
		mount --bind "$root" "$root"
		mount -o remount,bind,ro "$root"
		mount --bind "$src" "$root/odp/build"
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/tmp"
		mount --bind /dev/null "$root/dev/null"
		exec chroot "$root" "$@"' sh "$root" "$SRC" "$@"
}

# in_overlay LOWER DIR CMD...: runs CMD as in_tree() does, but with a tree that may be written to: LOWER (directories, the uppermost first,
# separated by colons) stays as it is, what is written lies in DIR/upper. Without a network where NO_NETWORK is 1.
in_overlay()
{
	local lower=$1 dir=$2 net=()
	shift 2
	[ "${NO_NETWORK:-0}" = 0 ] || net=(--net)
	mkdir -p "$dir/upper" "$dir/work" "$dir/root"
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child "${net[@]}" sh -ec '
		lower=$1 dir=$2 src=$3 root=$2/root
		shift 3
		mount -t overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
		mount --bind "$src" "$root/odp/build"
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/tmp"
		mount -t tmpfs tmpfs "$root/run"
		mount --rbind /dev "$root/dev"
		exec chroot "$root" "$@"' sh "$lower" "$dir" "$SRC" "$@"
}
