/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * umem_odp alone, through umem_odp_selftest.ko, which is loaded by the first umem_open() and goes when the program
 * ends. Calls return 0 or -errno where a test may want an error.
 */
#ifndef TESTS_GUEST_UMEM_H
#define TESTS_GUEST_UMEM_H

#include "test.h"

#include <sys/mman.h>
#include <umem_odp/selftest.h>

#define PAGE_BYTES 4096UL
#define HUGE_BYTES (2 * MIB)

/* A device file without a region. */
int umem_open(void);
/* A device file with a region for reading and writing. */
int umem_region(void *addr, size_t bytes);
void umem_close(int fd);

int umem_create(int fd, void *addr, size_t bytes, uint32_t flags);
/* All of it, by faults; done (or NULL) says how much was copied. */
int umem_to(int fd, void *addr, const void *buf, size_t bytes, uint32_t flags, size_t *done);
int umem_from(int fd, const void *addr, void *buf, size_t bytes, uint32_t flags, size_t *done);
int umem_fault(int fd, void *addr, size_t bytes, bool write);
/* 0, -EINPROGRESS or another error. */
int umem_async(int fd, unsigned int slot, void *addr, size_t bytes, bool write);
/* What wake() said, or -EINPROGRESS after that time. */
int umem_wait(int fd, unsigned int slot, unsigned int ms);
bool umem_cancel(int fd, unsigned int slot);
struct umem_selftest_stats umem_stats(int fd);
/* Very many waiters: the first for the byte at addr, the next stride bytes on. */
int umem_crowd(int fd, void *addr, size_t stride, unsigned int count, bool write);
/* Cancels those that were not woken within that time. */
struct umem_selftest_crowd_end umem_crowd_end(int fd, unsigned int ms);
int umem_shutdown(int fd);
int umem_destroy(int fd);

/* Is the page in the table, for reading or for writing? Brings nothing in. */
bool umem_is_present(int fd, void *addr, bool write);

/* Pattern bytes go in through the region, or are compared with what comes out of it. */
void umem_fill(int fd, void *addr, size_t bytes, uint32_t seed);
void umem_check_at(const char *file, int line, int fd, void *addr, size_t bytes, uint32_t seed);
#define umem_check(fd, addr, bytes, seed) umem_check_at(__FILE__, __LINE__, fd, addr, bytes, seed)

/* Private anonymous memory, aligned to 2 MiB. */
uint8_t *umem_map(size_t bytes);
/* Aligned to a power of two. */
uint8_t *umem_map_aligned(size_t bytes, size_t align);

#endif
