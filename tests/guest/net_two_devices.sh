#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Two devices of one namespace, on two dummies and on both ends of a veth pair: what one sends to the other goes by the loopback
# device, and the owner of the destination address gets it.
# rdma-odp: timeout 240
set -u

fail() { echo "net_two_devices: $*"; cat /tmp/two_server /tmp/two_client 2>/dev/null; exit 1; }

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-240} > SECONDS ? ${TEST_LIMIT_S:-240} - SECONDS : 1)); }

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((${TEST_LIMIT_S:-100} - 5)) ] || return 1
		sleep 0.1
	done
}

# gid_index DEV GID: sets index
gid_index()
{
	local gid
	for index in {0..15}; do
		read -r gid <"/sys/class/infiniband/$1/ports/1/gids/$index" && [ "$gid" = "$2" ] && return 0
	done
	return 1
}

listens() { [ -n "$(ss -Hltn 'sport = :18515')" ]; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	ip link del two_1
	ip link del two_2
	rm -f /tmp/two_server /tmp/two_client
} 2>/dev/null
trap cleanup EXIT

# both GID-PREFIX CMD...: from ..1 on two_dev1 to ..2 on two_dev2
both()
{
	local prefix=$1 server
	shift
	eventually gid_index two_dev2 "${prefix}2" || fail "no GID ${prefix}2"
	"$@" "$index" -d two_dev2 >/tmp/two_server 2>&1 &
	server=$!
	eventually listens || fail "$*: does not listen"
	eventually gid_index two_dev1 "${prefix}1" || fail "no GID ${prefix}1"
	timeout "$(left)" "$@" "$index" -d two_dev1 127.0.0.1 >/tmp/two_client 2>&1 || fail "$*: status $?"
	wait $server || fail "$*: the server failed"
}

up()
{
	local n
	for n in 1 2; do
		sysctl -q net.ipv6.conf.two_$n.accept_dad=0
		ip addr add 10.75.0.$n/24 dev two_$n
		ip addr add fd75::$n/64 dev two_$n nodad
		ip link set two_$n mtu 4200 up
		rdma link add two_dev$n type rxe_odp netdev two_$n || fail "no link on two_$n"
	done
}

exchange()
{
	local prefix
	for prefix in 0000:0000:0000:0000:0000:ffff:0a4b:000 fd75:0000:0000:0000:0000:0000:0000:000; do
		both $prefix ibv_rc_pingpong -n 20 -s 20000 -c -g
		both $prefix ibv_uc_pingpong -n 20 -s 20000 -c -g
		both $prefix ibv_ud_pingpong -n 20 -s 1000 -g
		both $prefix ib_write_bw -F -s 20000 -n 20 -x
	done
}

ip link add two_1 type dummy || fail "no dummy"
ip link add two_2 type dummy
up
exchange
ip link del two_1
ip link del two_2
eventually eval '! rdma link show | grep -q two_dev' || fail "the links outlive their netdevs"

# ib_core asks for the MAC address of the peer on the netdev that has the source's address, where ARP is answered to no address
# of the same host: a neighbour that is told it by hand does.
ip link add two_1 type veth peer name two_2 || fail "no veth"
up
ip neigh replace 10.75.0.2 lladdr "$(cat /sys/class/net/two_2/address)" nud permanent dev two_1
ip neigh replace 10.75.0.1 lladdr "$(cat /sys/class/net/two_1/address)" nud permanent dev two_2
ip neigh replace fd75::2 lladdr "$(cat /sys/class/net/two_2/address)" nud permanent dev two_1
ip neigh replace fd75::1 lladdr "$(cat /sys/class/net/two_1/address)" nud permanent dev two_2
exchange
exit 0
