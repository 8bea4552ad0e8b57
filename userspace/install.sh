#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# install.sh install [DIR]   installs the provider that lies in DIR (default: build/stable/provider), for devices of rxe_odp
# install.sh remove          removes it; librxe drives them again
# install.sh show            tells who drives each device of this machine
#
# Two files, and a third that says which of them is asked first: diversion.sh, which lies beside this script.
# ROOT=DIR does all that in a tree below DIR, as a package build or a container image wants it.
set -euo pipefail

root=${ROOT:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=diversion.sh
. "$here/diversion.sh"

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

usage() { sed -n '3,5s/^# //p' "${BASH_SOURCE[0]}"; exit 2; }

# The directory of libibverbs, and the number of its private ABI, which a provider has to share.
find_libibverbs()
{
	local lib
	# find fails where one of the three is missing.
	lib=$(find "$root"/usr/lib "$root"/usr/lib64 "$root"/lib -name libibverbs.so.1 2>/dev/null | head -n 1 || :)
	[ -n "$lib" ] || die "there is no libibverbs.so.1 below $root/usr/lib; install libibverbs1 and ibverbs-providers first"
	libdir=$(dirname "$lib")
	abi=$(grep -aoE 'IBVERBS_PRIVATE_[0-9]+' "$lib" | sort -u | sed 's/.*_//')
	libdir=${libdir#"$root"}
}

# The same files, and the same diversion.
refuse_beside_package()
{
	local status
	# shellcheck disable=SC2016
	status=$(dpkg-query ${root:+--admindir "$root/var/lib/dpkg"} -W -f '${db:Status-Status}' librxe-odp-provider 2>/dev/null) || return 0
	case $status in
	not-installed | config-files) ;;
	*) die "the package librxe-odp-provider is installed, and the files are its; remove it first (apt remove librxe-odp-provider)" ;;
	esac
}

install_provider()
{
	local from=${1:-$here/../build/stable/provider} theirs lib
	refuse_beside_package
	theirs=$(cat "$from/abi" 2>/dev/null) || die "no provider lies in $from; build one (scripts/provider.sh KERNEL) or name its directory"
	find_libibverbs
	[ "$theirs" = "$abi" ] ||
		die "that provider is for libibverbs' private ABI $theirs, and the libibverbs here has $abi; build one against the rdma-core that is installed here"
	command -v dpkg-divert >/dev/null || die "there is no dpkg-divert here; list the drivers yourself, as userspace/README.md says"

	lib=$(basename "$(readlink -f "$from/librxe_odp.so.1")")
	install -D -m 644 "$from/$lib" "$root$libdir/$lib"
	ln -sfn "$lib" "$root$libdir/librxe_odp.so.1"
	mkdir -p "$root$libdir/libibverbs"
	ln -sfn "../$lib" "$root$libdir/libibverbs/librxe_odp-rdmav$abi.so"
	rxe_odp_first --local
	[ -n "$root" ] || ldconfig
}

remove_provider()
{
	refuse_beside_package
	find_libibverbs
	rxe_odp_not_first
	rm -f "$root$libdir"/libibverbs/librxe_odp-rdmav*.so "$root$libdir"/librxe_odp.so.1*
	[ -n "$root" ] || ldconfig
}

# A device that librxe_odp drives says so in the place of its firmware's version.
show()
{
	local dev who
	for dev in /sys/class/infiniband/*; do
		[ -e "$dev" ] || { echo "there is no RDMA device here"; return; }
		dev=$(basename "$dev")
		who='another provider (no device of rxe_odp)'
		[ ! -e "/sys/class/infiniband/$dev/user_abi" ] || who=librxe
		! ibv_devinfo -d "$dev" | grep -qF '(librxe_odp)' || who=librxe_odp
		echo "$dev: $who"
	done
}

case ${1:-} in
install) install_provider "${2:-}" ;;
remove) remove_provider ;;
show) show ;;
*) usage ;;
esac
