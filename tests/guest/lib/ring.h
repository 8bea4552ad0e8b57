/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The mapped queues of this process, as rxe's user ABI lays them out, for those that write into them by hand. */
#ifndef TESTS_GUEST_RING_H
#define TESTS_GUEST_RING_H

#include "test.h"
#include <infiniband/verbs.h>

/* The header: size of an element (as a power of two) and mask, then either index on a cache line of its own. */
#define RING_MASK_AT	 4
#define RING_PRODUCER_AT 128
#define RING_CONSUMER_AT 256
#define RING_PROMISE_AT	 260 /* of a send queue: <rdma/rxe_odp-abi.h> */
#define RING_DATA_AT	 384

struct ring {
	uint8_t *addr;
	size_t bytes;
	size_t elem_bytes; /* when it was found, before anybody wrote to it */
	uint32_t mask;	   /* likewise */
};

/* All of them, in the order of their addresses. */
unsigned int rings_find(struct ring *rings, unsigned int max);

/* That of a receive queue whose first entry is a receive that was posted with this wr_id. */
struct ring ring_of_receive(uint64_t wr_id);

/* What a process that writes where it should not may do to one: an index that is none of the ring's; and the right one again. */
void ring_break(const struct ring *ring);
void ring_mend(const struct ring *ring);

/* By hand: librxe would read the queues first, and trust them. */
void ring_doorbell(const struct ibv_qp *qp);

#endif
