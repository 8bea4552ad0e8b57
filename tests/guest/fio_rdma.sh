#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# fio's rdma engine writes and reads the other namespace's memory. Its SENDs are left out: fio asks for no RNR retry (its
# conn_param leaves rnr_retry_count 0), so whether they end well is a race of the receiving process against the wire.
#
# rdma-odp: timeout 120
set -u
trap 'rm -f /tmp/fio_server /tmp/fio_client; kill -9 $(jobs -p) 2>/dev/null' EXIT

fail() { echo "fio_rdma: $*"; cat /tmp/fio_server /tmp/fio_client 2>/dev/null; exit 1; }
counter() { cat "/sys/class/infiniband/rxe_odp0/ports/1/hw_counters/$1"; }
# In packets or, with local=on, without.
sent() { echo $(($(counter sent_pkts) + $(counter local_ops))); }

for verb in write read; do
	before=$(sent)
	ip netns exec peer fio --name=server --ioengine=rdma --port=8765 --bs=64k --size=4m --iodepth=16 --rw=read \
		>/tmp/fio_server 2>&1 &
	server=$!
	until ip netns exec peer rdma resource show cm_id | grep -q 'state LISTEN'; do
		kill -0 $server 2>/dev/null || fail "$verb: the server has ended"
		[ $SECONDS -lt $((${TEST_LIMIT_S:-120} - 5)) ] || fail "$verb: the server does not listen"
		sleep 0.1
	done
	timeout -s KILL "${TEST_LIMIT_S:-120}" fio --name=client --ioengine=rdma --hostname=10.77.0.2 --port=8765 --verb=$verb --bs=64k \
		--size=4m --iodepth=16 --rw=write >/tmp/fio_client 2>&1 || fail "$verb: status $?"
	wait $server || fail "$verb: the server failed"
	# A reader sends requests and acknowledges nothing: one for each of its 64 blocks at least.
	[ $(($(sent) - before)) -ge 64 ] || fail "$verb: it did not go through the device"
done
exit 0
