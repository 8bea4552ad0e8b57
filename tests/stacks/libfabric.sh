#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# libfabric: the verbs provider over RC, and rxm above it, with messages that are compared.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin libfabric
refused 'Operation not permitted'
recipe
next "libfabric without the policy"
recipe
