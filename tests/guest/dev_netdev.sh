#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The device follows its netdev: MTU, link state, addresses; and goes with it, when it is deleted, moved to another
# namespace, or its namespace ends.
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1

shows() { ibv_devinfo -v -d "$1" 2>/dev/null | grep -q "$2"; }
hidden() { ! shows "$1" "$2"; }
# The port's state is the carrier's, the count that of the kernel's notifications, which come a little later.
downed() { [ "$(counter link_downed tdev)" = "$1" ]; }
cleanup()
{
	ip link del t0
	ip netns del gone
} 2>/dev/null
trap cleanup EXIT

ip link add t0 mtu 9000 type veth peer name t1 || fail "no veth"
ip link set t0 up
ip link set t1 up
rdma link add tdev type rxe_odp netdev t0 || fail "no link"

eventually shows tdev 'state:.*PORT_ACTIVE' || fail "not active"
for mtu in 9000:4096 4184:4096 4183:2048 1500:1024 600:512 344:256; do
	ip link set t0 mtu ${mtu%:*}
	shows tdev "active_mtu:[[:space:]]*${mtu#*:} " || fail "netdev MTU ${mtu%:*} gives not ${mtu#*:}"
done
ip link set t0 mtu 9000

ip link set t1 down
eventually shows tdev 'state:.*PORT_DOWN' || fail "active without a carrier"
eventually downed 1 || fail "a carrier that is lost is not counted"
ip link set t1 up
eventually shows tdev 'state:.*PORT_ACTIVE' || fail "not active with a carrier"
ip link set t0 down
eventually shows tdev 'state:.*PORT_DOWN' || fail "active when down"
eventually downed 2 || fail "a netdev that goes down is not counted"
ip link set t0 up
eventually shows tdev 'state:.*PORT_ACTIVE' || fail "not active when up"

ip addr add 10.99.1.1/24 dev t0
eventually shows tdev '::ffff:10.99.1.1, RoCE v2' || fail "no GID for a new address"
ip addr del 10.99.1.1/24 dev t0
eventually hidden tdev '::ffff:10.99.1.1' || fail "a GID for an address that is gone"

ip netns add gone
ip link set t0 netns gone
eventually no_link tdev || fail "survives the move of its netdev"
ip netns exec gone ip link set t0 up
# A device that is seen no more has its name until the last of it is gone.
eventually ip netns exec gone rdma link add tdev type rxe_odp netdev t0 2>/dev/null || fail "no link in the new namespace"
ip netns del gone
eventually no_link tdev || fail "survives its namespace"
eventually sh -c '! ip link show t1 2>/dev/null' || fail "the end of the namespace hangs"

ip link add t0 type dummy
ip link set t0 up
# The device of that namespace goes a little after its netdev.
eventually rdma link add tdev type rxe_odp netdev t0 2>/dev/null || fail "no link on a dummy"
timeout 10 ip link del t0 || fail "deleting the netdev hangs"
eventually no_link tdev || fail "survives its netdev"
