#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Installing the provider puts it before librxe for devices of rxe_odp and changes nothing for those of stock rxe; removing it leaves
# everything as it was. Which of the two drives a device depends neither on the order of files in a directory, nor on which package
# came first; a user's IBV_DRIVERS decides otherwise. A provider for another libibverbs is refused with one sentence, as is a module
# with another user ABI, which librxe drives. Where the Debian package is installed nothing is touched; it takes over what is
# there already.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
here=$(cd "${0%/*}/.." && pwd) || exit 1
provider=$here/provider install=$here/provider/install.sh
conf=/etc/libibverbs.d abi=/sys/class/infiniband/rxe_odp0/user_abi

cleanup()
{
	end_jobs
	umount "$abi" 2>/dev/null
	dpkg --purge librxe-odp-provider >/dev/null 2>&1
	"$install" remove >/dev/null 2>&1
	rm -rf /tmp/provider_install
	if grep -q '^rdma_rxe ' /proc/modules; then
		rdma link delete stock0 2>/dev/null
		rmmod rdma_rxe
		/odp/host/links reset
	fi
}
trap cleanup EXIT

# driver DEV: who drives it, as a program sees it.
driver() { ibv_devinfo -d "$1" | sed -n 's/.*fw_ver:[[:space:]]*//p' | grep -oF '(librxe_odp)' || echo librxe; }

is() { [ "$(driver rxe_odp0)" = "$1" ] || fail "$2: driven by $(driver rxe_odp0), not $1"; }

# All that it might touch.
state()
{
	find /etc/libibverbs.d /usr/lib/*/libibverbs /usr/lib/*/librxe_odp* /usr/share/librxe_odp /var/lib/dpkg/diversions \
		! -type d -exec md5sum {} + 2>/dev/null | sort -k 2
}

works()
{
	serve '' 18515 ibv_rc_pingpong -d rxe_odp0 -g 1 -n 20
	client ibv_rc_pingpong -d rxe_odp0 -g 1 -n 20 127.0.0.1
}

mkdir -p /tmp/provider_install
before=$(state)
is librxe "before"

"$install" install "$provider" || fail "cannot install"
is '(librxe_odp)' "installed"
[ "$("$install" show | grep '^rxe_odp0: ')" = 'rxe_odp0: librxe_odp' ] || fail "install.sh show: $("$install" show)"
works
# Again, as an upgrade does.
"$install" install "$provider" || fail "cannot install twice"
is '(librxe_odp)' "installed twice"

# A module with an ABI of another number: librxe drives it, and one sentence says why. One without any, from before there were
# numbers, is known by its firmware string.
echo rxe_odp 2 >/tmp/provider_install/user_abi
mount --bind /tmp/provider_install/user_abi "$abi" || fail "cannot bind over $abi"
is librxe "a module with user ABI 2"
said=$(ibv_devinfo -d rxe_odp0 2>&1 >/dev/null)
[[ $(wc -l <<<"$said") = 1 && $said == 'librxe_odp: rxe_odp0 has the user ABI "rxe_odp 2"'* ]] || fail "user ABI 2: $said"
: >/tmp/provider_install/user_abi
is '(librxe_odp)' "a module without a user ABI"
umount "$abi"

# ibverbs-providers is unpacked after it: dpkg puts its file where the diversion says, which libibverbs does not read.
[ "$(dpkg-divert --truename $conf/rxe.driver)" = /usr/share/librxe_odp/rxe.driver.distrib ] || fail "rxe.driver is not diverted"
cmp -s <(echo 'driver rxe') /usr/share/librxe_odp/rxe.driver.distrib || fail "the diverted file is not librxe's"

IBV_DRIVERS=rxe is librxe "IBV_DRIVERS=rxe"
IBV_DRIVERS=rxe:rxe_odp is librxe "IBV_DRIVERS=rxe:rxe_odp"
IBV_DRIVERS=rxe_odp:rxe is '(librxe_odp)' "IBV_DRIVERS=rxe_odp:rxe"

# Stock rxe's devices stay librxe's, and look the same with and without it.
if modinfo rdma_rxe >/dev/null 2>&1; then
	{ /odp/host/links down && modprobe rdma_rxe; } || fail "no rdma_rxe"
	{ ip link add stock0 type dummy && ip link set stock0 up && rdma link add stock0 type rxe netdev stock0; } || fail "no link of rxe"
	with=$(ibv_devinfo -v -d stock0)
	[ "$(driver stock0)" = librxe ] || fail "the provider takes a device of stock rxe"
	"$install" remove || fail "cannot remove"
	[ "$(ibv_devinfo -v -d stock0)" = "$with" ] || fail "a device of stock rxe looks another with the provider"
	rdma link delete stock0
	ip link delete stock0
	{ rmmod rdma_rxe && /odp/host/links reset; } || fail "the links are not as they were"
else
	"$install" remove || fail "cannot remove"
fi
is librxe "removed"
[ "$(state)" = "$before" ] || { diff <(echo "$before") <(state); fail "removing it left something behind, or took something"; }

# The other order: it comes first, librxe's file later.
mv $conf/rxe.driver /tmp/provider_install/
"$install" install "$provider" || fail "cannot install where librxe is not"
is '(librxe_odp)' "installed first"
mv /tmp/provider_install/rxe.driver "$(dpkg-divert --truename $conf/rxe.driver)"
is '(librxe_odp)' "librxe after it"
"$install" remove || fail "cannot remove"
is librxe "removed again"
[ "$(state)" = "$before" ] || { diff <(echo "$before") <(state); fail "the second time something was left behind, or taken"; }

cp -r "$provider" /tmp/provider_install/other && echo 99 >/tmp/provider_install/other/abi
said=$("$install" install /tmp/provider_install/other 2>&1) && fail "a provider of another private ABI was installed"
[[ $(wc -l <<<"$said") = 1 && $said == *'private ABI 99'* ]] || fail "another private ABI: $said"
is librxe "after a refusal"

# What the package's scripts do: postinst over an installation of this script's, then prerm.
# shellcheck disable=SC2034
as_package() { (root='' && set -e && . "$here/provider/diversion.sh" && "$@"); }
"$install" install "$provider" || fail "cannot install once more"
as_package rxe_odp_first --package=librxe-odp-provider || fail "the package's diversion beside our own"
is '(librxe_odp)' "the package over it"
as_package rxe_odp_not_first || fail "the package does not remove the diversion"
is librxe "the package removed"
"$install" remove || fail "cannot remove what the package has left"
[ "$(state)" = "$before" ] || { diff <(echo "$before") <(state); fail "the package and this script leave something behind"; }

# A package of that name, with nothing in it.
mkdir -p /tmp/provider_install/package/DEBIAN
printf '%s\n' 'Package: librxe-odp-provider' 'Version: 0' 'Architecture: all' 'Maintainer: nobody <nobody@localhost>' \
	'Description: nothing' >/tmp/provider_install/package/DEBIAN/control
{ dpkg-deb -b /tmp/provider_install/package /tmp/provider_install/package.deb && dpkg -i /tmp/provider_install/package.deb; } >/dev/null ||
	fail "no package"
for verb in install remove; do
	said=$("$install" $verb "$provider" 2>&1) && fail "$verb beside the package"
	[[ $(wc -l <<<"$said") = 1 && $said == *'the package librxe-odp-provider is installed'* ]] || fail "$verb beside the package: $said"
done
[ "$(state)" = "$before" ] || { diff <(echo "$before") <(state); fail "something was done beside the package"; }
dpkg --purge librxe-odp-provider >/dev/null || fail "the package stays"
exit 0
