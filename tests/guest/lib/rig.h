/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The device under test, opened: rxe_odp0 or what RDMA_ODP_DEVICE names ("rxe0" drives the stock driver with the same
 * tests). Its peer, in the network namespace "peer", has the same name with 1 for 0. A device is opened with the
 * thread inside the peer's namespace; after that its file serves from anywhere, so one thread drives both.
 */
#ifndef TESTS_GUEST_RIG_H
#define TESTS_GUEST_RIG_H

#include "test.h"
#include <infiniband/verbs.h>

#define PEER_NETNS "/run/netns/peer"

struct rig {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr_ex attr;
	int gid4;	       /* index of the GID that maps the IPv4 address, -1: none */
	int gid6;	       /* of the global IPv6 address */
	union ibv_gid gids[2]; /* the two, in that order */
};

/* Fails the test if the device is not there; closes as well what a failed test left. */
void rig_open(struct rig *rig);
/* The peer's; skips the test if there is no such namespace. */
void rig_open_peer(struct rig *rig);
void rig_close(struct rig *rig);

const char *rig_device_name(void);
const char *rig_peer_name(void);

/* Before any device is looked for: ours are driven by the provider, built as it is for users (NULL), or for "asan", "tsan". */
void rig_use_provider(const char *variant);

/* Another context of the device (or NULL), in the namespace of the calling thread. */
struct ibv_context *rig_context(const char *name);

/* Skips the test if the device has no on-demand paging, or not for this operation (IBV_ODP_SUPPORT_*). */
void rig_need_odp(struct rig *rig, uint32_t rc_caps, uint32_t ud_caps);

/* The thread's network namespace becomes the peer's; what it returns goes to netns_leave(). -1: there is none. */
int netns_enter_peer(void);
void netns_leave(int saved);

/* A hardware counter, summed over the device and its peer. */
long rig_counter(const char *name);
/* The same for some at once. */
void rig_counters(const char *const *names, long *values, size_t num);

/* Whether requests between the device's queue pairs, and those of its peer, may go without packets. */
void rig_set_local(bool on);

/* IBV_ACCESS_ON_DEMAND or 0, from TEST_BOTH's state; skips if the device cannot. */
int mode(struct rig *rig, void **state);

/* True where the program was built to run over the stock driver, a yardstick with known faults. */
bool rig_is_stock(void);

#endif
