// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "chaos.h"
#include "deed.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define SECRET_BYTE 0xee

/* While a slice has a hole, nobody may ask for an address: it could be one in there. */
static pthread_mutex_t hole_lock = PTHREAD_MUTEX_INITIALIZER;

/* Some whole pages of the slice. */
static uint8_t *some_pages(struct rnd *r, struct worker *w, size_t *bytes)
{
	size_t pages = SLICE_BYTES / PAGE, from = rnd_below(r, pages);

	*bytes =
		PAGE * (1 + rnd_below(r, rnd_one_in(r, 4) ? pages - from : 1 + (pages - from) / 8));
	return w->slice + from * PAGE;
}

static void map_again(struct worker *w, uint8_t *at, size_t bytes)
{
	if (!memory_map_again(w->memory, at, bytes))
		failed(w, "mmap: errno %d", errno);
}

static int move_away_and_back(struct worker *w, uint8_t *at, size_t bytes)
{
	void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *away = mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room);

	if (away == MAP_FAILED) {
		/* Other advice has cut it in several mappings: not all kernels move those, and some stop midway. */
		if (errno != EFAULT && errno != EINVAL)
			failed(w, "mremap away: errno %d", errno);
		map_again(w, at, bytes);
		munmap(room, bytes);
		return -1;
	}
	away[0]++; /* its mapping is the process's, and no longer the region's */
	away[0]--;
	if (mremap(away, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		failed(w, "mremap back: errno %d", errno);
	return 0;
}

/* For a while there is memory that no device may touch: what the CPU wrote to it stays, and is seen by nobody. */
static int secret(struct rnd *r, struct worker *w, uint8_t *at, size_t bytes)
{
	int fd = syscall(SYS_memfd_secret, 0), rc = -1;
	size_t i;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, bytes) &&
	    mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) {
		memset(at, SECRET_BYTE, bytes);
		usleep(rnd_below(r, 300));
		for (i = 0; i < bytes; i++)
			if (at[i] != SECRET_BYTE)
				failed(w, "byte %zu of secret memory is %#x", i, at[i]);
		map_again(w, at, bytes);
		rc = 0;
	}
	close(fd);
	return rc;
}

/* The last slice lies at the end of its file. */
static int cut(struct rnd *r, struct worker *w)
{
	off_t end = (off_t)SLICES * SLICE_BYTES;

	if (ftruncate(w->memory->fd, end - 1 - (off_t)rnd_below(r, SLICE_BYTES)))
		return -1;
	usleep(rnd_below(r, 300));
	return ftruncate(w->memory->fd, end);
}

/* What takes data, or access to it, away; under the slice's lock. */
static void take_away(struct rnd *r, enum deed deed, struct worker *w)
{
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);
	int rc = -1;

	switch (deed) {
	case DONTNEED:
		rc = madvise(at, bytes, MADV_DONTNEED);
		break;
	case UNMAPPED:
		pthread_mutex_lock(&hole_lock);
		rc = munmap(at, bytes);
		map_again(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case MOVED:
		pthread_mutex_lock(&hole_lock);
		rc = move_away_and_back(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case PROTECTED:
		rc = mprotect(at, bytes, rnd_one_in(r, 2) ? PROT_NONE : PROT_READ) |
		     mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	case READ_ONLY:
		rc = mprotect(at, bytes, PROT_READ);
		usleep(rnd_below(r, 300));
		rc |= mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	case FREED:
		rc = madvise(at, bytes, MADV_FREE);
		break;
	case HOLE:
		rc = fallocate(w->memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       at - w->memory->data, bytes);
		break;
	case SECRET:
		rc = secret(r, w, at, bytes);
		break;
	case CUT:
		rc = cut(r, w);
		break;
	default:
		break;
	}
	deed_count(deed, rc, errno);
}

/* Of what can be read: it may have been forked while there was a hole. */
static uint64_t sum_of(int mem, const uint8_t *at, size_t bytes)
{
	uint64_t sum = 0;
	uint8_t page[PAGE];
	size_t i;

	for (; bytes; bytes -= PAGE, at += PAGE)
		if (pread(mem, page, PAGE, (uintptr_t)at) == (ssize_t)PAGE)
			for (i = 0; i < PAGE; i += 61)
				sum = sum * 31 + page[i];
	return sum;
}

static int look_twice(const uint8_t *at, size_t bytes)
{
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint64_t first;

	if (mem < 0)
		return 2;
	first = sum_of(mem, at, bytes);
	usleep(1000);
	return first != sum_of(mem, at, bytes);
}

/* A child sees the private memory as it was, however the NIC writes to its parent's. */
static void fork_and_look(struct rnd *r, struct worker *w)
{
	size_t bytes;
	const uint8_t *at = some_pages(r, w, &bytes);
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(look_twice(at, bytes));
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		failed(w, "a child's copy changed: status %#x", status);
	deed_count(FORKED, pid < 0, errno);
}

/* One mapping of 2 MiB, as far as nobody cuts it meanwhile. */
static int collapse(struct rnd *r, struct memory *m)
{
	uint8_t *at = m->data + HUGE_BYTES * rnd_below(r, SLICES * SLICE_BYTES / HUGE_BYTES);

	madvise(at, HUGE_BYTES, MADV_UNMERGEABLE);
	madvise(at, HUGE_BYTES, MADV_HUGEPAGE);
	return madvise(at, HUGE_BYTES, MADV_COLLAPSE);
}

/* What must take nothing away. Another thread may just have made a hole there: it says so. */
static void disturb(struct rnd *r, enum deed deed, struct worker *w)
{
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);
	int rc = -1;

	switch (deed) {
	case PAGED_OUT:
		rc = madvise(at, bytes, MADV_PAGEOUT);
		break;
	case LOCAL_PAGED_OUT:
		rc = madvise(w->local.map, w->local.map_bytes, MADV_PAGEOUT) |
		     madvise(w->back.map, w->back.map_bytes, MADV_PAGEOUT);
		break;
	case COLLAPSED:
		rc = collapse(r, w->memory);
		break;
	case SPLIT:
		rc = madvise(at, bytes, rnd_one_in(r, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case MERGED:
		rc = madvise(at, bytes, rnd_one_in(r, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
		break;
	case SOFT_DIRTY:
		rc = write_text("/proc/self/clear_refs", "4");
		break;
	case COMPACTED:
		rc = write_text("/proc/sys/vm/compact_memory", "1");
		break;
	case SYNCED:
		rc = fdatasync(w->memory->fd);
		break;
	case DROPPED:
		rc = madvise(at, bytes, MADV_DONTNEED) |
		     posix_fadvise(w->memory->fd, 0, 0, POSIX_FADV_DONTNEED);
		break;
	case FORKED:
		fork_and_look(r, w);
		return;
	default:
		break;
	}
	deed_count(deed, rc, errno);
}

/* Whether that can be done to this worker's memory, and is to be. */
static bool suits(enum deed deed, const struct worker *w)
{
	switch (deed) {
	case FREED:
		return w->memory->kind == PRIVATE;
	case HOLE:
	case DROPPED:
		return w->memory->kind != PRIVATE;
	case SYNCED:
		return w->memory->kind == EXT4;
	case SECRET:
		return is_wild(w);
	case CUT:
		return is_wild(w) && w->memory->kind == EXT4;
	case FORKED:
		return !is_wild(w) && w->memory->kind == PRIVATE;
	default:
		return true;
	}
}

/* The wild ones take a third, and their share. */
static struct worker *some_worker(struct rnd *r, enum deed deed)
{
	struct worker *w;

	do {
		w = &workers[rnd_one_in(r, 3) ? WILD + rnd_below(r, WORKERS - WILD) :
						rnd_below(r, WORKERS)];
	} while (!suits(deed, w));
	return w;
}

static bool takes_its_time(enum deed deed)
{
	return deed == FORKED || deed == COMPACTED || deed == SYNCED;
}

/* Each of them once, then by chance. */
static enum deed some_deed(struct rnd *r)
{
	static unsigned int turns;
	enum deed deed = __sync_fetch_and_add(&turns, 1);

	if (deed >= KILLED) {
		deed = rnd_one_in(r, 2) ? TAKES_AWAY + rnd_below(r, KILLED - TAKES_AWAY) :
					  rnd_below(r, TAKES_AWAY);
		if (takes_its_time(deed) && !rnd_one_in(r, 8))
			deed = SOFT_DIRTY;
	}
	if (storm_lazy_mmu && (deed == LOCAL_PAGED_OUT || deed == COMPACTED))
		return PAGED_OUT;
	return deed;
}

void *chaos(void *rnd)
{
	struct rnd *r = rnd;

	while (!storm_stop) {
		enum deed deed = some_deed(r);
		struct worker *w = some_worker(r, deed);

		if (deed >= TAKES_AWAY) {
			disturb(r, deed, w);
		} else {
			/* The wild worker does not hold it; but two of us must not map over one another. */
			__sync_fetch_and_add(&w->wanted, 1);
			pthread_mutex_lock(&w->lock);
			__sync_fetch_and_sub(&w->wanted, 1);
			take_away(r, deed, w);
			pthread_mutex_unlock(&w->lock);
		}
		usleep(rnd_below(r, 400));
	}
	return NULL;
}
