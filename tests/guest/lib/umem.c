// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <sys/ioctl.h>
#include <unistd.h>

#include "module.h"
#include "pattern.h"
#include "umem.h"

int umem_open(void)
{
	return module_open("umem_odp_selftest", "umem_odp_selftest");
}

int umem_region(void *addr, size_t bytes)
{
	int fd = umem_open();

	assert_zero(umem_create(fd, addr, bytes, UMEM_SELFTEST_WRITE));
	return fd;
}

void umem_close(int fd)
{
	close(fd);
}

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static struct umem_selftest_span span(void *addr, size_t bytes, uint32_t flags, uint32_t slot)
{
	return (struct umem_selftest_span){
		.va = (uintptr_t)addr, .len_bytes = bytes, .flags = flags, .slot = slot
	};
}

int umem_create(int fd, void *addr, size_t bytes, uint32_t flags)
{
	struct umem_selftest_span arg = span(addr, bytes, flags, 0);

	return call(fd, UMEM_SELFTEST_CREATE, &arg);
}

static int copy(int fd, unsigned long cmd, const void *addr, const void *buf, size_t bytes,
		uint32_t flags, size_t *done)
{
	struct umem_selftest_copy arg;
	size_t at = 0;
	int err;

	do {
		arg = (struct umem_selftest_copy){ .va = (uintptr_t)addr + at,
						   .buf = (uintptr_t)buf + at,
						   .flags = flags,
						   .len_bytes =
							   bytes - at < UMEM_SELFTEST_COPY_MAX ?
								   bytes - at :
								   UMEM_SELFTEST_COPY_MAX };
		err = call(fd, cmd, &arg);
		at += arg.done_bytes;
	} while (!err && at < bytes);
	if (done)
		*done = at;
	return err;
}

int umem_to(int fd, void *addr, const void *buf, size_t bytes, uint32_t flags, size_t *done)
{
	return copy(fd, UMEM_SELFTEST_COPY_TO, addr, buf, bytes, flags, done);
}

int umem_from(int fd, const void *addr, void *buf, size_t bytes, uint32_t flags, size_t *done)
{
	return copy(fd, UMEM_SELFTEST_COPY_FROM, addr, buf, bytes, flags, done);
}

int umem_fault(int fd, void *addr, size_t bytes, bool write)
{
	struct umem_selftest_span arg = span(addr, bytes, write ? UMEM_SELFTEST_WRITE : 0, 0);

	return call(fd, UMEM_SELFTEST_FAULT, &arg);
}

int umem_async(int fd, unsigned int slot, void *addr, size_t bytes, bool write)
{
	struct umem_selftest_span arg = span(addr, bytes, write ? UMEM_SELFTEST_WRITE : 0, slot);

	return call(fd, UMEM_SELFTEST_ASYNC, &arg);
}

int umem_wait(int fd, unsigned int slot, unsigned int ms)
{
	struct umem_selftest_slot arg = { .slot = slot, .timeout_ms = ms };

	assert_zero(call(fd, UMEM_SELFTEST_WAIT, &arg));
	assert_int_equal(arg.wakes, arg.err != -EINPROGRESS);
	return arg.err;
}

bool umem_cancel(int fd, unsigned int slot)
{
	struct umem_selftest_slot arg = { .slot = slot };

	assert_zero(call(fd, UMEM_SELFTEST_CANCEL, &arg));
	assert_int_equal(arg.wakes, !arg.err);
	return arg.err;
}

struct umem_selftest_stats umem_stats(int fd)
{
	struct umem_selftest_stats arg;

	assert_zero(call(fd, UMEM_SELFTEST_STATS, &arg));
	return arg;
}

int umem_crowd(int fd, void *addr, size_t stride, unsigned int count, bool write)
{
	struct umem_selftest_crowd arg = { .va = (uintptr_t)addr,
					   .stride_bytes = stride,
					   .count = count,
					   .flags = write ? UMEM_SELFTEST_WRITE : 0 };

	return call(fd, UMEM_SELFTEST_CROWD, &arg);
}

struct umem_selftest_crowd_end umem_crowd_end(int fd, unsigned int ms)
{
	struct umem_selftest_crowd_end arg = { .timeout_ms = ms };

	assert_zero(call(fd, UMEM_SELFTEST_CROWD_END, &arg));
	return arg;
}

int umem_shutdown(int fd)
{
	return call(fd, UMEM_SELFTEST_CLOSE, NULL);
}

int umem_destroy(int fd)
{
	return call(fd, UMEM_SELFTEST_DESTROY, NULL);
}

bool umem_is_present(int fd, void *addr, bool write)
{
	uint8_t byte = 0;
	int err;

	/* Writing would change the byte: it is put back as it is, which only tests without a race may do. */
	err = umem_from(fd, addr, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL);
	if (!err && write)
		err = umem_to(fd, addr, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL);
	assert_true(!err || err == -EAGAIN);
	return !err;
}

void umem_fill(int fd, void *addr, size_t bytes, uint32_t seed)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, bytes, seed, 0);
	assert_zero(umem_to(fd, addr, buf, bytes, 0, NULL));
	free(buf);
}

void umem_check_at(const char *file, int line, int fd, void *addr, size_t bytes, uint32_t seed)
{
	uint8_t *buf = calloc(1, bytes);
	int err;

	err = umem_from(fd, addr, buf, bytes, 0, NULL);
	if (err)
		fail_at(file, line, "reading the region: %s", strerror(-err));
	pattern_check_at(file, line, buf, bytes, seed, 0, "read through the region");
	free(buf);
}

uint8_t *umem_map_aligned(size_t bytes, size_t align)
{
	uint8_t *map = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	assert_ptr_not_equal(map, MAP_FAILED);
	head = -(uintptr_t)map & (align - 1);
	if (head)
		munmap(map, head);
	munmap(map + head + bytes, align - head);
	return map + head;
}

uint8_t *umem_map(size_t bytes)
{
	return umem_map_aligned(bytes, HUGE_BYTES);
}
