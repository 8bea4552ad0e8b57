// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is on demand by policy needs no protection from children: after fork() the child has its copy and the NIC follows the
 * parent's pages, with and without ibv_fork_init(). libibverbs, which counts every plain registration as one that children must not
 * see, is told so: where it keeps memory from children, which it does only if the kernel does not say that it copies pinned pages at
 * once, only what is pinned is kept. Each test in a process of its own, since ibv_fork_init() is once and for all.
 */
#include "dv.h"
#include "pair.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (3 * PAGE)
#define WORD  "RXE_ODP_REGISTER"

/* As with a kernel that is not to be asked: no file can be opened in between. */
static struct rlimit unask(void)
{
	struct rlimit was, none;

	assert_zero(getrlimit(RLIMIT_NOFILE, &was));
	none = was;
	none.rlim_cur = 0;
	assert_zero(setrlimit(RLIMIT_NOFILE, &none));
	return was;
}

static void fork_init_unasked(void)
{
	struct rlimit was = unask();

	assert_zero(ibv_fork_init());
	assert_zero(setrlimit(RLIMIT_NOFILE, &was));
}

/* Would a child not have it? As smaps says of the mapping around it. */
static bool is_kept(const void *addr)
{
	unsigned long first, end;
	bool here = false, kept = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			here = (uintptr_t)addr >= first && (uintptr_t)addr < end;
		if (here && !strncmp(line, "VmFlags:", 8))
			kept = strstr(line, " dc ");
	}
	fclose(f);
	return kept;
}

/* The child waits until the NIC has written to the parent's memory: what it has is what was there at the fork. */
static int child_run(struct buf *buf, int from_parent, int to_parent)
{
	uint8_t byte = 1;
	size_t i;

	for (i = 0; i < buf->bytes; i++)
		if (buf->data[i] != 0x11)
			return 1;
	memset(buf->data, 0xee, buf->bytes / 2);
	if (write(to_parent, &byte, 1) != 1 || read(from_parent, &byte, 1) != 1)
		return 2;
	for (i = 0; i < buf->bytes; i++)
		if (buf->data[i] != (i < buf->bytes / 2 ? 0xee : 0x11))
			return 3;
	return 0;
}

static void both_right(void)
{
	int down[2], up[2], status;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	uint8_t byte;
	pid_t child;

	setenv(WORD, "on-demand", 1);
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	/* The NIC has them, to be written. */
	pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
	assert_false(is_kept(to.data));
	memset(to.data, 0x11, BYTES);
	assert_zero(pipe(down));
	assert_zero(pipe(up));
	child = fork();
	if (!child)
		_exit(child_run(&to, down[0], up[1]));
	assert_true(child > 0);
	assert_int_equal(read(up[0], &byte, 1), 1);
	pair_move_checked(&pair, OP_WRITE, &from, &to, 2);
	pair_move_checked(&pair, OP_READ, &from, &to, 3);
	pair_move_checked(&pair, OP_SEND, &from, &to, 4);
	assert_int_equal(write(down[1], &byte, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pattern_check(to.data, BYTES, 4, 0, "after the child");
	close(down[0]);
	close(down[1]);
	close(up[0]);
	close(up[1]);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void without_fork_init(void **state)
{
	(void)state;
	both_right();
}

static void with_fork_init(void **state)
{
	(void)state;
	assert_zero(ibv_fork_init());
	both_right();
}

static void with_fork_init_unasked(void **state)
{
	(void)state;
	fork_init_unasked();
	both_right();
}

struct two {
	struct rig plain, odp;
	uint8_t *one, *other;
};

static uint8_t *map_apart(void)
{
	/* With a hole before and behind it, so that it is a mapping of its own. */
	uint8_t *map = mmap(NULL, 5 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_zero(mprotect(map + PAGE, BYTES, PROT_READ | PROT_WRITE));
	return map + PAGE;
}

static void two_open(struct two *t)
{
	fork_init_unasked();
	setenv(WORD, "pinned", 1);
	rig_open(&t->plain);
	setenv(WORD, "on-demand", 1);
	rig_open(&t->odp);
	t->one = map_apart();
	t->other = map_apart();
}

static void two_close(struct two *t)
{
	struct ibv_mr *mr;

	/* The counts are even: what is pinned is kept, and given back. */
	assert_false(is_kept(t->one));
	assert_false(is_kept(t->other));
	mr = ibv_reg_mr(t->plain.pd, t->one, BYTES, 0);
	assert_true(is_kept(t->one));
	assert_zero(ibv_dereg_mr(mr));
	mr = ibv_reg_mr(t->plain.pd, t->other, BYTES, 0);
	assert_true(is_kept(t->other));
	assert_zero(ibv_dereg_mr(mr));
	assert_false(is_kept(t->one));
	assert_false(is_kept(t->other));
	rig_close(&t->plain);
	rig_close(&t->odp);
	munmap(t->one - PAGE, 5 * PAGE);
	munmap(t->other - PAGE, 5 * PAGE);
}

static void registered(void **state)
{
	struct ibv_mr *mr, *pinned;
	struct two t;

	(void)state;
	two_open(&t);
	mr = ibv_reg_mr(t.odp.pd, t.one, BYTES, 0);
	assert_non_null(mr);
	assert_false(is_kept(t.one));
	pinned = ibv_reg_mr(t.plain.pd, t.one, BYTES, 0);
	assert_non_null(pinned);
	assert_true(is_kept(t.one));
	assert_zero(ibv_dereg_mr(mr));
	assert_true(is_kept(t.one));
	assert_zero(ibv_dereg_mr(pinned));
	/* One that is refused. */
	assert_null(ibv_reg_mr(t.odp.pd, t.one, 5 * PAGE, 0));
	two_close(&t);
}

static void device_is(const char *word)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(word, f);
	assert_zero(fclose(f));
}

/* Nobody said anything but the device: the library has to ask what a region has become. */
static void registered_as_the_device_says(void **state)
{
	struct ibv_mr *mr, *pinned;
	struct rlimit was;
	struct rig rig;
	struct two t;

	(void)state;
	two_open(&t);
	unsetenv(WORD);
	rig_open(&rig);
	device_is("on-demand");
	was = unask();
	mr = ibv_reg_mr(rig.pd, t.one, BYTES, 0);
	assert_zero(setrlimit(RLIMIT_NOFILE, &was));
	device_is("pinned");
	assert_non_null(mr);
	assert_false(is_kept(t.one));
	pinned = ibv_reg_mr(rig.pd, t.other, BYTES, 0);
	assert_non_null(pinned);
	assert_true(is_kept(t.other));
	assert_zero(ibv_dereg_mr(mr));
	assert_zero(ibv_dereg_mr(pinned));
	rig_close(&rig);
	two_close(&t);
}

static void registered_elsewhere(void **state)
{
	const int flags = IBV_REREG_MR_CHANGE_TRANSLATION;
	struct ibv_mr *mr;
	struct two t;

	(void)state;
	two_open(&t);
	mr = ibv_reg_mr(t.odp.pd, t.one, BYTES, 0);
	assert_non_null(mr);
	assert_zero(ibv_rereg_mr(mr, flags, NULL, t.other, BYTES, 0));
	assert_false(is_kept(t.one));
	assert_false(is_kept(t.other));
	/* The same again, and half of it. */
	assert_zero(ibv_rereg_mr(mr, flags, NULL, t.other, BYTES, 0));
	assert_zero(ibv_rereg_mr(mr, flags, NULL, t.other, PAGE, 0));
	assert_false(is_kept(t.other));
	assert_zero(ibv_dereg_mr(mr));
	two_close(&t);
}

static void registered_as_another_kind(void **state)
{
	const int rights = IBV_REREG_MR_CHANGE_ACCESS,
		  both = rights | IBV_REREG_MR_CHANGE_TRANSLATION;
	struct ibv_mr *mr;
	struct two t;

	(void)state;
	two_open(&t);
	mr = ibv_reg_mr(t.plain.pd, t.one, BYTES, 0);
	assert_non_null(mr);
	assert_true(is_kept(t.one));
	assert_zero(ibv_rereg_mr(mr, rights, NULL, NULL, 0, IBV_ACCESS_ON_DEMAND));
	assert_false(is_kept(t.one));
	assert_zero(ibv_rereg_mr(mr, rights, NULL, NULL, 0, IBV_ACCESS_LOCAL_WRITE));
	assert_true(is_kept(t.one));
	assert_zero(ibv_rereg_mr(mr, both, NULL, t.other, BYTES, IBV_ACCESS_ON_DEMAND));
	assert_false(is_kept(t.one));
	assert_false(is_kept(t.other));
	assert_zero(ibv_rereg_mr(mr, both, NULL, t.one, BYTES, IBV_ACCESS_LOCAL_WRITE));
	assert_true(is_kept(t.one));
	assert_false(is_kept(t.other));
	assert_zero(ibv_dereg_mr(mr));
	two_close(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(without_fork_init),
		TEST(with_fork_init),
		TEST(with_fork_init_unasked),
		TEST(registered),
		TEST(registered_as_the_device_says),
		TEST(registered_elsewhere),
		TEST(registered_as_another_kind),
	};
	bool bad = false;
	int status;
	size_t i;
	pid_t child;

	rig_use_provider(NULL);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		fflush(stdout);
		child = fork();
		if (!child)
			exit(test_run(&tests[i], 1));
		bad |= child < 0 || waitpid(child, &status, 0) != child || status;
	}
	/* Whatever a test that failed left. */
	device_is("pinned");
	return bad;
}
