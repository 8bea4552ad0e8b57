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
