#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# fio's rdma engine writes and reads the other namespace's memory. Its SENDs are left out: fio asks for no RNR retry (its
# conn_param leaves rnr_retry_count 0), so whether they end well is a race of the receiving process against the wire.
#
# rdma-odp: timeout 120
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
trap end_jobs EXIT

for verb in write read; do
	about=$verb
	before=$(sent)
	serve peer cm fio --name=server --ioengine=rdma --port=8765 --bs=64k --size=4m --iodepth=16 --rw=read
	client fio --name=client --ioengine=rdma --hostname=10.77.0.2 --port=8765 --verb=$verb --bs=64k --size=4m --iodepth=16 --rw=write
	# A reader sends requests and acknowledges nothing: one for each of its 64 blocks at least.
	[ $(($(sent) - before)) -ge 64 ] || fail "it did not go through the device"
done
exit 0
