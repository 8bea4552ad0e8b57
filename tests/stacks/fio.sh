#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# fio's rdma engine: writes and reads between files that are mapped and registered, which are compared afterwards. It has no use for
# fio's "verify": a job writes or reads, and a server's blocks are taken at random.
#
# rdma-odp: timeout 300
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin fio
# It asks for no RNR retry, so that a page that takes long ends it (and its client hangs then): where a CPU has stood still both begin again.
again='RNR retry counter exceeded'
recipe
refused 'Operation not permitted'
