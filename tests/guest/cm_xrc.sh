#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM connects XRC: rdma-core's example between the two namespaces, whose client is an initiator and whose server makes a
# domain, an SRQ and a target, and tells the SRQ's number with its answer; and the same pair of programs by RC.
set -u
provider=$(cd "$(dirname "$0")/../provider" && pwd) || exit 1
export IBV_DRIVERS=$provider/librxe_odp

fail() { echo "cm_xrc: $*"; cat /tmp/cm_server /tmp/cm_client 2>/dev/null; exit 1; }
trap 'rm -f /tmp/cm_server /tmp/cm_client; kill $(jobs -p) 2>/dev/null' EXIT

for type in r x; do
	ip netns exec peer rdma_xserver -c $type >/tmp/cm_server 2>&1 &
	server=$!
	until ip netns exec peer rdma resource show cm_id | grep -q 'state LISTEN'; do
		kill -0 $server 2>/dev/null || fail "$type: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$type: it does not listen"
		sleep 0.1
	done
	rdma_xclient -s 10.77.0.2 -c $type >/tmp/cm_client 2>&1 || fail "$type: status $?"
	wait $server || fail "$type: the server failed"
done
exit 0
