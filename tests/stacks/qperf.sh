#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# qperf over RC, by RDMA-CM: messages, writes, reads, and atomics that it verifies.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin qperf
refused 'Operation not permitted'
recipe
