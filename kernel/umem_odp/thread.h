/* SPDX-License-Identifier: GPL-2.0 */
/* Fault threads. */
#ifndef UMEM_ODP_THREAD_H
#define UMEM_ODP_THREAD_H

struct umem_odp_owner;

void umem_odp_thread_call(struct umem_odp_owner *owner);
void umem_odp_thread_end_all(void);

#endif
