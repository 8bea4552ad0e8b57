// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENT "events/umem_odp/umem_odp_wake/enable"

static bool faults_enable(const struct top_faults *f, char c)
{
	char path[sizeof(f->instance) + sizeof(EVENT) + 1];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/" EVENT, f->instance);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, &c, 1) == 1;
	close(fd);
	return ok;
}

bool faults_open(struct top_faults *f)
{
	char path[sizeof(f->instance) + 16];

	memset(f, 0, sizeof(*f));
	f->pipe = -1;
	snprintf(f->instance, sizeof(f->instance), "/sys/kernel/tracing/instances/odp_top.%d",
		 (int)getpid());
	if (mkdir(f->instance, 0700))
		return false;
	snprintf(path, sizeof(path), "%s/trace_pipe", f->instance);
	f->pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (f->pipe >= 0 && faults_enable(f, '1'))
		return true;
	faults_close(f);
	return false;
}

void faults_close(struct top_faults *f)
{
	if (!*f->instance)
		return;
	if (f->pipe >= 0) {
		faults_enable(f, '0');
		close(f->pipe);
	}
	f->pipe = -1;
	rmdir(f->instance);
	f->instance[0] = 0;
}

bool faults_parse(const char *line, struct top_fault *fault)
{
	const char *at = strstr(line, "umem_odp_wake: ");
	int write, prefetch, n;

	if (!at)
		return false;
	n = sscanf(at,
		   "umem_odp_wake: pid=%" SCNu32 " va=%" SCNx64 " err=%d fault_ns=%" SCNu64
		   " len=%*u write=%d prefetch=%d region=%" SCNx64 " last=%" SCNx64,
		   &fault->pid, &fault->va, &fault->err, &fault->ns, &write, &prefetch,
		   &fault->region, &fault->last);
	if (n != 8 || prefetch)
		return false;
	fault->write = write;
	return true;
}

static void faults_take(struct top_faults *f, const char *line)
{
	struct top_fault fault;

	if (faults_parse(line, &fault))
		f->kept[f->nr++ % TOP_FAULTS_KEPT] = fault;
}

/* Lines that are longer than there is room for are none of ours. */
static void faults_split(struct top_faults *f)
{
	char *end;

	f->part[f->len] = 0;
	while ((end = memchr(f->part, '\n', f->len))) {
		*end++ = 0;
		faults_take(f, f->part);
		f->len -= end - f->part;
		memmove(f->part, end, f->len + 1);
	}
	if (f->len == sizeof(f->part) - 1)
		f->len = 0;
}

void faults_read(struct top_faults *f)
{
	unsigned int reads = 0;
	ssize_t got;

	/* Bounded: a machine may fault faster than this reads. */
	while (f->pipe >= 0 && reads++ < 4096) {
		got = read(f->pipe, f->part + f->len, sizeof(f->part) - 1 - f->len);
		if (got <= 0)
			return;
		f->len += got;
		faults_split(f);
	}
}

const struct top_fault *faults_of(const struct top_faults *f, uint32_t pid, uint64_t start,
				  uint64_t last, size_t back)
{
	const struct top_fault *fault;
	size_t i;

	for (i = 0; i < f->nr && i < TOP_FAULTS_KEPT; i++) {
		fault = &f->kept[(f->nr - 1 - i) % TOP_FAULTS_KEPT];
		if (fault->pid == pid && fault->region == start && fault->last == last && !back--)
			return fault;
	}
	return NULL;
}
