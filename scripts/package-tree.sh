#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# package-tree.sh stable|backports: what has to be laid over the guest tree of a kernel so that Debian packages can be made, installed and
# tried there, if it is not in the cache; prints the path of the upper directory of an overlay.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

flavour=${1:?package-tree.sh: name a guest tree}
tree=$("$SRC/scripts/tree.sh" "$flavour")
packages=(build-essential debhelper dh-dkms dkms ccache cmake libncurses-dev fakeroot openssl lintian mandoc ifupdown)
key=$(cache_key "$SRC/scripts/package-tree.sh" -- "$(basename "$tree")")
dir=$CACHE/packages-$flavour-$key

# A key to sign modules with is dkms's and not ours: it is there before our packages come. Nor is a manual page left out here.
install_packages()
{
	export DEBIAN_FRONTEND=noninteractive
	rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap
	apt-get update
	apt-get install -y --no-install-recommends "$@"
	dkms generate_mok
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /etc/resolv.conf
}

build()
{
	local tmp=$CACHE/tmp-packages-$flavour-$key
	rm -rf --one-file-system "$tmp"
	mkdir -p "$tmp/upper/etc"
	cp -L /etc/resolv.conf "$tmp/upper/etc/resolv.conf"
	in_overlay "$tree/root" "$tmp" /bin/bash -c "set -e; $(declare -f install_packages); install_packages ${packages[*]}" || return 1
	rm -rf "$tmp/work" "$tmp/root"
	mv -T "$tmp" "$dir"
}

ensure()
{
	[ ! -d "$dir" ] || return 0
	need_root
	need_space 4
	prune_cache "packages-$flavour" "$key"
	step "installing what makes packages ($flavour)" "$CACHE/log/packages-$flavour.log" build
}

[ -d "$dir" ] || with_lock "packages-$flavour" ensure
touch "$dir"
echo "$dir/upper"
