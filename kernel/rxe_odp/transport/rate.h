/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The rate of a queue pair whose packets meet congestion: none until its peer says so by the first
 * CNP (RoCEv2 annex, A17.9.3), and none again when it has grown past all bounds. Falls and rises
 * as DCQCN's (Zhu et al., SIGCOMM 2015): by half of alpha, which follows how often it is told; back
 * towards the rate of before in a few steps, then further in even ones. Pure, so that user space
 * can test it; times are in ns.
 *
 * Checked once a jiffy, without a timer per packet: a jiffy's packets leave together.
 */
#ifndef RXO_RATE_H
#define RXO_RATE_H

#include <linux/types.h>

#define RXO_RATE_ALPHA_ONE		1024U
#define RXO_RATE_ALPHA_SHIFT		4		/* alpha follows by a 16th */
#define RXO_RATE_CUT_NS			1000000ULL	/* at most one fall in this time */
#define RXO_RATE_RAISE_NS		5000000ULL	/* one rise in this time */
#define RXO_RATE_FAST_STEPS		5U
#define RXO_RATE_RAISE_STEPS		64U		/* of one pause, at most */
#define RXO_RATE_STEP_BYTES_PER_S	5000000ULL
#define RXO_RATE_MIN_BYTES_PER_S	250000ULL
#define RXO_RATE_MAX_BYTES_PER_S	10000000000ULL
#define RXO_RATE_CREDIT_US		100U
#define RXO_RATE_BURST_US		20000U		/* two jiffies, where they are longest */
#define RXO_RATE_BURST_BYTES		16384
#define RXO_RATE_SEEN_NS		20000000ULL	/* how long what was sent is summed up */
#define RXO_RATE_US_PER_S		1000000U

struct rxo_rate {
	u64 bytes_per_s;	/* 0: not limited */
	u64 target_bytes_per_s;
	u64 cut_ns, raise_ns;	/* when it fell, and rose, last */
	u32 alpha;
	u32 steps;		/* rises since it fell */
	s64 credit_bytes;	/* may be sent at @credit_ns; below zero, it was overdrawn */
	u64 credit_ns;
	u64 seen_bytes, seen_ns; /* not limited: sent since then */
};

static inline void rxo_rate_init(struct rxo_rate *r)
{
	*r = (struct rxo_rate) { .alpha = RXO_RATE_ALPHA_ONE };
}

/* A packet of @bytes is made. */
static inline void rxo_rate_charge(struct rxo_rate *r, u32 bytes, u64 now_ns)
{
	if (r->bytes_per_s) {
		r->credit_bytes -= bytes;
		return;
	}
	if (now_ns - r->seen_ns > RXO_RATE_SEEN_NS) {
		r->seen_ns = now_ns;
		r->seen_bytes = 0;
	}
	r->seen_bytes += bytes;
}

/* Of what was charged last, @bytes were not sent. */
static inline void rxo_rate_uncharge(struct rxo_rate *r, u32 bytes)
{
	if (r->bytes_per_s)
		r->credit_bytes += bytes;
	else
		r->seen_bytes -= bytes < r->seen_bytes ? bytes : r->seen_bytes;
}

/* The rate of late; less than 1 ms of sending counts as 1 ms. */
static inline u64 rxo_rate_seen(const struct rxo_rate *r, u64 now_ns)
{
	u64 us = (now_ns - r->seen_ns) / 1000;

	return r->seen_bytes * 1000 / (us < 1000 ? 1000 : us) * 1000;
}

/* The peer sent a CNP. False if it is ignored: too soon after a cut. */
static inline bool rxo_rate_cut(struct rxo_rate *r, u64 now_ns)
{
	if (r->bytes_per_s && now_ns - r->cut_ns < RXO_RATE_CUT_NS)
		return false;
	if (!r->bytes_per_s) {
		r->bytes_per_s = rxo_rate_seen(r, now_ns);
		if (r->bytes_per_s < RXO_RATE_MIN_BYTES_PER_S)
			r->bytes_per_s = RXO_RATE_MIN_BYTES_PER_S;
		r->credit_bytes = 0;
		r->credit_ns = now_ns;
		r->alpha = RXO_RATE_ALPHA_ONE;
	}
	r->target_bytes_per_s = r->bytes_per_s;
	r->bytes_per_s -= r->bytes_per_s / (2 * RXO_RATE_ALPHA_ONE) * r->alpha;
	if (r->bytes_per_s < RXO_RATE_MIN_BYTES_PER_S)
		r->bytes_per_s = RXO_RATE_MIN_BYTES_PER_S;
	r->alpha += (RXO_RATE_ALPHA_ONE - r->alpha) >> RXO_RATE_ALPHA_SHIFT;
	r->steps = 0;
	r->cut_ns = now_ns;
	r->raise_ns = now_ns;
	return true;
}

static inline void rxo_rate_raise(struct rxo_rate *r, u64 now_ns)
{
	u64 longest_ns = RXO_RATE_RAISE_STEPS * RXO_RATE_RAISE_NS;

	if (now_ns - r->raise_ns > longest_ns)
		r->raise_ns = now_ns - longest_ns;
	while (r->bytes_per_s && now_ns - r->raise_ns >= RXO_RATE_RAISE_NS) {
		r->raise_ns += RXO_RATE_RAISE_NS;
		r->alpha -= r->alpha >> RXO_RATE_ALPHA_SHIFT;
		if (r->steps++ >= RXO_RATE_FAST_STEPS)
			r->target_bytes_per_s += RXO_RATE_STEP_BYTES_PER_S;
		r->bytes_per_s = (r->bytes_per_s + r->target_bytes_per_s + 1) / 2;
		if (r->bytes_per_s > RXO_RATE_MAX_BYTES_PER_S)
			r->bytes_per_s = 0;
	}
}

static inline void rxo_rate_add_credit(struct rxo_rate *r, u64 now_ns)
{
	u64 us = (now_ns - r->credit_ns) / 1000;
	s64 burst;

	if (us < RXO_RATE_CREDIT_US)
		return;		/* or little would be rounded to nothing */
	if (us > RXO_RATE_BURST_US)
		us = RXO_RATE_BURST_US;
	burst = r->bytes_per_s * RXO_RATE_BURST_US / RXO_RATE_US_PER_S;
	if (burst < RXO_RATE_BURST_BYTES)
		burst = RXO_RATE_BURST_BYTES;
	r->credit_bytes += r->bytes_per_s * us / RXO_RATE_US_PER_S;
	if (r->credit_bytes > burst)
		r->credit_bytes = burst;
	r->credit_ns = now_ns;
}

/* Whether something may be sent now: up to a packet more than there is credit for. */
static inline bool rxo_rate_may_send(struct rxo_rate *r, u64 now_ns)
{
	rxo_rate_raise(r, now_ns);
	if (!r->bytes_per_s)
		return true;
	rxo_rate_add_credit(r, now_ns);
	return r->credit_bytes > 0;
}

#endif /* RXO_RATE_H */
