// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static bool skipped;

static void on_alarm(int sig)
{
	static const char text[] = "FAIL: the program did not end in time (TEST_LIMIT_S)\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1))
		_exit(1);
	_exit(1);
}

int test_run(const struct CMUnitTest *tests, size_t count)
{
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	alarm(env_number("TEST_LIMIT_S", 300));
	failed = _cmocka_run_group_tests("test", tests, count, NULL, NULL);
	alarm(0);
	if (failed)
		return 1;
	return skipped ? 77 : 0;
}

void skip_because(const char *fmt, ...)
{
	va_list args;

	printf("SKIP: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	skipped = true;
	_skip(__FILE__, __LINE__);
	abort();
}

void fail_at(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("FAIL: %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	_fail(file, line);
	abort();
}

double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

long read_number(const char *path, long fallback)
{
	FILE *f = fopen(path, "r");
	long value = fallback;

	if (!f)
		return fallback;
	if (fscanf(f, "%ld", &value) != 1)
		value = fallback;
	fclose(f);
	return value;
}

void read_text(const char *path, char *text, int bytes)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(text, bytes, f))
		fail_because("%s cannot be read", path);
	fclose(f);
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = strlen(text);
	int rc = 0;

	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, text, len) != len)
		rc = errno ? -errno : -EIO;
	close(fd);
	return rc;
}

long smaps_kb(const void *addr, const char *field)
{
	size_t len = strlen(field);
	unsigned long start, end;
	bool here = false;
	char line[256];
	long kb = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			here = start <= (uintptr_t)addr && (uintptr_t)addr < end;
		} else if (here && !strncmp(line, field, len) && line[len] == ':') {
			kb = strtol(line + len + 1, NULL, 10);
			break;
		}
	}
	fclose(smaps);
	return kb;
}

unsigned long env_number(const char *name, unsigned long fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : fallback;
}

bool slow_kernel(void)
{
	const char *kernel = getenv("RDMA_ODP_KERNEL");

	return kernel && !strcmp(kernel, "uml");
}

/* QEMU's own model of a CPU says what it is. */
static bool cpu_is_qemus(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "model name", 10) && strstr(line, "QEMU TCG");
	if (f)
		fclose(f);
	return found;
}

bool emulated_cpu(void)
{
	static int emulated = -1;

	if (emulated < 0)
		emulated = !env_number("TEST_LONG", 0) && cpu_is_qemus();
	return emulated;
}

bool slow_cpu(void)
{
	return slow_kernel() || emulated_cpu();
}
