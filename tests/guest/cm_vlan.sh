#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM over a VLAN above the linked netdevs, between the two namespaces and to itself: data goes, over several
# connections too, and where nobody listens the answer is a rejection.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	ip link del veth0.100
	in_peer ip link del veth1.100
} 2>/dev/null
trap cleanup EXIT

there=(ip netns exec peer)

# connects ADDRESS CLIENT...
connects()
{
	serve peer cm rping -s -a "$1" -C 10 -S 4000 -V
	client "${@:2}" -C 10 -S 4000 -V
}

# several ADDRESS [IN-NAMESPACE...]: four connections at once
several()
{
	serve peer cm ucmatose -b "$1" -c 4 -C 10 -S 4000
	client "${@:2}" ucmatose -s "$1" -c 4 -C 10 -S 4000
}

rejected()
{
	timeout "$(left)" "$@" >/tmp/said_client 2>&1 && fail "$* succeeds, and nobody listens"
	grep -q RDMA_CM_EVENT_REJECTED /tmp/said_client || fail "$* is not rejected"
}

modprobe -q 8021q
ip link add link veth0 name veth0.100 type vlan id 100 || fail "no VLAN"
in_peer ip link add link veth1 name veth1.100 type vlan id 100
ip addr add 10.76.0.1/24 dev veth0.100
ip addr add fd76::1/64 dev veth0.100 nodad
in_peer ip addr add 10.76.0.2/24 dev veth1.100
in_peer ip addr add fd76::2/64 dev veth1.100 nodad
ip link set veth0.100 up
in_peer ip link set veth1.100 up
for prefix in 10.76.0. fd76::; do
	eventually has_gid rxe_odp0 ${prefix}1 || fail "no GID of ${prefix}1"
	eventually in_peer has_gid rxe_odp1 ${prefix}2 || fail "no GID of ${prefix}2"
done

for address in 10.76.0.2 fd76::2; do
	connects $address rping -c -a $address
	rejected rping -c -a $address
	# To itself: by the loopback device.
	connects $address "${there[@]}" rping -c -a $address
	rejected "${there[@]}" rping -c -a $address
done
several 10.76.0.2
several 10.76.0.2 "${there[@]}"
# The netdev below goes on.
connects 10.77.0.2 rping -c -a 10.77.0.2
rejected rping -c -a fd77::2
exit 0
