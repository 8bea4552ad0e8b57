# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Devices as a program in shell sees them, in this namespace's /sys: GIDs, counters, links.

# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

# index_of DEV ADDRESS: that of its GID; of IPv6 only what is written as PREFIX::NUMBER or ::NUMBER. By the shell alone: a process
# takes long to start where the CPU is emulated.
index_of()
{
	local i gid want part
	if [[ $2 == *:* ]]; then
		printf -v want '%04x:0000:0000:0000:0000:0000:0000:%04x' "0x0${2%%::*}" "0x0${2##*::}"
	else
		IFS=. read -ra part <<<"$2"
		printf -v want '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x' "${part[@]}"
	fi
	for i in {0..15}; do
		read -r gid 2>/dev/null <"/sys/class/infiniband/$1/ports/1/gids/$i" && [ "$gid" = "$want" ] && echo "$i" && return
	done
	return 1
}
has_gid() { index_of "$@" >/dev/null; }
no_gid() { ! has_gid "$@"; }

# counter NAME [DEV]
counter() { cat "/sys/class/infiniband/${2:-rxe_odp0}/ports/1/hw_counters/$1"; }
# sent: by rxe_odp0, in packets or, with local=on, without
sent() { echo $(($(counter sent_pkts) + $(counter local_ops))); }

# policy WORD: what plain registrations become on both devices of the session
policy()
{
	echo "$1" >/sys/class/infiniband/rxe_odp0/register && in_peer sh -c "echo $1 >/sys/class/infiniband/rxe_odp1/register"
}

# add_link NAMESPACE NAME NETDEV. The name is taken until all of a device that had it before has gone. Before Linux 7.0 a device is born in
# the initial namespace, wherever its netdev is.
add_link()
{
	eventually in_netns "$1" rdma link add "$2" type rxe_odp netdev "$3" 2>/tmp/said_link || fail "no link on $3"
	[ -z "$1" ] || ! rdma dev show "$2" >/dev/null 2>&1 || rdma dev set "$2" netns "$1" || fail "$2 cannot be moved"
}
no_link() { ! rdma link show 2>/dev/null | grep -q "link $1/"; }

# check_provider: who drives rxe_odp0 is whom the session wants
check_provider()
{
	[ -z "${RDMA_ODP_PROVIDER:-}" ] || ibv_devinfo -d rxe_odp0 | grep -qF "($RDMA_ODP_PROVIDER)" ||
		fail "not driven by $RDMA_ODP_PROVIDER"
}
