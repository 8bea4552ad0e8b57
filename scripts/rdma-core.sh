#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rdma-core.sh stable|backports: unpacks the source of the rdma-core that a guest tree has, if it is not in the cache, and prints its
# path. A provider is built against libibverbs' private headers, which no package carries. apt checks the signatures.
. "$(dirname "$0")/lib.sh"

flavour=${1:?rdma-core.sh: name a guest tree}
tree=$("$SRC/scripts/tree.sh" "$flavour")

# The source package's version: that of the binary package, or one that this names beside it.
version=$(dpkg-query --admindir "$tree/root/var/lib/dpkg" -W -f '${source:Version}' libibverbs1)
[ -n "$version" ] || die "the guest tree $flavour has no libibverbs1"
key=$(cache_key "$SRC/scripts/rdma-core.sh" -- "$version")
dir=$CACHE/rdma-core-$version-$key
tmp=$CACHE/tmp-rdma-core-$version-$key

# An apt of our own, that knows the sources of these suites and touches nothing of the machine's.
write_apt()
{
	mkdir -p "$tmp/apt/state/lists/partial" "$tmp/apt/cache/archives/partial" "$tmp/apt/etc/parts"
	: >"$tmp/apt/status"
	sources_list "$SUITE" "$SUITE-backports" | sed 's/^deb /deb-src /' >"$tmp/apt/sources.list"
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

# The two archives alone: what is in them is listed, with its sums, in the signed index.
build()
{
	local patch series=$tmp/rdma-core/debian/patches/series
	rm -rf "$tmp"
	write_apt
	export APT_CONFIG=$tmp/apt/apt.conf
	apt-get update
	(cd "$tmp/apt" && apt-get source --download-only --tar-only "rdma-core=$version" &&
		apt-get source --download-only --diff-only "rdma-core=$version")
	mkdir "$tmp/rdma-core"
	tar xf "$tmp/apt"/rdma-core_*.orig.tar.* -C "$tmp/rdma-core" --strip-components=1
	tar xf "$tmp/apt"/rdma-core_*.debian.tar.* -C "$tmp/rdma-core"
	[ ! -e "$series" ] || while read -r patch _; do
		case $patch in
		'' | '#'*) ;;
		*) patch -d "$tmp/rdma-core" -p1 -s <"$tmp/rdma-core/debian/patches/$patch" ;;
		esac
	done <"$series"
	rm -rf "$tmp/apt"
	mv -T "$tmp" "$dir"
}

if [ "${2:-}" = --build ]; then
	build
	exit
fi

ensure()
{
	[ ! -d "$dir" ] || return 0
	"$SRC/scripts/host.sh" provider
	need_space 1
	prune_cache "rdma-core-$version" "$key"
	step "fetching the source of rdma-core $version" "$CACHE/log/rdma-core.log" \
		unshare --pid --fork --kill-child "$0" "$flavour" --build
}

[ -d "$dir" ] || with_lock "rdma-core-$version" ensure
touch "$dir"
echo "$dir/rdma-core"
