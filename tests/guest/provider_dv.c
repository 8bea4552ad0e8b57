// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The direct interface: what a region has seen, which of its pages the NIC finds, which access of a queue pair was refused and why,
 * in numbers and in words. Structures of a caller that was built with an older or a newer header, and objects of another provider.
 */
#include "dv.h"
#include "pair.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 8
#define BYTES (PAGES * PAGE)

struct scene {
	struct pair pair;
	struct buf local, target;
};

static void begin(struct scene *s, int access)
{
	struct conn conn = CONN;

	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, 0, 0);
	buf_make(&s->local, s->pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&s->target, s->pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL | access);
}

static void end(struct scene *s)
{
	buf_free(&s->local);
	buf_free(&s->target);
	pair_close(&s->pair);
}

static void touch(struct scene *s, enum ibv_wr_opcode opcode, unsigned int page)
{
	struct ibv_sge sge = buf_sge(&s->local, 0, 8);
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, &s->target, page * PAGE);

	end_post(&s->pair.a, &wr);
	cq_success(s->pair.a.scq);
}

static struct rxe_odp_dv_mr_stats stats_of(struct ibv_mr *mr)
{
	struct rxe_odp_dv_mr_stats stats;

	memset(&stats, 0xee, sizeof(stats));
	assert_int_equal(DV(rxe_odp_dv_query_mr)(mr, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.comp_mask, 0);
	return stats;
}

static void devices(void **state)
{
	struct rxe_odp_dv_device_attr attr;
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	assert_true(DV(rxe_odp_dv_is_supported)(s.pair.rig.ctx->device));
	assert_false(DV(rxe_odp_dv_is_supported)(NULL));
	memset(&attr, 0xee, sizeof(attr));
	assert_int_equal(DV(rxe_odp_dv_query_device)(s.pair.rig.ctx, &attr, sizeof(attr)), 0);
	assert_int_equal(attr.comp_mask, 0);
	assert_int_equal(attr.page_bytes, PAGE);
	assert_true(attr.caps & RXE_ODP_DV_CAP_MR_STATS);
	assert_true(attr.caps & RXE_ODP_DV_CAP_QP_ERROR);
	assert_true(attr.caps & RXE_ODP_DV_CAP_RESIDENCY);
	assert_true(attr.caps & RXE_ODP_DV_CAP_PREFETCH);
	assert_int_equal(DV(rxe_odp_dv_query_device)(s.pair.rig.ctx, &attr, 8), EINVAL);
	assert_int_equal(DV(rxe_odp_dv_query_device)(NULL, &attr, sizeof(attr)), EINVAL);
	end(&s);
}

static void statistics(void **state)
{
	struct rxe_odp_dv_mr_stats stats;
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	buf_forget(&s.target);
	touch(&s, IBV_WR_RDMA_WRITE, 3);
	stats = stats_of(s.target.mr);
	assert_int_equal(stats.kind, RXE_ODP_DV_MR_ON_DEMAND);
	assert_int_equal(stats.key, s.target.mr->rkey);
	assert_int_equal(stats.faults, 1);
	assert_true(stats.fault_pages >= 1);
	assert_true(stats.resident_pages >= 1);
	assert_true(stats.table_bytes > 0);
	assert_true(stats.worst_fault_ns > 0);
	assert_int_equal(stats.failed_faults, 0);
	assert_zero(madvise(s.target.data, BYTES, MADV_DONTNEED));
	stats = stats_of(s.target.mr);
	assert_int_equal(stats.resident_pages, 0);
	assert_true(stats.invalidations >= 1);

	stats = stats_of(s.local.mr);
	assert_int_equal(stats.kind, RXE_ODP_DV_MR_PINNED);
	assert_int_equal(stats.resident_pages, 1);
	assert_int_equal(stats.faults, 0);
	end(&s);
}

/* What a caller has room for and this library does not know is zeroed; less than the first version is refused. */
static void statistics_of_other_sizes(void **state)
{
	uint8_t room[sizeof(struct rxe_odp_dv_mr_stats) + 64];
	struct scene s;
	size_t i;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	memset(room, 0xee, sizeof(room));
	assert_int_equal(DV(rxe_odp_dv_query_mr)(s.target.mr, (void *)room, sizeof(room)), 0);
	for (i = sizeof(struct rxe_odp_dv_mr_stats); i < sizeof(room); i++)
		assert_int_equal(room[i], 0);
	assert_int_equal(DV(rxe_odp_dv_query_mr)(s.target.mr, (void *)room, 16), EINVAL);
	assert_int_equal(DV(rxe_odp_dv_query_mr)(s.target.mr, (void *)room, 0), EINVAL);
	assert_int_equal(DV(rxe_odp_dv_query_mr)(NULL, (void *)room, sizeof(room)), EINVAL);
	end(&s);
}

static void residency_is(struct scene *s, const uint8_t *want)
{
	uint8_t got[PAGES];
	unsigned int i;

	memset(got, 0xee, sizeof(got));
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s->target.mr, (uintptr_t)s->target.data,
							BYTES, got, PAGES),
			 0);
	for (i = 0; i < PAGES; i++)
		if (got[i] != want[i])
			fail_because("page %u: %d and not %d", i, got[i], want[i]);
}

static void residency(void **state)
{
	const uint8_t p = RXE_ODP_DV_PAGE_PRESENT, pw = p | RXE_ODP_DV_PAGE_WRITABLE;
	uint8_t want[PAGES] = {}, got[PAGES + 1];
	struct scene s;
	uint64_t at;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	at = (uintptr_t)s.target.data;
	assert_zero(madvise(s.target.data, BYTES, MADV_DONTNEED));
	residency_is(&s, want);
	/* What lies around a page that is faulted is looked up as well, and is not there. */
	touch(&s, IBV_WR_RDMA_WRITE, 1);
	want[1] = pw;
	touch(&s, IBV_WR_RDMA_READ, 5);
	want[5] = p;
	residency_is(&s, want);

	/* The last byte of a page and the first of the next. */
	memset(got, 0xee, sizeof(got));
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, at + 2 * PAGE - 1, 2, got, 2),
			 0);
	assert_int_equal(got[0], pw);
	assert_int_equal(got[1], 0);
	assert_int_equal(got[2], 0xee);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, at + 2 * PAGE - 1, 2, got, 1),
			 EINVAL);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, at, 0, NULL, 0), 0);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, at + 1, BYTES, got, PAGES + 1),
			 EFAULT);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, UINT64_MAX, 2, got, PAGES),
			 EFAULT);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, at, PAGE, NULL, 1), EFAULT);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(NULL, at, PAGE, got, 1), EINVAL);
	end(&s);
}

static void words_are(const struct rxe_odp_dv_qp_error *error, const char *fmt, ...)
{
	char want[512], got[512], cut[20];
	va_list args;
	int len;

	va_start(args, fmt);
	vsnprintf(want, sizeof(want), fmt, args);
	va_end(args);
	len = DV(rxe_odp_dv_error_str)(error, sizeof(*error), got, sizeof(got));
	assert_string_equal(got, want);
	assert_int_equal(len, strlen(want));
	assert_int_equal(DV(rxe_odp_dv_error_str)(error, sizeof(*error), NULL, 0), len);
	assert_int_equal(DV(rxe_odp_dv_error_str)(error, sizeof(*error), cut, sizeof(cut)), len);
	assert_memory_equal(cut, want, sizeof(cut) - 1);
	assert_int_equal(cut[sizeof(cut) - 1], 0);
}

static struct rxe_odp_dv_qp_error error_of(struct ibv_qp *qp)
{
	struct rxe_odp_dv_qp_error error;

	memset(&error, 0xee, sizeof(error));
	assert_int_equal(DV(rxe_odp_dv_query_qp_error)(qp, &error, sizeof(error)), 0);
	assert_int_equal(error.comp_mask, 0);
	return error;
}

static void access_errors(void **state)
{
	struct rxe_odp_dv_qp_error error;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct scene s;
	uint64_t at;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	error = error_of(s.pair.b.qp);
	assert_int_equal(error.count, 0);
	words_are(&error, "no access was refused");

	at = (uintptr_t)s.target.data + 2 * PAGE;
	assert_zero(mprotect((void *)at, PAGE, PROT_READ));
	sge = buf_sge(&s.local, 0, 64);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &s.target, 2 * PAGE - 10);
	wr.wr_id = 0xabc;
	end_post(&s.pair.a, &wr);
	cq_expect(s.pair.a.scq, IBV_WC_REM_ACCESS_ERR);

	error = error_of(s.pair.b.qp);
	assert_int_equal(error.count, 1);
	assert_int_equal(error.side, RXE_ODP_DV_SIDE_REQUEST);
	assert_int_equal(error.reason, RXE_ODP_DV_REASON_MAP_ACCESS);
	assert_int_equal(error.fault_address, at);
	assert_int_equal(error.region_address, (uintptr_t)s.target.data);
	words_are(
		&error,
		"request of the peer, 64 bytes at %#lx to be written, key %#x: what is mapped does not permit it at %#lx; "
		"the region has %lu bytes at %#lx: local write, remote write, remote read, remote atomic, on demand",
		at - 10, s.target.mr->rkey, at, BYTES, (uintptr_t)s.target.data);

	error = error_of(s.pair.a.qp);
	assert_int_equal(error.side, RXE_ODP_DV_SIDE_PEER);
	words_are(
		&error,
		"send request 0xabc, 64 bytes at %#lx of the peer, key %#x: the peer refused, and its own queue pair knows why",
		at - 10, s.target.mr->rkey);

	error.side = 77;
	error.reason = 99;
	words_are(
		&error,
		"request, 64 bytes at %#lx to be read, key %#x: reason 99, which this library does not know",
		at - 10, s.target.mr->rkey);
	assert_int_equal(DV(rxe_odp_dv_error_str)(&error, 8, NULL, 0), -1);
	assert_int_equal(DV(rxe_odp_dv_error_str)(NULL, sizeof(error), NULL, 0), -1);
	assert_int_equal(DV(rxe_odp_dv_query_qp_error)(s.pair.a.qp, &error, 8), EINVAL);
	assert_int_equal(DV(rxe_odp_dv_query_qp_error)(NULL, &error, sizeof(error)), EINVAL);
	assert_zero(mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE));
	end(&s);
}

static struct rxe_odp_dv_prefetch *prefetch(struct scene *s,
					    const struct rxe_odp_dv_prefetch_attr *attr)
{
	struct rxe_odp_dv_prefetch *prefetch =
		DV(rxe_odp_dv_prefetch)(s->pair.rig.pd, attr, sizeof(*attr));

	if (!prefetch)
		fail_because("a prefetch is refused: errno %d", errno);
	return prefetch;
}

static struct rxe_odp_dv_prefetch_result result_of(struct rxe_odp_dv_prefetch *prefetch,
						   uint32_t *errors, uint32_t num)
{
	struct rxe_odp_dv_prefetch_result result;

	memset(&result, 0xee, sizeof(result));
	assert_int_equal(
		DV(rxe_odp_dv_query_prefetch)(prefetch, &result, sizeof(result), errors, num), 0);
	assert_int_equal(result.comp_mask, 0);
	return result;
}

static void prefetches(void **state)
{
	const uint8_t p = RXE_ODP_DV_PAGE_PRESENT, pw = p | RXE_ODP_DV_PAGE_WRITABLE;
	uint8_t want[PAGES] = { 0, pw, pw, 0, 0, 0, pw };
	struct rxe_odp_dv_prefetch *handle;
	struct rxe_odp_dv_prefetch_result result;
	struct rxe_odp_dv_prefetch_attr attr = {
		.user_data = 0x123456789abcdef0,
		.advice = IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
		.num_spans = 2,
	};
	struct rxe_odp_dv_span spans[2] = {};
	uint32_t errors[3] = { 7, 7, 7 };
	struct pollfd poll_for;
	struct scene s;
	eventfd_t count;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	assert_zero(madvise(s.target.data, BYTES, MADV_DONTNEED));
	spans[0] = (struct rxe_odp_dv_span){ (uintptr_t)s.target.data + PAGE, 2 * PAGE,
					     s.target.mr->lkey };
	spans[1] = (struct rxe_odp_dv_span){ (uintptr_t)s.target.data + 6 * PAGE, 1,
					     s.target.mr->lkey };
	attr.spans = spans;
	attr.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	handle = prefetch(&s, &attr);
	/* The library has copied what it needs. */
	memset(spans, 0xee, sizeof(spans));
	poll_for = (struct pollfd){ .fd = attr.eventfd, .events = POLLIN };
	assert_int_equal(poll(&poll_for, 1, BOUND_S * 1000), 1);
	assert_zero(eventfd_read(attr.eventfd, &count));
	assert_int_equal(count, 1);
	result = result_of(handle, errors, ARRAY_SIZE(errors));
	assert_int_equal(result.user_data, attr.user_data);
	assert_int_equal(result.num_spans, 2);
	assert_int_equal(result.ended_spans, 2);
	assert_int_equal(result.failed_spans, 0);
	assert_int_equal(errors[0], 0);
	assert_int_equal(errors[1], 0);
	assert_int_equal(errors[2], 7);
	residency_is(&s, want);
	assert_true(stats_of(s.target.mr).prefetched_pages >= 3);
	assert_int_equal(result_of(handle, NULL, 0).ended_spans, 2);
	assert_zero(DV(rxe_odp_dv_destroy_prefetch)(handle));
	close(attr.eventfd);
	end(&s);
}

/* What cannot be had is told span by span. */
static void prefetch_of_what_is_not_there(void **state)
{
	struct rxe_odp_dv_prefetch_attr attr = {
		.advice = IBV_ADVISE_MR_ADVICE_PREFETCH,
		.eventfd = eventfd(0, EFD_CLOEXEC),
		.num_spans = 4,
	};
	struct rxe_odp_dv_prefetch *handle;
	struct rxe_odp_dv_span spans[4];
	uint32_t errors[4];
	eventfd_t count;
	struct scene s;
	uint64_t at;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	at = (uintptr_t)s.target.data;
	spans[0] = (struct rxe_odp_dv_span){ at, PAGE, s.target.mr->lkey ^ 0x100 };
	spans[1] = (struct rxe_odp_dv_span){ at, PAGE, s.target.mr->lkey };
	spans[2] = (struct rxe_odp_dv_span){ at, BYTES + 1, s.target.mr->lkey };
	spans[3] = (struct rxe_odp_dv_span){ (uintptr_t)s.local.data, 1, s.local.mr->lkey };
	attr.spans = spans;
	handle = prefetch(&s, &attr);
	assert_zero(eventfd_read(attr.eventfd, &count));
	assert_int_equal(result_of(handle, errors, 4).failed_spans, 3);
	assert_int_equal(errors[0], ENOENT);
	assert_int_equal(errors[1], 0);
	assert_int_equal(errors[2], EFAULT);
	assert_int_equal(errors[3], EINVAL);
	assert_zero(DV(rxe_odp_dv_destroy_prefetch)(handle));
	close(attr.eventfd);
	end(&s);
}

/* One span after the other: the first never comes, the second has not begun. Cancelled, it ends. */
static void prefetch_of_what_never_comes(void **state)
{
	struct rxe_odp_dv_prefetch_attr attr = {
		.advice = IBV_ADVISE_MR_ADVICE_PREFETCH,
		.eventfd = -1,
		.num_spans = 2,
	};
	struct rxe_odp_dv_prefetch_result result;
	struct rxe_odp_dv_prefetch *handle;
	struct rxe_odp_dv_span spans[2];
	uint32_t errors[2];
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	assert_zero(madvise(s.target.data, BYTES, MADV_DONTNEED));
	uffd_register(&u, s.target.data, BYTES);
	spans[0] = (struct rxe_odp_dv_span){ (uintptr_t)s.target.data, PAGE, s.target.mr->lkey };
	spans[1] = spans[0];
	attr.spans = spans;
	handle = prefetch(&s, &attr);
	assert_ptr_equal(uffd_next(&u, BOUND_S * 1000), s.target.data);
	result = result_of(handle, errors, 2);
	assert_int_equal(result.ended_spans, 0);
	assert_int_equal(errors[0], EINPROGRESS);
	assert_int_equal(errors[1], EINPROGRESS);
	assert_zero(DV(rxe_odp_dv_destroy_prefetch)(handle));
	uffd_close(&u);
	end(&s);
}

static void refuse_prefetch(struct scene *s, const struct rxe_odp_dv_prefetch_attr *attr,
			    size_t size, int err)
{
	errno = 0;
	assert_null(DV(rxe_odp_dv_prefetch)(s->pair.rig.pd, attr, size));
	assert_int_equal(errno, err);
}

static void prefetches_refused(void **state)
{
	struct {
		struct rxe_odp_dv_prefetch_attr attr;
		uint64_t later;
	} newer = {};
	struct rxe_odp_dv_prefetch_attr good = {
		.advice = IBV_ADVISE_MR_ADVICE_PREFETCH,
		.eventfd = -1,
		.num_spans = 1,
	}, bad;
	struct rxe_odp_dv_prefetch_result result;
	struct rxe_odp_dv_span span;
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	span = (struct rxe_odp_dv_span){ (uintptr_t)s.target.data, PAGE, s.target.mr->lkey };
	good.spans = &span;
	bad = good;
	bad.num_spans = 0;
	refuse_prefetch(&s, &bad, sizeof(bad), EINVAL);
	bad = good;
	bad.num_spans = 2731;
	refuse_prefetch(&s, &bad, sizeof(bad), E2BIG);
	bad = good;
	bad.comp_mask = 1;
	refuse_prefetch(&s, &bad, sizeof(bad), EOPNOTSUPP);
	bad = good;
	bad.reserved = 1;
	refuse_prefetch(&s, &bad, sizeof(bad), EOPNOTSUPP);
	bad = good;
	bad.advice = 99;
	refuse_prefetch(&s, &bad, sizeof(bad), EOPNOTSUPP);
	bad = good;
	bad.eventfd = s.pair.rig.ctx->cmd_fd;
	refuse_prefetch(&s, &bad, sizeof(bad), EINVAL);
	bad.eventfd = 12345;
	refuse_prefetch(&s, &bad, sizeof(bad), EBADF);
	refuse_prefetch(&s, &good, 8, EINVAL);
	refuse_prefetch(&s, NULL, sizeof(good), EINVAL);
	newer.attr = good;
	newer.later = 1;
	refuse_prefetch(&s, &newer.attr, sizeof(newer), EOPNOTSUPP);
	newer.later = 0;
	assert_zero(DV(rxe_odp_dv_destroy_prefetch)(
		DV(rxe_odp_dv_prefetch)(s.pair.rig.pd, &newer.attr, sizeof(newer))));
	assert_null(DV(rxe_odp_dv_prefetch)(NULL, &good, sizeof(good)));
	assert_int_equal(DV(rxe_odp_dv_query_prefetch)(NULL, &result, sizeof(result), NULL, 0),
			 EINVAL);
	assert_int_equal(DV(rxe_odp_dv_destroy_prefetch)(NULL), EINVAL);
	end(&s);
}

static void imported(void **state)
{
	struct rxe_odp_dv_mr_stats stats;
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	ctx = ibv_import_device(dup(s.pair.rig.ctx->cmd_fd));
	assert_non_null(ctx);
	pd = ibv_import_pd(ctx, s.pair.rig.pd->handle);
	assert_non_null(pd);
	mr = ibv_import_mr(pd, s.target.mr->handle);
	assert_non_null(mr);
	stats = stats_of(mr);
	assert_int_equal(stats.key, s.target.mr->rkey);
	ibv_unimport_mr(mr);
	ibv_unimport_pd(pd);
	assert_zero(ibv_close_device(ctx));
	end(&s);
}

/* Devices that librxe drives in this process: the library comes later. */
static void of_another_provider(void **state)
{
	struct rxe_odp_dv_device_attr attr = { .caps = 1 };
	struct rxe_odp_dv_mr_stats stats = { .key = 1 };
	struct rxe_odp_dv_qp_error error = { .key = 1 };
	struct rxe_odp_dv_span span = {};
	struct rxe_odp_dv_prefetch_attr prefetch = { .spans = &span, .num_spans = 1 };
	uint8_t page = 7;
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_ON_DEMAND);
	refuse_prefetch(&s, &prefetch, sizeof(prefetch), EOPNOTSUPP);
	assert_false(DV(rxe_odp_dv_is_supported)(s.pair.rig.ctx->device));
	assert_int_equal(DV(rxe_odp_dv_query_device)(s.pair.rig.ctx, &attr, sizeof(attr)),
			 EOPNOTSUPP);
	assert_int_equal(DV(rxe_odp_dv_query_mr)(s.target.mr, &stats, sizeof(stats)), EOPNOTSUPP);
	assert_int_equal(DV(rxe_odp_dv_query_residency)(s.target.mr, (uintptr_t)s.target.data, 1,
							&page, 1),
			 EOPNOTSUPP);
	assert_int_equal(DV(rxe_odp_dv_query_qp_error)(s.pair.a.qp, &error, sizeof(error)),
			 EOPNOTSUPP);
	assert_int_equal(attr.caps, 1);
	assert_int_equal(stats.key, 1);
	assert_int_equal(error.key, 1);
	assert_int_equal(page, 7);
	end(&s);
}

int main(void)
{
	static const struct CMUnitTest foreign[] = { TEST(of_another_provider) };
	static const struct CMUnitTest tests[] = { TEST(devices),
						   TEST(statistics),
						   TEST(statistics_of_other_sizes),
						   TEST(residency),
						   TEST(access_errors),
						   TEST(prefetches),
						   TEST(prefetch_of_what_is_not_there),
						   TEST(prefetch_of_what_never_comes),
						   TEST(prefetches_refused),
						   TEST(imported) };
	int status;
	pid_t child = fork();

	if (!child)
		exit(test_run(foreign, ARRAY_SIZE(foreign)));
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		return 1;
	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
