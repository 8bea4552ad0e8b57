// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "ring.h"

#include <rdma/ib_user_verbs.h>
#include <unistd.h>

unsigned int rings_find(struct ring *rings, unsigned int max)
{
	unsigned long start, end;
	unsigned int nr = 0;
	char line[300];
	FILE *f = fopen("/proc/self/maps", "r");

	assert_non_null(f);
	while (nr < max && fgets(line, sizeof(line), f))
		if (strstr(line, "uverbs") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			rings[nr++] = (struct ring){ (void *)start, end - start,
						     1UL << *(uint32_t *)start,
						     *(uint32_t *)(start + RING_MASK_AT) };
	fclose(f);
	return nr;
}

struct ring ring_of_receive(uint64_t wr_id)
{
	struct ring rings[32];
	unsigned int nr = rings_find(rings, ARRAY_SIZE(rings)), i;

	for (i = 0; i < nr; i++)
		if (!memcmp(rings[i].addr + RING_DATA_AT, &wr_id, sizeof(wr_id)))
			return rings[i];
	fail_because("no ring begins with receive %lx", (unsigned long)wr_id);
	return rings[0];
}

static void ring_flip(const struct ring *ring)
{
	*(volatile uint32_t *)(ring->addr + RING_PRODUCER_AT) ^= 0x80000000;
}

void ring_break(const struct ring *ring)
{
	ring_flip(ring);
}

void ring_mend(const struct ring *ring)
{
	ring_flip(ring);
}

void ring_doorbell(const struct ibv_qp *qp)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send cmd;
		struct ib_uverbs_post_send_resp resp;
	} call = { 0 };

	call.hdr.command = IB_USER_VERBS_CMD_POST_SEND;
	call.hdr.in_words = (sizeof(call.hdr) + sizeof(call.cmd)) / 4;
	call.hdr.out_words = sizeof(call.resp) / 4;
	call.cmd.response = (uintptr_t)&call.resp;
	call.cmd.qp_handle = qp->handle;
	call.cmd.wqe_size = sizeof(struct ib_uverbs_send_wr);
	/* It may be refused, in whatever state the QP is by now. */
	if (write(qp->context->cmd_fd, &call, sizeof(call.hdr) + sizeof(call.cmd)) < 0)
		errno = 0;
}
