/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The doorbell of stock librxe, which always rings: in a program that calls doorbell_begin() its system call is left out
 * where the send queue's header promises that the kernel looks at the queue by itself (<rdma/rxe_odp-abi.h>).
 */
#ifndef TESTS_GUEST_DOORBELL_H
#define TESTS_GUEST_DOORBELL_H

#include "ring.h"

#include <rdma/rxe_odp-abi.h>
#include <unistd.h>

struct doorbell {
	struct ring *ring;	/* the send queue's, once it is known */
	unsigned long rung;	/* in all, by any thread */
	unsigned long left_out; /* by this; our provider leaves them out itself */
};

/*
 * From here on for this QP, whose ring is found with the first request that is posted to it: nothing else may be posted to any
 * queue in between. Valid until doorbells_end().
 */
struct doorbell *doorbell_begin(const struct ibv_qp *qp);

/* Of all QPs; none is posted to meanwhile. */
void doorbells_end(void);

ssize_t doorbell_write(int fd, const void *buf, size_t bytes);

#ifndef DOORBELL_LIB
/* Of the one file of a program that includes this: libraries find it before the C library's. */
ssize_t write(int fd, const void *buf, size_t bytes)
{
	return doorbell_write(fd, buf, bytes);
}
#endif

/* After the first request was posted. */
uint32_t doorbell_promise(struct doorbell *bell);

#endif
