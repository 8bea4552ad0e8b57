#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Open MPI's ranks, some on either node: a ring, all to all, and one-sided puts, gets and accumulations under fences and locks. Each
byte that comes is compared; memory is made for each message and given back. "two-sided" leaves out what is one-sided, "put-get"
accumulations and locks, which are fetching atomics."""
import array
import struct
import sys

from mpi4py import MPI

SIZES = (1, 7, 4096, 12288, 65536, 1000001)
world = MPI.COMM_WORLD
rank, ranks = world.rank, world.size


def end_all(*what):
    """One that has failed leaves the others waiting for it."""
    sys.__excepthook__(*what)
    sys.stderr.flush()
    world.Abort(1)


sys.excepthook = end_all


def message(size, seed):
    block = bytes((i * 7 + seed) % 251 for i in range(4099))
    return (block * (size // 4099 + 1))[:size]


def ring():
    """Each sends to the next one and receives from the one before."""
    for seed, size in enumerate(SIZES * 2):
        goes, came = bytearray(message(size, 31 * seed + rank)), bytearray(size)
        world.Sendrecv(goes, (rank + 1) % ranks, recvbuf=came, source=(rank - 1) % ranks)
        assert came == message(size, 31 * seed + (rank - 1) % ranks), ("ring", size)


def all_to_all():
    for size in SIZES:
        goes, came = bytearray(), bytearray(size * ranks)
        for to in range(ranks):
            goes += message(size, 17 * rank + to)
        world.Alltoall([goes, size, MPI.BYTE], [came, size, MPI.BYTE])
        for source in range(ranks):
            assert came[source * size:(source + 1) * size] == message(size, 17 * source + rank), ("alltoall", size)
    total = array.array("q", [0] * 1000)
    world.Allreduce(array.array("q", range(rank, rank + 1000)), total)
    assert list(total) == [ranks * i + ranks * (ranks - 1) // 2 for i in range(1000)], "allreduce"


def fenced(size):
    """Each puts into the next one's window, which it then gets back from there; all add to those of rank 0."""
    memory = bytearray(size)
    window = MPI.Win.Create(memory, 1, comm=world)
    # It has to last until the fence.
    goes = bytearray(message(size, rank))
    window.Fence()
    window.Put(goes, (rank + 1) % ranks)
    window.Fence()
    assert memory == message(size, (rank - 1) % ranks), ("put", size)
    came = bytearray(size)
    window.Get(came, (rank + 1) % ranks)
    window.Fence()
    assert came == message(size, rank), ("get", size)
    window.Free()


def accumulated():
    memory = array.array("q", [1000 * rank + i for i in range(512)])
    window = MPI.Win.Create(memory, memory.itemsize, comm=world)
    more = array.array("q", [rank + i for i in range(512)])
    window.Fence()
    for to in range(ranks):
        window.Accumulate(more, to, op=MPI.SUM)
    window.Fence()
    added = ranks * (ranks - 1) // 2
    assert list(memory) == [1000 * rank + i + added + ranks * i for i in range(512)], "accumulate"
    window.Free()


def locked():
    """Under locks: each counts at rank 0, and writes a slot of its own there."""
    memory = bytearray(8 + 8 * ranks)
    window = MPI.Win.Create(memory, 1, comm=world)
    one, slot = array.array("q", [1]), bytearray(struct.pack("=q", 4711 + rank))
    for _ in range(20):
        was = array.array("q", [0])
        window.Lock(0, MPI.LOCK_SHARED)
        window.Fetch_and_op(one, was, 0, 0, MPI.SUM)
        window.Unlock(0)
        assert 0 <= was[0] < 20 * ranks, "fetch_and_op"
    window.Lock(0, MPI.LOCK_EXCLUSIVE)
    window.Put(slot, 0, target=8 + 8 * rank)
    window.Unlock(0)
    world.Barrier()
    came = bytearray(len(memory))
    window.Lock(0, MPI.LOCK_SHARED)
    window.Get(came, 0)
    window.Unlock(0)
    assert came == struct.pack("=%dq" % (1 + ranks), 20 * ranks, *range(4711, 4711 + ranks)), "locks"
    world.Barrier()
    window.Free()


def one_sided():
    for length in SIZES:
        fenced(length)
    if "put-get" not in sys.argv:
        accumulated()
        locked()


for part in (ring, all_to_all, one_sided):
    if part is not one_sided or "two-sided" not in sys.argv:
        part()
        if rank == 0:
            print("%s: right" % part.__name__, flush=True)
names = set(world.allgather(MPI.Get_processor_name()))
assert len(names) == 2, names
if rank == 0:
    print("%d ranks on %s: all as it should be" % (ranks, " and ".join(sorted(names))))
