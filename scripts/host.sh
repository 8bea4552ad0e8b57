#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# host.sh GROUP...: installs the Debian packages that are missing on this machine.
. "$(dirname "$0")/lib.sh"

packages()
{
	case $1 in
	guest) echo mmdebstrap e2fsprogs debian-archive-keyring kmod util-linux mount procps ;;
	build) echo cmake gcc make libc6-dev ;;
	provider) echo patch xz-utils ;;
	uml)   echo gcc make libc6-dev flex bison bc patch xz-utils libelf-dev libssl-dev kmod python3-minimal ;;
	image) echo zstd ;;
	bench) echo python3 gnuplot-nox fonts-dejavu-core ;;
	check) echo libcmocka-dev libibverbs-dev clang libclang-rt-dev sparse shellcheck clang-format perl xz-utils mandoc spin ;;
	*) die "host.sh: no package group '$1'" ;;
	esac
}

. /etc/os-release
case ${ID:-}:${VERSION_ID:-} in
debian:12 | debian:13) ;;
*) die "this machine is ${PRETTY_NAME:-unknown}; Debian 12 or 13 is needed (a container of it will do, if it may mount)" ;;
esac
[ "$(dpkg --print-architecture)" = amd64 ] || die "only amd64 is supported, this machine is $(dpkg --print-architecture)"
need_root

missing=()
for group; do
	for p in $(packages "$group"); do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		'install ok installed') ;;
		*) missing+=("$p") ;;
		esac
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0

install_missing()
{
	export DEBIAN_FRONTEND=noninteractive
	apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
}
with_lock apt step "installing ${missing[*]}" "$CACHE/log/apt.log" install_missing
