#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# qperf over RC, by RDMA-CM: messages, writes, reads, and atomics that it verifies.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin qperf
# Its server tells its port before it listens; a client that is faster is rejected, and both begin again.
again='unexpected event from RDMA CM: Event rejected'
refused 'Operation not permitted'
recipe
