#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rsockets: rstream, riostream and rcopy, and under LD_PRELOAD a program that uses TCP.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin rsockets
# What it says depends on how far it came before it looked.
refused '(rconnect|rpoll): Operation (not permitted|now in progress)'
recipe
