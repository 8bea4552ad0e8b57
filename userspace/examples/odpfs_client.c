// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The client of odpfs: it moves the bytes, DEPTH pieces at a time.
 *
 * get and put register the file here on demand as they find it, so that bytes go from one page cache to the other and no end needs
 * the memory. verify and randread read into a buffer and compare. A server that lies about sizes gets an error or spoils
 * the file that is fetched, and nothing else: it never learns a key of the client's.
 */
#include "client.h"
#include "odpfs.h"

#include <endian.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* No longer than what is begun again at little cost when a READ meets a page that comes late. */
#define PIECE  ((size_t)256 << 10)
#define RANDOM ((size_t)4 << 10)
#define DEPTH  8U

struct flow {
	struct peer peer;
	enum ibv_wr_opcode op;
	/* The file there. */
	uint64_t address, bytes;
	uint32_t rkey;
	/* Pieces that are still to be begun, their size, where the next one is. */
	uint64_t left, at;
	size_t piece;
	bool random;
	/* The file here (or -1): mapped as a whole, or compared with what comes into a buffer of DEPTH pieces. */
	int fd;
	bool mapped;
	char *memory;
	size_t memory_bytes;
	struct ibv_mr *mr;
	struct {
		uint64_t at;
		size_t bytes;
	} pieces[DEPTH];
};

static void flow_pieces(struct flow *f, size_t piece)
{
	f->piece = piece;
	f->left = (f->bytes + piece - 1) / piece;
}

/* Asks, and waits for the answer; nothing else is under way. */
static int flow_ask(struct flow *f, uint32_t op, const char *name, uint64_t bytes)
{
	struct request request = { .magic = htole32(MAGIC), .op = htole32(op) };
	const struct reply *reply;
	struct ibv_wc wc;
	int error;

	if (strlen(name) >= NAME_BYTES)
		return complain("the name has more than %d bytes", NAME_BYTES - 1);
	memcpy(request.name, name, strlen(name) + 1);
	request.bytes = htole64(bytes);
	if (rdma_post_send(f->peer.id, NULL, &request, sizeof(request), NULL, IBV_SEND_INLINE))
		return complain("the request cannot be sent: %s", strerror(errno));
	do {
		if (peer_wait(&f->peer, &wc, 1) < 0)
			return -1;
		if (wc.status)
			return complain("the server is gone: %s", ibv_wc_status_str(wc.status));
	} while (!(wc.opcode & IBV_WC_RECV));
	reply = (void *)(f->peer.inbox + wc.wr_id * f->peer.message_bytes);
	if (wc.byte_len != sizeof(*reply) || le64toh(reply->bytes) > INT64_MAX)
		return complain("the answer is not one of odpfs");
	f->address = le64toh(reply->address);
	f->bytes = le64toh(reply->bytes);
	f->rkey = le32toh(reply->rkey);
	error = le32toh(reply->error);
	flow_pieces(f, PIECE);
	if (peer_receive(&f->peer, wc.wr_id))
		return complain("no further answer can be received");
	return error ? complain("the server says of '%s': %s", name, strerror(error)) : 0;
}

/* Begins the next piece in that place. */
static int flow_post(struct flow *f, uintptr_t i)
{
	char *here;
	int rc;

	if (f->random)
		f->at = random() % ((f->bytes + f->piece - 1) / f->piece) * f->piece;
	f->pieces[i].at = f->at;
	f->pieces[i].bytes = f->bytes - f->at < f->piece ? f->bytes - f->at : f->piece;
	here = f->memory + (f->mapped ? f->at : i * f->piece);
	if (f->op == IBV_WR_RDMA_READ)
		rc = rdma_post_read(f->peer.id, (void *)i, here, f->pieces[i].bytes, f->mr, 0,
				    f->address + f->at, f->rkey);
	else
		rc = rdma_post_write(f->peer.id, (void *)i, here, f->pieces[i].bytes, f->mr, 0,
				     f->address + f->at, f->rkey);
	f->at += f->pieces[i].bytes;
	f->left--;
	return rc ? complain("a request cannot be posted: %s", strerror(errno)) : 0;
}

static int flow_explain(enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_REM_ACCESS_ERR:
		return complain(
			"the server's file has been cut short, or its disk is full or broken");
	case IBV_WC_LOC_PROT_ERR:
		return complain("the file here has been cut short, or the disk is full or broken");
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_WR_FLUSH_ERR:
		return complain("the server is gone");
	default:
		return complain("a request failed: %s", ibv_wc_status_str(status));
	}
}

/* A piece has come: is it right? */
static int flow_compare(const struct flow *f, uintptr_t i)
{
	static char want[PIECE];
	size_t bytes = f->pieces[i].bytes;

	if (f->mapped || f->fd < 0)
		return 0;
	if (pread(f->fd, want, bytes, f->pieces[i].at) == (ssize_t)bytes &&
	    !memcmp(want, f->memory + i * f->piece, bytes))
		return 0;
	return complain("the files differ in the %zu bytes from %llu on", bytes,
			(unsigned long long)f->pieces[i].at);
}

static int flow_run(struct flow *f)
{
	struct ibv_wc wc[DEPTH];
	unsigned int under_way;
	int i, n;

	for (under_way = 0; under_way < DEPTH && f->left; under_way++)
		if (flow_post(f, under_way))
			return -1;
	while (under_way) {
		n = peer_wait(&f->peer, wc, DEPTH);
		if (n < 0)
			return -1;
		for (i = 0; i < n; i++) {
			if (wc[i].status)
				return flow_explain(wc[i].status);
			if (wc[i].opcode & IBV_WC_RECV)
				return complain("the server says something unasked");
			/* The end of a request that has been answered by now. */
			if (wc[i].opcode == IBV_WC_SEND)
				continue;
			if (flow_compare(f, wc[i].wr_id))
				return -1;
			if (!f->left)
				under_way--;
			else if (flow_post(f, wc[i].wr_id))
				return -1;
		}
	}
	return 0;
}

/* The file here; flags as for open(). */
static int flow_open(struct flow *f, const char *path, int flags)
{
	f->fd = open(path, flags | O_CLOEXEC, 0644);
	return f->fd < 0 ? complain("%s: %s", path, strerror(errno)) : 0;
}

/* Registers bytes of it, or where it is not mapped those of a buffer. */
static int flow_register(struct flow *f, size_t bytes)
{
	bool into = f->op == IBV_WR_RDMA_READ;

	if (!bytes)
		return 0;
	f->memory = mmap(NULL, bytes, into ? PROT_READ | PROT_WRITE : PROT_READ,
			 f->mapped ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
			 f->mapped ? f->fd : -1, 0);
	if (f->memory == MAP_FAILED) {
		f->memory = NULL;
		return complain("the file here cannot be mapped: %s", strerror(errno));
	}
	f->memory_bytes = bytes;
	f->mr = ibv_reg_mr(f->peer.pd, f->memory, bytes,
			   IBV_ACCESS_ON_DEMAND | (into ? IBV_ACCESS_LOCAL_WRITE : 0));
	return f->mr ? 0 : complain("the device registers nothing on demand: %s", strerror(errno));
}

static int get(struct flow *f, const char *name, const char *path)
{
	if (flow_ask(f, OPEN_TO_READ, name, 0) || flow_open(f, path, O_RDWR | O_CREAT | O_TRUNC))
		return -1;
	if (ftruncate(f->fd, f->bytes))
		return complain("%s: %s", path, strerror(errno));
	f->mapped = true;
	return flow_register(f, f->bytes) || flow_run(f) ? -1 : 0;
}

static int put(struct flow *f, const char *path, const char *name)
{
	uint64_t bytes;
	struct stat st;

	f->op = IBV_WR_RDMA_WRITE;
	f->mapped = true;
	if (flow_open(f, path, O_RDONLY))
		return -1;
	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode))
		return complain("%s is no file", path);
	bytes = st.st_size;
	if (flow_register(f, bytes) || flow_ask(f, OPEN_TO_WRITE, name, bytes))
		return -1;
	if (f->bytes != bytes)
		return complain("the server offers another size than was asked for");
	return flow_run(f) || flow_ask(f, SYNC, name, 0) ? -1 : 0;
}

/* count: how many reads at random places, or 0 for all of the file in its order. path may be NULL: nothing is compared. */
static int compare(struct flow *f, const char *name, const char *path, uint64_t count)
{
	struct stat st;

	if ((path && flow_open(f, path, O_RDONLY)) || flow_ask(f, OPEN_TO_READ, name, 0))
		return -1;
	if (path && (fstat(f->fd, &st) || (uint64_t)st.st_size != f->bytes))
		return complain("the server's file has another size, %llu bytes",
				(unsigned long long)f->bytes);
	if (count && f->bytes) {
		flow_pieces(f, RANDOM);
		f->random = true;
		f->left = count;
		srandom(time(NULL));
	}
	return flow_register(f, DEPTH * f->piece) || flow_run(f) ? -1 : 0;
}

int client(int argc, char **argv)
{
	struct flow f = { .op = IBV_WR_RDMA_READ, .fd = -1 };
	const char *what = argv[0], *name = argv[2];
	struct timespec begin, end;
	int rc;

	if (peer_connect(&f.peer, argv[1], PORT, sizeof(struct request)))
		return EXIT_FAILURE;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (!strcmp(what, "get"))
		rc = get(&f, name, argc > 3 ? argv[3] : name);
	else if (!strcmp(what, "put"))
		rc = put(&f, name, argc > 3 ? argv[3] : basename(argv[2]));
	else if (!strcmp(what, "verify"))
		rc = compare(&f, name, argc > 3 ? argv[3] : name, 0);
	else
		rc = compare(&f, name, argc > 4 ? argv[4] : NULL,
			     argc > 3 ? strtoull(argv[3], NULL, 0) : 1000);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (!rc)
		printf("%s: %s, %llu bytes, %.3f s\n", what, name, (unsigned long long)f.bytes,
		       end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9);
	rdma_disconnect(f.peer.id);
	rdma_destroy_qp(f.peer.id);
	if (f.mr)
		ibv_dereg_mr(f.mr);
	if (f.memory)
		munmap(f.memory, f.memory_bytes);
	if (f.fd >= 0)
		close(f.fd);
	peer_close(&f.peer);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
