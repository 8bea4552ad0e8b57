// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "zoo.h"

#include "dmabuf.h"

#include <rdma/rxe_odp-abi.h>
#include <sys/mman.h>
#include <unistd.h>

uint8_t zoo_answer[65536];
union zoo_driver_answer zoo_driver_answer;

uint32_t some_u32(struct rnd *r)
{
	static const uint32_t values[] = { 0,	       1,	  2,	    3,	      7,
					   16,	       64,	  255,	    4096,     65535,
					   65536,      1U << 20,  1U << 24, 1U << 30, 0x7fffffff,
					   0x80000000, 0xffffffff };

	switch (rnd_below(r, 4)) {
	case 0:
		return rnd_next(r);
	case 1:
		return rnd_below(r, 64);
	default:
		return values[rnd_below(r, ARRAY_SIZE(values))];
	}
}

uint32_t some_size(struct rnd *r)
{
	uint32_t value = some_u32(r);

	return value > 4096 && value <= 1U << 20 ? 4096 : value;
}

uint32_t some_count(struct rnd *r)
{
	return rnd_one_in(r, 4) ? some_size(r) : 1 + rnd_below(r, 16);
}

void zoo_open_wild(struct zoo *z)
{
	if (z->wild)
		assert_zero(ibv_close_device(z->wild));
	z->wild = rig_context(rig_device_name());
	assert_non_null(z->wild);
	memset(z->handles, 0, sizeof(z->handles));
}

void zoo_open(struct zoo *z)
{
	rig_open(&z->rig);
	zoo_open_wild(z);
	z->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(z->memory, MAP_FAILED);
	z->file = memfd_create("fuzz_uverbs", MFD_CLOEXEC);
	assert_true(z->file >= 0);
	z->dma_buf = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, 16 * PAGE);
	z->cqs[0] = ibv_create_cq(z->rig.ctx, 64, NULL, NULL, 0);
	assert_non_null(z->cqs[0]);
}

static void clear(struct zoo *z)
{
	int i;

	for (i = 0; i < KEEP; i++) {
		if (z->ahs[i])
			ibv_destroy_ah(z->ahs[i]);
		if (z->qps[i])
			ibv_destroy_qp(z->qps[i]);
		if (z->mws[i])
			ibv_dealloc_mw(z->mws[i]);
		if (z->mrs[i])
			ibv_dereg_mr(z->mrs[i]);
	}
	for (i = 0; i < KEEP; i++) {
		if (z->srqs[i])
			ibv_destroy_srq(z->srqs[i]);
		if (z->cqs[i])
			ibv_destroy_cq(z->cqs[i]);
	}
}

void zoo_close(struct zoo *z)
{
	clear(z);
	munmap(z->memory, MEMORY);
	close(z->dma_buf);
	close(z->file);
	assert_zero(ibv_close_device(z->wild));
	/* What the commands made by hand goes with the file. */
	ibv_dealloc_pd(z->rig.pd);
	assert_zero(ibv_close_device(z->rig.ctx));
	memset(&z->rig, 0, sizeof(z->rig));
}
