#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rsockets: rstream, riostream and rcopy, and under LD_PRELOAD a program that uses TCP.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin rsockets
refused 'rconnect: Operation not permitted'
recipe
