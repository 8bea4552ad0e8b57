// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Advice to prefetch: what it brings in, waited for or not; what it refuses; and that one whose page never comes holds up nobody: not
 * the deregistration, not the end of a process, not the faults of others.
 *
 * rdma-odp: timeout 120
 */
#include "method.h"
#include "mw.h"
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ  IBV_ADVISE_MR_ADVICE_PREFETCH
#define WRITE IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE
#define LOOK  IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT
#define FLUSH IBV_ADVISE_MR_FLAG_FLUSH

#define PAGES 40UL
#define P     RXE_ODP_PAGE_PRESENT
#define W     RXE_ODP_PAGE_WRITABLE
#define ODP   IBV_ACCESS_ON_DEMAND

struct scene {
	struct rig rig;
	uint8_t *map;
	struct ibv_mr *mr;
	uint8_t want[PAGES];
};

static uint8_t *map_pages(size_t pages)
{
	uint8_t *map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	madvise(map, pages * PAGE, MADV_NOHUGEPAGE);
	return map;
}

static void begin(struct scene *s, int access)
{
	memset(s, 0, sizeof(*s));
	rig_open(&s->rig);
	rig_need_odp(&s->rig, 0, 0);
	s->map = map_pages(PAGES);
	s->mr = ibv_reg_mr(s->rig.pd, s->map, PAGES * PAGE, access);
	assert_non_null(s->mr);
}

static void end(struct scene *s)
{
	if (s->mr)
		assert_zero(ibv_dereg_mr(s->mr));
	munmap(s->map, PAGES * PAGE);
	rig_close(&s->rig);
}

static struct ibv_sge span(const struct scene *s, size_t first, size_t pages)
{
	return (struct ibv_sge){ (uintptr_t)s->map + first * PAGE, pages * PAGE, s->mr->lkey };
}

static void read_residency(const struct scene *s, uint8_t got[PAGES])
{
	uint64_t nr = 0;

	assert_int_equal(mr_residency(s->mr, s->map, PAGES * PAGE, got, &nr), 0);
	assert_int_equal(nr, PAGES);
}

static void check_at(int line, const struct scene *s)
{
	uint8_t got[PAGES];
	size_t i;

	read_residency(s, got);
	for (i = 0; i < PAGES; i++)
		if (got[i] != s->want[i])
			fail_because("line %d, page %zu: %d and not %d", line, i, got[i],
				     s->want[i]);
}
#define check(s) check_at(__LINE__, s)

static struct rxe_odp_mr_stats stats_of(const struct scene *s)
{
	struct rxe_odp_mr_stats stats;

	assert_int_equal(mr_stats(s->mr, &stats, sizeof(stats)), 0);
	return stats;
}

static void brings_in(void **state)
{
	struct rxe_odp_mr_stats stats;
	struct ibv_sge list[2];
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	list[0] = span(&s, 1, 3);
	list[1] = span(&s, 10, 5);
	/* Not at a page's begin nor end. */
	list[1].addr += 100;
	list[1].length -= 200;
	assert_int_equal(mr_advise(s.rig.pd, READ, FLUSH, list, 2), 0);
	memset(s.want + 1, P, 3);
	memset(s.want + 10, P, 5);
	check(&s);
	stats = stats_of(&s);
	assert_int_equal(stats.prefetched_pages, 8);
	assert_int_equal(stats.faults, 0);
	assert_int_equal(stats.fault_pages, 0);

	assert_int_equal(mr_advise(s.rig.pd, WRITE, FLUSH, list, 1), 0);
	memset(s.want + 1, P | W, 3);
	check(&s);
	/* Once more: nothing is to be done. */
	assert_int_equal(mr_advise(s.rig.pd, WRITE, FLUSH, list, 1), 0);
	assert_int_equal(stats_of(&s).prefetched_pages, 11);
	end(&s);
}

static void await(const struct scene *s)
{
	double until = seconds() + BOUND_S;
	uint8_t got[PAGES];

	do {
		read_residency(s, got);
		if (!memcmp(got, s->want, PAGES))
			return;
		usleep(1000);
	} while (seconds() < until);
	check(s);
}

static void brings_in_later(void **state)
{
	struct ibv_sge list[3];
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	list[0] = span(&s, 0, 7);
	list[1] = span(&s, 20, 0);
	list[2] = span(&s, PAGES - 1, 1);
	assert_int_equal(mr_advise(s.rig.pd, WRITE, 0, list, 3), 0);
	memset(s.want, P | W, 7);
	s.want[PAGES - 1] = P | W;
	await(&s);
	/* All there: it ends at once. */
	assert_int_equal(mr_advise(s.rig.pd, READ, 0, list, 3), 0);
	/* What cannot be had is left out, what follows is not. */
	munmap(s.map + 30 * PAGE, PAGE);
	list[0] = span(&s, 28, 4);
	list[1] = span(&s, 35, 2);
	assert_int_equal(mr_advise(s.rig.pd, READ, 0, list, 2), 0);
	memset(s.want + 28, P, 2);
	memset(s.want + 35, P, 2);
	await(&s);
	end(&s);
}

static void looks_only(void **state)
{
	struct ibv_sge all;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	all = span(&s, 0, PAGES);
	memset(s.map + 3 * PAGE, 1, 2 * PAGE);
	memset(s.map + 30 * PAGE, 1, PAGE);
	/* A hole, and a mapping that nobody may touch: passed by. */
	munmap(s.map + 5 * PAGE, 4 * PAGE);
	assert_zero(mprotect(s.map + 10 * PAGE, PAGE, PROT_NONE));
	assert_int_equal(mr_advise(s.rig.pd, LOOK, FLUSH, &all, 1), 0);
	memset(s.want + 3, P, 2);
	s.want[30] = P;
	check(&s);
	assert_int_equal(stats_of(&s).prefetched_pages, 3);
	memset(s.map + (PAGES - 1) * PAGE, 1, PAGE);
	s.want[PAGES - 1] = P;
	assert_int_equal(mr_advise(s.rig.pd, LOOK, 0, &all, 1), 0);
	check(&s);
	end(&s);
}

/* What a huge span that nothing is mapped in costs is bounded by what is mapped around it. */
static void looks_at_much(void **state)
{
	struct ibv_sge sge;
	struct ibv_mr *mr;
	struct rig rig;
	uint8_t *map;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	map = mmap(NULL, 3 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	mr = ibv_reg_mr(rig.pd, map, 3 * GIB, ODP);
	assert_non_null(mr);
	sge = (struct ibv_sge){ (uintptr_t)map, (uint32_t)(3 * GIB), mr->lkey };
	assert_int_equal(mr_advise(rig.pd, LOOK, FLUSH, &sge, 1), 0);
	munmap(map, 3 * GIB);
	assert_int_equal(mr_advise(rig.pd, LOOK, FLUSH, &sge, 1), 0);
	assert_int_equal(mr_advise(rig.pd, READ, FLUSH, &sge, 1), EFAULT);
	assert_zero(ibv_dereg_mr(mr));
	rig_close(&rig);
}

static void stops_at_what_cannot_be_had(void **state)
{
	struct ibv_sge list[2];
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	munmap(s.map + 4 * PAGE, PAGE);
	list[0] = span(&s, 2, 5);
	list[1] = span(&s, 20, 2);
	assert_int_equal(mr_advise(s.rig.pd, WRITE, FLUSH, list, 2), EFAULT);
	memset(s.want + 2, P | W, 2);
	check(&s);
	end(&s);
}

static void refuses_at(int line, const struct scene *s, unsigned int advice, struct ibv_sge sge,
		       int err)
{
	struct ibv_sge list[2] = { span(s, 0, 1), sge };
	uint32_t flags[] = { 0, FLUSH };
	uint8_t seen[PAGES];
	int i, got;

	for (i = 0; i < 2; i++) {
		got = mr_advise(s->rig.pd, advice, flags[i], list, 2);
		if (got != err)
			fail_because("line %d, flags %u: errno %d and not %d", line, flags[i], got,
				     err);
		/* The first span is good: who waits gets that far. */
		read_residency(s, seen);
		if (err && !flags[i] && memcmp(seen, s->want, PAGES))
			fail_because("line %d: refused, and yet something is there", line);
		madvise(s->map, PAGES * PAGE, MADV_DONTNEED);
	}
}
#define refuses(...) refuses_at(__LINE__, __VA_ARGS__)

static void refused(void **state)
{
	struct ibv_mr *pinned, *reads, *foreign;
	struct ibv_sge sge, good;
	struct ibv_pd *pd;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	pd = ibv_alloc_pd(s.rig.ctx);
	pinned = ibv_reg_mr(s.rig.pd, s.map, PAGES * PAGE, ACCESS_ALL);
	reads = ibv_reg_mr(s.rig.pd, s.map, PAGES * PAGE, IBV_ACCESS_REMOTE_READ | ODP);
	foreign = ibv_reg_mr(pd, s.map, PAGES * PAGE, ACCESS_ALL | ODP);
	assert_true(pinned && reads && foreign);
	good = span(&s, 0, 1);

	sge = good;
	sge.lkey ^= 1;
	refuses(&s, READ, sge, ENOENT);
	refuses(&s, LOOK, sge, ENOENT);
	sge = good;
	sge.lkey = foreign->lkey;
	refuses(&s, READ, sge, EPERM);
	sge.lkey = pinned->lkey;
	refuses(&s, READ, sge, ENOENT);
	refuses(&s, LOOK, sge, ENOENT);
	sge.lkey = reads->lkey;
	refuses(&s, WRITE, sge, EPERM);
	assert_int_equal(mr_advise(s.rig.pd, READ, FLUSH, &sge, 1), 0);
	madvise(s.map, PAGES * PAGE, MADV_DONTNEED);
	sge = good;
	sge.addr -= 1;
	refuses(&s, READ, sge, EFAULT);
	sge = span(&s, PAGES - 1, 2);
	refuses(&s, WRITE, sge, EFAULT);
	refuses(&s, LOOK, sge, EFAULT);
	sge = (struct ibv_sge){ ~0ULL - 10, ~0U, s.mr->lkey };
	refuses(&s, READ, sge, EFAULT);

	assert_int_equal(mr_advise(s.rig.pd, 77, 0, &good, 1), EOPNOTSUPP);
	assert_int_equal(mr_advise(s.rig.pd, READ, FLUSH << 1, &good, 1), EINVAL);
	assert_int_equal(mr_advise(s.rig.pd, READ, FLUSH, NULL, 1), EFAULT);
	check(&s);
	assert_zero(ibv_dereg_mr(pinned));
	assert_zero(ibv_dereg_mr(reads));
	assert_zero(ibv_dereg_mr(foreign));
	assert_zero(ibv_dealloc_pd(pd));
	end(&s);
}

static void advises_all(struct ibv_pd *pd, struct ibv_sge sge, int err)
{
	static const unsigned int advices[] = { READ, WRITE, LOOK };
	unsigned int i;

	for (i = 0; i < 6; i++)
		assert_int_equal(mr_advise(pd, advices[i / 2], i % 2 ? FLUSH : 0, &sge, 1), err);
}

/* Its key is not one of a region: bound over one on demand, of either type, and free. */
static void refused_for_a_window(void **state)
{
	static const enum ibv_mw_type types[] = { IBV_MW_TYPE_1, IBV_MW_TYPE_2 };
	struct conn conn = CONN;
	struct ibv_pd *pd, *other;
	struct ibv_mw *mw;
	struct pair pair;
	struct buf buf;
	size_t i;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	pd = pair.b.rig->pd;
	other = ibv_alloc_pd(pair.b.rig->ctx);
	assert_non_null(other);
	buf_make(&buf, pd, MEM_ANON, 4 * PAGE, 0, ACCESS_BIND | ODP);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct ibv_sge sge = { .addr = (uintptr_t)buf.data + PAGE, .length = PAGE };

		mw = mw_make(pd, types[i]);
		sge.lkey = mw->rkey;
		advises_all(pd, sge, ENOENT);
		mw_bind(&pair.b, mw, &buf, PAGE, PAGE, ACCESS_WINDOW);
		sge.lkey = mw->rkey;
		advises_all(pd, sge, EINVAL);
		advises_all(other, sge, EPERM);
		sge.length = 2 * PAGE;
		advises_all(pd, sge, EINVAL);
		sge.lkey = buf.mr->lkey;
		advises_all(pd, sge, 0);
		mw_free(mw);
	}
	assert_zero(ibv_dealloc_pd(other));
	buf_free(&buf);
	pair_close(&pair);
}

/* As many as an attribute can hold; none at all. */
static void many_spans(void **state)
{
	size_t num = UINT16_MAX / sizeof(struct ibv_sge), i;
	struct ibv_sge *list = calloc(num, sizeof(*list));
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	for (i = 0; i < num; i++)
		list[i] = span(&s, i * 7 % PAGES, 1);
	memset(s.want, P | W, PAGES);
	assert_int_equal(mr_advise(s.rig.pd, WRITE, 0, list, num), 0);
	await(&s);
	assert_int_equal(mr_advise(s.rig.pd, WRITE, FLUSH, list, num), 0);
	list[num - 1].lkey ^= 1;
	assert_int_equal(mr_advise(s.rig.pd, WRITE, 0, list, num), ENOENT);
	assert_int_equal(mr_advise(s.rig.pd, WRITE, 0, list, 0), EINVAL);
	free(list);
	end(&s);
}

/*
 * An attribute of uverbs has at most 65,535 bytes: the library that knows the verb refuses more spans than that itself. Stock librxe of
 * rdma-core 56 does not know it.
 */
static void more_spans_than_a_call_can_carry(void **state)
{
	size_t num = 10000, i;
	struct ibv_sge *list = calloc(num, sizeof(*list));
	bool known;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	for (i = 0; i < num; i++)
		list[i] = span(&s, i % PAGES, 1);
	known = ibv_advise_mr(s.rig.pd, LOOK, FLUSH, list, 1) != EOPNOTSUPP;
	assert_int_equal(ibv_advise_mr(s.rig.pd, WRITE, 0, list, num), known ? EINVAL : EOPNOTSUPP);
	assert_int_equal(ibv_advise_mr(s.rig.pd, WRITE, FLUSH, list, num),
			 known ? EINVAL : EOPNOTSUPP);
	assert_int_equal(ibv_advise_mr(s.rig.pd, WRITE, FLUSH, list, 0),
			 known ? EINVAL : EOPNOTSUPP);
	check(&s);
	free(list);
	end(&s);
}

/* Prefetches whose page never comes. */
static void hang(struct scene *s, struct uffd *u, unsigned int num)
{
	struct ibv_sge list[2];
	unsigned int i;

	uffd_register(u, s->map, PAGES * PAGE);
	for (i = 0; i < num; i++) {
		list[0] = span(s, i % PAGES, 1);
		list[1] = span(s, (i + 1) % PAGES, 1);
		assert_int_equal(mr_advise(s->rig.pd, i % 2 ? WRITE : READ, 0, list, 2), 0);
	}
}

static void deregistered_while_they_hang(void **state)
{
	struct ibv_sge one;
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	one = span(&s, 0, 1);
	hang(&s, &u, 64);
	/* No more than so many. */
	assert_int_equal(mr_advise(s.rig.pd, READ, 0, &one, 1), EAGAIN);
	assert_zero(ibv_dereg_mr(s.mr));
	/* All have ended with their region: there is room again. */
	s.mr = ibv_reg_mr(s.rig.pd, s.map, PAGES * PAGE, ACCESS_ALL | ODP);
	assert_non_null(s.mr);
	one = span(&s, 0, 1);
	assert_int_equal(mr_advise(s.rig.pd, READ, 0, &one, 1), 0);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	uffd_close(&u);
	end(&s);
}

/* A fault of another page finds a thread, and so does one of theirs once it is served. */
static void faults_go_on_meanwhile(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	struct scene s;
	struct uffd u;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	s.rig = pair.rig;
	s.map = map_pages(PAGES);
	s.mr = ibv_reg_mr(s.rig.pd, s.map, PAGES * PAGE, ACCESS_ALL | ODP);
	assert_non_null(s.mr);
	hang(&s, &u, 60);
	buf_make(&from, pair.rig.pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL | ODP);
	pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
	buf_free(&to);
	/* Served from now on: a peer writes there, whatever is being prefetched. */
	uffd_serve(&u, 5, 0);
	to = (struct buf){ .data = s.map, .bytes = PAGES * PAGE, .mr = s.mr };
	pair_move(&pair, OP_WRITE, &from, 0, &to, 0, PAGES * PAGE);
	assert_memory_equal(from.data, s.map, PAGES * PAGE);
	assert_zero(ibv_dereg_mr(s.mr));
	uffd_close(&u);
	munmap(s.map, PAGES * PAGE);
	buf_free(&from);
	pair_close(&pair);
}

static void context_closed_while_they_hang(void **state)
{
	struct scene s;
	struct uffd u;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	hang(&s, &u, 64);
	/* With everything in it, and so without a word to the kernel beforehand. */
	close(s.rig.ctx->cmd_fd);
	s.rig.ctx->cmd_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	uffd_close(&u);
	munmap(s.map, PAGES * PAGE);
}

/* In a child: tells when it is about to wait for ever. */
static void wait_for_ever(int tell, uint32_t flags)
{
	struct ibv_sge sge;
	struct scene s;
	struct uffd u;

	begin(&s, ACCESS_ALL | ODP);
	sge = span(&s, 3, 2);
	hang(&s, &u, 5);
	if (write(tell, "", 1) != 1)
		_exit(2);
	if (flags)
		mr_advise(s.rig.pd, WRITE, flags, &sge, 1);
	else
		pause();
	_exit(1);
}

static void killed_while_they_hang(void **state)
{
	uint32_t flags[] = { 0, FLUSH };
	int i, status, fds[2];
	pid_t child;
	char c;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_zero(pipe(fds));
		child = fork();
		if (!child)
			wait_for_ever(fds[1], flags[i]);
		close(fds[1]);
		assert_int_equal(read(fds[0], &c, 1), 1);
		assert_zero(kill(child, SIGKILL));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		close(fds[0]);
	}
}

struct adviser {
	pthread_t thread;
	struct scene *scene;
	uint32_t lkey;
	uint32_t flags;
	bool stop;
	int unexpected;
};

static void *advise(void *arg)
{
	struct adviser *a = arg;
	unsigned int i;
	int err;

	for (i = 0; !__atomic_load_n(&a->stop, __ATOMIC_RELAXED); i++) {
		struct ibv_sge list[3] = { span(a->scene, 0, 20), span(a->scene, 5, 30),
					   span(a->scene, 39, 1) };
		uint32_t lkey = __atomic_load_n(&a->lkey, __ATOMIC_RELAXED);

		list[0].lkey = lkey;
		list[1].lkey = lkey;
		list[2].lkey = lkey;
		err = mr_advise(a->scene->rig.pd, i % 3, a->flags, list, 3);
		if (err && err != ENOENT && err != EAGAIN && err != EBUSY)
			a->unexpected = err;
	}
	return NULL;
}

/* The region goes while it is prefetched, again and again. */
static void deregistered_meanwhile(void **state)
{
	struct adviser advisers[2] = { 0 };
	struct ibv_mr first, *mr;
	struct scene s;
	int i, k;

	(void)state;
	begin(&s, ACCESS_ALL | ODP);
	mr = s.mr;
	first = *mr;
	s.mr = &first;
	for (k = 0; k < 2; k++) {
		advisers[k].scene = &s;
		advisers[k].lkey = mr->lkey;
		advisers[k].flags = k ? FLUSH : 0;
		assert_zero(pthread_create(&advisers[k].thread, NULL, advise, &advisers[k]));
	}
	for (i = 0; i < 200; i++) {
		assert_zero(madvise(s.map, PAGES * PAGE, MADV_DONTNEED));
		assert_zero(ibv_dereg_mr(mr));
		mr = ibv_reg_mr(s.rig.pd, s.map, PAGES * PAGE, ACCESS_ALL | ODP);
		assert_non_null(mr);
		for (k = 0; k < 2; k++)
			__atomic_store_n(&advisers[k].lkey, mr->lkey, __ATOMIC_RELAXED);
	}
	for (k = 0; k < 2; k++) {
		__atomic_store_n(&advisers[k].stop, true, __ATOMIC_RELAXED);
		pthread_join(advisers[k].thread, NULL);
		assert_int_equal(advisers[k].unexpected, 0);
	}
	s.mr = mr;
	end(&s);
}

TEST_MAIN(TEST(brings_in), TEST(brings_in_later), TEST(looks_only), TEST(looks_at_much),
	  TEST(stops_at_what_cannot_be_had), TEST(refused), TEST(refused_for_a_window),
	  TEST(many_spans), TEST(more_spans_than_a_call_can_carry),
	  TEST(deregistered_while_they_hang), TEST(faults_go_on_meanwhile),
	  TEST(context_closed_while_they_hang), TEST(killed_while_they_hang),
	  TEST(deregistered_meanwhile))
