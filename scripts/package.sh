#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# package.sh: ./run package
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/intree.sh"

usage()
{
	cat <<-'TEXT'
	usage: ./run package [-o DIR] [--as VERSION]
	       ./run package --test [-k KERNEL]...

	Builds the Debian packages for Debian 13, in a tree of Debian 13, and checks them with lintian:
	rdma-odp-dkms, librxe-odp-provider, rdma-odp-tools, rdma-odp-dev, rdma-odp-doc.

	  -o DIR          where they go (default build/packages)
	  --as VERSION    calls them VERSION and not as packaging/debian/changelog does
	  --test          installs, upgrades, downgrades, removes and purges them, the builds in a throw-away tree, all else in a
	                  guest with systemd, and says what was seen; 10 to 20 minutes a kernel where the guest is emulated
	  -k KERNEL       only with this kernel: stable or backports (default: both)
	TEXT
}

out=$SRC/build/packages version='' try=0 kernels=()
while [ $# -gt 0 ]; do
	case $1 in
	-o | --as | -k) [ $# -ge 2 ] || die "option $1 needs a value; see ./run package --help" ;;&
	-o) mkdir -p "$2" || die "cannot make the directory $2"; out=$(cd "$2" && pwd -P); shift 2 ;;
	--as) version=$2; shift 2 ;;
	--test) try=1; shift ;;
	-k) kernels+=("$2"); shift 2 ;;
	-h | --help) usage; exit 0 ;;
	*) die "unknown option '$1'; see ./run package --help" ;;
	esac
done
[[ $out/ != "$SRC/build/package/"* ]] || die "packages are made in $out, which is removed afterwards; name another directory"
for k in "${kernels[@]}"; do
	case $k in
	stable | backports) ;;
	*) die "no packages are tested with kernel '$k': use stable or backports" ;;
	esac
done
[[ -z $version || $version =~ ^[0-9][0-9A-Za-z.+~]*$ ]] || die "'$version' is no version of a package: digits first, then also letters and . + ~"
need_root

if [ $try = 1 ]; then
	[ -z "$version" ] || die "--as does not go with --test"
	[ ${#kernels[@]} -gt 0 ] || kernels=(stable backports)
	exec "$SRC/scripts/package-test.sh" "${kernels[@]}"
fi
[ ${#kernels[@]} -eq 0 ] || die "-k goes with --test: packages are for every kernel"

# The package's source: what it needs of ours, and what rdma-core's source has to give.
lay_out()
{
	local top=$1
	rm -rf "$top"
	mkdir -p "$top/scripts" "$top/rdma-core"
	cp -r "$SRC"/{kernel,include,userspace,samples,docs,cmake,packaging,LICENSES,CMakeLists.txt,README.md} "$top/"
	cp -r "$SRC/packaging/debian" "$top/debian"
	cp "$SRC"/scripts/*.mk "$top/scripts/"
	cp -r "$SRC"/build/stable/provider/{include,make_abi_structs.py,abi} "$top/rdma-core/"
	rm -rf "$top/rdma-core/include/kernel-abi"
	mkdir "$top/rdma-core/include/kernel-abi"
	[ -z "$version" ] || {
		printf 'rdma-odp (%s) trixie; urgency=medium\n\n  * Rebuilt.\n\n' "$version"
		echo "$(sed -n 's/^\( -- .*>\).*/\1/p' "$SRC/packaging/debian/changelog" | head -n 1)  $(date -R)"
		echo
		cat "$SRC/packaging/debian/changelog"
	} >"$top/debian/changelog"
}

# in_tree_of_packages CMD...: with the sources in /odp/build.
in_tree_of_packages()
{
	local rc=0
	rm -rf --one-file-system "$work/tree"
	NO_NETWORK=1 in_overlay "$upper:$tree/root" "$work/tree" "$@" || rc=$?
	rm -rf --one-file-system "$work/tree"
	return $rc
}

build()
{
	lay_out "$work/source" || return 1
	in_tree_of_packages /bin/bash -c "cd '/odp/build/build/package/source' &&
		DEB_BUILD_OPTIONS='noautodbgsym parallel=$(nproc)' dpkg-buildpackage -b -us -uc"
}

lint() { in_tree_of_packages /bin/bash -c "cd /odp/build/build/package && lintian --allow-root --fail-on error,warning *.changes"; }

package()
{
	rm -rf --one-file-system "$work"
	mkdir -p "$work"
	"$SRC/scripts/provider.sh" stable headers >&2 || exit 1
	step "building the packages" "$SRC/build/package.log" build
	step "lintian" "$SRC/build/package-lintian.log" lint
	rm -f "$out"/{rdma-odp-{dkms,tools,dev,doc},librxe-odp-provider}_*.deb
	mkdir -p "$out"
	mv "$work"/*.deb "$out/"
	rm -rf --one-file-system "$work"
}

"$SRC/scripts/host.sh" guest provider
tree=$("$SRC/scripts/tree.sh" stable)
upper=$("$SRC/scripts/package-tree.sh" stable)
work=$SRC/build/package
with_lock "package-$(cache_key -- "$SRC")" package
(cd "$out" && ls -- *.deb)
say "to install them on Debian 13: apt install $out/*.deb"
