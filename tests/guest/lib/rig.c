// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "rig.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEER_NS "/run/netns/peer"

const char *rig_device_name(void)
{
	const char *name = getenv("RDMA_ODP_DEVICE");

	return name && *name ? name : "rxe_odp0";
}

const char *rig_peer_name(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s", rig_device_name());
	name[strlen(name) - 1] = '1';
	return name;
}

static bool name_is_stock(const char *name)
{
	return !strncmp(name, "rxe", 3) && strncmp(name, "rxe_odp", 7);
}

bool rig_is_stock(void)
{
	return name_is_stock(rig_device_name());
}

int netns_enter_peer(void)
{
	int saved = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int peer = open(PEER_NETNS, O_RDONLY | O_CLOEXEC);

	if (saved < 0 || peer < 0 || setns(peer, CLONE_NEWNET)) {
		if (saved >= 0)
			close(saved);
		saved = -1;
	}
	if (peer >= 0)
		close(peer);
	return saved;
}

void netns_leave(int saved)
{
	assert_zero(setns(saved, CLONE_NEWNET));
	close(saved);
}

void rig_use_provider(const char *variant)
{
	char path[512], *dir = getcwd(NULL, 0);

	assert_non_null(dir);
	snprintf(path, sizeof(path), "%s/provider/%s%slibrxe_odp", dir, variant ? variant : "",
		 variant ? "/" : "");
	setenv("IBV_DRIVERS", path, 1);
	setenv("RDMA_ODP_PROVIDER", "librxe_odp", 1);
	free(dir);
}

/*
 * Who drives it is the library that polls its CQs: ours where RDMA_ODP_PROVIDER says so and the device is ours (mixed.c makes one of
 * stock rxe, mixed0), else librxe. Not by an assertion, since child processes come here as well.
 */
static bool driven_as_wanted(struct ibv_context *ctx, const char *name)
{
	bool ours = getenv("RDMA_ODP_PROVIDER") && !name_is_stock(name) && strcmp(name, "mixed0");
	const char *want = ours ? "/librxe_odp-" : "/librxe-";
	Dl_info info = { 0 };

	if (!dladdr((void *)ctx->ops.poll_cq, &info) || !info.dli_fname ||
	    !strstr(info.dli_fname, want)) {
		printf("%s is driven by %s, and not by %s\n", name,
		       info.dli_fname ? info.dli_fname : "something unknown", want + 1);
		return false;
	}
	return true;
}

struct ibv_context *rig_context(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			ctx = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	if (ctx && !driven_as_wanted(ctx, name)) {
		ibv_close_device(ctx);
		errno = ENODEV;
		return NULL;
	}
	return ctx;
}

static void find_gids(struct rig *rig)
{
	static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry;
	int i;

	rig->gid4 = -1;
	rig->gid6 = -1;
	for (i = 0; i < 16; i++) {
		if (ibv_query_gid_ex(rig->ctx, 1, i, &entry, 0) ||
		    entry.gid_type != IBV_GID_TYPE_ROCE_V2)
			continue;
		if (!memcmp(entry.gid.raw, v4_prefix, sizeof(v4_prefix))) {
			if (rig->gid4 < 0) {
				rig->gid4 = i;
				rig->gids[0] = entry.gid;
			}
		} else if (entry.gid.raw[0] == 0xfd && rig->gid6 < 0) {
			rig->gid6 = i;
			rig->gids[1] = entry.gid;
		}
	}
}

static void open_named(struct rig *rig, const char *name)
{
	memset(rig, 0, sizeof(*rig));
	rig->ctx = rig_context(name);
	if (!rig->ctx)
		fail_because(
			"no device %s, or it cannot be opened (errno %d); RDMA_ODP_DEVICE names another",
			name, errno);
	assert_zero(ibv_query_device_ex(rig->ctx, NULL, &rig->attr));
	rig->pd = ibv_alloc_pd(rig->ctx);
	assert_non_null(rig->pd);
	find_gids(rig);
	if (rig->gid4 < 0 && rig->gid6 < 0)
		fail_because("%s has no RoCEv2 GID", name);
}

void rig_open(struct rig *rig)
{
	open_named(rig, rig_device_name());
}

void rig_open_peer(struct rig *rig)
{
	int saved = netns_enter_peer();

	if (saved < 0)
		skip_because("there is no network namespace %s", PEER_NETNS);
	open_named(rig, rig_peer_name());
	netns_leave(saved);
}

void rig_close(struct rig *rig)
{
	assert_zero(ibv_dealloc_pd(rig->pd));
	assert_zero(ibv_close_device(rig->ctx));
	memset(rig, 0, sizeof(*rig));
}

void rig_need_odp(struct rig *rig, uint32_t rc_caps, uint32_t ud_caps)
{
	const struct ibv_odp_caps *odp = &rig->attr.odp_caps;

	if (!(odp->general_caps & IBV_ODP_SUPPORT))
		skip_because("%s has no on-demand paging", rig_device_name());
	if ((odp->per_transport_caps.rc_odp_caps & rc_caps) != rc_caps ||
	    (odp->per_transport_caps.ud_odp_caps & ud_caps) != ud_caps)
		skip_because("%s has no on-demand paging for this operation (rc %#x, ud %#x)",
			     rig_device_name(), odp->per_transport_caps.rc_odp_caps,
			     odp->per_transport_caps.ud_odp_caps);
}

/* In a thread, which ends where it has gone: /sys/class/infiniband as the peer's namespace has it. */
static void *open_peer_class(void *arg)
{
	int ns = open(PEER_NS, O_RDONLY | O_CLOEXEC), *fd = arg;

	if (ns < 0)
		return NULL;
	if (!setns(ns, CLONE_NEWNET) && !unshare(CLONE_NEWNS) &&
	    !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	    !mount("peer", "/sys", "sysfs", 0, NULL))
		*fd = open("/sys/class/infiniband", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(ns);
	return NULL;
}

/*
 * No process is started for it: where the CPU is emulated that takes longer than a requester tries
 * again. -1 if there is no such namespace.
 */
static int peer_class(void)
{
	static struct stat of;
	static int fd = -1;
	pthread_t thread;
	struct stat now;

	if (stat(PEER_NS, &now))
		return -1;
	if (fd >= 0 && now.st_ino == of.st_ino)
		return fd;
	if (fd >= 0)
		close(fd);
	fd = -1;
	of = now;
	assert_zero(pthread_create(&thread, NULL, open_peer_class, &fd));
	assert_zero(pthread_join(thread, NULL));
	assert_true(fd >= 0);
	return fd;
}

/* 0 if there is no such device or counter. */
static long counter_at(int class, const char *device, const char *name)
{
	char text[200];
	ssize_t bytes;
	int fd;

	snprintf(text, sizeof(text), "%s/ports/1/hw_counters/%s", device, name);
	fd = openat(class, text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes > 0 ? bytes : 0] = 0;
	return strtol(text, NULL, 10);
}

static void local_at(int class, const char *device, bool on)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/local", device);
	fd = openat(class, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, on ? "on" : "off", on ? 2 : 3) < 0)
		fail_because("%s: errno %d", path, errno);
	close(fd);
}

void rig_set_local(bool on)
{
	int class = open("/sys/class/infiniband", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int peer = peer_class();

	assert_true(class >= 0);
	local_at(class, rig_device_name(), on);
	close(class);
	if (peer >= 0)
		local_at(peer, rig_peer_name(), on);
}

/* As the kernel's ticks have it, which are late on a CPU that stands still. */
static double tick_seconds(int (*get)(clockid_t id, struct timespec *ts))
{
	struct timespec ts;

	assert_zero(get(CLOCK_MONOTONIC_COARSE, &ts));
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ib_core reads counters again after 10 ms, by ticks: that many, a part of one, and the one that has begun. */
static void await_fresh_counters(void)
{
	double end = tick_seconds(clock_gettime) + 0.010 + 2 * tick_seconds(clock_getres);

	do
		usleep(5000);
	while (tick_seconds(clock_gettime) < end);
}

void rig_counters(const char *const *names, long *values, size_t num)
{
	int class = open("/sys/class/infiniband", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int peer = peer_class();
	size_t i;

	assert_true(class >= 0);
	await_fresh_counters();
	for (i = 0; i < num; i++) {
		values[i] = counter_at(class, rig_device_name(), names[i]);
		if (peer >= 0)
			values[i] += counter_at(peer, rig_peer_name(), names[i]);
	}
	close(class);
}

long rig_counter(const char *name)
{
	long value;

	rig_counters(&name, &value, 1);
	return value;
}

int mode(struct rig *rig, void **state)
{
	if (!*state)
		return 0;
	rig_need_odp(rig, 0, 0);
	return IBV_ACCESS_ON_DEMAND;
}
