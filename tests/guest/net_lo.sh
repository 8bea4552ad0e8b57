#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A link on lo: its GIDs follow its addresses, data goes over each of them, pinned and on demand; in the initial namespace,
# beside a link on veth0, whose packets to itself go by lo too, and in a namespace where lo comes up after the link was made.
# (RDMA-CM does not know lo: ib_core's cma_validate_port() takes a GID of an Ethernet netdev for RoCE alone.)
# rdma-odp: timeout 240
set -u

fail() { echo "net_lo: $*"; cat /tmp/lo_server /tmp/lo_client 2>/dev/null; exit 1; }

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
no_gid() { ! gid_index "$@"; }

v4() { printf '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x' "${1%%.*}" "$(cut -d. -f2 <<<"$1")" "$(cut -d. -f3 <<<"$1")" "${1##*.}"; }
one=0000:0000:0000:0000:0000:0000:0000:0001

listens() { [ -n "$(ss -Hltn "sport = :$1")" ]; }

# both READY HOST CMD...: a server, and when READY says so the same with HOST, its client
both()
{
	local ready=$1 host=$2
	shift 2
	"$@" >/tmp/lo_server 2>&1 &
	eventually eval "$ready" || fail "$*: does not listen"
	# shellcheck disable=SC2086
	"$@" $host >/tmp/lo_client 2>&1 || fail "$* $host: status $?"
	wait $! || fail "$*: the server failed"
}

# exercise DEV GID: from a GID to itself
exercise()
{
	gid_index "$1" "$2" || fail "no GID $2 in the table of $1"
	both 'listens 18515' 127.0.0.1 ibv_rc_pingpong -d "$1" -g "$index" -n 50 -s 20000 -c -o
	both 'listens 18515' 127.0.0.1 ibv_ud_pingpong -d "$1" -g "$index" -n 50 -s 1000
	both 'listens 18515' 127.0.0.1 ib_write_bw -d "$1" -x "$index" -F -s 20000 -n 50
}

# In the namespace of the link
exercise_lo()
{
	local dev=$1
	eventually gid_index "$dev" "$(v4 127.0.0.1)" || fail "$dev has no GID of 127.0.0.1"
	eventually gid_index "$dev" $one || fail "$dev has no GID of ::1"
	[ "$(cat "/sys/class/infiniband/$dev/node_guid")" != 0000:0000:0000:0000 ] || fail "$dev has no GUID"
	exercise "$dev" "$(v4 127.0.0.1)"
	exercise "$dev" $one
	ip addr add 10.79.0.1/32 dev lo
	eventually gid_index "$dev" "$(v4 10.79.0.1)" || fail "no GID for a new address"
	ip addr del 10.79.0.1/32 dev lo
	eventually no_gid "$dev" "$(v4 10.79.0.1)" || fail "a GID for an address that is gone"
	eventually gid_index "$dev" "$(v4 127.0.0.1)" || fail "the other addresses have lost their GIDs"
}

# The server of a client that failed.
# shellcheck disable=SC2046
end_jobs() { kill $(jobs -p) && wait; } 2>/dev/null

cleanup()
{
	end_jobs
	rdma link del lo_dev
	ip addr del 10.79.0.1/32 dev lo
	ip netns del lo_ns
	rm -f /tmp/lo_server /tmp/lo_client
} 2>/dev/null

if [ $# -gt 0 ]; then
	trap end_jobs EXIT
	exercise_lo "$1"
	exit 0
fi
trap cleanup EXIT

rdma link add lo_dev type rxe_odp netdev lo || fail "no link on lo"
[ "$(cat /sys/class/infiniband/lo_dev/ports/1/state)" = '4: ACTIVE' ] || fail "the port is not active"
exercise_lo lo_dev
# With lo linked as well, what veth0 sends to itself must reach its own device.
exercise rxe_odp0 "$(v4 10.77.0.1)"
exercise rxe_odp0 fd77:0000:0000:0000:0000:0000:0000:0001
rdma link del lo_dev || fail "the link on lo does not go"

ip netns add lo_ns
ip netns exec lo_ns rdma link add lo_dev type rxe_odp netdev lo || fail "no link on lo in a new namespace"
! rdma dev show lo_dev >/dev/null 2>&1 || rdma dev set lo_dev netns lo_ns || fail "lo_dev cannot be moved"
ip netns exec lo_ns ip link set lo up
ip netns exec lo_ns "$0" lo_dev || exit 1
# The namespace ends with its link.
timeout "$(left)" ip netns del lo_ns || fail "the namespace does not end"
eventually eval '! rdma link show | grep -q "link lo_dev/"' || fail "the link outlives its namespace"
exit 0
