#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Links on both ends of each kind of IP tunnel, over the veth pair, beside the links on that: GIDs follow the addresses that the
# tunnel carries, and data goes over each, pinned and on demand.
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	ip link del tunnel_a
	in_peer ip link del tunnel_b
	# With their modules go the tunnels that these make in each namespace.
	modprobe -r ip_gre ip6_gre ipip sit ip6_tunnel
} 2>/dev/null
trap cleanup EXIT

v4=10.74.0. v6=fd74::

# side NAMESPACE NETDEV NUMBER PREFIXES TUNNEL-ARGS...
side()
{
	local netns=$1 netdev=$2 number=$3 prefixes=$4 prefix
	shift 4
	in_netns "$netns" ip link add "$netdev" type "$@" || fail "no $1"
	in_netns "$netns" ip link set "$netdev" up
	add_link "$netns" "$netdev" "$netdev"
	for prefix in $prefixes; do
		if [ "$prefix" = $v4 ]; then
			in_netns "$netns" ip addr add "10.74.0.$number/24" dev "$netdev" || fail "no IPv4 address"
		else
			in_netns "$netns" ip addr add "fd74::$number/64" dev "$netdev" nodad || fail "no IPv6 address"
		fi
		eventually in_netns "$netns" has_gid "$netdev" "$prefix$number" || fail "no GID of $prefix$number"
	done
}

# both PREFIX CMD...: from tunnel_a to tunnel_b, by the GIDs of their addresses that begin so
both()
{
	serve peer 18515 "${@:2}" "$(in_peer index_of tunnel_b "${1}2")" -d tunnel_b
	client "${@:2}" "$(index_of tunnel_a "${1}1")" -d tunnel_a 10.77.0.2
}

# tunnel PREFIXES FAMILY TYPE ARGS...: over IPv4 or IPv6
tunnel()
{
	local prefixes=$1 local=10.77.0.1 remote=10.77.0.2 prefix
	[ "$2" = 4 ] || local=fd77::1 remote=fd77::2
	shift 2
	about=$1
	side '' tunnel_a 1 "$prefixes" "$@" local $local remote $remote
	side peer tunnel_b 2 "$prefixes" "$@" local $remote remote $local
	for prefix in $prefixes; do
		both "$prefix" ibv_rc_pingpong -n 20 -s 20000 -c -o -g
		both "$prefix" ibv_ud_pingpong -n 20 -s 1000 -g
		both "$prefix" ib_write_bw -F -s 20000 -n 20 -x
	done
	ip link del tunnel_a
	in_peer ip link del tunnel_b
	{ eventually no_link tunnel_a && eventually in_peer no_link tunnel_b; } || fail "the links outlive their netdevs"
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
