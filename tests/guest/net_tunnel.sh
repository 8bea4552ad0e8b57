#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Links on both ends of each kind of IP tunnel, over the veth pair, beside the links on that: GIDs follow the addresses that the
# tunnel carries, and data goes over each, pinned and on demand.
# rdma-odp: timeout 240
set -u

fail() { echo "net_tunnel: $*"; cat /tmp/tunnel_server /tmp/tunnel_client 2>/dev/null; exit 1; }

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

# in_side SIDE CMD...: a is the initial namespace, b is peer.
in_side()
{
	local side=$1
	shift
	if [ "$side" = a ]; then "$@"; else ip netns exec peer "$@"; fi
}

# index SIDE GID: prints it
index()
{
	local path
	path=$(in_side "$1" grep -lsx "$2" "/sys/class/infiniband/tunnel_$1/ports/1/gids"/{0..15} | head -n 1)
	[ -n "$path" ] && echo "${path##*/}"
}
has_gid() { index "$@" >/dev/null; }

listens() { [ -n "$(ip netns exec peer ss -Hltn 'sport = :18515')" ]; }
no_link() { ! rdma link show | grep -q 'link tunnel_' && ! ip netns exec peer rdma link show | grep -q 'link tunnel_'; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p) && wait
	ip link del tunnel_a
	ip netns exec peer ip link del tunnel_b
	rm -f /tmp/tunnel_server /tmp/tunnel_client
	# With their modules go the tunnels that these make in each namespace.
	modprobe -r ip_gre ip6_gre ipip sit ip6_tunnel
} 2>/dev/null
trap cleanup EXIT

v4=0000:0000:0000:0000:0000:ffff:0a4a:000 v6=fd74:0000:0000:0000:0000:0000:0000:000

# side SIDE NUMBER PREFIXES TUNNEL-ARGS...
side()
{
	local side=$1 number=$2 prefixes=$3 prefix netdev=tunnel_$1
	shift 3
	in_side "$side" ip link add "$netdev" type "$@" || fail "no $1"
	in_side "$side" sysctl -q "net.ipv6.conf.$netdev.accept_dad=0"
	in_side "$side" ip link set "$netdev" up
	in_side "$side" rdma link add "$netdev" type rxe_odp netdev "$netdev" || fail "no link on $1"
	[ "$side" = a ] || ! rdma dev show "$netdev" >/dev/null 2>&1 || rdma dev set "$netdev" netns peer ||
		fail "$netdev cannot be moved"
	for prefix in $prefixes; do
		if [ "$prefix" = $v4 ]; then
			in_side "$side" ip addr add "10.74.0.$number/24" dev "$netdev" || fail "$1 takes no IPv4 address"
		else
			in_side "$side" ip addr add "fd74::$number/64" dev "$netdev" nodad || fail "$1 takes no IPv6 address"
		fi
		eventually has_gid "$side" "$prefix$number" || fail "$1: no GID $prefix$number"
	done
}

# both GID-PREFIX CMD...: from tunnel_a to tunnel_b
both()
{
	local prefix=$1 server
	shift
	ip netns exec peer "$@" "$(index b "${prefix}2")" -d tunnel_b >/tmp/tunnel_server 2>&1 &
	server=$!
	eventually listens || fail "$*: does not listen"
	timeout "$(left)" "$@" "$(index a "${prefix}1")" -d tunnel_a 10.77.0.2 >/tmp/tunnel_client 2>&1 ||
		fail "$type: $*: status $?"
	wait $server || fail "$type: $*: the server failed"
}

# tunnel PREFIXES FAMILY TYPE ARGS...: over IPv4 or IPv6
tunnel()
{
	local prefixes=$1 local=10.77.0.1 remote=10.77.0.2 type=$3 prefix
	[ "$2" = 4 ] || local=fd77::1 remote=fd77::2
	shift 2
	side a 1 "$prefixes" "$@" local $local remote $remote
	side b 2 "$prefixes" "$@" local $remote remote $local
	for prefix in $prefixes; do
		both "$prefix" ibv_rc_pingpong -n 20 -s 20000 -c -o -g
		both "$prefix" ibv_ud_pingpong -n 20 -s 1000 -g
		both "$prefix" ib_write_bw -F -s 20000 -n 20 -x
	done
	ip link del tunnel_a
	ip netns exec peer ip link del tunnel_b
	eventually no_link || fail "the links outlive their $type"
}

for type in gre ipip sit ip6tnl ip6gre; do
	modprobe -q "rtnl-link-$type" || { echo "SKIP: this kernel has no $type"; exit 77; }
done
tunnel "$v4 $v6" 4 gre
tunnel $v4 4 ipip
tunnel $v6 4 sit
tunnel "$v4 $v6" 6 ip6tnl mode any
tunnel "$v4 $v6" 6 ip6gre
exit 0
