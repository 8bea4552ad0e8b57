/* SPDX-License-Identifier: GPL-2.0 */
/* Fault threads. */
#ifndef UMEM_ODP_THREAD_H
#define UMEM_ODP_THREAD_H

struct umem_odp_pass;
struct work_struct;

/* So many threads of one mm may be at work, besides those that wait for a page. */
#define UMEM_ODP_ACTIVE_THREADS	8

void umem_odp_thread_grow_work(struct work_struct *work);
void umem_odp_thread_join_owner(struct umem_odp_pass *pass);
void umem_odp_thread_wait_for_all(void);

#endif
