#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# tree.sh STEP KERNELRELEASE OLD NEW: run by scripts/package-test.sh as root of a throw-away tree, without a network. OLD and NEW are
# directories with the packages of two versions. The steps, in their order:
#   install     before the headers of the kernel are there, which come then; what the guest needs; a list of all files, before
#   look        what is installed
#   upgrade     to NEW and back
#   image FILE  the tree as an image of a disk
#   refuse      kernels for which nothing can be built
#   purge
set -eu
here=$(cd "$(dirname "$0")" && pwd)
step=$1 release=$2 old=$3 new=$4
export DEBIAN_FRONTEND=noninteractive
. "$here/lib.sh"

version() { dpkg-deb -f "$(echo "$1"/rdma-odp-dkms_*.deb)" Version; }

# built VERSION: both modules of VERSION and nothing of another are there for the kernel, signed, and found by the type of a link.
built()
{
	local m
	[ "$(dkms status -m rdma-odp)" = "rdma-odp/$1, $release, x86_64: installed" ] || fail "dkms status: $(dkms status)"
	[ "$(echo /usr/src/rdma-odp-*)" = "/usr/src/rdma-odp-$1" ] || fail "sources: $(echo /usr/src/rdma-odp-*)"
	for m in umem_odp rxe_odp; do
		[[ $(modinfo -k "$release" -n $m) = */updates/dkms/$m.ko* ]] || fail "modinfo: $m is $(modinfo -k "$release" -n $m)"
		[ -n "$(modinfo -k "$release" -F sig_key $m)" ] || fail "$m is not signed"
	done
	[ "$(modprobe -S "$release" -R rdma-link-rxe_odp)" = rxe_odp ] || fail "the type of a link does not lead to the module"
	seen "the modules of $1 are built for $release, signed, and found by the type of the link"
}

# A driver outside of the package, with what rdma-odp-dev and DKMS left.
sample_builds()
{
	local symvers=/var/lib/dkms/rdma-odp/$1/$release/x86_64/module/Module.symvers
	cp -r /usr/share/doc/rdma-odp-dev/examples/umem_copy /tmp/
	make -s -C "/lib/modules/$release/build" M=/tmp/umem_copy "KBUILD_EXTRA_SYMBOLS=$symvers" \
		KCFLAGS=-I/usr/src/umem_odp/include modules
	[ -n "$(find /tmp/umem_copy -name '*.ko')" ] || fail "the sample driver does not build"
	seen "the sample driver builds with rdma-odp-dev"
}

program_builds()
{
	printf '%s\n' '#include <infiniband/rxe_odp_dv.h>' '#include <rdma/rxe_odp-abi.h>' \
		'int main(void) { return rxe_odp_dv_error_str(0, 0, 0, 0) != -1; }' >/tmp/program.c
	{ gcc -o /tmp/program /tmp/program.c -lrxe_odp -libverbs && /tmp/program; } || fail "no program with librxe_odp"
	seen "a program builds with rdma-odp-dev, and runs"
}

pages_are_clean()
{
	local page pages
	command -v mandoc >/dev/null || fail "there is no mandoc"
	mapfile -t pages < <(dpkg -L "${packages[@]}" | grep '^/usr/share/man/.*\.gz$')
	for page in "${pages[@]}"; do
		! zcat "$page" | mandoc -T lint 2>/dev/null | grep -v 'referenced manual not found' >&2 || fail "mandoc does not like $page"
	done
	seen "mandoc likes ${#pages[@]} manual pages"
}

# A document that another one names by its place is there.
links_are_good()
{
	local page link nr=0
	while read -r page; do
		while read -r link; do
			nr=$((nr + 1))
			[ -e "${page%/*}/${link%%#*}" ] || fail "$page names $link, which is not there"
		done < <(grep -oE '\]\([^):]+\)' "$page" | sed 's/^](//; s/)$//')
	done < <(dpkg -L rdma-odp-doc | grep '\.md$')
	[ $nr -gt 0 ] || fail "the documents name no other"
	seen "$nr links between the documents lead somewhere"
}

install_refuses()
{
	local said
	said=$(/odp/build/userspace/install.sh install 2>&1) && fail "install.sh installs beside the package"
	[[ $said == *'the package librxe-odp-provider is installed'* ]] || fail "install.sh: $said"
	said=$(/odp/build/userspace/install.sh remove 2>&1) && fail "install.sh removes what is the package's"
	[[ $said == *'the package librxe-odp-provider is installed'* ]] || fail "install.sh: $said"
	seen "install.sh touches nothing of the package"
}

# Two netdevs made at boot, a link on one of them, and a service that goes on with guest.sh.
prepare_guest()
{
	local side
	systemd-machine-id-setup
	install -D "$here/session" /odp/session
	mkdir -p /odp/packages
	cp "$here/lib.sh" "$here/guest.sh" /odp/packages/
	cp -r "$old" /odp/packages/old
	cp -r "$new" /odp/packages/new
	printf '%s\n' '[Unit]' 'After=multi-user.target' '[Service]' 'Type=oneshot' 'TimeoutStartSec=infinity' 'ExecStart=/odp/session' \
		'[Install]' 'WantedBy=multi-user.target' >/etc/systemd/system/odp-session.service
	printf '[NetDev]\nName=veth0\nKind=veth\n[Peer]\nName=veth1\n' >/etc/systemd/network/veth.netdev
	for side in 0 1; do
		printf '[Match]\nName=veth%s\n[Network]\nAddress=10.77.%s.1/24\nIPv6AcceptRA=no\n' $side $side >/etc/systemd/network/veth$side.network
	done
	systemctl enable odp-session.service systemd-networkd.service
	systemctl set-default multi-user.target
	rm -f /etc/fstab
	# apt knows no suite here: all there is are our packages.
	sed -i '/Default-Release/d' /etc/apt/apt.conf.d/99mmdebstrap
}

case $step in
install)
	prepare_guest
	state >/odp/before
	mv "/lib/modules/$release/build" /tmp/headers
	apt-get install -y "$old"/*.deb
	[ "$(dkms status -m rdma-odp)" = "rdma-odp/$(version "$old"): added" ] || fail "without headers: $(dkms status)"
	seen "installed where no kernel has headers"
	mv /tmp/headers "/lib/modules/$release/build"
	# As dpkg does behind linux-headers.
	run-parts --arg="$release" /etc/kernel/header_postinst.d
	built "$(version "$old")"
	;;
look)
	sample_builds "$(version "$old")"
	program_builds
	pages_are_clean
	links_are_good
	install_refuses
	systemd-analyze verify /usr/lib/systemd/system/rxe-odp@veth0.service
	systemctl enable rxe-odp@veth0.service
	;;
upgrade)
	apt-get install -y "$new"/*.deb
	built "$(version "$new")"
	apt-get install -y --allow-downgrades "$old"/*.deb
	built "$(version "$old")"
	;;
image)
	mount --bind / /mnt
	truncate -s 4G "/odp/build/$5"
	mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1 -O ^has_journal -d /mnt "/odp/build/$5"
	;;
refuse)
	# A kernel with PREEMPT_RT, one that is too old, one without headers.
	for other in 6.12.1-rt 6.1.0; do
		mkdir -p /lib/modules/$other/build
		cp -r "/lib/modules/$release/build/." /lib/modules/$other/build/
		sed -i '/PREEMPT_RT/d' /lib/modules/$other/build/.config /lib/modules/$other/build/include/config/auto.conf
	done
	for f in .config include/config/auto.conf; do echo CONFIG_PREEMPT_RT=y >>/lib/modules/6.12.1-rt/build/$f; done
	for other in 6.12.1-rt 6.1.0; do
		rc=0
		dkms build -m rdma-odp -v "$(version "$old")" -k $other || rc=$?
		[ $rc = 77 ] || fail "dkms says $rc of kernel $other"
		rm -rf /lib/modules/$other
	done
	said=$(make -s -C "/usr/src/rdma-odp-$(version "$old")" KDIR=/lib/modules/6.99/build 2>&1) && fail "built without headers"
	[[ $said == *'there are no kernel headers in /lib/modules/6.99/build; install'*'linux-headers-6.99'* ]] || fail "without headers: $said"
	seen "a kernel with PREEMPT_RT and one before 6.12 are passed over, one without headers is told"
	;;
purge)
	apt-get remove -y "${packages[@]}"
	! modinfo -k "$release" rxe_odp || fail "the module is still there"
	[ -e /etc/modprobe.d/rdma-odp.conf ] || fail "a configuration file went with the package, and not with its purge"
	dpkg --purge "${packages[@]}"
	same_as_before
	seen "purged: every file is as before"
	;;
*) fail "no step $step" ;;
esac
