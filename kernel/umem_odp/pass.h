/* SPDX-License-Identifier: GPL-2.0 */
/* A pass: one thread's work on the missing pages of a leaf, and of those behind it. */
#ifndef UMEM_ODP_PASS_H
#define UMEM_ODP_PASS_H

#include <linux/list.h>
#include <linux/sched.h>
#include <umem_odp/umem_odp.h>

#include "chunk.h"
#include "entries.h"
#include "queue.h"

struct mm_struct;
struct umem_odp_leaf;
struct umem_odp_mirror;
struct umem_odp_region;
struct umem_odp_waiter;

/**
 * struct umem_odp_pass - one thread's work on the missing pages of a leaf, and of those behind it
 * @mirror: whose pages; the thread's, the struct is held
 * @task: the thread; immutable
 * @joined: the thread has joined its owner's cgroups; the thread's own
 * @node: in queue->passes; queue->lock, like all up to @stopped
 * @leader: the waiter whose page it begins with; NULL when that was served or has left
 * @region: the one that it counts for; NULL when that has closed
 * @inside: other leaders, whose pages lie in [@next, @end)
 * @next: the first page that is not there yet
 * @end: where the pages end that others may wait for @inside
 * @span_end: where the leader's span ends, a few leaves away at most; @next if the leader left
 *	before it was served
 * @write: for writing; immutable while the pass is listed
 * @prefetch: it was begun by a prefetch; immutable while the pass is listed
 * @ahead: it has gone on behind its leader's leaf: nobody waits for what it brings in there
 * @blocked: it waits for the page at @next
 * @stopped: it has been signalled to end
 * @wanted_end: where what it brings in of this leaf ends. @end is the same, but while the pass
 *	waits: then it is the end of the page at @next. Changed by the thread alone, from leaf to
 *	leaf
 * @look_end: how far it looks: behind @wanted_end it only puts in what the process has mapped;
 *	changed as @wanted_end is
 * @told: how far the region's stream has been told that it has come
 * @block_start: the first page of the block in which the pass began with the leaf, if its region
 *	covers all of that, else 0; changed as @wanted_end is
 * @served: waiters to be woken with 0, the thread's own, like all below
 * @chunk: pinned
 * @leaf: pinned
 * @window: what it has looked up; its node by chunk->lock
 * @file_system: the page at @next is written through a file system
 * @refusal: why it is refused, if it is
 * @look_only: it brings nothing in, and waits for nothing: such a pass is listed nowhere
 * @looked_end: a pass that only looks has looked up to here
 * @retries: how often it had to look again
 * @start: the first page that it has looked up, mostly @next
 * @nr: how many pages from @start on it has looked up
 * @pfns: what it found, then the entries made of it
 */
struct umem_odp_pass {
	struct umem_odp_mirror *mirror;
	struct task_struct *task;
	bool joined;

	struct list_head node;
	struct umem_odp_waiter *leader;
	struct umem_odp_region *region;
	struct list_head inside;
	u64 next;
	u64 end;
	u64 span_end;
	bool write;
	bool prefetch;
	bool ahead;
	bool blocked;
	bool stopped;
	u64 wanted_end;
	u64 look_end;
	u64 told;
	u64 block_start;

	struct list_head served;
	struct umem_odp_chunk *chunk;
	struct umem_odp_leaf *leaf;
	struct umem_odp_window window;
	bool file_system;
	enum umem_odp_refusal refusal;
	bool look_only;
	u64 looked_end;
	unsigned int retries;
	u64 start;
	unsigned int nr;
	unsigned long pfns[UMEM_ODP_LEAF_PAGES];
};

/* The error of a pass whose page does not come at once, and that may not wait for it. */
#define UMEM_ODP_PASS_LATER	(-EINPROGRESS)

/* A block: an aligned span that a fault puts in as a whole if one large folio is mapped there. */
#define UMEM_ODP_BLOCK_PAGES	16U
#define UMEM_ODP_BLOCK_BYTES	(UMEM_ODP_BLOCK_PAGES * PAGE_SIZE)

/* So many pages in a row a pass asks a file system for, one after the other. */
#define UMEM_ODP_PASS_ASKS	16U

int umem_odp_pass_run(struct umem_odp_pass *pass);

/* lookup.c */
bool umem_odp_pass_usable(const struct umem_odp_pass *pass, unsigned long pfn);
int umem_odp_pass_look_up(struct umem_odp_pass *pass, unsigned int pages_max);
u64 umem_odp_pass_next_mapped(struct mm_struct *mm, u64 at, u64 end);
int umem_odp_pass_wait(struct umem_odp_pass *pass);

/* install.c */
int umem_odp_pass_install(struct umem_odp_pass *pass);

#endif
