// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A prefetch as an object: an eventfd tells that it has ended, and it says what became of each span. Destroyed, or its region or the
 * whole context gone, in the middle of it, nothing waits for a page that never comes.
 *
 * rdma-odp: timeout 120
 */
#include "method.h"
#include "pair.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 40UL
#define READ  IBV_ADVISE_MR_ADVICE_PREFETCH
#define WRITE IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE
#define LOOK  IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT
#define SPANS 8

struct scene {
	struct rig rig;
	uint8_t *map;
	struct ibv_mr *mr;
	int event;
};

static void begin(struct scene *s)
{
	rig_open(&s->rig);
	rig_need_odp(&s->rig, 0, 0);
	s->map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(s->map, MAP_FAILED);
	madvise(s->map, PAGES * PAGE, MADV_NOHUGEPAGE);
	s->mr = ibv_reg_mr(s->rig.pd, s->map, PAGES * PAGE, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(s->mr);
	s->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(s->event >= 0);
}

static void end(struct scene *s)
{
	if (s->mr)
		assert_zero(ibv_dereg_mr(s->mr));
	munmap(s->map, PAGES * PAGE);
	close(s->event);
	rig_close(&s->rig);
}

static struct rxe_odp_span span(const struct scene *s, size_t first, size_t pages)
{
	return (struct rxe_odp_span){ .address = (uintptr_t)s->map + first * PAGE,
				      .length = pages * PAGE,
				      .key = s->mr->lkey };
}

static struct rxe_odp_prefetch request(const struct scene *s, uint32_t advice)
{
	return (struct rxe_odp_prefetch){ 0xabcdef0123456789, advice, s->event };
}

static int start_as(const struct scene *s, const void *req, size_t bytes,
		    const struct rxe_odp_span *spans, size_t num, uint32_t *handle)
{
	struct method m = method_of(RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_START);
	int err;

	method_handle(&m, RXE_ODP_ATTR_PREFETCH_START_HANDLE, 0);
	method_handle(&m, RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE, s->rig.pd->handle);
	method_in(&m, RXE_ODP_ATTR_PREFETCH_START_REQ, req, bytes);
	method_in(&m, RXE_ODP_ATTR_PREFETCH_START_SPANS, spans, num * sizeof(*spans));
	err = method_call(s->rig.ctx->cmd_fd, &m);
	*handle = m.attrs[0].data;
	return err;
}

static int start(const struct scene *s, uint32_t advice, const struct rxe_odp_span *spans,
		 size_t num, uint32_t *handle)
{
	struct rxe_odp_prefetch req = request(s, advice);

	return start_as(s, &req, sizeof(req), spans, num, handle);
}

static int query(const struct scene *s, uint32_t handle, struct rxe_odp_prefetch_result *result,
		 uint32_t *errors, size_t num)
{
	struct method m = method_of(RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_QUERY);

	method_handle(&m, RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE, handle);
	method_out(&m, RXE_ODP_ATTR_PREFETCH_QUERY_RESP, result, sizeof(*result));
	if (errors)
		method_out(&m, RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS, errors,
			   num * sizeof(*errors));
	return method_call(s->rig.ctx->cmd_fd, &m);
}

static int destroy(const struct scene *s, uint32_t handle)
{
	struct method m = method_of(RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_DESTROY);

	method_handle(&m, RXE_ODP_ATTR_PREFETCH_DESTROY_HANDLE, handle);
	return method_call(s->rig.ctx->cmd_fd, &m);
}

static bool signalled(const struct scene *s, int timeout_ms)
{
	struct pollfd fd = { .fd = s->event, .events = POLLIN };
	uint64_t count;

	if (poll(&fd, 1, timeout_ms) != 1)
		return false;
	assert_int_equal(read(s->event, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	return true;
}

static struct rxe_odp_prefetch_result ended(const struct scene *s, uint32_t handle,
					    uint32_t *errors, size_t num)
{
	struct rxe_odp_prefetch_result result;

	assert_true(signalled(s, BOUND_S * 1000));
	assert_int_equal(query(s, handle, &result, errors, num), 0);
	assert_int_equal(result.user_data, 0xabcdef0123456789);
	assert_int_equal(result.ended_spans, result.num_spans);
	return result;
}

static void tells_when_it_has_ended(void **state)
{
	static const uint32_t advices[] = { READ, WRITE, LOOK };
	struct rxe_odp_prefetch_result result;
	struct rxe_odp_span spans[3];
	uint32_t handle, errors[3];
	uint8_t got[PAGES];
	struct scene s;
	uint64_t nr;
	size_t i;

	(void)state;
	begin(&s);
	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		assert_zero(madvise(s.map, PAGES * PAGE, MADV_DONTNEED));
		memset(s.map + PAGE, 1, PAGE);
		spans[0] = span(&s, 0, 3);
		spans[1] = span(&s, 10, 0);
		spans[2] = span(&s, 20, 2);
		assert_int_equal(start(&s, advices[i], spans, 3, &handle), 0);
		result = ended(&s, handle, errors, 3);
		assert_int_equal(result.num_spans, 3);
		assert_int_equal(result.failed_spans, 0);
		assert_int_equal(errors[0] | errors[1] | errors[2], 0);
		assert_int_equal(mr_residency(s.mr, s.map, PAGES * PAGE, got, &nr), 0);
		assert_int_equal(got[1] & RXE_ODP_PAGE_PRESENT, RXE_ODP_PAGE_PRESENT);
		assert_int_equal(!!got[21], advices[i] != LOOK);
		assert_int_equal(!!(got[21] & RXE_ODP_PAGE_WRITABLE), advices[i] == WRITE);
		assert_int_equal(got[3], 0);
		assert_int_equal(destroy(&s, handle), 0);
		assert_int_equal(query(&s, handle, &result, NULL, 0), ENOENT);
	}
	assert_false(signalled(&s, 0));
	end(&s);
}

static void says_what_became_of_each_span(void **state)
{
	struct rxe_odp_prefetch_result result;
	uint32_t handle, errors[SPANS];
	struct rxe_odp_span spans[SPANS];
	struct ibv_mr *pinned, *reads;
	struct scene s;

	(void)state;
	begin(&s);
	pinned = ibv_reg_mr(s.rig.pd, s.map, PAGE, ACCESS_ALL);
	reads = ibv_reg_mr(s.rig.pd, s.map, PAGE, IBV_ACCESS_REMOTE_READ | IBV_ACCESS_ON_DEMAND);
	assert_true(pinned && reads);
	munmap(s.map + 5 * PAGE, PAGE);
	spans[0] = span(&s, 0, 1);
	spans[1] = span(&s, 0, 1);
	spans[1].key ^= 1;
	spans[2] = span(&s, 0, 1);
	spans[2].key = pinned->lkey;
	spans[3] = span(&s, 0, 1);
	spans[3].key = reads->lkey;
	spans[4] = span(&s, PAGES, 1);
	spans[5] = span(&s, 4, 3);
	spans[6] = (struct rxe_odp_span){ .address = 1, .length = ~0ULL, .key = s.mr->lkey };
	spans[7] = span(&s, PAGES - 1, 1);
	assert_int_equal(start(&s, WRITE, spans, SPANS, &handle), 0);
	result = ended(&s, handle, errors, SPANS);
	assert_int_equal(result.failed_spans, 6);
	assert_int_equal(errors[0], 0);
	assert_int_equal(errors[1], ENOENT);
	assert_int_equal(errors[2], EINVAL);
	assert_int_equal(errors[3], EPERM);
	assert_int_equal(errors[4], EFAULT);
	assert_int_equal(errors[5], EFAULT);
	assert_int_equal(errors[6], EFAULT);
	assert_int_equal(errors[7], 0);
	/* Nobody has to destroy it. */
	assert_zero(ibv_dereg_mr(pinned));
	assert_zero(ibv_dereg_mr(reads));
	end(&s);
}

static void hang(struct scene *s, struct uffd *u, uint32_t *handle)
{
	struct rxe_odp_prefetch_result result;
	struct rxe_odp_span spans[2];
	uint32_t errors[2];

	uffd_register(u, s->map, PAGES * PAGE);
	spans[0] = span(s, 3, 1);
	spans[1] = span(s, 7, 1);
	assert_int_equal(start(s, WRITE, spans, 2, handle), 0);
	assert_ptr_equal(uffd_next(u, BOUND_S * 1000), s->map + 3 * PAGE);
	assert_int_equal(query(s, *handle, &result, errors, 2), 0);
	assert_int_equal(result.ended_spans, 0);
	assert_int_equal(errors[0], EINPROGRESS);
	assert_int_equal(errors[1], EINPROGRESS);
	assert_false(signalled(s, 0));
}

static void destroyed_while_it_hangs(void **state)
{
	uint32_t handle;
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s);
	hang(&s, &u, &handle);
	assert_int_equal(destroy(&s, handle), 0);
	assert_false(signalled(&s, 0));
	assert_int_equal(destroy(&s, handle), ENOENT);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	uffd_close(&u);
	end(&s);
}

static void deregistered_while_it_hangs(void **state)
{
	struct rxe_odp_prefetch_result result;
	uint32_t handle, errors[2];
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s);
	hang(&s, &u, &handle);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	result = ended(&s, handle, errors, 2);
	assert_int_equal(result.failed_spans, 2);
	assert_int_equal(errors[0], ENOENT);
	assert_int_equal(errors[1], ENOENT);
	assert_int_equal(destroy(&s, handle), 0);
	uffd_close(&u);
	end(&s);
}

static void context_closed_while_it_hangs(void **state)
{
	uint32_t handle;
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s);
	hang(&s, &u, &handle);
	/* Without a word to the kernel beforehand. */
	close(s.rig.ctx->cmd_fd);
	s.rig.ctx->cmd_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_false(signalled(&s, 0));
	uffd_close(&u);
	munmap(s.map, PAGES * PAGE);
	close(s.event);
}

static void refused(void **state)
{
	struct rxe_odp_prefetch req;
	struct rxe_odp_prefetch_result result;
	struct rxe_odp_span one;
	uint8_t longer[64] = { 0 };
	uint32_t handle;
	struct scene s;
	int pipes[2];

	(void)state;
	begin(&s);
	one = span(&s, 0, 1);
	req = request(&s, 77);
	assert_int_equal(start_as(&s, &req, sizeof(req), &one, 1, &handle), EOPNOTSUPP);
	req = request(&s, READ);
	assert_int_not_equal(start_as(&s, &req, sizeof(req), &one, 0, &handle), 0);
	assert_int_equal(start_as(&s, &req, sizeof(req) - 1, &one, 1, &handle), EINVAL);
	memcpy(longer, &req, sizeof(req));
	assert_int_equal(start_as(&s, longer, sizeof(longer), &one, 1, &handle), 0);
	assert_true(signalled(&s, BOUND_S * 1000));
	longer[40] = 1;
	assert_int_equal(start_as(&s, longer, sizeof(longer), &one, 1, &handle), EOPNOTSUPP);
	one.reserved = 1;
	assert_int_equal(start(&s, READ, &one, 1, &handle), EOPNOTSUPP);
	one.reserved = 0;
	assert_zero(pipe(pipes));
	req.eventfd = pipes[0];
	assert_int_equal(start_as(&s, &req, sizeof(req), &one, 1, &handle), EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(start_as(&s, &req, sizeof(req), &one, 1, &handle), EBADF);
	/* Without one it is asked for how far it is. */
	req.eventfd = -1;
	assert_int_equal(start_as(&s, &req, sizeof(req), &one, 1, &handle), 0);
	do {
		assert_int_equal(query(&s, handle, &result, NULL, 0), 0);
	} while (result.ended_spans != 1);
	assert_int_not_equal(query(&s, s.mr->handle, &result, NULL, 0), 0);
	assert_int_not_equal(destroy(&s, s.mr->handle), 0);
	assert_int_equal(destroy(&s, handle), 0);
	end(&s);
}

struct dropper {
	pthread_t thread;
	struct scene *scene;
	bool stop;
};

static void *drop_pages(void *arg)
{
	struct dropper *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED))
		madvise(d->scene->map, PAGES * PAGE, MADV_DONTNEED);
	return NULL;
}

/* Destroyed at any moment of it. */
static void destroyed_meanwhile(void **state)
{
	struct dropper d = { 0 };
	struct rxe_odp_span spans[SPANS];
	uint32_t handle;
	struct scene s;
	int i, k;

	(void)state;
	begin(&s);
	d.scene = &s;
	assert_zero(pthread_create(&d.thread, NULL, drop_pages, &d));
	for (i = 0; i < 500; i++) {
		for (k = 0; k < SPANS; k++)
			spans[k] = span(&s, (i + 5 * k) % PAGES, 1);
		assert_int_equal(start(&s, i % 2 ? READ : WRITE, spans, SPANS, &handle), 0);
		if (i % 4 == 3)
			signalled(&s, i % 8);
		assert_int_equal(destroy(&s, handle), 0);
		/* One that ends at this moment may still tell so. */
		close(s.event);
		s.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(s.event >= 0);
	}
	__atomic_store_n(&d.stop, true, __ATOMIC_RELAXED);
	pthread_join(d.thread, NULL);
	end(&s);
}

TEST_MAIN(TEST(tells_when_it_has_ended), TEST(says_what_became_of_each_span),
	  TEST(destroyed_while_it_hangs), TEST(deregistered_while_it_hangs),
	  TEST(context_closed_while_it_hangs), TEST(refused), TEST(destroyed_meanwhile))
