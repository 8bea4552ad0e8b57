// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The path of wide packets changes while they are on it: the MTU of its netdevs shrinks and grows, a link goes down and comes up, a
 * queue takes packets apart. Every message arrives as it was sent, and afterwards packets are wide where the path carries them.
 */
#include "netem.h"
#include "wide.h"

#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define USUAL_MTU 9000

struct side {
	const char *netdev;
	int fd; /* a socket of its namespace */
};

static struct side sides[2] = { { "veth0", -1 }, { "veth1", -1 } };

static int open_sides(void **state)
{
	int saved;

	sides[0].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	saved = netns_enter_peer();
	sides[1].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	netns_leave(saved);
	return sides[0].fd < 0 || sides[1].fd < 0 || wide_set_up(state);
}

/* Also from threads: 0 or an errno. */
static int set_mtu(const struct side *side, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", side->netdev);
	return ioctl(side->fd, SIOCSIFMTU, &ifr) ? errno : 0;
}

static int set_up(const struct side *side, bool up)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", side->netdev);
	if (ioctl(side->fd, SIOCGIFFLAGS, &ifr))
		return errno;
	ifr.ifr_flags = up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP;
	return ioctl(side->fd, SIOCSIFFLAGS, &ifr) ? errno : 0;
}

static void set_mtus(int mtu0, int mtu1)
{
	assert_zero(set_mtu(&sides[0], mtu0));
	assert_zero(set_mtu(&sides[1], mtu1));
}

/* Addresses of IPv6 go with a link that is down, unless the netdev is told otherwise. */
static void keep_addresses(bool keep)
{
	static const char path[] = "/proc/sys/net/ipv6/conf/veth1/keep_addr_on_down";
	int saved = netns_enter_peer(), err;

	err = write_text(path, keep ? "1" : "0");
	netns_leave(saved);
	assert_zero(err);
}

static int close_sides(void **state)
{
	int err = set_up(&sides[1], true)		?:
			  set_mtu(&sides[0], USUAL_MTU) ?:
							  set_mtu(&sides[1], USUAL_MTU);

	keep_addresses(false);
	close(sides[0].fd);
	close(sides[1].fd);
	return err ?: wide_tear_down(state);
}

/* How a netdev of the one MTU goes with one of the other. */
static const struct {
	int mtu0, mtu1;
	bool wide; /* whether what is longer than either passes */
} mtus[] = {
	{ 1280, 1280, true },
	{ 1500, 9000, true },
	{ 9000, 1500, true },
	{ 65535, 65535, true },
	/* One that is no longer than its own netdev's MTU is an ordinary packet, and too long for the other. */
	{ 65535, 9000, false },
	{ 9000, 9000, true },
};

static void each_mtu(void **state)
{
	unsigned int ipv6, i;
	struct conn conn;
	struct wide bed;

	(void)state;
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		conn = wide_conn(true, IBV_MTU_1024, ipv6);
		conn.timeout = 14;
		for (i = 0; i < ARRAY_SIZE(mtus); i++) {
			set_mtus(mtus[i].mtu0, mtus[i].mtu1);
			printf("IPv%d, MTUs of %d and %d\n", ipv6 ? 6 : 4, mtus[i].mtu0,
			       mtus[i].mtu1);
			wide_open(&bed, &conn);
			/* The first probe alone would not show that none pass. */
			pair_move_every(&bed.pair, 300001, 0, i);
			wide_await(&bed, mtus[i].wide);
			pair_move_every(&bed.pair, 300001, 0, i);
			wide_await(&bed, mtus[i].wide);
			wide_close(&bed);
		}
	}
}

/* That have arrived while something was being changed. */
static unsigned int messages;

struct changer {
	/* 0 or an errno; -1: not yet. */
	int (*step)(unsigned int nth);
	unsigned int steps; /* so far */
	int err;
	bool stop;
};

static void *change(void *arg)
{
	struct changer *changer = arg;

	while (!__atomic_load_n(&changer->stop, __ATOMIC_RELAXED) && !changer->err) {
		int err = changer->step(changer->steps);

		if (!err)
			__atomic_add_fetch(&changer->steps, 1, __ATOMIC_RELAXED);
		else if (err > 0)
			changer->err = err;
		usleep(10000);
	}
	return NULL;
}

/* Both ends, one after the other. */
static int next_mtu(unsigned int nth)
{
	static const int list[] = { 1280, 9000, 1500, 65535, 20000, 4200 };
	int mtu = list[nth / 2 % ARRAY_SIZE(list)];

	return set_mtu(&sides[nth % 2], mtu);
}

/* Up until a message or two have arrived, which begins with asking for addresses. */
static int next_state(unsigned int nth)
{
	static unsigned int when_up;
	unsigned int now = __atomic_load_n(&messages, __ATOMIC_RELAXED);

	if (nth && !(nth & 1) && now - when_up < 2)
		return -1;
	when_up = now;
	return set_up(&sides[1], nth & 1);
}

/* Moves data while @step is done again and again, then until packets are wide. */
static void while_changing(int (*step)(unsigned int), void (*mend)(void), unsigned int steps,
			   void **state)
{
	/* What both ends' MTUs carry at any time, and a timeout that outlasts a link that is down. */
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	struct changer changer = { .step = step };
	struct buf from, to;
	pthread_t thread;
	struct wide bed;
	unsigned int i;
	int odp;

	conn.timeout = 16;
	for (i = 0; i < 3; i++) {
		changer.stop = false;
		changer.steps = 0;
		wide_open(&bed, &conn);
		odp = mode(&bed.pair.rig, state);
		buf_make(&from, bed.pair.a.rig->pd, MEM_SHARED, 300001, 3, ACCESS_ALL | odp);
		buf_make(&to, bed.pair.b.rig->pd, MEM_SHARED, 300001, 40, ACCESS_ALL | odp);
		wide_await(&bed, true);
		assert_zero(pthread_create(&thread, NULL, change, &changer));
		do {
			buf_forget(&to);
			pair_move_checked(&bed.pair, messages % OP_KINDS, &from, &to, messages);
			__atomic_add_fetch(&messages, 1, __ATOMIC_RELAXED);
		} while (__atomic_load_n(&changer.steps, __ATOMIC_RELAXED) < steps && !changer.err);
		__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
		assert_zero(pthread_join(thread, NULL));
		assert_zero(changer.err);
		mend();
		pair_assert_works(&bed.pair);
		buf_free(&from);
		buf_free(&to);
		wide_close(&bed);
	}
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	wide_close(&bed);
}

static void usual_mtus(void)
{
	set_mtus(USUAL_MTU, USUAL_MTU);
}

static void mtus_change(void **state)
{
	while_changing(next_mtu, usual_mtus, 24, state);
}

static void link_is_up(void)
{
	assert_zero(set_up(&sides[1], true));
}

static void link_goes(void **state)
{
	keep_addresses(true);
	while_changing(next_state, link_is_up, 6, state);
}

/* A queue comes while packets are wide; then a connection begins on it. */
enum then { NARROW, WIDE, EITHER };

static void through(const char *qdisc, enum then then)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	unsigned int ipv6;
	struct wide bed;

	printf("%s\n", qdisc);
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		conn.ipv6 = ipv6;
		wide_open(&bed, &conn);
		wide_await(&bed, true);
		if (!wire_shape(qdisc))
			skip_because("no %s", qdisc);
		pair_move_every(&bed.pair, 300001, 0, 1);
		wide_close(&bed);
		wide_open(&bed, &conn);
		pair_move_every(&bed.pair, 300001, 0, 2);
		if (then != EITHER)
			wide_await(&bed, then == WIDE);
		pair_move_every(&bed.pair, 300001, 0, 3);
		wide_close(&bed);
		netem_end();
	}
}

static void tbf(void **state)
{
	(void)state;
	through("tbf rate 200mbit burst 64k limit 1m", WIDE);
	/* While it refuses packets, none is wide. */
	through("tbf rate 200mbit burst 64k limit 40k", EITHER);
	/* It takes apart what is longer than its bucket. */
	through("tbf rate 200mbit burst 12k limit 1m", NARROW);
}

static void cake(void **state)
{
	(void)state;
	through("cake bandwidth 200mbit no-split-gso", WIDE);
	through("cake bandwidth 200mbit split-gso", NARROW);
}

static void fq_codel(void **state)
{
	(void)state;
	through("fq_codel", WIDE);
}

/* clang-format off */
#define PATH(fn)     { #fn, fn, open_sides, close_sides, NULL }
#define PATH_ODP(fn) { #fn "_odp", fn, open_sides, close_sides, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(PATH(each_mtu), PATH(mtus_change), PATH_ODP(mtus_change), PATH(link_goes), PATH(tbf),
	  PATH(fq_codel), PATH(cake))
