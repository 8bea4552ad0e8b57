// SPDX-License-Identifier: GPL-2.0
/*
 * umem_odp: on-demand-paging memory for devices that read and write user memory.
 *
 * From the bottom up: a file uses mainly those above it in this list. The other way go the
 * callbacks that chunk and mirror register (invalidate, age), the mirror's queue, what a chunk
 * tells its mirror (that it is empty), and what a pass tells its queue (what it has put in, that it
 * waits).
 *
 *	entries		the translations of 2 MiB; pure
 *	leaf		entries with their lock
 *	chunk		the leaves of 1 GiB, and the notifier that watches it
 *	mirror, tally	the chunks of one mm, and which regions look through them
 *	invalidate, age	what the notifiers do
 *	access		touching memory through leaves
 *	waiters		who waits for which page
 *	stream		how far a fault looks beyond what it is asked for
 *	lookup, install	looking pages up and bringing them in, putting them into the table
 *	pass		how long that is tried
 *	user		how many passes may wait
 *	queue, serve,	which pass serves whom, who is tried again when
 *	retry
 *	thread		who runs passes
 *	fault, region,	the API
 *	prefetch
 *
 * The words are explained in include/umem_odp/umem_odp.h and docs/umem_odp.md.
 */
#include <linux/init.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "mem_cache.h"
#include "mirror.h"
#include "thread.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *umem_odp_wq;

static int __init umem_odp_init(void)
{
	int err;

	BUILD_BUG_ON(BITS_PER_LONG != 64);
	err = umem_odp_mem_caches_create();
	if (err)
		return err;
	umem_odp_wq = alloc_workqueue("umem_odp", WQ_UNBOUND, 0);
	if (!umem_odp_wq) {
		umem_odp_mem_caches_destroy();
		return -ENOMEM;
	}
	return 0;
}

/*
 * Every user of the API has a reference on this module, so no region is left, and so has every
 * thread that waits for a page. Mirrors, chunks and the other threads go by themselves: a mirror
 * has a reference of each thread, and of each work. The callback of SRCU that puts the last one
 * may still be on its way out when the wait ends; it runs with BH off, so the synchronize_rcu()
 * with which the kernel frees a module waits for it.
 */
static void __exit umem_odp_exit(void)
{
	umem_odp_mirror_wait_for_all();
	umem_odp_thread_wait_for_all();
	mmu_notifier_synchronize();
	/* Leaves are freed by a function of this module. */
	rcu_barrier();
	destroy_workqueue(umem_odp_wq);
	umem_odp_mem_caches_destroy();
}

module_init(umem_odp_init);
module_exit(umem_odp_exit);

MODULE_DESCRIPTION("On-demand-paging memory for devices");
MODULE_LICENSE("GPL");
