#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM connects XRC: rdma-core's example between the two namespaces, whose client is an initiator and whose server makes a
# domain, an SRQ and a target, and tells the SRQ's number with its answer; and the same pair of programs by RC.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
provider=$(cd "${0%/*}/../provider" && pwd) || exit 1
export IBV_DRIVERS=$provider/librxe_odp
trap end_jobs EXIT

for type in r x; do
	serve peer cm rdma_xserver -c $type
	client rdma_xclient -s 10.77.0.2 -c $type
done
exit 0
