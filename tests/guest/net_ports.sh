#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Both ports of a bridge, or of a bond, have a device: each sends and receives with the upper netdev's address, where it has
# that as a GID: of a bond the active port's device does, before and after another port takes over.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	rdma link del ports_d1
	rdma link del ports_d2
	ip link del ports_up
	ip link del ports_1
	ip link del ports_2
} 2>/dev/null
trap cleanup EXIT

for type in bridge bond; do
	ip link add ports_up type $type 2>/dev/null || { echo "SKIP: this kernel has no $type"; exit 77; }
	ip link del ports_up
done

address=10.99.0.1

# works DEV
works()
{
	local index
	eventually has_gid "$1" $address || fail "$1 has no GID of $address"
	index=$(index_of "$1" $address)
	serve '' 18515 ibv_rc_pingpong -d "$1" -g "$index" -n 20 -s 10000 -c
	client ibv_rc_pingpong -d "$1" -g "$index" -n 20 -s 10000 -c 127.0.0.1
}

# join TYPE ARGS...: both ports get a device below an upper netdev
join()
{
	local port
	ip link add ports_up type "$@"
	for port in 1 2; do
		ip link add ports_$port type dummy
		ip link set ports_$port master ports_up || fail "ports_$port does not join the $1"
		ip link set ports_$port up
		add_link '' ports_d$port ports_$port
	done
	ip link set ports_up up
	ip addr add $address/24 dev ports_up
}

leave()
{
	rdma link del ports_d1 || fail "the link on ports_1 does not go"
	rdma link del ports_d2 || fail "the link on ports_2 does not go"
	ip link del ports_up
	ip link del ports_1
	ip link del ports_2
}

join bridge
works ports_d1
works ports_d2
leave

join bond mode active-backup miimon 100
for port in 2 1; do
	ip link set ports_up type bond active_slave ports_$port || fail "ports_$port does not become active"
	eventually no_gid ports_d$((3 - port)) $address || fail "the device of a port that is not active keeps the GID"
	works ports_d$port
done
leave
exit 0
