#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Two devices of one namespace, on two dummies and on both ends of a veth pair: what one sends to the other goes by the loopback
# device, and the owner of the destination address gets it.
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	ip link del two_1
	ip link del two_2
} 2>/dev/null
trap cleanup EXIT

# both PREFIX CMD...: from two_dev1 to two_dev2, by the GIDs of their addresses that begin so
both()
{
	local n
	for n in 1 2; do
		eventually has_gid two_dev$n "$1$n" || fail "no GID of $1$n"
	done
	serve '' 18515 "${@:2}" "$(index_of two_dev2 "${1}2")" -d two_dev2
	client "${@:2}" "$(index_of two_dev1 "${1}1")" -d two_dev1 127.0.0.1
}

up()
{
	local n
	for n in 1 2; do
		ip addr add 10.75.0.$n/24 dev two_$n
		ip addr add fd75::$n/64 dev two_$n nodad
		ip link set two_$n mtu 4200 up
		add_link '' two_dev$n two_$n
	done
}

exchange()
{
	local prefix
	for prefix in 10.75.0. fd75::; do
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
{ eventually no_link two_dev1 && eventually no_link two_dev2; } || fail "the links outlive their netdevs"

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
