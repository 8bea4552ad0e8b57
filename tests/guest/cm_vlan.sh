#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM over a VLAN above the linked netdevs, between the two namespaces and to itself: data goes, over several
# connections too, and where nobody listens the answer is a rejection.
set -u

fail() { echo "cm_vlan: $*"; cat /tmp/vlan_server /tmp/vlan_client 2>/dev/null; exit 1; }

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

in_peer() { ip netns exec peer "$@"; }
has_gid() { grep -qsx "$2" /sys/class/infiniband/"$1"/ports/1/gids/{0..15}; }
listens() { in_peer rdma resource show cm_id | grep -q 'state LISTEN'; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	ip link del veth0.100
	in_peer ip link del veth1.100
	rm -f /tmp/vlan_server /tmp/vlan_client
} 2>/dev/null
trap cleanup EXIT

# connects ADDRESS CLIENT...
connects()
{
	in_peer rping -s -a "$1" -C 10 -S 4000 -V >/tmp/vlan_server 2>&1 &
	local server=$!
	eventually listens || fail "rping -s -a $1 does not listen"
	shift
	"$@" -C 10 -S 4000 -V >/tmp/vlan_client 2>&1 || fail "$*: status $?"
	wait $server || fail "$*: the server failed"
}

# several ADDRESS CLIENT...: four connections at once
several()
{
	in_peer ucmatose -b "$1" -c 4 -C 10 -S 4000 >/tmp/vlan_server 2>&1 &
	local server=$!
	eventually listens || fail "ucmatose -b $1 does not listen"
	"${@:2}" ucmatose -s "$1" -c 4 -C 10 -S 4000 >/tmp/vlan_client 2>&1 || fail "ucmatose -s $1: status $?"
	wait $server || fail "ucmatose -s $1: the server failed"
}

rejected()
{
	"$@" >/tmp/vlan_client 2>&1 && fail "$* succeeds, and nobody listens"
	grep -q RDMA_CM_EVENT_REJECTED /tmp/vlan_client || fail "$* is not rejected"
}

modprobe -q 8021q
ip link add link veth0 name veth0.100 type vlan id 100 || fail "no VLAN"
in_peer ip link add link veth1 name veth1.100 type vlan id 100
sysctl -q net.ipv6.conf.veth0/100.accept_dad=0
in_peer sysctl -q net.ipv6.conf.veth1/100.accept_dad=0
ip addr add 10.76.0.1/24 dev veth0.100
ip addr add fd76::1/64 dev veth0.100 nodad
in_peer ip addr add 10.76.0.2/24 dev veth1.100
in_peer ip addr add fd76::2/64 dev veth1.100 nodad
ip link set veth0.100 up
in_peer ip link set veth1.100 up
for gid in 0000:0000:0000:0000:0000:ffff:0a4c:000 fd76:0000:0000:0000:0000:0000:0000:000; do
	eventually has_gid rxe_odp0 "${gid}1" || fail "no GID ${gid}1"
	eventually in_peer bash -c "$(declare -f has_gid); has_gid rxe_odp1 ${gid}2" || fail "no GID ${gid}2"
done

for address in 10.76.0.2 fd76::2; do
	connects $address timeout "$(left)" rping -c -a $address
	rejected timeout "$(left)" rping -c -a $address
	# To itself: by the loopback device.
	connects $address in_peer timeout "$(left)" rping -c -a $address
	rejected in_peer timeout "$(left)" rping -c -a $address
done
several 10.76.0.2 timeout "$(left)"
several 10.76.0.2 in_peer timeout "$(left)"
# The netdev below goes on.
connects 10.77.0.2 timeout "$(left)" rping -c -a 10.77.0.2
rejected timeout "$(left)" rping -c -a fd77::2
exit 0
