// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "fuse.h"
#include "pattern.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define DIR	  "/tmp/rdma_odp_fuse"
#define FILE_NODE 2
#define HELD_MAX  64
#define MESSAGE	  (128UL * 1024)
#define READAHEAD (64U * 1024)

struct held {
	uint64_t unique;
	uint64_t offset;
	uint32_t bytes;
};

/* lock protects what is held. */
static struct {
	bool mounted;
	bool at_once;
	int fd;
	int told[2]; /* a byte for each read that is held */
	pthread_t thread;
	pthread_mutex_t lock;
	bool holding;
	unsigned int nr_held;
	struct held held[HELD_MAX];
	uint8_t store[FUSE_BYTES];
} fs = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Who asked may be gone: then nobody takes the answer. */
static void reply(uint64_t unique, int err, const void *data, size_t bytes)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + bytes,
		.error = err,
		.unique = unique,
	};
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)data, bytes } };

	if (writev(fs.fd, parts, bytes ? 2 : 1) < 0)
		return;
}

static void reply_read(const struct held *h)
{
	size_t left = h->offset < FUSE_BYTES ? FUSE_BYTES - h->offset : 0;

	reply(h->unique, 0, fs.store + h->offset, h->bytes < left ? h->bytes : left);
}

static void on_init(uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = fs.at_once ? 0 : READAHEAD,
		.flags = fs.at_once ? 0 : in->flags & FUSE_ASYNC_READ,
		.max_background = HELD_MAX,
		.max_write = READAHEAD,
	};

	reply(unique, 0, &out, sizeof(out));
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_NODE ? FUSE_BYTES : 0,
		.blocks = node == FILE_NODE ? FUSE_BYTES / 512 : 0,
		.mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void on_lookup(uint64_t unique, const char *name)
{
	struct fuse_entry_out out = {
		.nodeid = FILE_NODE,
		.entry_valid = 1000,
		.attr_valid = 1000,
		.attr = attr_of(FILE_NODE),
	};

	if (strcmp(name, "file"))
		reply(unique, -ENOENT, NULL, 0);
	else
		reply(unique, 0, &out, sizeof(out));
}

static void on_getattr(uint64_t unique, uint64_t node)
{
	struct fuse_attr_out out = { .attr_valid = 1000, .attr = attr_of(node) };

	reply(unique, 0, &out, sizeof(out));
}

static void on_read(uint64_t unique, const struct fuse_read_in *in)
{
	struct held h = { unique, in->offset, in->size };

	pthread_mutex_lock(&fs.lock);
	if (fs.holding && fs.nr_held < HELD_MAX) {
		fs.held[fs.nr_held++] = h;
		if (write(fs.told[1], "", 1) != 1)
			perror("fuse: pipe");
	} else {
		reply_read(&h);
	}
	pthread_mutex_unlock(&fs.lock);
}

static void on_write(uint64_t unique, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { .size = in->size };

	if (in->offset > FUSE_BYTES || in->size > FUSE_BYTES - in->offset) {
		reply(unique, -EFBIG, NULL, 0);
		return;
	}
	memcpy(fs.store + in->offset, in + 1, in->size);
	reply(unique, 0, &out, sizeof(out));
}

static void dispatch(const struct fuse_in_header *in)
{
	const void *arg = in + 1;
	struct fuse_open_out open = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		on_init(in->unique, arg);
		break;
	case FUSE_LOOKUP:
		on_lookup(in->unique, arg);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		on_getattr(in->unique, in->nodeid);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(in->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		on_read(in->unique, arg);
		break;
	case FUSE_WRITE:
		on_write(in->unique, arg);
		break;
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(in->unique, -ENOSYS, NULL, 0);
	}
}

/* Until the connection is aborted. */
static void *serve(void *arg)
{
	struct fuse_in_header *message = malloc(MESSAGE);
	ssize_t bytes;

	(void)arg;
	for (;;) {
		bytes = read(fs.fd, message, MESSAGE);
		if (bytes >= (ssize_t)sizeof(*message))
			dispatch(message);
		else if (bytes < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
			break;
	}
	free(message);
	return NULL;
}

void fuse_begin(bool at_once)
{
	char options[100];

	if (fs.mounted)
		return;
	if (system("modprobe fuse 2>/dev/null; grep -qw fuse /proc/filesystems"))
		skip_because("the kernel has no FUSE");
	fs.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	assert_true(fs.fd >= 0);
	fs.at_once = at_once;
	fs.holding = false;
	fs.nr_held = 0;
	pattern_fill(fs.store, FUSE_BYTES, FUSE_SEED, 0);
	assert_zero(pipe2(fs.told, O_CLOEXEC));
	mkdir(DIR, 0700);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fs.fd);
	assert_zero(mount("rdma-odp-test", DIR, "fuse", MS_NODEV | MS_NOSUID, options));
	fs.mounted = true;
	assert_zero(pthread_create(&fs.thread, NULL, serve, NULL));
}

void fuse_hold(void)
{
	pthread_mutex_lock(&fs.lock);
	fs.holding = true;
	pthread_mutex_unlock(&fs.lock);
}

bool fuse_asked(int timeout_ms)
{
	struct pollfd p = { .fd = fs.told[0], .events = POLLIN };
	char c;

	return poll(&p, 1, timeout_ms) == 1 && read(fs.told[0], &c, 1) == 1;
}

void fuse_release(void)
{
	pthread_mutex_lock(&fs.lock);
	fs.holding = false;
	while (fs.nr_held)
		reply_read(&fs.held[--fs.nr_held]);
	pthread_mutex_unlock(&fs.lock);
}

const uint8_t *fuse_store(void)
{
	return fs.store;
}

void fuse_end(void)
{
	if (!fs.mounted)
		return;
	fs.mounted = false;
	fs.nr_held = 0;
	/* Aborts the connection, whoever else has a copy of its file. */
	umount2(DIR, MNT_FORCE);
	umount2(DIR, MNT_DETACH);
	pthread_join(fs.thread, NULL);
	close(fs.fd);
	close(fs.told[0]);
	close(fs.told[1]);
	rmdir(DIR);
}
