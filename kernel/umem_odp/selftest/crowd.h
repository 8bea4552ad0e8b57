/* SPDX-License-Identifier: GPL-2.0 */
/* A crowd: very many waiters of one region, each for a page of its own or all for one. */
#ifndef UMEM_ODP_SELFTEST_CROWD_H
#define UMEM_ODP_SELFTEST_CROWD_H

struct selftest_crowd;
struct umem_odp_region;

long selftest_crowd_begin(struct umem_odp_region *r, struct selftest_crowd **crowd,
			  void __user *uarg);
long selftest_crowd_end(struct selftest_crowd **crowd, void __user *uarg);
void selftest_crowd_destroy(struct selftest_crowd *crowd);

#endif
