#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# UCX over rc_verbs and over ud_verbs: its own measurements, and tagged messages, puts and gets that are compared byte for byte.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin UCX
without_rdma_cm
refused 'ibv_reg_mr.*Operation not permitted'
recipe
