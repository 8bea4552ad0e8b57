#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Multicast over RDMA-CM: mckey joins a group in both namespaces, and what one sends arrives at the other. The kernel's RDMA-CM
# joins no group of IPv6 over RoCEv2 (ENOTSUPP), whoever's device it is; ud_multicast does without it.
#
# rdma-odp: both providers
set -u

fail() { echo "cm_mckey: $*"; cat /tmp/mckey_receiver /tmp/mckey_sender 2>/dev/null; exit 1; }
trap 'rm -f /tmp/mckey_receiver /tmp/mckey_sender; kill $(jobs -p) 2>/dev/null' EXIT

# exchange GROUP ADDRESS-OF-SENDER ADDRESS-OF-RECEIVER. It has joined when the queue pair is attached.
exchange()
{
	local group=$1 from=$2 to=$3 receiver
	ip netns exec peer stdbuf -oL mckey -m "$group" -b "$to" >/tmp/mckey_receiver 2>&1 &
	receiver=$!
	until grep -q 'joined dgid' /tmp/mckey_receiver; do
		kill -0 $receiver 2>/dev/null || fail "$group: the receiver has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$group: the receiver does not join"
		sleep 0.1
	done
	mckey -m "$group" -s -b "$from" >/tmp/mckey_sender 2>&1 || fail "$group: status $?"
	wait $receiver || fail "$group: the receiver failed"
}

[ -z "${RDMA_ODP_PROVIDER:-}" ] || ibv_devinfo -d rxe_odp0 | grep -qF "($RDMA_ODP_PROVIDER)" || fail "not driven by $RDMA_ODP_PROVIDER"
exchange 239.77.0.9 10.77.0.1 10.77.0.2
exit 0
