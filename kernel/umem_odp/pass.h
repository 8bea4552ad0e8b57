/* SPDX-License-Identifier: GPL-2.0 */
/* A pass: one thread's work on the missing pages of one leaf. */
#ifndef UMEM_ODP_PASS_H
#define UMEM_ODP_PASS_H

#include <linux/list.h>
#include <linux/sched.h>

#include "entries.h"

struct umem_odp_chunk;
struct umem_odp_leaf;
struct umem_odp_region;

/**
 * struct umem_odp_pass - one thread's work on the missing pages of one leaf
 * @node: in owner->passes
 * @region: whose pages; immutable while the pass is listed
 * @task: the thread; immutable
 * @waiters: those whose first page lies in [@next, @end); owner->lock
 * @next: the first page that is not put in yet; written by the thread under owner->lock
 * @end: where the window ends; written by the thread under owner->lock
 * @wanted_end: @end while the pass does not wait for a page, for which it is only @next's end
 * @write: for writing; immutable while the pass is listed
 * @stopped: it has been signalled to end; owner->lock
 * @ready: waiters to be woken with 0, the thread's own
 * @chunk: pinned, the thread's own, like all below
 * @leaf: pinned
 * @seq: of the chunk's notifier, for what was looked up
 * @nr: how many pages from @next on are looked at
 * @usable: how many of these from the first on can be put in
 * @streak: how many pages to bring in before looking again
 * @waits: how often it has waited for a page behind the first
 * @useless: how often @next was brought in, and was not there, although nobody took it
 * @pfns: what was looked up, then the entries made of it
 */
struct umem_odp_pass {
	struct list_head node;
	struct umem_odp_region *region;
	struct task_struct *task;
	struct list_head waiters;
	u64 next;
	u64 end;
	u64 wanted_end;
	bool write;
	bool stopped;

	struct list_head ready;
	struct umem_odp_chunk *chunk;
	struct umem_odp_leaf *leaf;
	unsigned long seq;
	unsigned int nr;
	unsigned int usable;
	unsigned int streak;
	unsigned int waits;
	unsigned int useless;
	unsigned long pfns[UMEM_ODP_LEAF_PAGES];
};

/* What a pass answers when it would have to wait and may not: too many others do. */
#define UMEM_ODP_PASS_LATER	(-EINPROGRESS)

int umem_odp_pass_run(struct umem_odp_pass *pass);

#endif
