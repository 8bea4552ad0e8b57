/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two queue pairs between which packets are wide (kernel/rxe_odp/net/net.c), which has to be found out by the wire first, and a
 * look at the packets. The module's parameters gso, icrc and frames are what wide packets of one kind need while a test runs: those
 * without ICRC, of 28 KiB, or those with one, of a frame of the netdev.
 */
#ifndef TESTS_GUEST_WIDE_H
#define TESTS_GUEST_WIDE_H

#include "pair.h"
#include "sniff.h"

/* What a netdev has to have to carry what is longer than its MTU. */
#define WIDE_FEATURE "tx-sctp-segmentation"

struct wide {
	struct pair pair;
	struct buf a, b; /* pinned, for what is moved to see how */
	struct sniff sniff;
	uint32_t next_psn; /* a's, behind the last request of a that wide_widest() saw */
};

/* Around each test. The second mends the wire of one that failed, too. */
int wide_set_up(void **state);
int wide_set_up_frames(void **state);
int wide_tear_down(void **state);
/* Whether the module may have packets of several PSNs at all. */
void wide_allow(bool allow);
void wide_allow_frames(bool allow);
void wide_allow_no_icrc(bool allow);

struct conn wide_conn(bool wire, enum ibv_mtu mtu, bool ipv6);

/* Between veth0 and its peer, or, where conn->wire is not set, over lo. */
void wide_open(struct wide *wide, const struct conn *conn);
/* The packets of a's end are seen at that netdev. */
void wide_open_on(struct wide *wide, const struct conn *conn, const char *netdev);
void wide_close(struct wide *wide);

/* The most PSNs of a packet that went by since this was asked the last time, of requests and of answers. */
void wide_widest(struct wide *wide, unsigned int *request, unsigned int *response);
/* Of 64 KiB that are written, and read. */
void wide_widest_of_64k(struct wide *wide, unsigned int *request, unsigned int *response);
/* Moves data until packets are wide in both directions, or in none. Connects again where that takes long: nothing may be posted. */
void wide_await(struct wide *wide, bool is_wide);

/*
 * Connects, has packets wide, shapes both ends of the wire as netem.h has it, moves data and ends the shaping, until the counter has
 * grown: after a loss packets are not wide for a while, and the next connection begins anew.
 */
void wide_until_counted(const char *qdisc, const char *counter, int access);

/* Tests of that, for either kind of wide packets. One that comes twice is answered again, and not executed. The first as mode() has it. */
void wide_some_are_lost(void **state);
void wide_some_come_twice(void **state);
void wide_some_overtake_others(void **state);

#endif
