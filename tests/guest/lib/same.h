/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * One scenario by packets and without: what a program can see of it must be the same.
 *
 * A scenario drives two queue pairs, fresh for each run, and what it sees goes into a record: completions field by field in their
 * order, events, states, how far the PSNs have moved, the counters that count operations, the last access errors, the memory of both
 * ends with what lies around it. It is run once with local=off, then with local=on, again and again until as many of its requests as it says went
 * without packets: a proof that the peer is here is good for a moment, and a busy host may be late. Each record is compared, however
 * many requests it is of.
 *
 * Not compared, since the two may differ there: packets, their bytes and what is about them (retries, duplicates, ICRC; README), and
 * faults, of which a packet asks for other pieces at other times.
 */
#ifndef TESTS_GUEST_SAME_H
#define TESTS_GUEST_SAME_H

#include "event.h"

#define SAME_LIST  32
#define SAME_SGES  4
#define SAME_BYTES 12000UL

enum same_memory {
	SAME_PINNED,
	SAME_WARM, /* on demand, and the NIC has had every page of either end */
	SAME_COLD, /* on demand, and it has had none: what comes to a page first goes by packets, and waits */
};

struct same;

struct scenario {
	void (*run)(struct same *s);
	/* Before the peer is known to be here: its requests may go by packets. */
	void (*prepare)(struct same *s);
	void (*connect)(struct conn *conn);
	const void *arg;  /* the scenario's own */
	unsigned int ops; /* requests of run() that need no packets; of cold memory, at most */
	size_t bytes;	  /* of either end's memory, if not SAME_BYTES */
	int access;	  /* to b's memory, beside ACCESS_ALL */
	bool one_way;	  /* b sends nothing */
	bool fails;	  /* not every completion is a success */
	bool rnr_by_time; /* how often the receiver is found not ready is a matter of time */
	enum same_memory memory;
};

struct same_record;

/* One run. */
struct same {
	const struct scenario *scenario;
	struct pair pair;
	struct buf a, b;   /* of the ends */
	uint32_t key;	   /* that a completion is to name */
	struct ibv_pd *pd; /* more of what a scenario needs; released at the end if they are there */
	struct ibv_mr *mr;
	struct ibv_send_wr wr[SAME_LIST];
	struct ibv_sge sge[SAME_LIST][SAME_SGES];
	unsigned int num_wr;
	uint64_t next_send, next_recv;
	struct buf scratch_a, scratch_b;
	uint32_t qpn[2], sq_psn[2], rq_psn[2];
	struct same_record *record;
};

/*
 * Adds a request of an end to its list: its own memory at an offset, and the other's at the same. A SEND's or a WRITE's bytes and
 * immediate follow from its number; an atomic adds 3, or compares with 3 and swaps for 7. What is to be otherwise the caller changes.
 */
struct ibv_send_wr *same_add(struct same *s, struct end *end, enum ibv_wr_opcode opcode, size_t at,
			     size_t bytes);
/* One doorbell for the list. */
void same_ring(struct same *s, struct end *end);
/* Both, and its completion. */
void same_do(struct same *s, struct end *end, enum ibv_wr_opcode opcode, size_t at, size_t bytes);
/* A receive into an end's memory. */
void same_post_recv(struct same *s, struct end *end, size_t at, size_t bytes);

/* To the record. */
void same_note(struct same *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Waits for so many completions. */
void same_sent(struct same *s, struct end *end, unsigned int num);
void same_received(struct same *s, struct end *end, unsigned int num);
/* Whether there is an event of that queue: one that is expected is waited for. */
void same_notified(struct same *s, struct end *end, struct ibv_cq *cq, bool expected);
/* Waits for an asynchronous event of an end's device. */
void same_event(struct same *s, struct end *end);
/* What the memory of both ends is now. It is noted at the end of each run anyhow. */
void same_note_memory(struct same *s);

/* A cmocka test of the scenario that is its state. */
void same_test(void **state);
/* Two records, of something else; they are freed. Failing names the first difference. */
struct same_record *same_record_new(void);
void same_record_note(struct same_record *record, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void same_compare(struct same_record *packets, struct same_record *local);

/* What main() does: the tests, and the links as they were. */
int same_run(const struct CMUnitTest *tests, size_t count);

/* clang-format knows no macro that is an initialiser. */
/* clang-format off */
#define SAME_NAMED(name, fn, num, ...) \
	{ name, same_test, NULL, NULL, \
	  &(struct scenario){ .run = fn, .ops = num, __VA_ARGS__ } }
#define SAME(fn, num, ...) SAME_NAMED(#fn, fn, num, .memory = SAME_PINNED, __VA_ARGS__)
#define SAME_EACH_MEMORY(fn, num, ...) \
	SAME_NAMED(#fn " (pinned)", fn, num, .memory = SAME_PINNED, __VA_ARGS__), \
	SAME_NAMED(#fn " (odp)", fn, num, .memory = SAME_WARM, __VA_ARGS__), \
	SAME_NAMED(#fn " (cold)", fn, num, .memory = SAME_COLD, __VA_ARGS__)
/* clang-format on */

#endif
