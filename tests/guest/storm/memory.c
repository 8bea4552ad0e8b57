// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "memory.h"
#include "ext4.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct memory memories[MEMORIES];

static int file_make(enum memory_kind kind)
{
	switch (kind) {
	case SHARED:
		return memfd_create("storm", MFD_CLOEXEC);
	case EXT4:
		assert_zero(ext4_begin());
		return open(EXT4_DIR "/storm", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	default:
		return -1;
	}
}

/* Aligned, so that huge pages fit. */
static void memory_make(struct memory *m, enum memory_kind kind, struct ibv_pd *pd)
{
	size_t bytes = SLICES * SLICE_BYTES;
	uintptr_t room;

	m->kind = kind;
	m->fd = file_make(kind);
	if (kind != PRIVATE) {
		assert_true(m->fd >= 0);
		assert_zero(ftruncate(m->fd, bytes));
	}
	m->room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(m->room, MAP_FAILED);
	room = ((uintptr_t)m->room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	m->data = mmap((void *)room, bytes, PROT_READ | PROT_WRITE,
		       MAP_FIXED | (kind == PRIVATE ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
		       m->fd, 0);
	assert_ptr_not_equal(m->data, MAP_FAILED);
	m->mr = ibv_reg_mr(pd, m->data, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(m->mr);
}

static void memory_free(struct memory *m)
{
	assert_zero(ibv_dereg_mr(m->mr));
	munmap(m->room, SLICES * SLICE_BYTES + HUGE_BYTES);
	if (m->fd >= 0)
		close(m->fd);
}

void memories_make(struct ibv_pd *pd)
{
	unsigned int i;

	for (i = 0; i < MEMORIES; i++)
		memory_make(&memories[i], i, pd);
}

void memories_free(void)
{
	unsigned int i;

	for (i = 0; i < MEMORIES; i++)
		memory_free(&memories[i]);
}

bool memory_map_again(const struct memory *m, uint8_t *at, size_t bytes)
{
	bool file = m->kind != PRIVATE;
	int flags = MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	return mmap(at, bytes, PROT_READ | PROT_WRITE, flags, m->fd, file ? at - m->data : 0) !=
	       MAP_FAILED;
}
