// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that is taken from a process is out of its reach, though the process runs on another CPU meanwhile or the kernel copies for
 * it: what it wrote there comes back from swap, and who has the page now finds nothing but his own bytes in it.
 */
#include "mem.h"
#include "swap.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define BYTES  (12 * PAGE)
#define WORDS  (BYTES / sizeof(uint64_t))
#define ROUNDS (slow_cpu() ? 2000 : 4000)

static struct shared {
	volatile bool over;
	volatile unsigned long fillings;
	unsigned long lost;
} * shared;

/* The calling process, if there is such a CPU. */
static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void fill(uint64_t *words, uint64_t value)
{
	size_t at;

	for (at = 0; at < WORDS; at++)
		words[at] = value;
}

static bool holds(const uint64_t *words, uint64_t value)
{
	size_t at;

	for (at = 0; at < WORDS && words[at] == value; at++)
		;
	return at == WORDS;
}

/* The process whose pages are taken. With a file of zeros the kernel fills them, too. */
static int victim(uint64_t *words, int zeros)
{
	uint64_t value;

	run_on(0);
	while (!shared->over) {
		value = ++shared->fillings;
		fill(words, value);
		if (zeros >= 0) {
			value = 0;
			if (read(zeros, words, BYTES) != BYTES)
				return 1;
		}
		shared->lost += !holds(words, value);
	}
	return 0;
}

/* Until the victim has all its pages again, and runs without the kernel. False if it has ended. */
static bool runs(pid_t pid)
{
	unsigned long from = shared->fillings;
	siginfo_t ended = { 0 };

	while (shared->fillings < from + 3 && !ended.si_pid) {
		usleep(50);
		assert_zero(waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT));
	}
	return !ended.si_pid;
}

/* Takes the pages that the victim has at addr, and makes use of what is free then; true if others have written there. */
static bool take(int pidfd, void *addr)
{
	struct iovec iov = { .iov_base = addr, .iov_len = BYTES };
	unsigned int i;
	bool foreign;
	uint64_t *words;

	assert_int_equal(syscall(SYS_process_madvise, pidfd, &iov, 1UL, MADV_PAGEOUT, 0U), BYTES);
	words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(words, MAP_FAILED);
	fill(words, UINT64_MAX);
	for (i = 0; i < 10 && holds(words, UINT64_MAX); i++)
		;
	foreign = i < 10;
	munmap(words, BYTES);
	return foreign;
}

static void take_and_check(int zeros)
{
	unsigned int i, foreign = 0;
	uint64_t *words;
	int status, pidfd;
	cpu_set_t cpus;
	pid_t pid;

	swap_begin();
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(words, MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(victim(words, zeros));
	assert_zero(sched_getaffinity(0, sizeof(cpus), &cpus));
	run_on(1);
	pidfd = pidfd_open(pid, 0);
	assert_true(pidfd >= 0);
	for (i = 0; i < ROUNDS && runs(pid); i++)
		foreign += take(pidfd, words);
	shared->over = true;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_zero(sched_setaffinity(0, sizeof(cpus), &cpus));
	close(pidfd);
	munmap(words, BYTES);
	printf("%lu fillings, %lu lost, %u times in pages of another\n", shared->fillings,
	       shared->lost, foreign);
	assert_int_equal(status, 0);
	assert_true(shared->fillings > 0);
	assert_int_equal(shared->lost, 0);
	assert_int_equal(foreign, 0);
	munmap(shared, PAGE);
}

static void while_it_runs(void **state)
{
	(void)state;
	take_and_check(-1);
}

static void while_the_kernel_copies(void **state)
{
	int zeros = open("/dev/zero", O_RDONLY);

	(void)state;
	assert_true(zeros >= 0);
	take_and_check(zeros);
	close(zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(while_it_runs), TEST(while_the_kernel_copies) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	swap_end();
	return rc;
}
