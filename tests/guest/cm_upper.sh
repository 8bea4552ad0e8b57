#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The linked netdev is a port of a bridge or of a bond, each with a VLAN on it: their addresses are GIDs of its device, and
# RDMA-CM and data reach it, by one connection and by several.
set -u

fail() { echo "cm_upper: $*"; cat /tmp/upper_server /tmp/upper_client 2>/dev/null; exit 1; }

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-120} > SECONDS ? ${TEST_LIMIT_S:-120} - SECONDS : 1)); }

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((${TEST_LIMIT_S:-100} - 5)) ] || return 1
		sleep 0.1
	done
}

inside() { ip netns exec upper_ns "$@"; }
has_gid() { inside grep -rqsx --include='?' "$2" /sys/class/infiniband/"$1"/ports/1/gids; }
no_device() { ! inside rdma link show 2>/dev/null | grep -q "link $1/"; }
listens() { rdma resource show cm_id | grep -q 'state LISTEN'; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	rdma link del upper_b
	ip link del upper_b
	ip link del upper_try
	ip netns del upper_ns
	rm -f /tmp/upper_server /tmp/upper_client
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
	local hex
	hex=$(printf %02x "$2")
	inside sysctl -q "net.ipv6.conf.${1/./\/}.accept_dad=0"
	inside ip addr add "10.$2.0.1/24" dev "$1"
	inside ip link set "$1" up
	ip addr add "10.$2.0.2/24" dev "$3"
	ip link set "$3" up
	eventually has_gid upper_a "0000:0000:0000:0000:0000:ffff:0a$hex:0001" || fail "no GID of $1's address"
	eventually grep -rqsx --include='?' "0000:0000:0000:0000:0000:ffff:0a$hex:0002" /sys/class/infiniband/upper_b/ports/1/gids ||
		fail "no GID of $3's address"
	rping -s -a "10.$2.0.2" -C 10 -S 4000 -V >/tmp/upper_server 2>&1 &
	local server=$!
	eventually listens || fail "rping does not listen"
	inside timeout "$(left)" rping -c -a "10.$2.0.2" -C 10 -S 4000 -V >/tmp/upper_client 2>&1 || fail "$1: status $?"
	wait $server || fail "$1: the server failed"
	ucmatose -b "10.$2.0.2" -c 4 -C 10 -S 4000 >/tmp/upper_server 2>&1 &
	server=$!
	eventually listens || fail "ucmatose does not listen"
	inside timeout "$(left)" ucmatose -s "10.$2.0.2" -c 4 -C 10 -S 4000 >/tmp/upper_client 2>&1 ||
		fail "$1: ucmatose: status $?"
	wait $server || fail "$1: ucmatose: the server failed"
	ip addr del "10.$2.0.2/24" dev "$3"
}

# fresh UPPER...: upper_a, in the namespace and linked, is a port of what "ip link add UPPER..." makes
fresh()
{
	ip link add upper_a type veth peer name upper_b
	ip link set upper_a netns upper_ns
	sysctl -q net.ipv6.conf.upper_b.accept_dad=0
	ip link set upper_b up
	# Names are taken until all of the devices of the time before has gone.
	eventually inside rdma link add upper_a type rxe_odp netdev upper_a 2>/dev/null || fail "no link"
	! rdma dev show upper_a >/dev/null 2>&1 || rdma dev set upper_a netns upper_ns || fail "upper_a cannot be moved"
	eventually rdma link add upper_b type rxe_odp netdev upper_b 2>/dev/null || fail "no link"
	inside ip link add "$@" || fail "no ${*: -1}"
	inside ip link set upper_a master "$1"
	inside ip link set upper_a up
}

# The link goes with the netdev.
used_up()
{
	ip link del upper_b
	inside ip link del "$1"
	eventually no_device upper_a || fail "upper_a's device outlives it"
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
