#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Stock rdma_rxe beside us, which has the same driver_id: each has its namespace, the port of a namespace belongs to one
# of them, neither takes the other's devices for its own, and either module may be removed first, while the netdevs of both
# change without end.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1
churn=

present() { rdma link show | grep -q "link $1/" || ip netns exec "$2" rdma link show | grep -q "link $1/"; }
opens()
{
	ibv_devinfo -d "$1" >/dev/null 2>&1 || ip netns exec "$2" ibv_devinfo -d "$1" >/dev/null 2>&1 ||
		fail "$1 does not open"
}

# Where lockdep is on, the sockets of stock rxe's links hold a reference to its module (sk_owner_set()), so that its link
# must go first. Sockets and closed files give theirs back a little after the call that ends them.
remove()
{
	if [ "$1" = rdma_rxe ] && [ "$(cat /sys/module/rdma_rxe/refcnt)" != 0 ]; then
		rdma link delete theirs0 2>/dev/null || ip netns exec theirs rdma link delete theirs0
	fi
	eventually is_unused "$1" && rmmod "$1"
}

# churn NAMESPACE: events of its netdev until it is told to end; the first round leaves a file behind.
churn()
{
	local n=0 d0=(ip -n "$1" link set d0)

	until [ -e "$churn/end" ]; do
		n=$((n + 1))
		"${d0[@]}" mtu $((n % 2 ? 1500 : 4200)) && "${d0[@]}" down && "${d0[@]}" up || return
		"${d0[@]}" address "02:00:00:00:00:$(printf %02x $((n % 256)))" || return
		ip -n "$1" address add 10.79.0.1/24 dev d0 && ip -n "$1" address del 10.79.0.1/24 dev d0 || return
		touch "$churn/$1"
	done
	echo "$n rounds of events in $1"
}

churn_begin()
{
	local ns

	churn=$(mktemp -d) churners=()
	for ns in theirs ours; do
		churn $ns &
		churners+=($!)
		await $! "the events of $ns" [ -e "$churn/$ns" ]
	done
}

churn_end()
{
	local pid

	touch "$churn/end"
	for pid in "${churners[@]}"; do
		wait "$pid" || fail "a netdev changes no longer"
	done
	rm -r "$churn"
	churn=
}

cleanup()
{
	[ -z "$churn" ] || { touch "$churn/end"; wait; rm -r "$churn"; }
	rmmod rdma_rxe
	ip netns del theirs
	ip netns del ours
} 2>/dev/null
trap cleanup EXIT

modinfo rdma_rxe >/dev/null 2>&1 || { echo "SKIP: this kernel has no rdma_rxe"; exit 77; }

netns()
{
	ip netns add "$1"
	ip netns exec "$1" ip link add d0 mtu 4200 type dummy
	ip netns exec "$1" ip link set d0 up
}

# link NAME TYPE NAMESPACE. Older kernels make the device in the initial namespace; stock rxe's stays there.
link()
{
	ip netns exec "$3" rdma link add "$1" type "$2" netdev d0 || return 1
	[ "$2" = rxe ] || ! rdma dev show "$1" >/dev/null 2>&1 || rdma dev set "$1" netns "$3"
}

has_port() { [ -n "$(ip netns exec "$1" ss -Hluna 'sport = 4791')" ]; }

both_up()
{
	/odp/host/links down
	modprobe rdma_rxe || fail "rdma_rxe does not load"
	lsmod | grep -q '^rxe_odp' || {
		insmod /odp/host/modules/rxe_odp.ko || fail "rxe_odp does not load"
		[ "$(cat /sys/module/rxe_odp/parameters/local)" = Y ] || fail "a module without parameters is not local=Y"
	}
	netns theirs
	netns ours
	link theirs0 rxe theirs || fail "no link of theirs beside rxe_odp"
	opens theirs0 theirs
	# Linux 6.12's has its sockets in the initial namespace, wherever the netdev is.
	if has_port theirs; then
		link x rxe_odp theirs 2>/dev/null && fail "a link of ours where the port is theirs"
	fi
	has_port ours && fail "the port is taken before our first link"
	link ours0 rxe_odp ours || fail "no link of ours beside rdma_rxe"
	has_port ours || fail "our link has no port"
	opens ours0 ours
	if has_port theirs; then
		link x rxe ours 2>/dev/null && fail "a link of theirs where the port is ours"
	fi
	# What rdma_rxe does on events of a netdev, it must not do to ours.
	ip netns exec ours ip link set d0 mtu 1500
	ip netns exec ours ip link set d0 down
	ip netns exec ours ip link set d0 up
	ip netns exec ours ip link set d0 address 02:00:00:00:00:77
	opens ours0 ours
}

both_up
churn_begin
remove rxe_odp || fail "rxe_odp is not removed"
present theirs0 theirs || fail "our module's end took theirs"
opens theirs0 theirs
remove rdma_rxe || fail "rdma_rxe is not removed"
churn_end
ip netns del theirs
ip netns del ours

both_up
churn_begin
remove rdma_rxe || fail "rdma_rxe is not removed first"
churn_end
# ib_core unregisters every device with its driver_id: ours are down, cleanly, and come again.
present ours0 ours && fail "rdma_rxe's end should have taken ours"
link ours0 rxe_odp ours || fail "no link after rdma_rxe's end"
opens ours0 ours
/odp/host/links reset || fail "no links afterwards"
