#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Multicast over RDMA-CM: mckey joins a group in both namespaces, and what one sends arrives at the other. The kernel's RDMA-CM
# joins no group of IPv6 over RoCEv2 (ENOTSUPP), whoever's device it is; ud_multicast does without it.
#
# rdma-odp: both providers
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
trap end_jobs EXIT

# exchange GROUP ADDRESS-OF-SENDER ADDRESS-OF-RECEIVER. It has joined when the queue pair is attached.
exchange()
{
	local group=$1 from=$2 to=$3
	about=$group
	serve peer 'joined dgid' stdbuf -oL mckey -m "$group" -b "$to"
	client mckey -m "$group" -s -b "$from"
}

check_provider
exchange 239.77.0.9 10.77.0.1 10.77.0.2
exit 0
