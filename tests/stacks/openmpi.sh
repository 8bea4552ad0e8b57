#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Open MPI over UCX and over libfabric: four ranks on two nodes, a namespace each, of which the second has a name of its own. What
# ssh is to mpirun a shell is here that waits for commands there (mpi_agent).
#
# rdma-odp: timeout 400
set -u
# shellcheck source=tests/stacks/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

begin "Open MPI over UCX"
undo='pkill -9 -u 65534'
mkfifo -m 666 "$home/node" || fail "no pipe"
# shellcheck disable=SC2016
serve='while :; do while read -r command; do bash -c "$command" & done <"$TMPDIR/node"; done'
# shellcheck disable=SC2016
in_peer unshare --uts bash -c 'hostname odp-peer && exec "$@"' node "${user[@]}" bash -c "$serve" >"$logs/server" 2>&1 &
without_rdma_cm
recipe
with_rdma_cm
next "Open MPI over libfabric"
recipe
# What is killed there leaves ranks behind, so this comes last.
next "Open MPI over UCX"
refused 'ibv_reg_mr.*Operation not permitted'
