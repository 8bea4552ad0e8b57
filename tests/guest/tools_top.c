// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_top over regions whose figures are known: as JSON and as a table, recorded and replayed, by root and by another user, who is
 * told of his own processes but of no region's map; on a terminal, with its keys and at several sizes.
 */
#include "pair.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	  8
#define TOP	  "/mnt/tools/odp_top "
#define RECORD	  "/tmp/tools_top.record"
#define NOBODY	  65534
#define AS_NOBODY "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "

static char said[256 * KIB];

/* What a command prints goes to said; it must succeed. */
__attribute__((format(printf, 1, 2))) static void run(const char *fmt, ...)
{
	char command[512];
	va_list args;
	size_t len;
	FILE *f;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	f = popen(command, "r");
	assert_non_null(f);
	len = fread(said, 1, sizeof(said) - 1, f);
	said[len] = 0;
	if (pclose(f))
		fail_because("'%s' failed and said '%s'", command, said);
}

/* The last number of that name that was said: of the region, where there is one. */
static unsigned long number(const char *name)
{
	const char *at, *found = NULL;
	char key[64];

	snprintf(key, sizeof(key), "\"%s\":", name);
	for (at = said; (at = strstr(at, key)); at++)
		found = at;
	if (!found)
		fail_because("no %s in '%s'", name, said);
	return strtoul(found + strlen(key), NULL, 10);
}

/* Of what was said, the object that has it. */
static void only_behind(const char *text)
{
	char *at = strstr(said, text);

	if (!at)
		fail_because("no '%s' in '%s'", text, said);
	memmove(said, at, strlen(at) + 1);
	said[strcspn(said, "}")] = 0;
}

static void says(const char *text)
{
	if (!strstr(said, text))
		fail_because("no '%s' in '%s'", text, said);
}

static void says_not(const char *text)
{
	if (strstr(said, text))
		fail_because("'%s' in '%s'", text, said);
}

struct scene {
	struct pair pair;
	struct buf from, to;
};

static void begin(struct scene *s)
{
	struct conn conn = CONN;

	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, 0, 0);
	buf_make(&s->from, s->pair.a.rig->pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL);
	buf_make(&s->to, s->pair.b.rig->pd, MEM_ANON, PAGES * PAGE, 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
}

static void end(struct scene *s)
{
	buf_free(&s->from);
	buf_free(&s->to);
	pair_close(&s->pair);
	unlink(RECORD);
}

static void figures(void **state)
{
	unsigned long faulted;
	struct scene s;
	char mrn[32];

	(void)state;
	begin(&s);
	pair_move(&s.pair, OP_WRITE, &s.from, 0, &s.to, 0, PAGES * PAGE);
	run(TOP "--once --json --pid %d", getpid());
	says("\"kind\":\"odp\"");
	says_not("\"kind\":\"pinned\"");
	assert_int_equal(number("bytes"), PAGES * PAGE);
	assert_int_equal(number("resident_pages"), PAGES);
	assert_int_equal(number("huge_pages"), 0);
	assert_int_equal(number("page_faults"), PAGES);
	assert_int_equal(number("page_invalidations"), 0);
	assert_int_equal(number("refault_pages"), 0);
	assert_in_range(number("worst_fault_page"), 0, PAGES - 1);
	assert_true(number("worst_fault_ns") > 0);

	assert_zero(madvise(s.to.data + 2 * PAGE, 3 * PAGE, MADV_DONTNEED));
	run(TOP "--once --json --pid %d", getpid());
	assert_int_equal(number("resident_pages"), PAGES - 3);
	pair_move(&s.pair, OP_WRITE, &s.from, 0, &s.to, 0, PAGES * PAGE);
	run(TOP "--once --json --pid %d", getpid());
	assert_int_equal(number("resident_pages"), PAGES);
	assert_int_equal(number("page_invalidations"), 3);
	assert_int_equal(number("refault_pages"), 3);
	/* Those behind them are put in once more, as what comes next. */
	faulted = number("page_faults");
	assert_in_range(faulted, PAGES + 3, 2 * PAGES);

	/* The same as the rdma tool has. */
	snprintf(mrn, sizeof(mrn), "\"mrn\":%lu,", number("mrn"));
	run("rdma -j statistic show mr");
	only_behind(mrn);
	assert_int_equal(number("page_faults"), faulted);
	assert_int_equal(number("resident_pages"), PAGES);

	run(TOP "--once --pid %d", getpid());
	says("tools_top");
	says("[======");
	run(TOP "--once --all --pid %d", getpid());
	says("pinned");
	run(TOP "--json --delay 0.1 --iterations 2 --pid %d", getpid());
	says("\"fault_pages_per_s\":0.000");
	end(&s);
}

static void huge_entries(void **state)
{
	size_t bytes = 2 * MIB;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_mr *mr;
	struct scene s;
	uint8_t *map, *at;

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip_because("the kernel has no huge pages");
	begin(&s);
	map = mmap(NULL, 3 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	at = (uint8_t *)(((uintptr_t)map + bytes - 1) & ~(bytes - 1));
	memset(at, 1, bytes);
	if (mem_collapse(at, bytes))
		skip_because("no huge page is free");
	buf_free(&s.to);
	mr = ibv_reg_mr(s.pair.b.rig->pd, at, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	sge = buf_sge(&s.from, 0, 1);
	wr = wr_make(IBV_WR_RDMA_WRITE, &sge, 1);
	wr.wr.rdma.remote_addr = (uintptr_t)at;
	wr.wr.rdma.rkey = mr->rkey;
	end_post(&s.pair.a, &wr);
	cq_success(s.pair.a.scq);
	run(TOP "--once --json --pid %d", getpid());
	assert_int_equal(number("resident_pages"), 512);
	assert_int_equal(number("huge_pages"), 512);
	run(TOP "--once --pid %d", getpid());
	says("[####");
	assert_zero(ibv_dereg_mr(mr));
	munmap(map, 3 * bytes);
	buf_make(&s.to, s.pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	end(&s);
}

static void recordings(void **state)
{
	static char live[sizeof(said)];
	char cells[128] = "\"cells\":[";
	struct scene s;
	int i;

	(void)state;
	begin(&s);
	pair_move(&s.pair, OP_WRITE, &s.from, 0, &s.to, 0, 3 * PAGE);
	run(TOP "--once --json --record " RECORD " --pid %d", getpid());
	memcpy(live, said, sizeof(live));
	for (i = 0; i < PAGES; i++)
		snprintf(cells + strlen(cells), sizeof(cells) - strlen(cells), "%s[%d,0]",
			 i ? "," : "", i < 3 ? 255 : 0);
	says(cells);
	assert_int_equal(number("start"), (uintptr_t)s.to.data);
	assert_int_equal(number("cell_bytes"), PAGE);
	run(TOP "--once --json --replay " RECORD " --pid %d", getpid());
	assert_string_equal(said, live);

	run("echo nonsense >>" RECORD "; " TOP "--once --replay " RECORD " 2>&1 && false || true");
	says("is not of a recording");
	run(TOP "--once --replay /nowhere 2>&1 && false || true");
	says("No such file");
	end(&s);
}

/* The process of another user, in a child; it says 1 when it has a region, and stays until told. */
static void be_nobody(int ready, int go)
{
	struct ibv_mr *mr = NULL;
	static uint8_t mem[4 * PAGE];
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	char c = 0;

	if (!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY) &&
	    !prctl(PR_SET_DUMPABLE, 1)) {
		ctx = rig_context(rig_device_name());
		pd = ctx ? ibv_alloc_pd(ctx) : NULL;
		mr = pd ? ibv_reg_mr(pd, mem, sizeof(mem), IBV_ACCESS_ON_DEMAND) : NULL;
	}
	c = mr ? '1' : '0';
	if (write(ready, &c, 1) == 1)
		_exit(read(go, &c, 1) != 1);
	_exit(1);
}

static void another_user(void **state)
{
	int ready[2], go[2], status;
	struct scene s;
	pid_t child;
	char c;

	(void)state;
	assert_zero(pipe(ready));
	assert_zero(pipe(go));
	child = fork();
	assert_true(child >= 0);
	if (!child)
		be_nobody(ready[1], go[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, '1');
	begin(&s);
	run(AS_NOBODY TOP "--once --json --user --record /tmp/tools_top.nobody");
	unlink("/tmp/tools_top.nobody");
	assert_int_equal(number("pid"), child);
	assert_int_equal(number("bytes"), 4 * PAGE);
	says("\"uid\":65534");
	says_not("\"map\"");
	/* The kernel itself refuses the map. */
	run(AS_NOBODY "rdma -r resource show mr 2>&1 || true");
	says("not permitted");
	end(&s);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
}

/* Reads the terminal until a text comes; ^L has all of it painted again. */
static void screen_shows(int tty, const char *keys, const char *text)
{
	struct pollfd p = { .fd = tty, .events = POLLIN };
	double last = seconds() + 60;
	size_t len = 0;
	ssize_t got;

	assert_int_equal(write(tty, keys, strlen(keys)), strlen(keys));
	said[0] = 0;
	while (!strstr(said, text)) {
		if (seconds() > last)
			fail_because("no '%s' on the screen: '%s'", text, said);
		assert_int_equal(write(tty, "\f", 1), 1);
		while (poll(&p, 1, 300) == 1) {
			if (len > sizeof(said) / 2)
				len = 0;
			got = read(tty, said + len, sizeof(said) - 1 - len);
			if (got <= 0)
				fail_because("odp_top has ended before '%s': '%s'", text, said);
			len += got;
			said[len] = 0;
		}
	}
}

static void screen(const char *term, const char *args, int lines, int columns)
{
	struct winsize size = { .ws_row = lines, .ws_col = columns };
	char command[256];
	int tty, status;
	pid_t child;

	snprintf(command, sizeof(command), "exec " TOP "%s", args);
	child = forkpty(&tty, NULL, NULL, &size);
	assert_true(child >= 0);
	if (!child) {
		setenv("TERM", term, 1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	screen_shows(tty, "", "COMMAND");
	screen_shows(tty, "", "tools_top");
	screen_shows(tty, "\n", "Map, ");
	screen_shows(tty, "", "pages faulted in");
	screen_shows(tty, "q", "COMMAND");
	screen_shows(tty, "a", "pinned");
	screen_shows(tty, "/nonesuch\n", "No region that is asked for");
	screen_shows(tty, "/\033", "tools_top");
	screen_shows(tty, "s", "invalidations");
	screen_shows(tty, "h", "PgUp");
	size.ws_row = 12;
	size.ws_col = 60;
	assert_zero(ioctl(tty, TIOCSWINSZ, &size));
	screen_shows(tty, "h", "COMMAND");
	assert_int_equal(write(tty, "q", 1), 1);
	while (read(tty, said, sizeof(said)) > 0)
		;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(tty);
}

static void on_a_terminal(void **state)
{
	char args[128];
	struct scene s;

	(void)state;
	begin(&s);
	pair_move(&s.pair, OP_WRITE, &s.from, 0, &s.to, 0, 3 * PAGE);
	snprintf(args, sizeof(args), "--delay 0.5 --pid %d", getpid());
	screen("xterm", args, 24, 80);
	/* Its instance of tracefs has gone. */
	run("ls /sys/kernel/tracing/instances 2>/dev/null || true");
	says_not("odp_top");
	run(TOP "--once --record " RECORD " --pid %d", getpid());
	/* Without colours. */
	snprintf(args, sizeof(args), "--delay 0.5 --pid %d --replay " RECORD, getpid());
	screen("vt100", args, 50, 160);
	end(&s);
}

TEST_MAIN(TEST(figures), TEST(huge_entries), TEST(recordings), TEST(another_user),
	  TEST(on_a_terminal))
