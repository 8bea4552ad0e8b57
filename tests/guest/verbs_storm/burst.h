/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Requests of a connection that are under way at the same time, and what has become of memory by them. */
#ifndef VERBS_STORM_BURST_H
#define VERBS_STORM_BURST_H

#include "link.h"

/* Fills the memory of either side. */
void burst_begin(struct zoo *z, struct link *link);
/* Some requests, as the sort can. */
void burst_post(struct zoo *z, struct link *link);
/* One. */
void burst_write(struct zoo *z, struct link *link, uint32_t rkey);
void burst_send_to(struct zoo *z, struct link *link, struct ibv_ah *ah, uint32_t qp_num);

/* From now on nothing of that side's memory may change. */
void burst_lost(struct link *link, int i);

void burst_complete(struct link *link, unsigned int slot, const struct ibv_wc *wc);
/* A message, at @at. */
void burst_received(struct zoo *z, const struct ibv_wc *wc, const uint8_t *at, bool lost);

/* When all are complete; or when the queue pairs are no more. */
void burst_check(const struct link *link);
void burst_check_bytes(const struct link *link);
void burst_forget(struct link *link);

#endif
