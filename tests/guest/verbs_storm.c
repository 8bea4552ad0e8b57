// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Storm of verbs: processes make, use and destroy objects of every kind, in any order and under requests that are on their way, and end:
 * some destroy all before, some leave all, some are killed at any instruction. Errors come where they are owed, and no
 * wrong byte; a connection of another process, over the same devices, notices nothing. In the end the kernel has what
 * it had before.
 *
 * STORM_S seconds (12), FUZZ_SEED.
 *
 * rdma-odp: timeout 60
 */
#include "verbs_storm/child.h"
#include "verbs_storm/tally.h"

#include "pair.h"
#include "random.h"
#include "slab.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_S 60
#define BYTES	 20000UL

struct process {
	pid_t pid;
	double kill_at;
	bool killed;
};

static struct process processes[CHILDREN];

/*
 * Without a fork: that would leave the watcher's own pages to be copied when the NIC writes them next, and User Mode Linux
 * does not tell a process that runs of its new page (docs/testing.md).
 */
static void start(struct process *p, struct rnd *r, int tally_fd)
{
	char nr[32], seed[32], fd[32];
	char *const argv[] = { "verbs_storm", nr, seed, fd, NULL };

	snprintf(nr, sizeof(nr), "%td", p - processes);
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)rnd_next(r));
	snprintf(fd, sizeof(fd), "%d", tally_fd);
	p->killed = false;
	p->kill_at = seconds() + rnd_below(r, 4000) / 1000.0;
	assert_zero(posix_spawn(&p->pid, "/proc/self/exe", NULL, NULL, argv, environ));
}

/* True if it has ended; as it may, else the test fails. */
static bool ended(struct process *p, int options)
{
	int status;
	pid_t pid = waitpid(p->pid, &status, options);

	if (!pid)
		return false;
	assert_int_equal(pid, p->pid);
	p->pid = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && p->killed)
		tally_count(CHILD_KILLED);
	else if (status)
		fail_because("a process ended with %#x", status);
	return true;
}

static void kill_it(struct process *p)
{
	p->killed = true;
	kill(p->pid, SIGKILL);
}

static void look_after(struct process *p, struct rnd *r, int tally_fd)
{
	if (!p->pid)
		start(p, r, tally_fd);
	else if (!ended(p, WNOHANG) && seconds() > p->kill_at)
		kill_it(p);
}

static void end_all(void)
{
	unsigned int i;

	for (i = 0; i < CHILDREN; i++)
		if (processes[i].pid)
			kill_it(&processes[i]);
	for (i = 0; i < CHILDREN; i++)
		if (processes[i].pid)
			ended(&processes[i], 0);
}

#define SITES 400

/* A place in one of the modules that allocates, where the kernel counts (memory allocation profiling). */
struct site {
	char where[160];
	long bytes, calls;
};

/* The kernel's own figures. */
struct figures {
	char objects[2][256]; /* what the devices have, as "rdma resource" shows it */
	int64_t slab_bytes;   /* umem_odp's caches */
	struct site sites[SITES];
	unsigned int num_sites;
};

static void count_objects(char *text, size_t bytes)
{
	FILE *f = popen("rdma resource show", "r");
	char line[256];

	text[0] = 0;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "rxe_odp"))
			snprintf(text + strlen(text), bytes - strlen(text), "%s", line);
	pclose(f);
	assert_true(text[0]);
}

static void count_allocations(struct figures *figures)
{
	FILE *f = fopen("/proc/allocinfo", "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		struct site *site = &figures->sites[figures->num_sites];

		if (!strstr(line, "[rxe_odp]") && !strstr(line, "[umem_odp]"))
			continue;
		assert_true(figures->num_sites < SITES);
		if (sscanf(line, "%ld %ld %159[^\n]", &site->bytes, &site->calls, site->where) == 3)
			figures->num_sites++;
	}
	if (f)
		fclose(f);
}

static void figures_take(struct figures *figures)
{
	int saved;

	memset(figures, 0, sizeof(*figures));
	count_objects(figures->objects[0], sizeof(figures->objects[0]));
	saved = netns_enter_peer();
	assert_true(saved >= 0);
	count_objects(figures->objects[1], sizeof(figures->objects[1]));
	netns_leave(saved);
	/* What CPUs keep for themselves of what was freed is taken from them on the way. */
	slab_bytes("kmalloc", false);
	figures->slab_bytes = slab_bytes("umem_odp_", false);
	count_allocations(figures);
}

static void figures_print(const char *when, const struct figures *figures)
{
	long calls = 0, bytes = 0;
	unsigned int i;

	for (i = 0; i < figures->num_sites; i++) {
		calls += figures->sites[i].calls;
		bytes += figures->sites[i].bytes;
	}
	printf("%s:\n%s%s", when, figures->objects[0], figures->objects[1]);
	printf("umem_odp's slabs %lld bytes; ", (long long)figures->slab_bytes);
	printf("%u places in both modules have %ld allocations, %ld bytes\n", figures->num_sites,
	       calls, bytes);
}

/* False: there is more than before. */
static bool is_as_before(const struct figures *now, const struct figures *before, bool print)
{
	bool same = !memcmp(now->objects, before->objects, sizeof(now->objects)) &&
		    now->slab_bytes <= before->slab_bytes && now->num_sites == before->num_sites;
	unsigned int i;

	for (i = 0; i < now->num_sites; i++) {
		const struct site *site = &now->sites[i], *was = &before->sites[i];

		if (site->calls <= was->calls)
			continue;
		same = false;
		if (print)
			printf("%s: %ld allocations, %ld before\n", site->where, site->calls,
			       was->calls);
	}
	return same;
}

/* Memory goes after grace periods, of which nothing tells. */
static void nothing_is_left(const struct figures *before)
{
	double last = seconds() + SETTLE_S;
	static struct figures now;

	for (figures_take(&now); !is_as_before(&now, before, false); figures_take(&now)) {
		if (seconds() > last) {
			figures_print("before", before);
			figures_print("after", &now);
			is_as_before(&now, before, true);
			fail_because("something is left");
		}
		usleep(100000);
	}
	figures_print("before", before);
	figures_print("after", &now);
}

/* Without a region of user memory. */
static void figures_settle(struct figures *figures)
{
	double last = seconds() + SETTLE_S;

	for (figures_take(figures); figures->slab_bytes; figures_take(figures)) {
		if (seconds() > last)
			fail_because("there are regions before it begins");
		usleep(100000);
	}
}

/* Goes on until everything was done at least once: a slow kernel is given what it takes. */
static void storm_around(struct pair *pair, int tally_fd, struct rnd *r)
{
	double end = seconds() + env_number("STORM_S", 12);
	const char *missing = "";
	struct buf from, to;
	unsigned int i, n;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, BYTES, 40, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (n = 0; missing; n++) {
		pair_move_checked(pair, n % OP_KINDS, &from, &to, n);
		tally_count(WATCHED);
		for (i = 0; i < CHILDREN; i++)
			look_after(&processes[i], r, tally_fd);
		usleep(rnd_below(r, 5000));
		if (seconds() < end)
			continue;
		missing = tally_missing();
		if (missing && seconds() > end + BOUND_S)
			fail_because("not once: %s", missing);
	}
	end_all();
	pair_move_checked(pair, OP_WRITE, &from, &to, n);
	buf_free(&from);
	buf_free(&to);
}

static void storm(void **state)
{
	struct rnd r = { rnd_seed() };
	static struct figures before;
	struct conn conn = CONN;
	int fd = tally_make();
	struct pair pair;

	(void)state;
	conn.wire = true;
	conn.timeout = 19;
	/* What the kernel makes once and keeps is there then. */
	pair_open(&pair, &conn);
	pair_move_every(&pair, BYTES, IBV_ACCESS_ON_DEMAND, 1);
	pair_close(&pair);
	figures_settle(&before);
	pair_open(&pair, &conn);
	storm_around(&pair, fd, &r);
	pair_close(&pair);
	tally_print();
	nothing_is_left(&before);
	tally_free(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { TEST(storm) };
	int rc;

	if (argc == 4)
		return child(atoi(argv[1]), strtoull(argv[2], NULL, 10), atoi(argv[3]));
	rc = test_run(tests, ARRAY_SIZE(tests));
	/* A failed test leaves them. */
	end_all();
	return rc;
}
