#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# UDP port 4791 of the initial namespace, and stock rdma_rxe: who has it keeps it, the other is refused, with a sentence, and has
# it when it is free. Some kernels' rdma_rxe takes it when it is loaded, others' with its first link.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

has_port() { [ -n "$(ss -Hluna 'sport = 4791')" ]; }
works() { ibv_devinfo -d "$1" >/dev/null || fail "$1 does not open"; }
ours() { rdma link add port_ours type rxe_odp netdev port0; }
theirs() { rdma link add port_theirs type rxe netdev port1; }
unload_rxe()
{
	rdma link delete port_theirs 2>/dev/null
	# Where lockdep is on, sockets hold the module, and go a little after what ends them.
	eventually is_unused rdma_rxe && rmmod rdma_rxe
}
cleanup()
{
	rdma link delete port_ours
	[ ! -e /sys/module/rdma_rxe ] || unload_rxe
	ip link delete port0
	ip link delete port1
	/odp/host/links reset
} 2>/dev/null
trap cleanup EXIT

modinfo rdma_rxe >/dev/null 2>&1 || { echo "SKIP: this kernel has no rdma_rxe"; exit 77; }
/odp/host/links down
for n in 0 1; do
	ip link add port$n mtu 4200 type dummy
	ip link set port$n up
done

# refused: our link is, for a reason that the log gives.
refused()
{
	echo "dev_port: $1" >/dev/kmsg
	ours 2>/dev/null && fail "a link of ours where $1"
	dmesg | sed -n "/dev_port: $1/,\$p" | grep -q '4791 is taken.*the rxe links.*or the module rdma_rxe' || fail "no sentence where $1"
}

has_port && fail "the port is taken before there is any link"
ours || fail "no link of ours"
has_port || fail "our link has no port"
if modprobe rdma_rxe 2>/dev/null; then
	theirs 2>/dev/null && fail "a link of theirs where the port is ours"
	unload_rxe || fail "rdma_rxe is not removed"
	# Its end takes every device of its driver_id.
	rdma link show | grep -q 'link port_ours/' && fail "rdma_rxe's end should have taken ours"
else
	works port_ours
	rdma link delete port_ours || fail "our link does not go"
fi
has_port && fail "the port is not given back"

modprobe rdma_rxe || fail "rdma_rxe does not load"
if has_port; then
	echo "rdma_rxe has the port from its load on"
	refused "rdma_rxe is loaded"
fi
theirs || fail "no link of theirs"
has_port || fail "their link has no port"
refused "rdma_rxe has a link"
works port_theirs
unload_rxe || fail "rdma_rxe is not removed"
has_port && fail "rdma_rxe has left its sockets"
ours || fail "no link of ours after rdma_rxe"
works port_ours
exit 0
