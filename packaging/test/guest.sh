#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# guest.sh: in a guest that tree.sh has installed the packages in, booted with systemd and udev.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/lib.sh"
export DEBIAN_FRONTEND=noninteractive
class=/sys/class/infiniband

# wait_for CMD...: polls for a minute at most.
wait_for()
{
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

gone() { [ ! -e "$1" ]; }
active() { systemctl -q is-active "$1"; }
inactive() { ! active "$1"; }

# gid DEV ADDRESS: the index of its GID.
gid()
{
	local i
	for i in {0..15}; do
		[ "$(cat "$class/$1/ports/1/gids/$i" 2>/dev/null)" != "0000:0000:0000:0000:0000:ffff:$2" ] || { echo "$i"; return; }
	done
	return 1
}

has_gid() { gid "$@" >/dev/null; }

# moves DEV ADDRESS: a ping-pong of two processes.
moves()
{
	local server index
	wait_for has_gid "$1" "$2" || fail "$1 has no GID of $2"
	index=$(gid "$1" "$2")
	ibv_rc_pingpong -d "$1" -g "$index" -n 20 >/dev/null &
	server=$!
	until ss -Hltn 'sport = :18515' | grep -q .; do
		kill -0 $server 2>/dev/null || return 1
		sleep 0.1
	done
	ibv_rc_pingpong -d "$1" -g "$index" -n 20 127.0.0.1 >/dev/null && wait $server
}

# built VERSION: DKMS has the modules of VERSION for the kernel that runs, and of no other version.
built()
{
	[ "$(dkms status -m rdma-odp)" = "rdma-odp/$1, $(uname -r), x86_64: installed" ] || fail "dkms status: $(dkms status)"
	[ "$(modinfo -n rxe_odp)" -nt "$before" ] || fail "the modules are those of before: $(modinfo -n rxe_odp)"
}

driven_by_ours() { ibv_devinfo -d "$1" | grep -qF '(librxe_odp)'; }

# The unit was enabled before this boot, and systemd-networkd made its netdev.
wait_for active rxe-odp@veth0 || fail "the unit is not active: $(systemctl status rxe-odp@veth0)"
# Its name is left to it by rdma-core's rule of udev.
udevadm settle
[ "$(rxe-odp-link show)" = 'rxe_veth0 veth0' ] || fail "behind a boot: $(rxe-odp-link show)"
driven_by_ours rxe_veth0 || fail "librxe_odp does not drive it: $(ibv_devinfo -d rxe_veth0 2>&1)"
moves rxe_veth0 0a4d:0001 || fail "no ping-pong"
seen "a boot brings the link up, under its name, driven by librxe_odp, and it moves data"

systemctl stop rxe-odp@veth0
[ -z "$(rxe-odp-link show)" ] || fail "stopped: $(rxe-odp-link show)"
modprobe -r rxe_odp umem_odp || fail "the modules cannot be removed"
! grep -qE '^(rxe|umem)_odp ' /proc/modules || fail "the modules are still there"
rdma link add x type rxe_odp netdev veth0 || fail "no link"
grep -q '^umem_odp ' /proc/modules || fail "umem_odp was not loaded"
udevadm settle
[ -e $class/x ] || fail "the link lost its name: $(rxe-odp-link show)"
moves x 0a4d:0001 || fail "no ping-pong"
rdma link delete x
seen "rdma link add loads the modules"

systemctl start rxe-odp@veth0 || fail "the unit does not start again"
ip link delete veth0
wait_for inactive rxe-odp@veth0 || fail "the unit outlives its netdev"
! systemctl -q is-failed rxe-odp@veth0 || fail "the unit failed: $(systemctl status rxe-odp@veth0)"
ip link add veth0 type veth peer name veth1
wait_for active rxe-odp@veth0 || fail "the unit does not come with its netdev"
[ "$(rxe-odp-link show)" = 'rxe_veth0 veth0' ] || fail "it came again as: $(rxe-odp-link show)"
seen "the unit goes and comes with its netdev"

examples=/usr/share/doc/rdma-odp-tools/examples
sed 's/ens\*/odp-*/' $examples/90-rxe-odp-links.rules >/etc/udev/rules.d/90-rxe-odp-links.rules
udevadm control --reload
ip link add odp-r type dummy
ip link set odp-r up
wait_for [ -e $class/rxe_odp-r ] || fail "the rule does not work: $(systemctl list-units 'rxe-odp@*'; udevadm info /sys/class/net/odp-r)"
ip link delete odp-r
wait_for gone $class/rxe_odp-r
rm /etc/udev/rules.d/90-rxe-odp-links.rules
udevadm control --reload
seen "the rule of udev makes links"

# Found by its netdev, whatever its name.
ip link set veth1 up
rxe-odp-link add veth1 other || fail "rxe-odp-link"
[ "$(rxe-odp-link show)" = $'other veth1\nrxe_veth0 veth0' ] || fail "rxe-odp-link show: $(rxe-odp-link show)"
[ "$(rxe-odp-link add veth1)" = "rxe-odp-link: veth1 has the device other already" ] || fail "rxe-odp-link add, again"
{ rxe-odp-link delete veth1 && rxe-odp-link delete veth1; } || fail "rxe-odp-link delete"
[ "$(rxe-odp-link show)" = 'rxe_veth0 veth0' ] || fail "deleted: $(rxe-odp-link show)"
said=$(rxe-odp-link add nothere 2>&1) && fail "a link of no netdev"
[[ $said = *"no netdev nothere"* ]] || fail "no netdev: $said"
seen "rxe-odp-link finds a link by its netdev, and says what is wrong"

# In networkd's place.
mkdir -p /run/network
ip link add veth2 type dummy
sed 's/eth0/veth2/; s/192\.0\.2\.1/10.77.2.1/' $examples/interfaces >/tmp/interfaces
ifup -i /tmp/interfaces veth2 || fail "ifup"
[ -e $class/rxe_veth2 ] || fail "ifup made no link: $(rxe-odp-link show)"
ifdown -i /tmp/interfaces veth2 || fail "ifdown"
[ ! -e $class/rxe_veth2 ] || fail "ifdown left the link"
ip link delete veth2
seen "the example for ifupdown makes and removes a link"

# DKMS builds the modules of the other version, and those that are loaded stay.
before=/tmp/before
loaded=$(cat /sys/module/{umem,rxe}_odp/srcversion)
index=$(cat $class/rxe_veth0/node_guid)-$(stat -c %i $class/rxe_veth0/)
for version in new old; do
	touch $before
	apt-get install -y --allow-downgrades "$here/$version"/*.deb || fail "apt-get install, $version"
	built "$(dpkg-deb -f "$here/$version"/rdma-odp-dkms_*.deb Version)"
	[ "$(cat /sys/module/{umem,rxe}_odp/srcversion)" = "$loaded" ] || fail "the modules that were loaded did not stay ($version)"
	[ "$(cat $class/rxe_veth0/node_guid)-$(stat -c %i $class/rxe_veth0/)" = "$index" ] || fail "the link did not stay ($version)"
	active rxe-odp@veth0 || fail "the unit did not stay ($version)"
	driven_by_ours rxe_veth0 || fail "librxe_odp does not drive it ($version)"
	moves rxe_veth0 0a4d:0001 || fail "no ping-pong ($version)"
done
seen "upgrade and downgrade with links up: DKMS builds the modules of the other version, what is loaded stays, and links move data"

ip link set veth1 up
rxe-odp-link add veth1 by_hand || fail "rxe-odp-link"
apt-get remove -y "${packages[@]}" || fail "apt-get remove with links up"
[ ! -e $class/rxe_veth0 ] || fail "the unit's link is still there"
[ -e $class/by_hand ] || fail "the other link is gone"
! modinfo rxe_odp 2>/dev/null || fail "the module is still there"
! driven_by_ours by_hand || fail "the provider is still there"
moves by_hand 0a4d:0101 || fail "no ping-pong through librxe"
dpkg --purge "${packages[@]}" || fail "purge with a link up"
rdma link delete by_hand
rmmod rxe_odp umem_odp || fail "the modules cannot be removed"
same_as_before
seen "removed and purged with links up: those of units go, others stay, and every file is as before"
