// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * postcopy: memory that is read by peers before it is there, as that of a virtual machine which runs at its new place already.
 *
 * "serve" makes a region of a file's size, empty, and registers it twice: with a userfaultfd, so that a fault in a missing page waits
 * until a thread of ours puts the page in; and on demand for the NIC, whose READs of a missing page are such faults. The peer sees no
 * more of it than a READ that takes longer. Meanwhile the thread pushes the pages that nobody has asked for, one by one; when all are
 * there the userfaultfd goes, and the region is ordinary memory. "read" reads every page, in random order, several at a time.
 * The file stands for whatever is slow, and -d makes it slower.
 *
 * The NIC's faults are faults of the kernel. So the userfaultfd must not be one for user mode only (UFFD_USER_MODE_ONLY), and who is
 * not root needs vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE.
 *
 * A page that never came would hold up its reader without end: when the file cannot be read the server ends, and its peers' connections
 * with it. However it ends, nobody reads zeros where a page is missing (uffd.h).
 */
#include "client.h"
#include "server.h"
#include "uffd.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PORT  "18602"
#define MAGIC 0x31637031U
#define PAGE  4096U
#define DEPTH 8U

/* Told with the connection, little endian. */
struct welcome {
	uint32_t magic;
	uint32_t rkey;
	uint64_t address;
	uint64_t bytes;
};

/* The server. */

static struct region {
	char *map;
	size_t bytes, page_bytes, file_bytes;
	int file, uffd;
	int wake; /* an eventfd: a peer has come, or it is to end */
	atomic_bool begun, ended, failed;
	pthread_t filler;
	unsigned int delay_us;
} region = { .file = -1, .uffd = -1, .wake = -1 };

/* Puts the page at offset in, which wakes who waits for it: 1, or 0 if it was there already. */
static int page_fill(struct region *r, size_t offset)
{
	static char page[1 << 16] __attribute__((aligned(1 << 16)));
	struct uffdio_copy copy = { .dst = (uintptr_t)r->map + offset,
				    .src = (uintptr_t)page,
				    .len = r->page_bytes };
	/* The file may end within its last page. */
	size_t bytes = r->file_bytes - offset < r->page_bytes ? r->file_bytes - offset :
								r->page_bytes;
	ssize_t n = pread(r->file, page, bytes, offset);

	if (n != (ssize_t)bytes)
		return complain("the file %s", n < 0 ? strerror(errno) : "has been cut short");
	memset(page + n, 0, r->page_bytes - n);
	if (r->delay_us)
		usleep(r->delay_us);
	/* EAGAIN: the mappings were about to change. */
	while (ioctl(r->uffd, UFFDIO_COPY, &copy)) {
		if (errno == EEXIST)
			return 0;
		if (errno != EAGAIN)
			return complain("UFFDIO_COPY: %s", strerror(errno));
	}
	return 1;
}

/* The page of a fault: 1 or 0 as above, 0 also if there was none. */
static int page_asked(struct region *r)
{
	struct uffd_msg msg;

	if (read(r->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return errno == EAGAIN ? 0 : complain("the userfaultfd: %s", strerror(errno));
	if (msg.event != UFFD_EVENT_PAGEFAULT)
		return 0;
	return page_fill(r, (msg.arg.pagefault.address & -r->page_bytes) - (uintptr_t)r->map);
}

/* Faults first, and when there is none the next page in order. From the first peer on: before, nobody waits. */
static int region_fill(struct region *r)
{
	struct pollfd fds[] = { { r->uffd, POLLIN, 0 }, { r->wake, POLLIN, 0 } };
	size_t next = 0, asked = 0, pushed = 0;
	uint64_t count;
	int n = 0;

	while (next < r->bytes && !r->ended) {
		if (poll(fds, 2, r->begun ? 0 : -1) < 0)
			return complain("poll: %s", strerror(errno));
		if (fds[1].revents && read(r->wake, &count, sizeof(count)) < 0)
			return complain("the eventfd: %s", strerror(errno));
		if (fds[0].revents) {
			n = page_asked(r);
			asked += n > 0;
		} else if (r->begun) {
			n = page_fill(r, next);
			pushed += n > 0;
			next += r->page_bytes;
		}
		if (n < 0)
			return -1;
	}
	printf("%zu of %zu pages are there: %zu were asked for, %zu pushed\n", asked + pushed,
	       r->bytes / r->page_bytes, asked, pushed);
	fflush(stdout);
	return 0;
}

static void *region_filler(void *arg)
{
	struct region *r = arg;
	struct uffdio_range all = { (uintptr_t)r->map, r->bytes };

	r->failed = region_fill(r);
	/*
	 * Whoever waits still is woken. Without a userfaultfd a page that was never filled would be one of zeros: where some are
	 * missing, nobody may read the region any longer. It stays mapped, so that nothing else comes to lie under its key. The guard
	 * has the userfaultfd open, too: closing it here is not enough.
	 */
	if (r->failed)
		mprotect(r->map, r->bytes, PROT_NONE);
	ioctl(r->uffd, UFFDIO_UNREGISTER, &all);
	close(r->uffd);
	if (r->failed)
		kill(getpid(), SIGTERM);
	return NULL;
}

static void region_wake(struct region *r, atomic_bool *why)
{
	uint64_t one = 1;

	*why = true;
	if (write(r->wake, &one, sizeof(one)) < 0)
		complain("the eventfd: %s", strerror(errno));
}

/* Missing pages of the region are ours to fill. */
static int region_watch(struct region *r)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_GUARD_FEATURES };
	struct uffdio_register watch = { .range = { (uintptr_t)r->map, r->bytes },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	r->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (r->uffd < 0)
		return complain("no userfaultfd for faults of the kernel: %s%s", strerror(errno),
				errno == EPERM ? "; be root, or set vm.unprivileged_userfaultfd=1" :
						 "");
	if (!ioctl(r->uffd, UFFDIO_API, &api) && !ioctl(r->uffd, UFFDIO_REGISTER, &watch))
		return 0;
	complain("the userfaultfd does not take the region: %s", strerror(errno));
	close(r->uffd);
	return -1;
}

static int region_open(struct region *r, const char *path)
{
	struct stat st;

	r->page_bytes = sysconf(_SC_PAGESIZE);
	r->file = open(path, O_RDONLY | O_CLOEXEC);
	if (r->file < 0 || fstat(r->file, &st) || !st.st_size)
		return complain("%s: %s", path,
				r->file < 0 ? strerror(errno) : "there is nothing in it");
	r->file_bytes = st.st_size;
	r->bytes = (st.st_size + r->page_bytes - 1) & -r->page_bytes;
	r->wake = eventfd(0, EFD_CLOEXEC);
	r->map = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->wake < 0 || r->map == MAP_FAILED)
		return complain("no memory for the file: %s", strerror(errno));
	if (region_watch(r) || uffd_guard(r->uffd, r->map, r->bytes, r->page_bytes))
		return -1;
	errno = pthread_create(&r->filler, NULL, region_filler, r);
	return errno ? complain("no thread: %s", strerror(errno)) : 0;
}

static int postcopy_welcome(struct client *c, struct rdma_conn_param *answer)
{
	static struct welcome welcome;
	struct ibv_mr *mr = ibv_reg_mr(c->peer.pd, region.map, region.bytes,
				       IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_READ);

	c->state = mr;
	if (!mr)
		return complain("the device registers nothing on demand: %s", strerror(errno));
	welcome = (struct welcome){ htole32(MAGIC), htole32(mr->rkey),
				    htole64((uintptr_t)region.map), htole64(region.bytes) };
	answer->private_data = &welcome;
	answer->private_data_len = sizeof(welcome);
	region_wake(&region, &region.begun);
	return 0;
}

static void postcopy_farewell(struct client *c)
{
	if (c->state)
		ibv_dereg_mr(c->state);
}

/* There is nothing to be asked. */
static int postcopy_message(struct client *c, const void *message, size_t bytes)
{
	(void)c;
	(void)message;
	(void)bytes;
	return -1;
}

static const struct service postcopy = { PORT, 1, postcopy_welcome, postcopy_message,
					 postcopy_farewell };

static int serve_file(const char *path, const char *address, unsigned int delay_us)
{
	sigset_t signals;
	int rc;

	/* They are for serve() and not for the filler. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	region.delay_us = delay_us;
	/* What is open in a process that ends goes with it. */
	if (region_open(&region, path))
		return EXIT_FAILURE;
	rc = serve(&postcopy, address);
	region_wake(&region, &region.ended);
	pthread_join(region.filler, NULL);
	munmap(region.map, region.bytes);
	close(region.wake);
	close(region.file);
	return region.failed ? EXIT_FAILURE : rc;
}

/* The client. */

struct reader {
	struct peer peer;
	struct welcome there;
	int file;
	uint32_t *order; /* a permutation of the pages */
	size_t pages, next;
	char *buffer; /* of DEPTH pages */
	struct ibv_mr *mr;
	size_t under_way[DEPTH]; /* the page in each place */
};

static int reader_shuffle(struct reader *r)
{
	size_t i, j;

	r->order = calloc(r->pages, sizeof(*r->order));
	if (!r->order)
		return complain("no memory");
	srandom(time(NULL));
	for (i = 0; i < r->pages; i++) {
		j = random() % (i + 1);
		r->order[i] = r->order[j];
		r->order[j] = i;
	}
	return 0;
}

static int reader_post(struct reader *r, uintptr_t i)
{
	uint64_t at = (uint64_t)r->order[r->next] * PAGE;

	r->under_way[i] = r->order[r->next++];
	if (rdma_post_read(r->peer.id, (void *)i, r->buffer + i * PAGE, PAGE, r->mr, 0,
			   le64toh(r->there.address) + at, le32toh(r->there.rkey)))
		return complain("a request cannot be posted: %s", strerror(errno));
	return 0;
}

static int reader_compare(const struct reader *r, uintptr_t i)
{
	char want[PAGE];
	ssize_t n = pread(r->file, want, PAGE, r->under_way[i] * PAGE);

	if (n >= 0) {
		memset(want + n, 0, PAGE - n);
		if (!memcmp(want, r->buffer + i * PAGE, PAGE))
			return 0;
	}
	return complain("page %zu is not that of the file", r->under_way[i]);
}

static int reader_run(struct reader *r)
{
	struct ibv_wc wc[DEPTH];
	size_t under_way;
	int i, n;

	for (under_way = 0; under_way < DEPTH && r->next < r->pages; under_way++)
		if (reader_post(r, under_way))
			return -1;
	while (under_way) {
		n = peer_wait(&r->peer, wc, DEPTH);
		if (n < 0)
			return -1;
		for (i = 0; i < n; i++) {
			if (wc[i].status || wc[i].opcode != IBV_WC_RDMA_READ)
				return complain("a page cannot be read: %s",
						ibv_wc_status_str(wc[i].status));
			if (reader_compare(r, wc[i].wr_id))
				return -1;
			if (r->next == r->pages)
				under_way--;
			else if (reader_post(r, wc[i].wr_id))
				return -1;
		}
	}
	printf("%zu pages were read in random order, all as in the file\n", r->pages);
	return 0;
}

static int reader_prepare(struct reader *r, const char *path)
{
	const struct welcome *welcome = peer_told(&r->peer, sizeof(*welcome));
	struct stat st;

	if (!welcome || welcome->magic != htole32(MAGIC))
		return complain("the server does not speak postcopy");
	r->there = *welcome;
	r->file = open(path, O_RDONLY | O_CLOEXEC);
	if (r->file < 0 || fstat(r->file, &st))
		return complain("%s: %s", path, strerror(errno));
	r->pages = (st.st_size + PAGE - 1) / PAGE;
	if (le64toh(r->there.bytes) < r->pages * PAGE)
		return complain("the server's file is shorter than %s", path);
	r->buffer = calloc(DEPTH, PAGE);
	if (!r->buffer || reader_shuffle(r))
		return -1;
	r->mr = rdma_reg_msgs(r->peer.id, r->buffer, DEPTH * PAGE);
	return r->mr ? 0 : complain("no buffer: %s", strerror(errno));
}

static int read_file(const char *address, const char *path)
{
	struct reader r = { .file = -1 };
	int rc;

	if (peer_connect(&r.peer, address, PORT, 1))
		return EXIT_FAILURE;
	rc = reader_prepare(&r, path) || reader_run(&r);
	rdma_disconnect(r.peer.id);
	rdma_destroy_qp(r.peer.id);
	if (r.mr)
		ibv_dereg_mr(r.mr);
	free(r.buffer);
	free(r.order);
	if (r.file >= 0)
		close(r.file);
	peer_close(&r.peer);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(FILE *to)
{
	fputs("usage: postcopy serve [-d MICROSECONDS] FILE [ADDRESS]    -d: before each page\n"
	      "       postcopy read ADDRESS FILE                          compare all pages\n",
	      to);
	return to == stdout ? EXIT_SUCCESS : 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned int delay_us = 0;

	if (!strcmp(what, "--help") || !strcmp(what, "-h"))
		return usage(stdout);
	if (!strcmp(what, "read") && argc == 4)
		return read_file(argv[2], argv[3]);
	if (!strcmp(what, "serve") && argc > 3 && !strcmp(argv[2], "-d")) {
		delay_us = strtoul(argv[3], NULL, 0);
		argv += 2;
		argc -= 2;
	}
	if (strcmp(what, "serve") || argc < 3 || argc > 4)
		return usage(stderr);
	return serve_file(argv[2], argv[3], delay_us);
}
