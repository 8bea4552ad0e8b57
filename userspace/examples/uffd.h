/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A userfaultfd that is not closed with its process.
 *
 * Where one is closed, pages that were never filled become pages of zeros, and whoever waits for one gets it. A process that dies by
 * SIGKILL closes its own, and cannot do anything about the pages first. Nobody would see them, but that its memory lives on while a
 * NIC waits for a page of it, and with it the queue pairs, whose rings are mapped there: a peer would read zeros. So a child holds the
 * userfaultfd, too. When its parent has ended it makes each missing page an error, and ends. It is no help where both are killed, as
 * with all of a cgroup.
 */
#ifndef EXAMPLES_UFFD_H
#define EXAMPLES_UFFD_H

#include "common.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What UFFDIO_API has to be asked for: Linux 6.6 and later have it. */
#define UFFD_GUARD_FEATURES UFFD_FEATURE_POISON

/* Before there are threads, and with the signals blocked that are not to end the child. */
static inline int uffd_guard(int uffd, void *map, size_t bytes, size_t page_bytes)
{
	struct uffdio_poison page = { .range = { (uintptr_t)map, page_bytes } };
	int alive[2];
	pid_t child;
	size_t i;
	char c;

	if (pipe2(alive, O_CLOEXEC))
		return complain("no pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return complain("no process: %s", strerror(errno));
	if (child) {
		/* The other end stays open as long as we live. */
		close(alive[0]);
		return 0;
	}
	/* Ctrl-C is for the parent. */
	setsid();
	close(alive[1]);
	while (read(alive[0], &c, 1) < 0 && errno == EINTR)
		;
	/* Those that are there stay as they are (EEXIST), as does what is not watched any more (ENOENT). */
	for (i = 0; i < bytes / page_bytes; i++, page.range.start += page_bytes)
		ioctl(uffd, UFFDIO_POISON, &page);
	_exit(0);
}

#endif
