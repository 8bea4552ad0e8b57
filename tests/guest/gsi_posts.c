// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A kernel user's requests and completions: management datagrams, which ib_core's MAD layer sends and receives by QP1. They
 * arrive, in order, and neither sending nor completing them takes a thread of the workqueue "rxe_odp": softirqs do it.
 */
#include "pair.h"

#include <fcntl.h>
#include <poll.h>
#include <rdma/ib_user_mad.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MADS	   50
#define MAD_BYTES  256
#define CLASS	   0x31 /* a vendor's, with an OUI */
#define METHOD	   3	/* Send */
#define METHOD_AT  3
#define TID_AT	   12 /* its lower half, which is ours */
#define OUI_AT	   37
#define DATA_AT	   40
#define QP1_QKEY   0x80010000
#define TRACEFS	   "/sys/kernel/tracing"
#define INSTANCE   TRACEFS "/instances/rdma_odp_gsi"
#define QUEUE_WORK INSTANCE "/events/workqueue/workqueue_queue_work"

struct umad {
	struct ib_user_mad_hdr hdr;
	uint8_t mad[MAD_BYTES];
};

static const uint8_t oui[3] = { 1, 2, 3 };

/* The file of a device, from within its namespace, and an agent there. */
static int agent_open(const char *device, uint32_t *id)
{
	struct ib_user_mad_reg_req req = {
		.qpn = 1, .mgmt_class = CLASS, .mgmt_class_version = 1, .oui = { 1, 2, 3 }
	};
	char path[64], name[64];
	int i, fd;
	FILE *f;

	for (i = 0; i < 32; i++) {
		snprintf(path, sizeof(path), "/sys/class/infiniband_mad/umad%d/ibdev", i);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%63s", name) != 1)
			name[0] = 0;
		fclose(f);
		if (!strcmp(name, device))
			break;
	}
	snprintf(path, sizeof(path), "/dev/infiniband/umad%d", i);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fail_because("no management datagrams on %s: %s, errno %d", device, path, errno);
	assert_zero(ioctl(fd, IB_USER_MAD_ENABLE_PKEY));
	memset(req.method_mask, 0, sizeof(req.method_mask));
	((uint8_t *)req.method_mask)[0] = 1 << METHOD;
	assert_zero(ioctl(fd, IB_USER_MAD_REGISTER_AGENT, &req));
	*id = req.id;
	return fd;
}

static void mad_send(int fd, uint32_t id, const struct rig *rig, const union ibv_gid *to,
		     uint32_t number)
{
	struct umad u = {
		.hdr = {
			.id = id,
			.length = MAD_BYTES,
			.qpn = htobe32(1),
			.qkey = htobe32(QP1_QKEY),
			.grh_present = 1,
			.gid_index = rig->gid4,
			.hop_limit = 64,
		},
		.mad = { 1, CLASS, 1, METHOD },
	};

	memcpy(u.hdr.gid, to->raw, sizeof(u.hdr.gid));
	memcpy(u.mad + OUI_AT, oui, sizeof(oui));
	memcpy(u.mad + TID_AT, &number, sizeof(number));
	memcpy(u.mad + DATA_AT, &number, sizeof(number));
	if (write(fd, &u, sizeof(u)) != sizeof(u))
		fail_because("management datagram %u: errno %d", number, errno);
}

static void mad_expect(int fd, uint32_t number)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct umad u;
	uint32_t got;

	if (poll(&p, 1, BOUND_S * 1000) != 1)
		fail_because("management datagram %u did not come", number);
	assert_int_equal(read(fd, &u, sizeof(u)), sizeof(u));
	assert_int_equal(u.mad[METHOD_AT], METHOD);
	memcpy(&got, u.mad + DATA_AT, sizeof(got));
	assert_int_equal(got, number);
}

/* One after the other, so that each is posted to a queue that is empty. */
static void mads_go(void)
{
	uint32_t id, peer_id, i;
	struct rig rig, peer;
	int fd, peer_fd, saved;

	rig_open(&rig);
	rig_open_peer(&peer);
	fd = agent_open(rig_device_name(), &id);
	saved = netns_enter_peer();
	peer_fd = agent_open(rig_peer_name(), &peer_id);
	netns_leave(saved);
	for (i = 0; i < MADS; i++) {
		mad_send(fd, id, &rig, &peer.gids[0], i);
		mad_expect(peer_fd, i);
	}
	close(fd);
	close(peer_fd);
	rig_close(&rig);
	rig_close(&peer);
}

static int module_begin(void **state)
{
	(void)state;
	return system("[ -d /sys/class/infiniband_mad ] || modprobe ib_umad");
}

static bool mounted;

/* What the last test left, too. */
static int trace_end(void **state)
{
	(void)state;
	rmdir(INSTANCE);
	if (mounted)
		umount(TRACEFS);
	mounted = false;
	return 0;
}

static void trace_begin(void)
{
	if (access(TRACEFS "/instances", F_OK)) {
		if (mount("tracefs", TRACEFS, "tracefs", 0, NULL))
			skip_because("this kernel has no tracefs (errno %d)", errno);
		mounted = true;
	}
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		skip_because("no instance of tracing: errno %d", errno);
	if (access(QUEUE_WORK, F_OK))
		skip_because("this kernel does not trace workqueues");
	assert_zero(write_text(QUEUE_WORK "/filter", "workqueue == \"rxe_odp\""));
	assert_zero(write_text(INSTANCE "/trace", ""));
	assert_zero(write_text(QUEUE_WORK "/enable", "1"));
}

/* The lines that are events; prints them. */
static unsigned int trace_count(void)
{
	unsigned int num = 0;
	char line[512];
	FILE *f;

	assert_zero(write_text(QUEUE_WORK "/enable", "0"));
	f = fopen(INSTANCE "/trace", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		if (num++ < 8)
			fputs(line, stdout);
	}
	fclose(f);
	return num;
}

static void no_thread_of_a_workqueue(void **state)
{
	unsigned int num;

	(void)state;
	trace_begin();
	mads_go();
	num = trace_count();
	if (num)
		fail_because("%u works were queued for %u datagrams", num, MADS);
}

static void arrive_in_order(void **state)
{
	(void)state;
	mads_go();
}

/* clang-format off */
TEST_MAIN({ "arrive_in_order", arrive_in_order, module_begin, NULL, NULL },
	  { "no_thread_of_a_workqueue", no_thread_of_a_workqueue, module_begin, trace_end, NULL })
/* clang-format on */
