// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * rpma_verify ADDRESS FILE [sync]: maps FILE, which is made if it is not there, and lets one peer write to it. With "sync" the mapping
 * is one that only DAX gives (MAP_SYNC), and the peer may flush to persistence. When the peer has gone, what it wrote is to be in the
 * file.
 * rpma_verify ADDRESS: is that peer: writes, flushes, reads back and compares, again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <librpma.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

#define PORT   "7204"
#define BYTES  (4ul << 20)
#define PIECE  (256ul << 10)
#define ROUNDS 4

/* The private data of a connection: what the peer needs to reach the file. */
struct offer {
	uint8_t sync;
	uint8_t bytes;
	char descriptor[48];
};

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "rpma_verify: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	exit(1);
}

static void must(int rc, const char *what)
{
	if (rc)
		die("%s: %s (%s)", what, rpma_err_2str(rc), strerror(errno));
}

static uint8_t byte_at(size_t i, unsigned int seed)
{
	return (i * 7 + (i >> 8) * 13 + (i >> 16) * 29 + seed) % 251;
}

static void compare(const uint8_t *data, unsigned int seed, const char *what)
{
	for (size_t i = 0; i < BYTES; i++)
		if (data[i] != byte_at(i, seed))
			die("%s: byte %zu is %u, not %u", what, i, data[i], byte_at(i, seed));
}

static struct rpma_peer *peer_of(const char *address, enum rpma_util_ibv_context_type type)
{
	struct ibv_context *context;
	struct rpma_peer *peer;

	must(rpma_utils_get_ibv_context(address, type, &context), "the device");
	must(rpma_peer_new(context, &peer), "rpma_peer_new");
	return peer;
}

static void await_event(struct rpma_conn *conn, enum rpma_conn_event wanted)
{
	enum rpma_conn_event event;

	must(rpma_conn_next_event(conn, &event), "rpma_conn_next_event");
	if (event != wanted)
		die("the connection is '%s', not '%s'", rpma_utils_conn_event_2str(event),
		    rpma_utils_conn_event_2str(wanted));
}

static uint8_t *map_file(const char *name, int sync)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0)
		die("%s: %s", name, strerror(errno));
	if (ftruncate(fd, BYTES))
		die("ftruncate: %s", strerror(errno));
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		   sync ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	close(fd);
	return map;
}

static void compare_file(const char *name, unsigned int seed)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	uint8_t *data = malloc(BYTES);

	if (fd < 0 || !data || pread(fd, data, BYTES, 0) != (ssize_t)BYTES)
		die("%s cannot be read: %s", name, strerror(errno));
	compare(data, seed, name);
	free(data);
	close(fd);
}

static void serve(const char *address, const char *name, int sync)
{
	struct rpma_peer *peer = peer_of(address, RPMA_UTIL_IBV_CONTEXT_LOCAL);
	uint8_t *map = map_file(name, sync);
	struct offer offer = { .sync = sync };
	struct rpma_conn_private_data data = { .ptr = &offer, .len = sizeof(offer) };
	struct rpma_mr_local *mr;
	struct rpma_conn_req *req;
	struct rpma_conn *conn;
	struct rpma_ep *ep;
	size_t length;
	int usage = RPMA_MR_USAGE_WRITE_DST | RPMA_MR_USAGE_READ_SRC |
		    RPMA_MR_USAGE_FLUSH_TYPE_VISIBILITY;

	if (sync)
		usage |= RPMA_MR_USAGE_FLUSH_TYPE_PERSISTENT;
	must(rpma_mr_reg(peer, map, BYTES, usage, &mr), "rpma_mr_reg of the file");
	must(rpma_mr_get_descriptor_size(mr, &length), "rpma_mr_get_descriptor_size");
	if (length > sizeof(offer.descriptor))
		die("a descriptor of %zu bytes", length);
	offer.bytes = length;
	must(rpma_mr_get_descriptor(mr, offer.descriptor), "rpma_mr_get_descriptor");
	must(rpma_ep_listen(peer, address, PORT, &ep), "rpma_ep_listen");
	must(rpma_ep_next_conn_req(ep, NULL, &req), "rpma_ep_next_conn_req");
	must(rpma_conn_req_connect(&req, &data, &conn), "rpma_conn_req_connect");
	await_event(conn, RPMA_CONN_ESTABLISHED);
	await_event(conn, RPMA_CONN_CLOSED);
	must(rpma_conn_disconnect(conn), "rpma_conn_disconnect");
	must(rpma_conn_delete(&conn), "rpma_conn_delete");
	must(rpma_mr_dereg(&mr), "rpma_mr_dereg");
	must(rpma_ep_shutdown(&ep), "rpma_ep_shutdown");
	must(rpma_peer_delete(&peer), "rpma_peer_delete");
	munmap(map, BYTES);
	compare_file(name, ROUNDS - 1);
}

static void await_completion(struct rpma_conn *conn, const char *what)
{
	struct rpma_cq *cq;
	struct ibv_wc wc;

	must(rpma_conn_get_cq(conn, &cq), "rpma_conn_get_cq");
	must(rpma_cq_wait(cq), "rpma_cq_wait");
	must(rpma_cq_get_wc(cq, 1, &wc, NULL), "rpma_cq_get_wc");
	if (wc.status != IBV_WC_SUCCESS)
		die("%s: %s", what, ibv_wc_status_str(wc.status));
}

static void round_trip(struct rpma_conn *conn, struct rpma_mr_remote *file,
		       enum rpma_flush_type type, struct rpma_mr_local *mr, uint8_t *own,
		       unsigned int seed)
{
	size_t at;

	for (at = 0; at < BYTES; at++)
		own[at] = byte_at(at, seed);
	for (at = 0; at < BYTES; at += PIECE) {
		must(rpma_write(conn, file, at, mr, at, PIECE, RPMA_F_COMPLETION_ON_ERROR, NULL),
		     "rpma_write");
		must(rpma_flush(conn, file, at, PIECE, type, RPMA_F_COMPLETION_ALWAYS, NULL),
		     "rpma_flush");
		await_completion(conn, "a write or its flush");
	}
	memset(own, 0, BYTES);
	for (at = 0; at < BYTES; at += PIECE) {
		must(rpma_read(conn, mr, at, file, at, PIECE, RPMA_F_COMPLETION_ALWAYS, NULL),
		     "rpma_read");
		await_completion(conn, "a read");
	}
	compare(own, seed, "what was read back");
}

static void be_peer(const char *address)
{
	struct rpma_peer *peer = peer_of(address, RPMA_UTIL_IBV_CONTEXT_REMOTE);
	struct rpma_conn_private_data data;
	struct rpma_mr_remote *file;
	struct rpma_mr_local *mr;
	struct rpma_conn_req *req;
	struct rpma_conn *conn;
	struct offer offer;
	unsigned int seed;
	uint8_t *own;

	own = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (own == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	must(rpma_conn_req_new(peer, address, PORT, NULL, &req), "rpma_conn_req_new");
	must(rpma_conn_req_connect(&req, NULL, &conn), "rpma_conn_req_connect");
	await_event(conn, RPMA_CONN_ESTABLISHED);
	must(rpma_conn_get_private_data(conn, &data), "rpma_conn_get_private_data");
	if (data.len < sizeof(offer))
		die("the server offers nothing");
	memcpy(&offer, data.ptr, sizeof(offer));
	must(rpma_mr_remote_from_descriptor(offer.descriptor, offer.bytes, &file),
	     "the descriptor");
	must(rpma_mr_reg(peer, own, BYTES, RPMA_MR_USAGE_WRITE_SRC | RPMA_MR_USAGE_READ_DST, &mr),
	     "rpma_mr_reg");
	if (offer.sync) {
		struct rpma_peer_cfg *cfg;

		must(rpma_peer_cfg_new(&cfg), "rpma_peer_cfg_new");
		must(rpma_peer_cfg_set_direct_write_to_pmem(cfg, true), "direct_write_to_pmem");
		must(rpma_conn_apply_remote_peer_cfg(conn, cfg), "rpma_conn_apply_remote_peer_cfg");
		must(rpma_peer_cfg_delete(&cfg), "rpma_peer_cfg_delete");
	}
	for (seed = 0; seed < ROUNDS; seed++)
		round_trip(conn, file,
			   offer.sync ? RPMA_FLUSH_TYPE_PERSISTENT : RPMA_FLUSH_TYPE_VISIBILITY, mr,
			   own, seed);
	must(rpma_conn_disconnect(conn), "rpma_conn_disconnect");
	await_event(conn, RPMA_CONN_CLOSED);
	must(rpma_conn_delete(&conn), "rpma_conn_delete");
	must(rpma_mr_remote_delete(&file), "rpma_mr_remote_delete");
	must(rpma_mr_dereg(&mr), "rpma_mr_dereg");
	must(rpma_peer_delete(&peer), "rpma_peer_delete");
	munmap(own, BYTES);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		be_peer(argv[1]);
	else if (argc == 3 || (argc == 4 && !strcmp(argv[3], "sync")))
		serve(argv[1], argv[2], argc == 4);
	else
		die("usage: rpma_verify ADDRESS [FILE [sync]]");
	return 0;
}
