// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "mem.h"
#include "pattern.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define HUGE_BYTES (2 * MIB)

const char *mem_name(enum mem kind)
{
	static const char *const names[MEM_KINDS] = {
		[MEM_ANON] = "anonymous",
		[MEM_SHARED] = "shared",
		[MEM_PRIVATE_FILE] = "private file",
		[MEM_HUGE] = "huge",
	};

	return names[kind];
}

static void *map_or_fail(size_t bytes, int flags, int fd)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (map == MAP_FAILED)
		fail_because("mmap of %zu bytes: errno %d", bytes, errno);
	return map;
}

static void map_huge(struct buf *buf)
{
	uint8_t *raw = map_or_fail(buf->map_bytes + HUGE_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uintptr_t start = ((uintptr_t)raw + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	size_t before = start - (uintptr_t)raw;

	if (before)
		munmap(raw, before);
	munmap((uint8_t *)start + buf->map_bytes, HUGE_BYTES - before);
	buf->map = (uint8_t *)start;
	madvise(buf->map, buf->map_bytes, MADV_HUGEPAGE);
}

void buf_map(struct buf *buf, enum mem kind, size_t bytes, size_t page_offset)
{
	size_t align = kind == MEM_HUGE ? HUGE_BYTES : PAGE;

	memset(buf, 0, sizeof(*buf));
	buf->kind = kind;
	buf->fd = -1;
	buf->bytes = bytes;
	buf->guard_before = GUARD_BYTES + page_offset;
	buf->map_bytes = (buf->guard_before + bytes + GUARD_BYTES + align - 1) & ~(align - 1);
	buf->guard_after = buf->map_bytes - buf->guard_before - bytes;
	switch (kind) {
	case MEM_SHARED:
	case MEM_PRIVATE_FILE:
		buf->fd = memfd_create("rdma-odp-test", MFD_CLOEXEC);
		assert_true(buf->fd >= 0);
		assert_zero(ftruncate(buf->fd, buf->map_bytes));
		buf->map = map_or_fail(buf->map_bytes,
				       kind == MEM_SHARED ? MAP_SHARED : MAP_PRIVATE, buf->fd);
		buf->alias = map_or_fail(buf->map_bytes, MAP_SHARED, buf->fd);
		break;
	case MEM_HUGE:
		map_huge(buf);
		break;
	default:
		buf->map = map_or_fail(buf->map_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
	buf->data = buf->map + buf->guard_before;
	memset(buf->map, GUARD_FILL, buf->guard_before);
	memset(buf->data + bytes, GUARD_FILL, buf->guard_after);
}

void buf_reg(struct buf *buf, struct ibv_pd *pd, int access)
{
	errno = 0;
	buf->mr = ibv_reg_mr(pd, buf->data, buf->bytes, access);
	if (!buf->mr)
		fail_because("ibv_reg_mr of %zu bytes of %s memory, access %#x: errno %d",
			     buf->bytes, mem_name(buf->kind), access, errno);
}

void buf_make(struct buf *buf, struct ibv_pd *pd, enum mem kind, size_t bytes, size_t page_offset,
	      int access)
{
	buf_map(buf, kind, bytes, page_offset);
	buf_reg(buf, pd, access);
}

void buf_dereg(struct buf *buf)
{
	assert_zero(ibv_dereg_mr(buf->mr));
	buf->mr = NULL;
}

static size_t first_touched(const uint8_t *guard, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (guard[i] != GUARD_FILL)
			break;
	return i;
}

void buf_check_guards_at(const char *file, int line, const struct buf *buf)
{
	size_t before = first_touched(buf->map, buf->guard_before);
	size_t after = first_touched(buf->data + buf->bytes, buf->guard_after);

	if (before != buf->guard_before)
		fail_at(file, line, "a byte %zu before the target was changed",
			buf->guard_before - before);
	if (after != buf->guard_after)
		fail_at(file, line, "a byte %zu behind the target was changed", after);
}

void buf_free_at(const char *file, int line, struct buf *buf)
{
	buf_check_guards_at(file, line, buf);
	if (buf->mr)
		buf_dereg(buf);
	munmap(buf->map, buf->map_bytes);
	if (buf->alias)
		munmap(buf->alias, buf->map_bytes);
	if (buf->fd >= 0)
		close(buf->fd);
	memset(buf, 0, sizeof(*buf));
}

void buf_forget(struct buf *buf)
{
	uintptr_t from = ((uintptr_t)buf->data + PAGE - 1) & ~(PAGE - 1);
	uintptr_t to = ((uintptr_t)buf->data + buf->bytes) & ~(PAGE - 1);

	if (from < to)
		assert_zero(madvise((void *)from, to - from, MADV_DONTNEED));
}

size_t mem_resident(void *addr, size_t bytes)
{
	size_t pages = (bytes + PAGE - 1) / PAGE, num = 0, i;
	unsigned char *vec = malloc(pages);

	assert_non_null(vec);
	assert_zero(mincore(addr, bytes, vec));
	for (i = 0; i < pages; i++)
		num += vec[i] & 1;
	free(vec);
	return num;
}

uint64_t pagemap_entry(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &entry, 8, (uintptr_t)addr / PAGE * 8), 8);
	close(fd);
	return entry;
}

struct ibv_sge buf_sge(const struct buf *buf, size_t offset, size_t bytes)
{
	return (struct ibv_sge){
		.addr = (uintptr_t)buf->data + offset,
		.length = bytes,
		.lkey = buf->mr ? buf->mr->lkey : 0,
	};
}

void uffd_register(struct uffd *u, void *addr, size_t bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)addr, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	memset(u, 0, sizeof(*u));
	u->addr = addr;
	u->bytes = bytes;
	u->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (u->fd < 0)
		skip_because("userfaultfd: errno %d", errno);
	assert_zero(ioctl(u->fd, UFFDIO_API, &api));
	assert_zero(ioctl(u->fd, UFFDIO_REGISTER, &reg));
}

int mem_collapse(void *addr, size_t bytes)
{
	double last = seconds() + env_number("TEST_BOUND_S", 60);
	int rc;

	while ((rc = madvise(addr, bytes, MADV_COLLAPSE)) && errno == EAGAIN && seconds() < last)
		usleep(1000);
	return rc;
}

static void *uffd_thread(void *arg)
{
	struct uffd *u = arg;
	struct pollfd fds[2] = { { u->fd, POLLIN, 0 }, { u->wake[0], POLLIN, 0 } };
	struct timespec delay = { u->delay_us / 1000000, u->delay_us % 1000000 * 1000 };
	uint8_t *page = aligned_alloc(PAGE, PAGE);
	struct uffd_msg msg;

	while (!u->stop) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = PAGE };
		uintptr_t at;

		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			continue;
		if (read(u->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		u->asked++;
		if (u->delay_us) {
			ppoll(&fds[1], 1, &delay, NULL);
			while (u->held && !u->stop)
				usleep(1000);
			if (u->stop)
				break;
		}
		at = msg.arg.pagefault.address & ~(PAGE - 1);
		pattern_fill(page, PAGE, u->seed, at - (uintptr_t)u->addr);
		copy.dst = at;
		/* EEXIST: the page came meanwhile; who waits for it must still be told. */
		if (ioctl(u->fd, UFFDIO_COPY, &copy) && errno == EEXIST) {
			struct uffdio_range range = { .start = at, .len = PAGE };

			ioctl(u->fd, UFFDIO_WAKE, &range);
		}
	}
	free(page);
	return NULL;
}

void uffd_serve_us(struct uffd *u, uint32_t seed, unsigned int delay_us)
{
	pthread_t thread;

	u->seed = seed;
	u->delay_us = delay_us;
	assert_zero(pipe2(u->wake, O_CLOEXEC));
	assert_zero(pthread_create(&thread, NULL, uffd_thread, u));
	u->thread = thread;
}

void uffd_serve(struct uffd *u, uint32_t seed, unsigned int delay_ms)
{
	uffd_serve_us(u, seed, delay_ms * 1000);
}

void uffd_close(struct uffd *u)
{
	if (u->thread) {
		u->stop = true;
		assert_int_equal(write(u->wake[1], "", 1), 1);
		pthread_join(u->thread, NULL);
		close(u->wake[0]);
		close(u->wake[1]);
	}
	close(u->fd);
	memset(u, 0, sizeof(*u));
}

uint8_t *uffd_next(struct uffd *u, int timeout_ms)
{
	struct pollfd p = { .fd = u->fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, timeout_ms) != 1)
		return NULL;
	assert_int_equal(read(u->fd, &msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
	return (uint8_t *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1));
}

unsigned int uffd_await(struct uffd *u, unsigned int pages)
{
	unsigned int num;

	for (num = 0; num < pages; num++)
		if (!uffd_next(u, num ? 1000 : 60000))
			break;
	return num;
}

void uffd_give_zeros(struct uffd *u, void *addr, size_t bytes)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)addr, bytes } };

	/* EAGAIN: the address space was changing, and some are there. */
	while (ioctl(u->fd, UFFDIO_ZEROPAGE, &zero)) {
		if (errno == ESRCH)
			break;
		if (errno != EAGAIN)
			fail_because("UFFDIO_ZEROPAGE: %s", strerror(errno));
		if (zero.zeropage > 0) {
			zero.range.start += zero.zeropage;
			zero.range.len -= zero.zeropage;
		}
	}
}
