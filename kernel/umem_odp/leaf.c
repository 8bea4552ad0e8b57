// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves: made by the first fault in their 2 MiB, gone with their last page.
 *
 * The lock. An access holds leaf->lock shared, with BH off, for as long as it touches memory; who
 * changes entries holds it exclusively. So an invalidation that has had the lock knows that no
 * access to what it cleared is in flight, and that none can begin.
 *
 * Closing. A reader with BH off passes a waiting writer in a queued rwlock, so accesses that
 * follow each other closely on a hot leaf could hold an invalidation off for ever. So whoever is
 * about to take entries out first increments leaf->closing, at which accesses miss:
 *
 *	CPU 0, invalidation			CPU 1, softirq, access after access
 *	-------------------			-----------------------------------
 *	local_bh_disable()
 *	closing++				read_lock(), it held the lock before
 *	write_lock() waits			... read_unlock()
 *						next access: closing, so -EAGAIN
 *	has the lock
 *	closing--
 *
 * The check is a hint: an access that has not seen the increment is one more that the writer waits
 * for, at most one on each CPU. BH goes off before the increment: otherwise a softirq that comes
 * between the two on CPU 0 could retry without end, as the leaf stays closing until it returns.
 *
 * Putting entries in does not close the leaf at first: accesses would miss, ask for a fault, and
 * have entries put in again. It tries INSTALL_TRIES times to find the lock free, then closes too.
 *
 * The life. chunk->lock protects insertion and removal. A leaf is removed when it is empty and
 * not pinned; pins are taken under chunk->lock too, and only a pinned leaf gets entries, so what
 * is found empty under chunk->lock stays so. It is freed after an RCU grace period: an access may
 * have found it before it was removed, sees no entries in it, and misses. Its page of entries is
 * freed with it, since age.c reads them without leaf->lock.
 */
#include <linux/slab.h>

#include <umem_odp/umem_odp.h>

#include "chunk.h"
#include "hook.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"

/* So many times an install looks for a moment without readers before it closes the leaf. */
#define INSTALL_TRIES	1000

/**
 * umem_odp_leaf_lock() - take a leaf exclusively, to take entries out
 * @leaf: the leaf
 *
 * Context: Waits for the accesses under way, of at most UMEM_ODP_ACCESS_MAX each, and for no other.
 */
void umem_odp_leaf_lock(struct umem_odp_leaf *leaf)
{
	local_bh_disable();
	atomic_inc(&leaf->closing);
	umem_odp_hook(UMEM_ODP_LEAF_CLOSING, leaf);
	write_lock(&leaf->lock);
	atomic_dec(&leaf->closing);
}

/**
 * umem_odp_leaf_lock_to_install() - take a leaf exclusively, to put entries in
 * @leaf: the leaf
 *
 * Context: As umem_odp_leaf_lock().
 */
void umem_odp_leaf_lock_to_install(struct umem_odp_leaf *leaf)
{
	unsigned int tries;

	local_bh_disable();
	for (tries = 0; tries < INSTALL_TRIES; tries++) {
		if (write_trylock(&leaf->lock))
			return;
		cpu_relax();
	}
	local_bh_enable();
	umem_odp_leaf_lock(leaf);
}

/**
 * umem_odp_leaf_unlock() - undo umem_odp_leaf_lock() or umem_odp_leaf_lock_to_install()
 * @leaf: the leaf
 */
void umem_odp_leaf_unlock(struct umem_odp_leaf *leaf)
{
	write_unlock_bh(&leaf->lock);
}

static struct umem_odp_leaf *leaf_of(struct umem_odp_chunk *chunk, unsigned int index)
{
	return rcu_dereference_protected(chunk->leaves[index], lockdep_is_held(&chunk->lock));
}

static struct umem_odp_leaf *leaf_get_existing(struct umem_odp_chunk *chunk, unsigned int index)
{
	struct umem_odp_leaf *leaf;

	guard(spinlock_bh)(&chunk->lock);
	leaf = leaf_of(chunk, index);
	if (leaf)
		leaf->pins++;
	return leaf;
}

/**
 * umem_odp_leaf_get() - find or make the leaf of an address, and pin it
 * @chunk: the chunk of @va, pinned
 * @va: any address in the leaf
 *
 * Context: May sleep.
 * Return: the leaf, or ERR_PTR(-ENOMEM).
 */
struct umem_odp_leaf *umem_odp_leaf_get(struct umem_odp_chunk *chunk, u64 va)
{
	unsigned int index = umem_odp_leaf_index(va);
	struct umem_odp_leaf *leaf, *new;

	leaf = leaf_get_existing(chunk, index);
	if (leaf)
		return leaf;
	new = kmem_cache_zalloc(umem_odp_leaf_cache, GFP_KERNEL);
	if (!new)
		return ERR_PTR(-ENOMEM);
	rwlock_init(&new->lock);
	new->index = index;
	umem_odp_hook(UMEM_ODP_LEAF_MADE, chunk);

	scoped_guard(spinlock_bh, &chunk->lock) {
		leaf = leaf_of(chunk, index);
		if (!leaf) {
			leaf = new;
			rcu_assign_pointer(chunk->leaves[index], leaf);
			chunk->nr_leaves++;
		}
		leaf->pins++;
	}
	if (leaf == new)
		atomic_long_add(sizeof(*new), &chunk->mirror->table_bytes);
	else
		kmem_cache_free(umem_odp_leaf_cache, new);
	return leaf;
}

/**
 * umem_odp_leaf_alloc_pages() - give a leaf room for page entries
 * @chunk: the leaf's chunk
 * @leaf: the leaf, pinned
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int umem_odp_leaf_alloc_pages(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf)
{
	unsigned long *pages;

	/* Set once, by a pass that pins the leaf, and freed with the leaf: read without a lock. */
	if (READ_ONCE(leaf->entries.pages))
		return 0;
	pages = kmem_cache_zalloc(umem_odp_entries_cache, GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	umem_odp_hook(UMEM_ODP_PAGES_MADE, leaf);

	umem_odp_leaf_lock_to_install(leaf);
	if (!leaf->entries.pages) {
		/* Zeroed before it is seen: age.c reads it without the lock. */
		smp_store_release(&leaf->entries.pages, pages);
		atomic_long_add(UMEM_ODP_ENTRIES_BYTES, &chunk->mirror->table_bytes);
		pages = NULL;
	}
	umem_odp_leaf_unlock(leaf);
	if (pages)
		kmem_cache_free(umem_odp_entries_cache, pages);
	return 0;
}

static void leaf_free(struct rcu_head *rcu)
{
	struct umem_odp_leaf *leaf = container_of(rcu, struct umem_odp_leaf, rcu);

	if (leaf->entries.pages)
		kmem_cache_free(umem_odp_entries_cache, leaf->entries.pages);
	kmem_cache_free(umem_odp_leaf_cache, leaf);
}

static void leaf_remove_if_empty(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf)
{
	unsigned long bytes = sizeof(*leaf);

	lockdep_assert_held(&chunk->lock);
	if (leaf->pins || READ_ONCE(leaf->entries.resident))
		return;
	/* Two invalidations may both have found it empty. */
	if (leaf_of(chunk, leaf->index) != leaf)
		return;
	RCU_INIT_POINTER(chunk->leaves[leaf->index], NULL);
	chunk->nr_leaves--;
	/* No pass pins the leaf, so none is setting entries.pages now. */
	if (leaf->entries.pages)
		bytes += UMEM_ODP_ENTRIES_BYTES;
	atomic_long_sub(bytes, &chunk->mirror->table_bytes);
	call_rcu(&leaf->rcu, leaf_free);
	umem_odp_chunk_check_empty(chunk);
}

/**
 * umem_odp_leaf_remove_if_empty() - remove a leaf without pages, if no pass is at work there
 * @chunk: the leaf's chunk
 * @leaf: the leaf, found in an RCU read-side critical section that still lasts
 */
void umem_odp_leaf_remove_if_empty(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf)
{
	guard(spinlock_bh)(&chunk->lock);
	leaf_remove_if_empty(chunk, leaf);
}

/**
 * umem_odp_leaf_put() - undo umem_odp_leaf_get()
 * @chunk: the leaf's chunk
 * @leaf: the leaf
 */
void umem_odp_leaf_put(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf)
{
	guard(spinlock_bh)(&chunk->lock);
	leaf->pins--;
	leaf_remove_if_empty(chunk, leaf);
}

/**
 * umem_odp_leaf_count() - count resident pages
 * @chunk: the chunk
 * @start: first address
 * @last: last address, in the same leaf
 * @found: the pages of the span that are in the table are added to it
 *
 * Context: In an RCU read-side critical section.
 */
void umem_odp_leaf_count(struct umem_odp_chunk *chunk, u64 start, u64 last,
			 struct umem_odp_resident *found)
{
	struct umem_odp_leaf *leaf;
	unsigned int nr;
	bool huge;

	leaf = rcu_dereference(chunk->leaves[umem_odp_leaf_index(start)]);
	if (!leaf || !READ_ONCE(leaf->entries.resident))
		return;
	read_lock_bh(&leaf->lock);
	nr = umem_odp_entries_count(&leaf->entries, umem_odp_leaf_page(start),
				    umem_odp_leaf_page(last));
	huge = READ_ONCE(leaf->entries.huge);
	read_unlock_bh(&leaf->lock);
	found->pages += nr;
	found->huge_pages += huge ? nr : 0;
}

/**
 * umem_odp_leaf_missing() - find a page that is not resident
 * @chunk: the chunk
 * @start: the first page
 * @end: behind the last page, in the same leaf
 * @write: to be written
 *
 * Context: In an RCU read-side critical section.
 * Return: the first page that is missing, or @end.
 */
u64 umem_odp_leaf_missing(struct umem_odp_chunk *chunk, u64 start, u64 end, bool write)
{
	unsigned int first = umem_odp_leaf_page(start), found;
	struct umem_odp_leaf *leaf;

	leaf = rcu_dereference(chunk->leaves[umem_odp_leaf_index(start)]);
	if (!leaf || !READ_ONCE(leaf->entries.resident))
		return start;
	read_lock_bh(&leaf->lock);
	found = umem_odp_entries_missing(&leaf->entries, first,
					 first + ((end - start) >> PAGE_SHIFT), write);
	read_unlock_bh(&leaf->lock);
	return start + ((u64)(found - first) << PAGE_SHIFT);
}

static_assert(UMEM_ODP_PAGE_PRESENT == UMEM_ODP_ENTRY_VALID);
static_assert(UMEM_ODP_PAGE_WRITABLE == UMEM_ODP_ENTRY_WRITE);

/**
 * umem_odp_leaf_residency() - tell which pages are resident
 * @chunk: the chunk
 * @start: first address
 * @last: last address, in the same leaf
 * @pages: for each page of the span set to UMEM_ODP_PAGE_* bits
 *
 * Context: In an RCU read-side critical section.
 */
void umem_odp_leaf_residency(struct umem_odp_chunk *chunk, u64 start, u64 last, u8 *pages)
{
	unsigned int first = umem_odp_leaf_page(start), end = umem_odp_leaf_page(last) + 1;
	struct umem_odp_leaf *leaf;
	unsigned int i;

	leaf = rcu_dereference(chunk->leaves[umem_odp_leaf_index(start)]);
	if (!leaf || !READ_ONCE(leaf->entries.resident)) {
		memset(pages, 0, end - first);
		return;
	}
	read_lock_bh(&leaf->lock);
	umem_odp_entries_bits(&leaf->entries, first, end - 1, pages);
	for (i = 0; READ_ONCE(leaf->entries.huge) && i < end - first; i++)
		pages[i] |= UMEM_ODP_PAGE_HUGE;
	read_unlock_bh(&leaf->lock);
}
