// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a plain ibv_reg_mr() becomes: by RXE_ODP_REGISTER, else by what /etc/rxe_odp.conf says of the program, else of the device, else
 * by the device itself. A program that does not ask is refused what pinning would refuse. What is wrong with what was said is told
 * in one sentence a process. Each test in a process of its own.
 */
#include "dv.h"
#include "pair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONF "/etc/rxe_odp.conf"
#define WORD "RXE_ODP_REGISTER"

/* What goes to stderr while devices are opened. */
static char said[1024];

static int hear_begin(int *saved)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC);

	assert_true(fd >= 0);
	fflush(stderr);
	*saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return fd;
}

static void hear_end(int fd, int saved)
{
	ssize_t n;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fd, said, sizeof(said) - 1, 0);
	assert_true(n >= 0);
	said[n] = '\0';
	close(fd);
}

static void rig_open_heard(struct rig *rig)
{
	int saved, fd = hear_begin(&saved);

	rig_open(rig);
	hear_end(fd, saved);
}

static void assert_said(const char *words)
{
	if (words ? !strstr(said, words) || strchr(said, '\n') != said + strlen(said) - 1 : *said)
		fail_because("said '%s', and not '%s'", said, words ? words : "nothing");
}

static uint32_t kind_of(struct ibv_mr *mr)
{
	struct rxe_odp_dv_mr_stats stats;

	assert_int_equal(DV(rxe_odp_dv_query_mr)(mr, &stats, sizeof(stats)), 0);
	return stats.kind;
}

static uint32_t registered_as(struct rig *rig)
{
	struct buf buf;
	uint32_t kind;

	buf_make(&buf, rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	kind = kind_of(buf.mr);
	buf_free(&buf);
	return kind;
}

static void policy_is(struct rig *rig, uint32_t policy)
{
	struct rxe_odp_dv_device_attr attr;

	assert_int_equal(DV(rxe_odp_dv_query_device)(rig->ctx, &attr, sizeof(attr)), 0);
	assert_int_equal(attr.register_policy, policy);
}

/* Opens the device, and finds that. */
static void opened_is(uint32_t policy, uint32_t kind, const char *words)
{
	struct rig rig;

	rig_open_heard(&rig);
	assert_said(words);
	policy_is(&rig, policy);
	assert_int_equal(registered_as(&rig), kind);
	rig_close(&rig);
}

#define PINNED	  RXE_ODP_DV_REGISTER_PINNED, RXE_ODP_DV_MR_PINNED
#define ON_DEMAND RXE_ODP_DV_REGISTER_ON_DEMAND, RXE_ODP_DV_MR_ON_DEMAND
#define AS_DEVICE RXE_ODP_DV_REGISTER_DEVICE, RXE_ODP_DV_MR_PINNED

static void device_is(const char *word)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, word, strlen(word)), strlen(word));
	close(fd);
}

static void conf_is(const char *text)
{
	FILE *f = fopen(CONF, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_zero(fclose(f));
}

static void by_environment(void **state)
{
	(void)state;
	opened_is(AS_DEVICE, NULL);
	setenv(WORD, "on-demand", 1);
	opened_is(ON_DEMAND, NULL);
	setenv(WORD, "pinned", 1);
	opened_is(PINNED, NULL);
	setenv(WORD, "", 1);
	opened_is(AS_DEVICE, NULL);
}

static void by_the_device(void **state)
{
	struct rig rig;

	(void)state;
	device_is("on-demand");
	opened_is(RXE_ODP_DV_REGISTER_DEVICE, RXE_ODP_DV_MR_ON_DEMAND, NULL);
	setenv(WORD, "pinned", 1);
	opened_is(PINNED, NULL);
	unsetenv(WORD);
	/* As it says when a region is registered. */
	rig_open(&rig);
	assert_int_equal(registered_as(&rig), RXE_ODP_DV_MR_ON_DEMAND);
	device_is("pinned");
	assert_int_equal(registered_as(&rig), RXE_ODP_DV_MR_PINNED);
	rig_close(&rig);
	setenv(WORD, "on-demand", 1);
	opened_is(ON_DEMAND, NULL);
}

static void by_the_file(void **state)
{
	(void)state;
	conf_is("[device rxe_odp?]\nregister = on-demand\n");
	opened_is(ON_DEMAND, NULL);
	conf_is("[device another]\nregister = on-demand\n");
	opened_is(AS_DEVICE, NULL);
	conf_is("[program provider_policy]\nregister = pinned\n[device *]\nregister = on-demand\n");
	opened_is(PINNED, NULL);
	setenv(WORD, "on-demand", 1);
	opened_is(ON_DEMAND, NULL);
	unsetenv(WORD);
	device_is("on-demand");
	opened_is(PINNED, NULL);
	device_is("pinned");
}

static void implicit(void **state)
{
	(void)state;
	setenv(WORD, "implicit", 1);
	opened_is(ON_DEMAND, "librxe_odp: memory is registered on demand, region by region: ");
	/* Once in a process. */
	opened_is(ON_DEMAND, NULL);
}

static void no_such_word(void **state)
{
	(void)state;
	conf_is("[device *]\nregister = on-demand\n");
	setenv(WORD, "ondemand", 1);
	/* As if nothing had been said there. */
	opened_is(ON_DEMAND, "librxe_odp: RXE_ODP_REGISTER is ignored: ");
	opened_is(ON_DEMAND, NULL);
}

static void bad_line(void **state)
{
	(void)state;
	conf_is("[device *]\nregister = on-demand\n\nregistre = pinned\n");
	opened_is(AS_DEVICE, "librxe_odp: /etc/rxe_odp.conf:4: there is no such setting");
	opened_is(AS_DEVICE, NULL);
}

static void no_file(void **state)
{
	(void)state;
	assert_zero(mkfifo(CONF, 0600));
	opened_is(AS_DEVICE, "librxe_odp: /etc/rxe_odp.conf is not read: it is no regular file");
}

/* As with pinned memory: not mapped, or not to be written. */
static void refused(void **state)
{
	uint8_t *map;
	struct rig rig;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		setenv(WORD, i ? "on-demand" : "pinned", 1);
		rig_open(&rig);
		assert_int_equal(registered_as(&rig),
				 i ? RXE_ODP_DV_MR_ON_DEMAND : RXE_ODP_DV_MR_PINNED);
		map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
		assert_ptr_not_equal(map, MAP_FAILED);
		assert_zero(munmap(map + 2 * PAGE, PAGE));
		assert_zero(mprotect(map + PAGE, PAGE, PROT_READ));
		errno = 0;
		assert_null(ibv_reg_mr(rig.pd, map, 2 * PAGE, IBV_ACCESS_LOCAL_WRITE));
		assert_int_equal(errno, EFAULT);
		errno = 0;
		assert_null(ibv_reg_mr(rig.pd, map, 3 * PAGE, 0));
		assert_int_equal(errno, EFAULT);
		/* The program that asks knows what it does. */
		assert_zero(ibv_dereg_mr(ibv_reg_mr(
			rig.pd, map, 3 * PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND)));
		munmap(map, 2 * PAGE);
		rig_close(&rig);
	}
}

static void asked_for(void **state)
{
	struct buf buf;
	struct rig rig;

	(void)state;
	setenv(WORD, "pinned", 1);
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	buf_make(&buf, rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_int_equal(kind_of(buf.mr), RXE_ODP_DV_MR_ON_DEMAND);
	/* New rights that do not say it. */
	assert_zero(ibv_rereg_mr(buf.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL));
	assert_int_equal(kind_of(buf.mr), RXE_ODP_DV_MR_PINNED);
	buf_free(&buf);
	rig_close(&rig);

	setenv(WORD, "on-demand", 1);
	rig_open(&rig);
	buf_make(&buf, rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	assert_zero(ibv_rereg_mr(buf.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
				 IBV_ACCESS_LOCAL_WRITE));
	assert_int_equal(kind_of(buf.mr), RXE_ODP_DV_MR_ON_DEMAND);
	buf_free(&buf);
	rig_close(&rig);
}

/* An unmodified program's traffic, all on demand. */
static void traffic(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int op;

	(void)state;
	setenv(WORD, "on-demand", 1);
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, 9 * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, 9 * PAGE, 0, ACCESS_ALL);
	assert_int_equal(kind_of(to.mr), RXE_ODP_DV_MR_ON_DEMAND);
	for (op = 0; op < OP_KINDS; op++) {
		buf_forget(&to);
		pair_move_checked(&pair, op, &from, &to, op);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Another process's contexts are as that process had them made. */
static void imported(void **state)
{
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct rig rig;
	static uint8_t page[PAGE];

	(void)state;
	setenv(WORD, "on-demand", 1);
	rig_open(&rig);
	setenv(WORD, "pinned", 1);
	ctx = ibv_import_device(dup(rig.ctx->cmd_fd));
	assert_non_null(ctx);
	pd = ibv_import_pd(ctx, rig.pd->handle);
	assert_non_null(pd);
	mr = ibv_reg_mr(pd, page, sizeof(page), 0);
	assert_non_null(mr);
	assert_int_equal(kind_of(mr), RXE_ODP_DV_MR_ON_DEMAND);
	assert_zero(ibv_dereg_mr(mr));
	ibv_unimport_pd(pd);
	assert_zero(ibv_close_device(ctx));
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(by_environment), TEST(by_the_device), TEST(by_the_file), TEST(implicit),
		TEST(no_such_word),   TEST(bad_line),	   TEST(no_file),     TEST(refused),
		TEST(asked_for),      TEST(traffic),	   TEST(imported),
	};
	char path[128];
	bool bad = false;
	int status;
	size_t i;
	pid_t child;
	FILE *f;

	rig_use_provider(NULL);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		fflush(stdout);
		child = fork();
		if (!child)
			exit(test_run(&tests[i], 1));
		bad |= child < 0 || waitpid(child, &status, 0) != child || status;
		unlink(CONF);
	}
	/* Whatever a test that failed left. */
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	f = fopen(path, "we");
	if (f) {
		fputs("pinned", f);
		fclose(f);
	}
	return bad;
}
