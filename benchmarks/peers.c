// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What else moves bytes between buffers of this machine: memcpy, process_vm_writev into another
 * process, TCP over lo and over the veth; and what a null system call costs. One thread holds both
 * ends, as in bw. The first two go over as many pairs of buffers, by turns, as bw has queue pairs,
 * since each of those has its own: what does not fit the cache together is slower, whoever copies.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define BUF_BYTES  MIB
#define PAIRS	   16
#define COLD_BYTES (256 * MIB) /* more than a cache has; the host's other users have some of it */
#define PORT	   7471
#define CALLS	   20000

/* A connection of TCP, both ends, and how far the stream is. */
struct stream {
	int out, in;
	size_t sent, received;
};

/* All pairs' sources, one behind the other, and where they go. */
static uint8_t *from, *to;
static unsigned int pairs = 1, pair;
static size_t cold_at;
static struct stream over_lo, over_veth;
static pid_t child;

static size_t next_pair(void)
{
	pair = (pair + 1) % pairs;
	return pair * BUF_BYTES;
}

static size_t move_memcpy(size_t bytes)
{
	size_t at = next_pair();

	memcpy(to + at, from + at, bytes);
	asm volatile("" ::: "memory");
	return bytes;
}

/* What was not touched for as long as can be. */
static size_t move_memcpy_cold(size_t bytes)
{
	cold_at = cold_at + 2 * bytes > COLD_BYTES ? 0 : cold_at + bytes;
	memcpy(to + cold_at, from + cold_at, bytes);
	asm volatile("" ::: "memory");
	return bytes;
}

static size_t move_process_vm(size_t bytes)
{
	size_t at = next_pair();
	struct iovec local = { from + at, bytes }, remote = { to + at, bytes };

	if (process_vm_writev(child, &local, 1, &remote, 1, 0) != (ssize_t)bytes)
		fail_because("process_vm_writev: errno %d", errno);
	return bytes;
}

/* Sends what the socket takes of one message, and receives what is there. */
static size_t stream_move(struct stream *s, size_t bytes)
{
	size_t out_at = s->sent % bytes, in_at = s->received % bytes;
	ssize_t n;

	n = send(s->out, from + out_at, bytes - out_at, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		fail_because("send: errno %d", errno);
	s->sent += n > 0 ? n : 0;
	n = recv(s->in, to + in_at, bytes - in_at, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		fail_because("recv: errno %d", errno);
	s->received += n > 0 ? n : 0;
	return n > 0 ? n : 0;
}

static size_t move_lo(size_t bytes)
{
	return stream_move(&over_lo, bytes);
}

static size_t move_veth(size_t bytes)
{
	return stream_move(&over_veth, bytes);
}

static void stream_open(struct stream *s, const char *address, bool in_peer)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int home = in_peer ? netns_enter_peer() : -1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(!in_peer || home >= 0);
	inet_pton(AF_INET, address, &sin.sin_addr);
	assert_zero(bind(listener, (struct sockaddr *)&sin, sizeof(sin)));
	assert_zero(listen(listener, 1));
	if (in_peer)
		netns_leave(home);
	s->out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_zero(connect(s->out, (struct sockaddr *)&sin, sizeof(sin)));
	s->in = accept(listener, NULL, NULL);
	assert_true(s->in >= 0);
	close(listener);
}

static double move_rate(size_t (*move)(size_t bytes), size_t bytes, double duration)
{
	double start = seconds(), now;
	size_t moved = 0;
	unsigned int i;

	do {
		for (i = 0; i < 16; i++)
			moved += move(bytes);
		now = seconds();
	} while (now - start < duration);
	return moved / (now - start) / 1e6;
}

static double null_call_us(void)
{
	double start = seconds();
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (seconds() - start) / CALLS * 1e6;
}

/* Waits, and has the same addresses, with pages of its own: what two processes share is copied when it is written first. */
static void child_start(void)
{
	child = fork();
	assert_true(child >= 0);
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(to, 2, PAIRS * BUF_BYTES);
	for (;;)
		pause();
}

int main(void)
{
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	static const struct {
		const char *name;
		size_t (*move)(size_t bytes);
		unsigned int most_pairs;
	} movers[] = {
		{ "memcpy", move_memcpy, PAIRS },
		{ "cold memcpy", move_memcpy_cold, 1 },
		{ "process_vm_writev", move_process_vm, PAIRS },
		{ "TCP over lo", move_lo, 1 },
		{ "TCP over the veth", move_veth, 1 },
	};
	double duration = env_number("BENCH_SAMPLE_MS", 300) / 1e3;
	unsigned int round, s, m;

	from = map_pages(COLD_BYTES);
	to = map_pages(COLD_BYTES);
	child_start();
	memset(from, 1, COLD_BYTES);
	memset(to, 2, COLD_BYTES);
	stream_open(&over_lo, "127.0.0.1", false);
	stream_open(&over_veth, "10.77.0.2", true);
	for (round = 1; round <= ROUNDS; round++) {
		row("peers", "cpu", "null system call", "-", 0, 1, round, null_call_us(), "us");
		for (s = 0; s < ARRAY_SIZE(sizes); s++) {
			for (m = 0; m < ARRAY_SIZE(movers); m++) {
				for (pairs = 1; pairs <= movers[m].most_pairs; pairs *= 4) {
					move_rate(movers[m].move, sizes[s], duration / 10);
					row("peers", "cpu", movers[m].name, "-", sizes[s], pairs,
					    round, move_rate(movers[m].move, sizes[s], duration),
					    "MB/s");
				}
			}
		}
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
