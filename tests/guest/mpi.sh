#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Open MPI over the device, by libfabric (mtl ofi) and by UCX: two ranks send each other messages of every kind of size, each from
# and to memory of its own that is given back afterwards, and compare what comes.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
trap 'end_jobs; rm -f /tmp/mpi_ranks.py' EXIT

cat >/tmp/mpi_ranks.py <<'PY'
from mpi4py import MPI

LARGEST = 1000001
world = MPI.COMM_WORLD
assert world.size == 2

def message(size, seed):
    block = bytes((i * 7 + seed) % 251 for i in range(min(size, 4099)))
    return (block * (size // 4099 + 1))[:size]

for seed, size in enumerate((0, 1, 7, 4096, 12288, 65536, LARGEST) * 3):
    goes, came = bytearray(message(size, 2 * seed + world.rank)), bytearray(size)
    world.Sendrecv(goes, 1 - world.rank, recvbuf=came, source=1 - world.rank)
    assert came == message(size, 2 * seed + 1 - world.rank), size
PY

# All that is sent, both ways and three times: each message takes a packet or more, or a request.
least=1500
[ "$(cat /sys/class/infiniband/rxe_odp0/local)" = off ] || least=42

# ranks ARGS...: and what was sent went through the device.
ranks()
{
	local before
	before=$(sent)
	client env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -np 2 "$@" python3 /tmp/mpi_ranks.py
	[ $(($(sent) - before)) -ge $least ] || fail "$*: it did not go through the device"
}

ofi=(--mca pml cm --mca mtl ofi --mca mtl_ofi_provider_include 'verbs;ofi_rxm')
# libfabric keeps registrations, and learns of the heap that shrinks from brk(), past which libucm, which Open MPI loads as well,
# leads sbrk() (ofiwg/libfabric#12850): what it has pinned is then the memory that was given back, and what comes for the new one
# at that address goes there. Without the cache each message is right; with it, where registrations follow the address space.
ranks "${ofi[@]}" -x FI_MR_CACHE_MONITOR=disabled -x FI_MR_CACHE_MAX_COUNT=0
ranks "${ofi[@]}" -x FI_VERBS_USE_ODP=1
ranks --mca pml ucx -x UCX_NET_DEVICES=rxe_odp0:1 -x UCX_TLS=rc,ud,self
exit 0
