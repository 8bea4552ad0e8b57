/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Buffers of every kind of memory, between guard bytes, and their registrations.
 *
 * The target (data, bytes) starts at a chosen offset in a page. Before and after it lie guards of at least
 * GUARD_BYTES that nothing may change. A registration covers the target and nothing else.
 */
#ifndef TESTS_GUEST_MEM_H
#define TESTS_GUEST_MEM_H

#include "rig.h"

#define GUARD_BYTES 4096UL
#define GUARD_FILL  0xa5
#define PAGE	    4096UL

#define ACCESS_ALL                                                                                 \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |               \
	 IBV_ACCESS_REMOTE_ATOMIC)

enum mem {
	MEM_ANON,	  /* private anonymous */
	MEM_SHARED,	  /* a memfd, mapped shared; buf.alias is a second mapping of it */
	MEM_PRIVATE_FILE, /* a memfd, mapped private */
	MEM_HUGE,	  /* anonymous, 2 MiB aligned, MADV_HUGEPAGE */
	MEM_KINDS
};

struct buf {
	enum mem kind;
	uint8_t *map;
	size_t map_bytes;
	uint8_t *alias;
	int fd;
	uint8_t *data;
	size_t bytes;
	size_t guard_before; /* from map to data */
	size_t guard_after;  /* from the target's end to the map's */
	struct ibv_mr *mr;
};

const char *mem_name(enum mem kind);

/* Maps it with the guards filled. What is between them was not touched, where page boundaries allow. */
void buf_map(struct buf *buf, enum mem kind, size_t bytes, size_t page_offset);

/* An MR of exactly the target; access may have IBV_ACCESS_ON_DEMAND. */
void buf_reg(struct buf *buf, struct ibv_pd *pd, int access);
/* Both. */
void buf_make(struct buf *buf, struct ibv_pd *pd, enum mem kind, size_t bytes, size_t page_offset,
	      int access);
void buf_dereg(struct buf *buf);
/* Checks the guards, releases the MR if there is one and the mapping. */
void buf_free_at(const char *file, int line, struct buf *buf);
#define buf_free(buf) buf_free_at(__FILE__, __LINE__, buf)
void buf_check_guards_at(const char *file, int line, const struct buf *buf);
#define buf_check_guards(buf) buf_check_guards_at(__FILE__, __LINE__, buf)

/* Drops the pages between the guards, so that the next touch, whoever does it, is the first one. */
void buf_forget(struct buf *buf);

/* How many pages of a mapping are in memory: mapped here, in the page cache, or beside swap. */
size_t mem_resident(void *addr, size_t bytes);

/* What /proc/self/pagemap says of the page that holds addr. */
#define PAGEMAP_PFN	   ((1ULL << 55) - 1)
#define PAGEMAP_SOFT_DIRTY (1ULL << 55)
#define PAGEMAP_PRESENT	   (1ULL << 63)

uint64_t pagemap_entry(const void *addr);

/* MADV_COLLAPSE, which the kernel refuses with EAGAIN while it works on one of the pages itself. */
int mem_collapse(void *addr, size_t bytes);

struct ibv_sge buf_sge(const struct buf *buf, size_t offset, size_t bytes);

/* A userfaultfd over a range, with a thread that serves its missing pages. */
struct uffd {
	int fd;
	uint8_t *addr;
	size_t bytes;
	uint32_t seed;
	unsigned int delay_us;	     /* how long every page takes */
	volatile unsigned int asked; /* pages that were asked for */
	volatile bool held;	     /* none is given, however much time has passed */
	volatile bool stop;
	unsigned long thread;
	int wake[2];
};

/* Skips the test where userfaultfd cannot serve faults of the kernel. */
void uffd_register(struct uffd *u, void *addr, size_t bytes);
/* Pages hold pattern seed, byte 0 at addr. */
void uffd_serve(struct uffd *u, uint32_t seed, unsigned int delay_ms);
void uffd_serve_us(struct uffd *u, uint32_t seed, unsigned int delay_us);
void uffd_close(struct uffd *u);

/* Where nobody serves: the page that is asked for next, NULL if none is within that time. */
uint8_t *uffd_next(struct uffd *u, int timeout_ms);
/* How many pages are asked for: as many as that, or fewer when no more has come for a second. */
unsigned int uffd_await(struct uffd *u, unsigned int pages);
/* Zeros for every page of a range, none of which is there; nothing where the process has ended. */
void uffd_give_zeros(struct uffd *u, void *addr, size_t bytes);

#endif
