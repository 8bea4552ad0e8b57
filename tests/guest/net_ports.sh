#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Both ports of a bridge, or of a bond, have a device: each sends and receives with the upper netdev's address, where it has
# that as a GID: of a bond the active port's device does, before and after another port takes over.
set -u

fail() { echo "net_ports: $*"; cat /tmp/ports_server /tmp/ports_client 2>/dev/null; exit 1; }

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((${TEST_LIMIT_S:-100} - 5)) ] || return 1
		sleep 0.1
	done
}

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	rdma link del ports_d1
	rdma link del ports_d2
	ip link del ports_up
	ip link del ports_1
	ip link del ports_2
	rm -f /tmp/ports_server /tmp/ports_client
} 2>/dev/null
trap cleanup EXIT

for type in bridge bond; do
	ip link add ports_up type $type 2>/dev/null || { echo "SKIP: this kernel has no $type"; exit 77; }
	ip link del ports_up
done

address=10.99.0.1 gid=0000:0000:0000:0000:0000:ffff:0a63:0001
# index DEV: sets it to that of the address
index()
{
	local it
	for index in {0..15}; do
		read -r it <"/sys/class/infiniband/$1/ports/1/gids/$index" && [ "$it" = "$gid" ] && return 0
	done
	return 1
}
no_index() { ! index "$1"; }
listens() { [ -n "$(ss -Hltn 'sport = :18515')" ]; }

# works DEV
works()
{
	eventually index "$1" || fail "$1 has no GID of $address"
	ibv_rc_pingpong -d "$1" -g "$index" -n 20 -s 10000 -c >/tmp/ports_server 2>&1 &
	eventually listens || fail "$1: does not listen"
	timeout 60 ibv_rc_pingpong -d "$1" -g "$index" -n 20 -s 10000 -c 127.0.0.1 >/tmp/ports_client 2>&1 ||
		fail "$1: status $?"
	wait $! || fail "$1: the server failed"
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
		rdma link add ports_d$port type rxe_odp netdev ports_$port || fail "no link on ports_$port"
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
	eventually no_index ports_d$((3 - port)) || fail "the device of a port that is not active keeps the GID"
	works ports_d$port
done
leave
exit 0
