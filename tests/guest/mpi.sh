#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Open MPI over the device, by libfabric (mtl ofi) and by UCX: two ranks send each other messages of every kind of size and
# compare what comes.
#
# rdma-odp: timeout 240
set -u
trap 'rm -f /tmp/mpi_ranks.py /tmp/mpi_out' EXIT

fail() { echo "mpi: $*"; cat /tmp/mpi_out 2>/dev/null; exit 1; }
sent() { cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/sent_pkts; }

cat >/tmp/mpi_ranks.py <<'PY'
from mpi4py import MPI

LARGEST = 1000001
world = MPI.COMM_WORLD
assert world.size == 2
# The same memory for all, which no one unmaps: libfabric keeps registrations, and does not see everything that malloc() does.
goes, came = memoryview(bytearray(LARGEST)), memoryview(bytearray(LARGEST))

def message(size, seed):
    block = bytes((i * 7 + seed) % 251 for i in range(min(size, 4099)))
    return (block * (size // 4099 + 1))[:size]

for seed, size in enumerate((0, 1, 7, 4096, 12288, 65536, LARGEST) * 3):
    goes[:size] = message(size, 2 * seed + world.rank)
    came[:] = bytes(LARGEST)
    world.Sendrecv(goes[:size], 1 - world.rank, recvbuf=came[:size], source=1 - world.rank)
    assert came[:size] == message(size, 2 * seed + 1 - world.rank), size
    assert not any(came[size:]), size
PY

# ranks ARGS...: and all that was sent, both ways and three times, went through the device.
ranks()
{
	local before
	before=$(sent)
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 100 mpirun -np 2 "$@" \
		python3 /tmp/mpi_ranks.py >/tmp/mpi_out 2>&1 || fail "$*: status $?"
	[ $(($(sent) - before)) -ge 1500 ] || fail "$*: it did not go through the device"
}

ranks --mca pml cm --mca mtl ofi --mca mtl_ofi_provider_include 'verbs;ofi_rxm'
ranks --mca pml ucx -x UCX_NET_DEVICES=rxe_odp0:1 -x UCX_TLS=rc,ud,self
exit 0
