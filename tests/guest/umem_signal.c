// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The first registration of a process has to lock all of its mappings, which takes a while where there are thousands of them. A timer
 * that fires meanwhile, a profiler's for example, does not make it fail.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "umem.h"

#define MAPPINGS  20000UL
#define TIMES	  4
#define PERIOD_US 100

static volatile sig_atomic_t signals;
/* What the children have seen, together. */
static unsigned long *during;
static uint8_t *map;

static void count(int sig)
{
	(void)sig;
	signals++;
}

static void timer(int which, int sig, int flags, suseconds_t us)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };
	struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	sigaction(sig, &action, NULL);
	setitimer(which, &every, NULL);
}

/* Each page a mapping of its own, and every second one usable. */
static void make_mappings(void)
{
	size_t i;

	map = mmap(NULL, MAPPINGS * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (i = 0; i < MAPPINGS; i += 2)
		assert_zero(mprotect(map + i * PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE));
	during = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(during, MAP_FAILED);
}

static void free_mappings(void)
{
	munmap(map, MAPPINGS * PAGE_BYTES);
	munmap(during, PAGE_BYTES);
}

/* In a process that has no region. One that has gone again leaves the next one to be the first. */
static int register_here(void)
{
	int fd = umem_open(), i, err;

	for (i = 0; i < TIMES; i++) {
		err = umem_create(fd, map, PAGE_BYTES, UMEM_SELFTEST_WRITE);
		if (err || umem_fault(fd, map, 1, true))
			return err ?: -EFAULT;
		umem_destroy(fd);
	}
	umem_close(fd);
	return 0;
}

/* The same by verbs. What comes before the registration is not what is tested here. */
static struct ibv_pd *pd;

static int register_mr_here(void)
{
	struct ibv_mr *mr;
	int i;

	for (i = 0; i < TIMES; i++) {
		errno = 0;
		mr = ibv_reg_mr(pd, map, PAGE_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND);
		if (!mr)
			return -errno;
		if (ibv_dereg_mr(mr))
			return -EBUSY;
	}
	return 0;
}

static const char *child(int (*registers)(void), int which, int flags)
{
	int err;

	if (registers == register_mr_here) {
		struct ibv_context *ctx = rig_context(rig_device_name());

		pd = ctx ? ibv_alloc_pd(ctx) : NULL;
		if (!pd)
			return "the device";
	}
	timer(which, which == ITIMER_REAL ? SIGALRM : SIGPROF, flags, PERIOD_US);
	signals = 0;
	err = registers();
	__atomic_fetch_add(during, signals, __ATOMIC_RELAXED);
	timer(which, which == ITIMER_REAL ? SIGALRM : SIGPROF, flags, 0);
	return err ? strerror(-err) : NULL;
}

static void fork_and_register(int (*registers)(void), int which, int flags)
{
	const char *failed;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* One that does not come back ends with the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		failed = child(registers, which, flags);
		if (failed)
			printf("FAIL: registered under signals: %s\n", failed);
		fflush(stdout);
		_exit(failed ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void processes_register(int (*registers)(void))
{
	unsigned int processes = slow_cpu() ? 5 : 15, i;

	make_mappings();
	for (i = 0; i < processes; i++) {
		fork_and_register(registers, ITIMER_REAL, 0);
		fork_and_register(registers, ITIMER_REAL, SA_RESTART);
		fork_and_register(registers, ITIMER_PROF, 0);
		fork_and_register(registers, ITIMER_PROF, SA_RESTART);
	}
	printf("%u registrations, %lu signals\n", processes * 4 * TIMES, *during);
	assert_true(*during > 0);
	free_mappings();
}

static void of_umem_odp_alone(void **state)
{
	/* The module stays in while children come and go. */
	int fd = umem_open();

	(void)state;
	processes_register(register_here);
	umem_close(fd);
}

static void of_the_device(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	rig_close(&rig);
	processes_register(register_mr_here);
}

TEST_MAIN(TEST(of_umem_odp_alone), TEST(of_the_device))
