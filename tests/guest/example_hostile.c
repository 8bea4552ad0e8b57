// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The servers of userspace/examples and a hostile peer: messages of random bytes and lengths, requests that are nearly right, answers that
 * nobody takes, keys that are guessed, more connections than there may be, and ends without a word. Each server goes on, serves an
 * honest client afterwards, and ends as it should.
 */
#include "../../userspace/examples/client.h"

#include "random.h"
#include "test.h"

#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIR	 "/tmp/example_hostile"
#define ADDRESS	 "10.77.0.2"
#define LONGEST	 16384
#define MESSAGES 12

struct example {
	const char *name, *port;
	/* How a request begins, and what makes it nearly right. */
	uint32_t magic;
	/* With DIR as the place of files; %s is the program. */
	const char *serve, *honest;
};

static const struct example odpfs = { "odpfs", "18600", 0x3166706f,
				      "exec ip netns exec peer %s serve " DIR " " ADDRESS,
				      "%s get " ADDRESS " honest " DIR "/got && cmp " DIR
				      "/honest " DIR "/got" };
static const struct example kv = { "kv", "18601", 1, "exec ip netns exec peer %s serve " ADDRESS,
				   "%1$s set " ADDRESS " honest value && [ $(%1$s get " ADDRESS
				   " honest) = value ]" };
static const struct example postcopy = { "postcopy", "18602", 0,
					 "exec ip netns exec peer %s serve " DIR "/honest " ADDRESS,
					 "%s read " ADDRESS " " DIR "/honest" };

static struct rnd rnd;

static char *command(const char *format, const struct example *e)
{
	static char text[4096];
	char self[1024], path[1200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/../examples/%s", dirname(self), e->name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), format, path);
#pragma GCC diagnostic pop
	return text;
}

/* Until it listens. */
static pid_t server_start(const struct example *e)
{
	char *text = command(e->serve, e);
	char said[8] = "";
	int fds[2];
	pid_t pid;

	assert_zero(pipe2(fds, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], 1);
		execl("/bin/bash", "bash", "-c", text, NULL);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], said, sizeof(said) - 1), sizeof(said) - 1);
	assert_string_equal(said, "serving");
	/* Stays open: the server may say more. */
	return pid;
}

static void server_stop(const struct example *e, pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_zero(system(command(e->honest, e)));
	assert_zero(kill(pid, SIGINT));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* How long it is. Half of them get past the first look. */
static size_t message_make(const struct example *e, uint32_t *message)
{
	size_t bytes = rnd_below(&rnd, rnd_below(&rnd, 2) ? LONGEST : 300), i;

	for (i = 0; i < bytes / 4 + 1; i++)
		message[i] = rnd_below(&rnd, 3) ? rnd_next(&rnd) : rnd_below(&rnd, 70);
	if (!e->magic || rnd_below(&rnd, 2))
		return bytes;
	message[0] = e->magic;
	message[1] = rnd_below(&rnd, 6);
	message[2] = rnd_below(&rnd, 100);
	if (e == &kv)
		return 16 + message[1] + message[2];
	if (rnd_below(&rnd, 2))
		memcpy(&message[4], "file", 5);
	return 128;
}

/* Messages, and reads and writes with keys that are guessed, until the server has had enough or all are there. */
static void attack_once(const struct example *e)
{
	unsigned int posted = 0, count = 1 + rnd_below(&rnd, MESSAGES);
	struct ibv_mr *mr;
	struct ibv_wc wc;
	struct peer p;
	char *bytes;
	int rc = 0;

	assert_zero(peer_connect(&p, ADDRESS, e->port, 64));
	bytes = calloc(1, LONGEST + 4);
	mr = ibv_reg_mr(p.pd, bytes, LONGEST, IBV_ACCESS_LOCAL_WRITE);
	assert_non_null(mr);
	for (; !rc && posted < count; posted++) {
		size_t n = message_make(e, (uint32_t *)bytes);

		switch (rnd_below(&rnd, 8)) {
		case 0:
			rc = rdma_post_read(p.id, NULL, bytes, n, mr, 0, rnd_next(&rnd),
					    rnd_below(&rnd, UINT32_MAX));
			break;
		case 1:
			rc = rdma_post_write(p.id, NULL, bytes, n, mr, 0, rnd_next(&rnd),
					     rnd_below(&rnd, UINT32_MAX));
			break;
		default:
			rc = rdma_post_send(p.id, NULL, bytes, n, mr, 0);
		}
		/* The one before has gone before the buffer is made anew. */
		if (peer_wait(&p, &wc, 1) < 0 || wc.status)
			break;
	}
	if (rnd_below(&rnd, 2))
		rdma_disconnect(p.id);
	rdma_destroy_qp(p.id);
	ibv_dereg_mr(mr);
	peer_close(&p);
	free(bytes);
}

static void attacked(void **state)
{
	const struct example *e = *state;
	pid_t pid = server_start(e);
	int i;

	for (i = slow_cpu() ? 30 : 500; i; i--)
		attack_once(e);
	server_stop(e, pid);
}

/* More than it takes, each left without a word. */
static void crowded(void **state)
{
	const struct example *e = *state;
	pid_t pid = server_start(e);
	unsigned int i, refused = 0;
	struct peer peers[40];

	for (i = 0; i < ARRAY_SIZE(peers); i++)
		if (peer_connect(&peers[i], ADDRESS, e->port, 64)) {
			peers[i].id = NULL;
			refused++;
		}
	assert_int_equal(refused, ARRAY_SIZE(peers) - 32);
	for (i = 0; i < ARRAY_SIZE(peers); i++)
		if (peers[i].id)
			peer_close(&peers[i]);
	server_stop(e, pid);
}

/* Right requests by somebody who takes no answer (its receives are too short for one, or it has none). */
static void unheard(void **state)
{
	uint32_t request[32] = { 0x3166706f, 3 };
	pid_t pid = server_start(&odpfs);
	struct ibv_wc wc;
	struct peer p;
	int i;

	(void)state;
	assert_zero(peer_connect(&p, ADDRESS, odpfs.port, 1));
	for (i = 0; i < 100; i++)
		if (rdma_post_send(p.id, NULL, request, sizeof(request), NULL, IBV_SEND_INLINE) ||
		    peer_wait(&p, &wc, 1) < 0 || wc.status)
			break;
	assert_true(i < 100);
	peer_close(&p);
	server_stop(&odpfs, pid);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		{ "odpfs_attacked", attacked, NULL, NULL, (void *)&odpfs },
		{ "kv_attacked", attacked, NULL, NULL, (void *)&kv },
		{ "postcopy_attacked", attacked, NULL, NULL, (void *)&postcopy },
		{ "odpfs_crowded", crowded, NULL, NULL, (void *)&odpfs },
		TEST(unheard),
	};
	/* clang-format on */
	int rc;

	rnd.state = rnd_seed();
	if (system("rm -rf " DIR "; mkdir " DIR " && head -c 20000 /dev/urandom >" DIR "/honest"))
		return 1;
	rc = test_run(tests, ARRAY_SIZE(tests));
	return system("rm -rf " DIR) ? 1 : rc;
}
