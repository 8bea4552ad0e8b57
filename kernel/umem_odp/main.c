// SPDX-License-Identifier: GPL-2.0
/*
 * umem_odp: on-demand-paging memory for devices that read and write user memory.
 *
 * From the bottom up, each knowing only what stands before it:
 *
 *	entries		the translations of 2 MiB; pure
 *	leaf		entries with their lock
 *	chunk		the leaves of 1 GiB, and the notifier that watches it
 *	invalidate	what the notifier does
 *	access		touching memory through leaves
 *	pass		bringing pages in, looking them up, putting them in
 *	queue		who waits for which pass
 *	thread		who runs passes
 *	owner		what the regions of one process share
 *	fault, region	the API
 *
 * The words are explained in include/umem_odp/umem_odp.h and docs/umem_odp.md.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "region.h"
#include "thread.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *umem_odp_wq;

static int __init umem_odp_init(void)
{
	umem_odp_wq = alloc_workqueue("umem_odp", WQ_UNBOUND, 0);
	return umem_odp_wq ? 0 : -ENOMEM;
}

/* Every user of the API has a reference on this module, so no region is left. */
static void __exit umem_odp_exit(void)
{
	umem_odp_thread_end_all();
	destroy_workqueue(umem_odp_wq);
}

module_init(umem_odp_init);
module_exit(umem_odp_exit);

MODULE_DESCRIPTION("On-demand-paging memory for devices");
MODULE_LICENSE("GPL");
