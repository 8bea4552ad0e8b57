#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A link on lo: its GIDs follow its addresses, data goes over each of them, pinned and on demand; in the initial namespace,
# beside a link on veth0, whose packets to itself go by lo too, and in a namespace where lo comes up after the link was made.
# (RDMA-CM does not know lo: ib_core's cma_validate_port() takes a GID of an Ethernet netdev for RoCE alone.)
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

# both CMD...: a server, and the same as its client
both()
{
	serve '' 18515 "$@"
	client "$@" 127.0.0.1
}

# exercise DEV ADDRESS: to itself
exercise()
{
	local index
	index=$(index_of "$1" "$2") || fail "no GID of $2 in the table of $1"
	both ibv_rc_pingpong -d "$1" -g "$index" -n 50 -s 20000 -c -o
	both ibv_ud_pingpong -d "$1" -g "$index" -n 50 -s 1000
	both ib_write_bw -d "$1" -x "$index" -F -s 20000 -n 50
}

# In the namespace of the link
exercise_lo()
{
	local dev=$1
	eventually has_gid "$dev" 127.0.0.1 || fail "$dev has no GID of 127.0.0.1"
	eventually has_gid "$dev" ::1 || fail "$dev has no GID of ::1"
	[ "$(cat "/sys/class/infiniband/$dev/node_guid")" != 0000:0000:0000:0000 ] || fail "$dev has no GUID"
	exercise "$dev" 127.0.0.1
	exercise "$dev" ::1
	ip addr add 10.79.0.1/32 dev lo
	eventually has_gid "$dev" 10.79.0.1 || fail "no GID for a new address"
	ip addr del 10.79.0.1/32 dev lo
	eventually no_gid "$dev" 10.79.0.1 || fail "a GID for an address that is gone"
	eventually has_gid "$dev" 127.0.0.1 || fail "the other addresses have lost their GIDs"
}

cleanup()
{
	end_jobs
	rdma link del lo_dev
	ip addr del 10.79.0.1/32 dev lo
	ip netns del lo_ns
} 2>/dev/null

if [ $# -gt 0 ]; then
	trap end_jobs EXIT
	exercise_lo "$1"
	exit 0
fi
trap cleanup EXIT

add_link '' lo_dev lo
[ "$(cat /sys/class/infiniband/lo_dev/ports/1/state)" = '4: ACTIVE' ] || fail "the port is not active"
exercise_lo lo_dev
# With lo linked as well, what veth0 sends to itself must reach its own device.
exercise rxe_odp0 10.77.0.1
exercise rxe_odp0 fd77::1
rdma link del lo_dev || fail "the link on lo does not go"

ip netns add lo_ns
about='a new namespace'
add_link lo_ns lo_dev lo
ip netns exec lo_ns ip link set lo up
ip netns exec lo_ns "$0" lo_dev || exit 1
# The namespace ends with its link.
timeout "$(left)" ip netns del lo_ns || fail "the namespace does not end"
eventually no_link lo_dev || fail "the link outlives its namespace"
exit 0
