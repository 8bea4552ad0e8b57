// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ucx_verify [SERVER]: what ucx_perftest does not, it compares. Tagged messages both ways, puts and gets of libucp, of sizes that take
 * each of its protocols, from and to memory that is made for each and given back. UCX_TLS and UCX_NET_DEVICES choose the transport.
 * Addresses and turns go by TCP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#define PORT   13338
#define TAG    0x7461676765640000
#define ROUNDS 3

static const size_t sizes[] = { 1, 8, 100, 4096, 8193, 65536, 1000003, 4 << 20 };

static ucp_context_h context;
static ucp_worker_h worker;
static ucp_ep_h ep;
static int turn_fd = -1;
static int is_client;

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "ucx_verify: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	exit(1);
}

static void must(ucs_status_t status, const char *what)
{
	if (status != UCS_OK)
		die("%s: %s", what, ucs_status_string(status));
}

static void await(void *request, const char *what)
{
	ucs_status_t status;

	if (!request)
		return;
	if (UCS_PTR_IS_ERR(request))
		must(UCS_PTR_STATUS(request), what);
	while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
		ucp_worker_progress(worker);
	ucp_request_free(request);
	must(status, what);
}

static void tell(const void *data, size_t bytes)
{
	if (send(turn_fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		die("send: %s", strerror(errno));
}

/* Meanwhile the worker goes on: transports without RDMA put and get by their target's hands. */
static void hear(void *data, size_t bytes)
{
	size_t got = 0;

	while (got < bytes) {
		ssize_t n = recv(turn_fd, (char *)data + got, bytes - got, MSG_DONTWAIT);

		if (!n)
			die("the other side has ended");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("recv: %s", strerror(errno));
		if (n > 0)
			got += n;
		else if (!ucp_worker_progress(worker))
			sched_yield();
	}
}

static void pass_turn(void)
{
	tell("t", 1);
}

static void await_turn(void)
{
	char c;

	hear(&c, 1);
}

static void connect_tcp(const char *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	if (server) {
		if (inet_pton(AF_INET, server, &address.sin_addr) != 1)
			die("%s is no IPv4 address", server);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			die("connect: %s", strerror(errno));
		turn_fd = fd;
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		die("listen: %s", strerror(errno));
	turn_fd = accept(fd, NULL, NULL);
	if (turn_fd < 0)
		die("accept: %s", strerror(errno));
	close(fd);
}

static void begin(void)
{
	ucp_params_t params = { .field_mask = UCP_PARAM_FIELD_FEATURES,
				.features = UCP_FEATURE_TAG | UCP_FEATURE_RMA };
	ucp_worker_params_t worker_params = { .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
					      .thread_mode = UCS_THREAD_MODE_SINGLE };
	ucp_config_t *config;

	must(ucp_config_read(NULL, NULL, &config), "the configuration");
	must(ucp_init(&params, config, &context), "ucp_init");
	ucp_config_release(config);
	must(ucp_worker_create(context, &worker_params, &worker), "ucp_worker_create");
}

static void connect_ucp(void)
{
	ucp_ep_params_t params = { .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS };
	ucp_address_t *address;
	size_t bytes;
	void *remote;

	must(ucp_worker_get_address(worker, &address, &bytes), "ucp_worker_get_address");
	tell(&bytes, sizeof(bytes));
	tell(address, bytes);
	ucp_worker_release_address(worker, address);
	hear(&bytes, sizeof(bytes));
	remote = malloc(bytes);
	if (!remote)
		die("no memory");
	hear(remote, bytes);
	params.address = remote;
	must(ucp_ep_create(worker, &params, &ep), "ucp_ep_create");
	free(remote);
}

static uint8_t *make(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

static uint8_t byte_at(size_t i, unsigned int seed)
{
	return (i * 7 + (i >> 8) * 13 + (i >> 16) * 29 + seed) % 251;
}

static void fill(uint8_t *data, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		data[i] = byte_at(i, seed);
}

static void compare(const uint8_t *data, size_t bytes, unsigned int seed, const char *what)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i] != byte_at(i, seed))
			die("%s of %zu bytes: byte %zu is %u, not %u", what, bytes, i, data[i],
			    byte_at(i, seed));
}

static const ucp_request_param_t plain;

static void send_tagged(uint8_t *data, size_t bytes, unsigned int seed)
{
	fill(data, bytes, seed);
	await(ucp_tag_send_nbx(ep, data, bytes, TAG + seed, &plain), "ucp_tag_send_nbx");
}

static void receive_tagged(uint8_t *data, size_t bytes, unsigned int seed)
{
	await(ucp_tag_recv_nbx(worker, data, bytes, TAG + seed, UINT64_MAX, &plain),
	      "ucp_tag_recv_nbx");
	compare(data, bytes, seed, "a tagged message");
}

static void tagged(size_t bytes, unsigned int seed)
{
	uint8_t *goes = make(bytes), *came = make(bytes);

	if (is_client) {
		send_tagged(goes, bytes, seed);
		receive_tagged(came, bytes, seed + 1);
	} else {
		receive_tagged(came, bytes, seed);
		send_tagged(goes, bytes, seed + 1);
	}
	munmap(goes, bytes);
	munmap(came, bytes);
}

static void flush(void)
{
	await(ucp_ep_flush_nbx(ep, &plain), "ucp_ep_flush_nbx");
}

/* What the client puts the server compares; what the server changes then the client gets. */
static void client_moves(size_t bytes, unsigned int seed)
{
	uint8_t *own = make(bytes);
	char packed[1024];
	ucp_rkey_h rkey;
	uint64_t remote;
	size_t length;

	hear(&remote, sizeof(remote));
	hear(&length, sizeof(length));
	if (length > sizeof(packed))
		die("a key of %zu bytes", length);
	hear(packed, length);
	must(ucp_ep_rkey_unpack(ep, packed, &rkey), "ucp_ep_rkey_unpack");
	fill(own, bytes, seed);
	await(ucp_put_nbx(ep, own, bytes, remote, rkey, &plain), "ucp_put_nbx");
	flush();
	pass_turn();
	await_turn();
	await(ucp_get_nbx(ep, own, bytes, remote, rkey, &plain), "ucp_get_nbx");
	flush();
	compare(own, bytes, seed + 1, "a get");
	pass_turn();
	ucp_rkey_destroy(rkey);
	munmap(own, bytes);
}

static void server_has(size_t bytes, unsigned int seed)
{
	ucp_mem_map_params_t params = { .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
						      UCP_MEM_MAP_PARAM_FIELD_LENGTH,
					.length = bytes };
	uint8_t *memory = make(bytes);
	uint64_t address = (uintptr_t)memory;
	size_t length;
	ucp_mem_h mem;
	void *packed;

	params.address = memory;
	must(ucp_mem_map(context, &params, &mem), "ucp_mem_map");
	must(ucp_rkey_pack(context, mem, &packed, &length), "ucp_rkey_pack");
	tell(&address, sizeof(address));
	tell(&length, sizeof(length));
	tell(packed, length);
	ucp_rkey_buffer_release(packed);
	await_turn();
	compare(memory, bytes, seed, "a put");
	fill(memory, bytes, seed + 1);
	pass_turn();
	await_turn();
	must(ucp_mem_unmap(context, mem), "ucp_mem_unmap");
	munmap(memory, bytes);
}

static void end(void)
{
	flush();
	pass_turn();
	await_turn();
	await(ucp_ep_close_nbx(ep, &plain), "ucp_ep_close_nbx");
	ucp_worker_destroy(worker);
	ucp_cleanup(context);
	close(turn_fd);
}

int main(int argc, char **argv)
{
	size_t count = sizeof(sizes) / sizeof(*sizes), i;

	if (argc > 2)
		die("usage: ucx_verify [SERVER]");
	is_client = argc == 2;
	begin();
	connect_tcp(argv[1]);
	connect_ucp();
	for (i = 0; i < ROUNDS * count; i++) {
		size_t bytes = sizes[i % count];

		/* Memory begins with zeros, and no message does. */
		tagged(bytes, 4 * i + 1);
		if (is_client)
			client_moves(bytes, 4 * i + 3);
		else
			server_has(bytes, 4 * i + 3);
	}
	end();
	return 0;
}
