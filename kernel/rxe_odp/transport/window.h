/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * How many PSNs may be on their way: a window that halves when packets are lost and grows again,
 * as TCP's does (RFC 5681), counted in packets. Pure, so that user space can test it.
 */
#ifndef RXO_WINDOW_H
#define RXO_WINDOW_H

#include <linux/types.h>

#include "wire/psn.h"

#define RXO_WINDOW_MAX_PKTS	128U
#define RXO_WINDOW_MIN_PKTS	2U
/*
 * At first: less than Linux keeps for a neighbour whose MAC address is being asked for (208 KiB,
 * at 8.25 KiB for a packet of 4 KiB), since of more the oldest would be lost.
 */
#define RXO_WINDOW_FIRST_PKTS	16U

struct rxo_window {
	u32 pkts;		/* from MIN to MAX */
	u32 fast_pkts;		/* below, it grows by a packet for each that is acknowledged */
	u32 acked;		/* above, by one for each full window of them: so far */
	u32 recover_psn;	/* when it was halved last: losses before are the same */
	bool halved;		/* recover_psn means something */
};

static inline void rxo_window_init(struct rxo_window *w)
{
	*w = (struct rxo_window) {
		.pkts = RXO_WINDOW_FIRST_PKTS,
		.fast_pkts = RXO_WINDOW_MAX_PKTS,
	};
}

/* @num PSNs more are acknowledged, up to @una_psn. */
static inline void rxo_window_acked(struct rxo_window *w, u32 num, u32 una_psn)
{
	if (w->halved && rxo_psn_cmp(una_psn, w->recover_psn) >= 0)
		w->halved = false;
	if (w->pkts == RXO_WINDOW_MAX_PKTS)
		return;
	if (w->pkts < w->fast_pkts) {
		w->pkts += num < w->fast_pkts - w->pkts ? num : w->fast_pkts - w->pkts;
		return;
	}
	w->acked += num;
	if (w->acked >= w->pkts) {
		w->acked = 0;
		w->pkts++;
	}
}

/* Shrinks it to the @pkts that fit. */
static inline void rxo_window_shrink(struct rxo_window *w, u32 pkts)
{
	if (pkts < RXO_WINDOW_MIN_PKTS)
		pkts = RXO_WINDOW_MIN_PKTS;
	if (pkts < w->pkts)
		w->pkts = pkts;
	w->fast_pkts = w->pkts;
	w->acked = 0;
}

/* Of the PSNs before @sent_psn, some from @una_psn on were lost: halves it, once a window. */
static inline void rxo_window_lost(struct rxo_window *w, u32 una_psn, u32 sent_psn)
{
	if (w->halved && rxo_psn_cmp(una_psn, w->recover_psn) < 0)
		return;
	rxo_window_shrink(w, w->pkts / 2);
	w->halved = true;
	w->recover_psn = sent_psn;
}

/*
 * How often an acknowledgment is asked for: four times a window. With fewer the answers to a
 * small window would all come at its end.
 */
static inline u32 rxo_window_ask_pkts(const struct rxo_window *w)
{
	return w->pkts < 8 ? 1 : w->pkts / 4;
}

#endif /* RXO_WINDOW_H */
