#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDS over a device of ours in the initial namespace, the only one it knows: between two addresses of it and from one to itself, also
# while no packet passes. data/rds.py has what is sent. The device is removed under connections.
#
# Memory that RDS cannot pin, files on persistent memory, it registers on demand; that works, but for each such region RDS takes a
# reference to the device that it never drops, and the device cannot go without a warning then.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1

fail()
{
	echo "FAIL: $program: $*"
	dmesg | tail -n 25
	exit 1
}

cleanup()
{
	nft delete table ip rds_cut
	pkill -f data/rds.py
	rmmod rds_rdma rds
	rdma link del rdx
	ip link del rdx
} 2>/dev/null

rds() { "${0%/*}/../data/rds.py" "$@" || fail "$*"; }

modprobe rds_rdma 2>/dev/null || { echo "SKIP: this kernel has no rds_rdma"; exit 77; }
trap cleanup EXIT
{ ip link add rdx mtu 9000 type veth peer name rdy mtu 9000 && ip link set rdy up && ip link set rdx up &&
	ip addr add 10.78.0.1/24 dev rdx && ip addr add 10.78.0.2/24 dev rdx && rdma link add rdx type rxe_odp netdev rdx; } ||
	fail "no device"
{ eventually has_gid rdx 10.78.0.1 && eventually has_gid rdx 10.78.0.2; } || fail "no GID"

rds messages 10.78.0.1 10.78.0.2
rds messages 10.78.0.1 10.78.0.1
rds cut 10.78.0.1 10.78.0.2

# Under the connections, the device goes, and the modules.
rdma link del rdx
rmmod rds_rdma || fail "rds_rdma stays"
rmmod rds || fail "rds stays"
exit 0
