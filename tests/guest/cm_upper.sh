#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The linked netdev is a port of a bridge or of a bond, each with a VLAN on it: their addresses are GIDs of its device, and
# RDMA-CM and data reach it, by one connection and by several.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

inside() { in_netns upper_ns "$@"; }

cleanup()
{
	end_jobs
	rdma link del upper_b
	ip link del upper_b
	ip link del upper_try
	ip netns del upper_ns
} 2>/dev/null
trap cleanup EXIT

for type in bridge bond; do
	ip link add upper_try type $type 2>/dev/null || { echo "SKIP: this kernel has no $type"; exit 77; }
	ip link del upper_try
done
ip netns add upper_ns || fail "no namespace"

# try NETDEV NUMBER BELOW: RDMA-CM from the address 10.NUMBER.0.1, which is NETDEV's in the namespace, to 10.NUMBER.0.2 on BELOW
try()
{
	about=$1
	inside ip addr add "10.$2.0.1/24" dev "$1"
	inside ip link set "$1" up
	ip addr add "10.$2.0.2/24" dev "$3"
	ip link set "$3" up
	eventually inside has_gid upper_a "10.$2.0.1" || fail "no GID of $1's address"
	eventually has_gid upper_b "10.$2.0.2" || fail "no GID of $3's address"
	serve '' cm rping -s -a "10.$2.0.2" -C 10 -S 4000 -V
	client ip netns exec upper_ns rping -c -a "10.$2.0.2" -C 10 -S 4000 -V
	serve '' cm ucmatose -b "10.$2.0.2" -c 4 -C 10 -S 4000
	client ip netns exec upper_ns ucmatose -s "10.$2.0.2" -c 4 -C 10 -S 4000
	ip addr del "10.$2.0.2/24" dev "$3"
	about=''
}

# fresh UPPER...: upper_a, in the namespace and linked, is a port of what "ip link add UPPER..." makes
fresh()
{
	ip link add upper_a type veth peer name upper_b
	ip link set upper_a netns upper_ns
	ip link set upper_b up
	add_link upper_ns upper_a upper_a
	add_link '' upper_b upper_b
	inside ip link add "$@" || fail "no ${*: -1}"
	inside ip link set upper_a master "$1"
	inside ip link set upper_a up
}

# The link goes with the netdev.
used_up()
{
	ip link del upper_b
	inside ip link del "$1"
	eventually inside no_link upper_a || fail "upper_a's device outlives it"
}

fresh upper_br type bridge
try upper_br 81 upper_b
inside ip link add link upper_br name upper_br.7 type vlan id 7
ip link add link upper_b name upper_b.7 type vlan id 7
try upper_br.7 82 upper_b.7
used_up upper_br

fresh upper_bond type bond mode active-backup miimon 100
try upper_bond 83 upper_b
inside ip link add link upper_bond name upper_bond.7 type vlan id 7
ip link add link upper_b name upper_b.7 type vlan id 7
try upper_bond.7 84 upper_b.7
used_up upper_bond
exit 0
