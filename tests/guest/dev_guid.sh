#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The GUIDs of a device are those of its netdev's MAC address, also when that changes; where there is none, they stay what they
# were at birth.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

cleanup()
{
	rdma link delete guid_d
	rdma link delete guid_lo
	ip link delete guid0
} 2>/dev/null
trap cleanup EXIT

in_sysfs() { tr -d : <"/sys/class/infiniband/guid_d/$1"; }
in_netlink() { rdma dev show guid_d | grep -oE "$1 [0-9a-f:]+" | tr -d : | cut -d' ' -f2; }
in_verbs() { ibv_devinfo -d guid_d | sed -nE "s/^\s*$1:\s*//p" | tr -d :; }

# expect EUI64
expect()
{
	local what value
	for what in node_guid sys_image_guid; do
		for value in "$(in_sysfs $what)" "$(in_netlink $what)" "$(in_verbs $what)"; do
			[ "$value" = "$1" ] || fail "the $what is '$value', not $1"
		done
	done
}

ip link add guid0 address 02:00:00:00:00:01 type dummy || fail "no netdev"
rdma link add guid_d type rxe_odp netdev guid0 || fail "no link"
expect 000000fffe000001
ip link set guid0 address 02:12:34:56:78:9a || fail "the address does not change"
expect 001234fffe56789a
ip link set guid0 up
ip link set guid0 address 0a:12:34:56:78:9b || fail "the address does not change on a netdev that is up"
expect 081234fffe56789b

rdma link add guid_lo type rxe_odp netdev lo || fail "no link on lo"
guid=$(cat /sys/class/infiniband/guid_lo/node_guid)
[[ $guid =~ :..ff:fe..: ]] || fail "lo's GUID is $guid"
[ "$(cat /sys/class/infiniband/guid_lo/sys_image_guid)" = "$guid" ] || fail "lo's two GUIDs differ"
ip link set lo mtu 60000 && ip link set lo mtu 65536
[ "$(cat /sys/class/infiniband/guid_lo/node_guid)" = "$guid" ] || fail "lo's GUID has changed"
exit 0
