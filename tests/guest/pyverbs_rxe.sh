#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Each of rdma-core's own tests, but the vendors', that passes over stock rdma_rxe passes over ours, in the same boot and through librxe.
#
# rdma-odp: timeout 480
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1
# shellcheck source=tests/guest/lib/pyverbs.sh
. "${0%/*}/../lib/pyverbs.sh" || exit 1

modinfo rdma_rxe >/dev/null 2>&1 || { echo "SKIP: this kernel has no rdma_rxe"; exit 77; }

rxe_ends()
{
	ip link del stock0
	eventually is_unused rdma_rxe && rmmod rdma_rxe
} 2>/dev/null

cleanup()
{
	pyverbs_end
	[ ! -e /sys/module/rdma_rxe ] || { rxe_ends && /odp/host/links reset; }
	end_jobs
}
trap cleanup EXIT

# every DEV OUT: the results of all files. A file at a time: where a test is skipped Python may close a device before what was made on
# it, and crash, behind the results.
every()
{
	local file name
	for file in "$pyverbs"/tests/test_*.py; do
		name=${file##*/test_}
		case $name in
		mlx5* | efa* | irdma* | mana* | hns* | cuda*) continue ;;
		esac
		pyverbs_run "$1" "${name%.py}"
		grep -q '^Ran [0-9]' /tmp/said_pyverbs || fail "$1: $name does not end" >&2
		pyverbs_results
	done >"$2"
}

# said WHAT FILE
said() { echo "$1: $(grep -c ' ok$' "$2") passed, $(grep -c ' skipped$' "$2") skipped, $(grep -cE ' (FAIL|ERROR)$' "$2") failed"; }

pyverbs_begin || fail "rdma-core's tests are not there"
{ /odp/host/links down && modprobe rdma_rxe; } || fail "rdma_rxe does not load"
{ ip link add stock0 mtu 9000 type veth peer name stock1 &&
	ip addr add 10.78.0.1/24 dev stock0 && ip addr add fd78::1/64 dev stock0 nodad && ip link set stock0 up && ip link set stock1 up &&
	rdma link add stock0 type rxe netdev stock0; } || fail "no link of rdma_rxe"
{ eventually has_gid stock0 10.78.0.1 && eventually has_gid stock0 fd78::1; } || fail "rdma_rxe has no GID"
every stock0 /tmp/said_stock
rxe_ends || fail "rdma_rxe does not go"
/odp/host/links up || fail "no links of ours"
every rxe_odp0 /tmp/said_ours

said "stock rxe" /tmp/said_stock
said "ours" /tmp/said_ours
[ "$(grep -c ' ok$' /tmp/said_stock)" -ge 80 ] || fail "stock rxe passes next to nothing: are the tests what they were?"
lost=$(comm -23 <(grep ' ok$' /tmp/said_stock | sort) <(grep ' ok$' /tmp/said_ours | sort))
[ -z "$lost" ] || fail "passes over stock rxe, and not over ours: ${lost//$'\n'/, }"
bad=$(grep -E ' (FAIL|ERROR)$' /tmp/said_ours)
[ -z "$bad" ] || fail "fails: ${bad//$'\n'/, }"
exit 0
