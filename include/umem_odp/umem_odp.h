/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On-demand-paging memory for devices that read and write user memory.
 *
 * A region is one registered range of a process's address space. It pins nothing: it is a window
 * onto a mirror of the process's page tables, which the kernel's invalidations keep true, and which
 * faults fill. All regions of a process share one mirror: a page that one of them has brought in is
 * there for all that cover it.
 *
 * A driver's life with a region:
 *
 *	r = umem_odp_region_create(mm, start, length, UMEM_ODP_WRITE);
 *
 *	again:						any context up to softirq
 *	err = umem_odp_access_begin(r, &acc, va, len, write);
 *	if (!err) {
 *		memcpy(acc.kaddr, packet, acc.len_bytes);
 *		umem_odp_access_end(&acc);
 *		va += acc.len_bytes; ...
 *	} else if (err == -EAGAIN) {
 *		err = umem_odp_fault_async(r, va, rest_of_the_message, write, &qp->waiter);
 *		if (!err)
 *			goto again;
 *		if (err == -EINPROGRESS)
 *			return;				qp->waiter.wake() resumes the work
 *	}
 *
 *	umem_odp_region_close(r);			no new access, waiters are woken
 *	umem_odp_region_destroy(r);			nothing of it is left
 *
 * The caller keeps the region's pointer alive: every call with it must have returned, or run inside
 * an RCU read-side critical section in which the region was looked up, before the memory behind it
 * goes. umem_odp_region_destroy() frees it after a grace period.
 *
 * Errors mean the same everywhere:
 *
 *	-EAGAIN		a miss: the page is not in the table. Ask for a fault.
 *	-EINPROGRESS	a fault is under way, the waiter will be woken.
 *	-EFAULT		for good: outside of the region, a write to a region that is not writable,
 *			no mapping there, a mapping without the permission, or one that the kernel
 *			must not touch (VM_IO, VM_PFNMAP, memfd_secret, a shadow stack for writing).
 *			A mapping that cannot be read cannot be written here either.
 *	-EHWPOISON	for good: the memory is broken.
 *	-EOWNERDEAD	for good: the process's address space is gone.
 *	-ESHUTDOWN	for good: the region is closed.
 *	-ENOMEM, -EBUSY	for now: no memory, or the page was taken away faster than it could be put
 *			in. Ask again. Never report one of these as an access error.
 *	-EINTR		a fatal signal came. Only functions that may sleep return it; wake() and
 *			done() are never given it.
 */
#ifndef UMEM_ODP_UMEM_ODP_H
#define UMEM_ODP_UMEM_ODP_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct mm_struct;
struct umem_odp_leaf;
struct umem_odp_pass;
struct umem_odp_region;

/* The device may write the region. Without it every access and fault for writing is -EFAULT. */
#define UMEM_ODP_WRITE		BIT(0)

/* An access covers at most this much, so that an invalidation never waits long for it. */
#define UMEM_ODP_ACCESS_MAX	SZ_64K

/**
 * umem_odp_region_create() - register a range of an address space
 * @mm: the address space; the region keeps the struct, not the memory
 * @start: first user address, any alignment
 * @length_bytes: length, any size that ends below the address space's end
 * @flags: UMEM_ODP_WRITE or 0
 *
 * Nothing is pinned, faulted or looked at, and nothing is allocated per page: the range may be
 * unmapped now and mapped later. The cost does not depend on the length.
 *
 * Context: Process context, may sleep, takes mmap_lock for writing.
 * Return: the region, or ERR_PTR: -EINVAL for an empty range, one that wraps or leaves the user
 * address space, or an unknown flag; -ENOMEM; -EOWNERDEAD if the address space is gone; -EINTR;
 * -ERESTARTNOINTR if the thread had to go back to user space while the first region of the address
 * space was made: return it from the system call, and the kernel makes the call again.
 */
struct umem_odp_region *umem_odp_region_create(struct mm_struct *mm, u64 start, u64 length_bytes,
					       u32 flags);

/**
 * umem_odp_check_mapped() - is a range mapped with the permission that faults would need
 * @mm: the address space, of a caller that keeps it alive
 * @start: first user address
 * @length_bytes: length, not 0
 * @write: to be written
 *
 * A region asks for none of this: it is for users who want a registration to be refused where one
 * that pins would be. It is true of that moment.
 *
 * Context: Process context, may sleep, takes mmap_lock for reading.
 * Return: 0; -EFAULT, as a fault would; -EINTR for a fatal signal.
 */
int umem_odp_check_mapped(struct mm_struct *mm, u64 start, u64 length_bytes, bool write);

/**
 * umem_odp_region_close() - first stage of the release: let nothing new in
 * @r: the region
 *
 * From its return on, new accesses and faults answer -ESHUTDOWN. Those who waited have been woken
 * with -ESHUTDOWN by the caller itself, but for those whose page came this moment, whom a fault
 * thread is waking. Accesses that had begun go on to their end. Waits for nothing. A second call
 * does nothing.
 *
 * Context: Process context, BH on. Holds no lock while it calls umem_odp_waiter.wake(), so the
 * caller must hold none that wake() takes.
 */
void umem_odp_region_close(struct umem_odp_region *r);

/**
 * umem_odp_region_destroy() - release a region
 * @r: the region, or NULL or an ERR_PTR for nothing to do
 *
 * Closes it, waits for its accesses and wake() calls to return, drops the entries that no other
 * region covers, and frees the region after an RCU grace period. Works before and after the exit of
 * the owner, in any order. Waits for no page, ever: a fault belongs to the mirror, and a thread
 * that hangs in one is left to itself. It keeps this module in use.
 *
 * Context: Process context, may sleep. Not from wake(), and not between umem_odp_access_begin()
 * and umem_odp_access_end().
 */
void umem_odp_region_destroy(struct umem_odp_region *r);

/**
 * struct umem_odp_access - an access under way, on its user's stack
 * @kaddr: kernel address of the first byte
 * @len_bytes: how many bytes from @kaddr on may be touched; 1 to the length that was asked for
 */
struct umem_odp_access {
	void *kaddr;
	u32 len_bytes;
	/* private: */
	u32 room_bytes;			/* behind these, that it may go on to */
	u64 next_va;			/* of the byte behind these */
	struct umem_odp_leaf *leaf;
	bool write;
};

/**
 * umem_odp_access_begin() - begin to touch bytes of a region
 * @r: the region
 * @acc: filled on success
 * @va: user address of the first byte
 * @len_bytes: how many bytes are wanted, not 0
 * @write: the bytes will be written
 *
 * On success acc->len_bytes bytes at acc->kaddr are the process's memory at @va, until
 * umem_odp_access_end(). They end where memory is no longer contiguous, after UMEM_ODP_ACCESS_MAX,
 * or with @len_bytes, whichever comes first; the caller loops. Until the end, bottom halves are
 * off, and an RCU read lock and a leaf's lock (shared) are held: invalidations wait, so be quick.
 * Accesses do not exclude each other. The pages count as used when the kernel reclaims memory.
 *
 * Memory that is read may be poisoned: use copy_mc_to_kernel().
 *
 * Context: Any context up to softirq, interrupts on. Never sleeps, never spins on an invalidation.
 * Not while another access is held (see umem_odp_access_try_begin()).
 * Return: 0; -EAGAIN on a miss (the page is not there, not for writing, or is just being taken
 * away); -EFAULT; -ESHUTDOWN.
 */
int umem_odp_access_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			  u32 len_bytes, bool write);

/**
 * umem_odp_access_try_begin() - begin a second access beside a held one
 * @r: the region, the same or another
 * @acc: filled on success
 * @va: user address of the first byte
 * @len_bytes: how many bytes are wanted, not 0
 * @write: the bytes will be written
 *
 * As umem_odp_access_begin(), but only tries to take the leaf's lock, so that two held accesses
 * cannot deadlock. A lock that is taken is -EAGAIN too, which says nothing about the page then: end
 * the first access, and copy through a buffer, or try again.
 *
 * Context: As umem_odp_access_begin(), and also while another access is held.
 * Return: As umem_odp_access_begin().
 */
int umem_odp_access_try_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			      u32 len_bytes, bool write);

/**
 * umem_odp_access_next() - go on to the bytes behind
 * @acc: an access that is held
 * @len_bytes: how many bytes are wanted, not 0
 *
 * On success acc->len_bytes bytes at acc->kaddr are those behind what the access had, as after
 * umem_odp_access_begin(), without its cost. Fails when the access has had UMEM_ODP_ACCESS_MAX in
 * all, at a boundary of 2 MiB, at the end of the region, at a page that is not there, and while an
 * invalidation waits for the leaf: then end the access and begin another, which succeeds or returns
 * the reason.
 *
 * Context: As umem_odp_access_begin(), with the access held; never blocks.
 * Return: true if it went on; false if not, @acc is as it was then.
 */
bool umem_odp_access_next(struct umem_odp_access *acc, u32 len_bytes);

/**
 * umem_odp_access_end() - end an access
 * @acc: what umem_odp_access_begin() or umem_odp_access_try_begin() filled
 *
 * Context: The context in which it was begun. Two accesses may end in any order.
 */
void umem_odp_access_end(struct umem_odp_access *acc);

/**
 * umem_odp_copy_from() - copy bytes out of a region
 * @r: the region
 * @va: user address of the first byte
 * @buf: kernel memory
 * @len_bytes: how many
 * @done: set to how many bytes were copied, on success and on failure
 *
 * Return: 0 if all were copied; -EAGAIN on a miss at @va + *@done; -EHWPOISON if the memory there
 * is broken; -EFAULT; -ESHUTDOWN.
 * Context: As umem_odp_access_begin().
 */
int umem_odp_copy_from(struct umem_odp_region *r, u64 va, void *buf, size_t len_bytes,
		       size_t *done);

/**
 * umem_odp_copy_to() - copy bytes into a region
 * @r: the region
 * @va: user address of the first byte
 * @buf: kernel memory
 * @len_bytes: how many
 * @done: set to how many bytes were copied, on success and on failure
 *
 * Return: 0 if all were copied; -EAGAIN on a miss at @va + *@done; -EFAULT; -ESHUTDOWN.
 * Context: As umem_odp_access_begin().
 */
int umem_odp_copy_to(struct umem_odp_region *r, u64 va, const void *buf, size_t len_bytes,
		     size_t *done);

/**
 * enum umem_odp_refusal - why a fault was refused for good
 * @UMEM_ODP_REFUSAL_NONE: it was not, or not because of the mapping
 * @UMEM_ODP_REFUSAL_NOT_MAPPED: nothing is mapped there
 * @UMEM_ODP_REFUSAL_PERMISSION: the mapping cannot be read, or not be written
 * @UMEM_ODP_REFUSAL_SPECIAL: a mapping, or a page, that the kernel must not touch
 * @UMEM_ODP_REFUSAL_NO_PAGE: whoever provides the pages of the mapping has none there: it lies
 *	behind the end of a file, or a userfaultfd refuses the kernel
 */
enum umem_odp_refusal {
	UMEM_ODP_REFUSAL_NONE,
	UMEM_ODP_REFUSAL_NOT_MAPPED,
	UMEM_ODP_REFUSAL_PERMISSION,
	UMEM_ODP_REFUSAL_SPECIAL,
	UMEM_ODP_REFUSAL_NO_PAGE,
};

/**
 * struct umem_odp_waiter - somebody who waits for a fault
 * @wake: called exactly once for each umem_odp_fault_async() that answered -EINPROGRESS, unless
 *	umem_odp_fault_cancel() answered true. Process context, no lock held, BH on. The waiter is
 *	the caller's again from here: wake() may free it, or give it to umem_odp_fault_async()
 *	again. It must not sleep for long: other waiters of the address space may stand behind it.
 *	@err is 0 when at least the page of the first byte was put in (it may have been taken again
 *	since: begin the access, and ask again on a miss), or an error as listed on top.
 * @fault_ns: how long the fault took, from the asking to the waking; set before wake()
 * @refusal: with -EFAULT, why; set before wake()
 *
 * The caller embeds it, sets @wake, and leaves it alone from -EINPROGRESS until wake() or a
 * successful cancel.
 */
struct umem_odp_waiter {
	void (*wake)(struct umem_odp_waiter *w, int err);
	u64 fault_ns;
	enum umem_odp_refusal refusal;
	/* private: */
	struct umem_odp_region *region;
	struct umem_odp_pass *pass;	/* that it leads */
	struct rb_node rb;		/* leaders, by page and mode */
	struct list_head node;		/* where it stands */
	struct list_head followers;	/* for the same page and mode */
	struct list_head region_node;	/* in region->waiters */
	u64 va;
	u64 len_bytes;
	u64 start_ns;
	unsigned long due;		/* when a slow one is tried again, in jiffies */
	u8 tries;
	bool write;
	bool prefetch;			/* nobody needs the page now */
	bool stopped;			/* it is not to wait any more */
	bool leads;
	bool waiting;			/* not claimed */
};

/**
 * umem_odp_fault_async() - ask for pages, and be woken when the first is there
 * @r: the region
 * @va: user address of the first byte that is needed
 * @len_bytes: how many bytes from there on are needed, not 0: the rest of the message. What lies
 *	outside of the region is left out.
 * @write: they will be written
 * @w: the waiter, with wake() set
 *
 * A fault works on at most 2 MiB at a time. The waiter is woken when the page of @va is there, with
 * as many of the following ones as came without waiting; the next miss is the next call. As long as
 * nobody waits for a thread the fault goes on for the rest, as far as that comes without waiting
 * and 16 MiB in all at most, so that a long access finds the next pages present; some of them may
 * come after the access has ended. Where a file system has to be asked for each page that is to be
 * written, the thread goes on for a few of those that are needed, and may bring in one that the
 * access had found present, after its end. Faults on the same pages join, across the regions of a
 * process. Pages that nobody asked for are not brought in. Those that the process has mapped
 * already may be put in too: the pages around it of a large folio, and, where faults of a region
 * follow each other, as many pages behind what was asked for as are worth it.
 *
 * A fault can last for ever (userfaultfd, a hung file system). It then delays nobody else's, and
 * holds no lock but one that the file system itself has asked for: see docs/umem_odp.md.
 *
 * Context: Any context up to softirq. Never sleeps. Not between access begin and end.
 * Return: 0 if the page of @va is there already, no wake() will come; -EINPROGRESS; -EFAULT;
 * -ESHUTDOWN.
 */
int umem_odp_fault_async(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write,
			 struct umem_odp_waiter *w);

/**
 * umem_odp_fault_cancel() - stop waiting for a fault
 * @w: a waiter for which umem_odp_fault_async() answered -EINPROGRESS
 *
 * Cuts the fault short if nobody else waits for it.
 *
 * Context: Any context up to softirq. Does not wait. Not after the region's end.
 * Return: true if wake() was not called and will not be: the waiter is the caller's. False if it
 * has been called, or is about to be, without waiting for any page.
 */
bool umem_odp_fault_cancel(struct umem_odp_waiter *w);

/**
 * umem_odp_fault() - bring pages in, and sleep until they were there
 * @r: the region
 * @va: user address of the first byte
 * @len_bytes: how many bytes, not 0
 * @write: for writing
 *
 * The sleeping form of umem_odp_fault_async(), for the whole span. No promise that a page is still
 * there on return.
 *
 * Context: Process context, no lock held, may sleep for ever, ends with a fatal signal.
 * Return: 0, or an error as listed on top.
 */
int umem_odp_fault(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write);

/**
 * umem_odp_prefetch_look() - put in what the process has mapped now
 * @r: the region
 * @va: user address of the first byte
 * @len_bytes: how many bytes, not 0
 *
 * Puts pages in for reading. Faults nothing in and waits for no page: one that the process has not
 * mapped is no error.
 *
 * Context: Process context, no lock held, takes mmap_lock for reading. Ends with a fatal signal.
 * Return: 0, -EFAULT if the span is not in the region, or another error as listed on top.
 */
int umem_odp_prefetch_look(struct umem_odp_region *r, u64 va, u64 len_bytes);

/**
 * struct umem_odp_prefetch - a span that is being made present
 * @done: called exactly once if umem_odp_prefetch_async() answered -EINPROGRESS, as wake() of a
 *	waiter is: process context, no lock held, to be left soon. @err is 0 or an error as listed
 *	on top, -ECANCELED after umem_odp_prefetch_cancel(). The struct is the caller's again.
 * @at: how far it has come: the pages before that were there
 */
struct umem_odp_prefetch {
	void (*done)(struct umem_odp_prefetch *p, int err);
	u64 at;
	/* private: */
	u64 end;
	struct umem_odp_waiter waiter;
};

/**
 * umem_odp_prefetch_async() - make pages present before they are needed
 * @r: the region
 * @va: user address of the first byte
 * @len_bytes: how many bytes, not 0
 * @write: to be written
 * @p: with done() set
 *
 * The fault threads of the address space do it, piece by piece. It ends with the first page that
 * cannot be had, and with the region. Fewer threads may wait for such pages than for faults.
 *
 * Context: Process context, no lock held.
 * Return: 0 if all pages are there already; -EINPROGRESS; -EFAULT; -ESHUTDOWN.
 */
int umem_odp_prefetch_async(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write,
			    struct umem_odp_prefetch *p);

/**
 * umem_odp_prefetch_cancel() - end a prefetch
 * @p: one for which umem_odp_prefetch_async() answered -EINPROGRESS; the struct is still there
 *
 * Context: Process context. Waits for nothing. Not after the region's end.
 * Return: true if done() was not called and will not be. False if it has been called, or is about
 * to be, without waiting for any page.
 */
bool umem_odp_prefetch_cancel(struct umem_odp_prefetch *p);

/* Faults by how long they took: below 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s, and all others. */
#define UMEM_ODP_FAULT_CLASSES	7

/**
 * struct umem_odp_stats - what a region has seen
 * @faults: faults that were asked for and not found present
 * @fault_pages: pages that faults put in, those that were there before among them (in a folio of
 *	which one page was missing, or for writing) included
 * @joined_faults: faults that found another at work on their pages, and waited for that
 * @retries: rounds of a fault that were lost to an invalidation or to a page that did not stay
 * @failed_faults: faults that ended with an error
 * @prefetched_pages: pages that prefetches put in
 * @invalidations: invalidations that took entries of the region, or the right to write from them;
 *	one that spans several GiB counts once for each
 * @invalidated_pages: entries that they dropped
 * @downgrades: entries from which they took the right to write
 * @resident_pages: entries now, in pages, whichever region they were brought in for
 * @huge_pages: those of them that lie in entries of 2 MiB
 * @table_bytes: memory of the region, and its share by resident pages of the table that all of the
 *	process's regions have together; regions over the same pages have the same share each
 * @worst_fault_ns: the longest fault, from asking to waking
 * @worst_fault_va: the address that it was asked for
 * @last_fault_ns: the last one
 * @avg_fault_ns: a moving average over about the last eight
 * @faults_by_time: faults that have ended, by how long they took, see UMEM_ODP_FAULT_CLASSES
 */
struct umem_odp_stats {
	u64 faults;
	u64 fault_pages;
	u64 joined_faults;
	u64 retries;
	u64 failed_faults;
	u64 prefetched_pages;
	u64 invalidations;
	u64 invalidated_pages;
	u64 downgrades;
	u64 resident_pages;
	u64 huge_pages;
	u64 table_bytes;
	u64 worst_fault_ns;
	u64 worst_fault_va;
	u64 last_fault_ns;
	u64 avg_fault_ns;
	u64 faults_by_time[UMEM_ODP_FAULT_CLASSES];
};

/**
 * umem_odp_region_stats() - read a region's statistics
 * @r: the region
 * @stats: filled
 *
 * Each figure is right by itself; together they are no snapshot. Resident pages are counted when
 * they are asked for: a few microseconds for each resident GiB.
 *
 * Context: Process context, may sleep.
 */
void umem_odp_region_stats(const struct umem_odp_region *r, struct umem_odp_stats *stats);

/* What umem_odp_region_count() has found. */
struct umem_odp_resident {
	u64 pages;	/* in the table */
	u64 huge_pages;	/* of these, in entries of 2 MiB */
};

/**
 * umem_odp_region_count() - count the pages of a span that are in the table
 * @r: the region
 * @start: an address; what lies outside of the region is left out
 * @last: the last one, not below @start; the two touch the region
 * @found: filled
 *
 * As umem_odp_region_stats() counts, leaf by leaf.
 *
 * Context: Process context, may sleep.
 */
void umem_odp_region_count(const struct umem_odp_region *r, u64 start, u64 last,
			   struct umem_odp_resident *found);

/* What umem_odp_region_residency() says of a page. */
#define UMEM_ODP_PAGE_PRESENT	BIT(0)	/* an access for reading finds it */
#define UMEM_ODP_PAGE_WRITABLE	BIT(1)	/* one for writing does */
#define UMEM_ODP_PAGE_HUGE	BIT(2)	/* with the rest of its 2 MiB, by one entry */

/**
 * umem_odp_region_residency() - tell which pages of a region are in the table
 * @r: the region
 * @va: an address in the first page, inside of the region
 * @pages: filled, a byte of UMEM_ODP_PAGE_* bits for each page
 * @nr: how many pages; the last touches the region
 *
 * Each page is right by itself, at some moment of the call: together they are no snapshot. Looks at
 * the table alone, takes the lock of one leaf at a time, shared, for 512 pages at most, and neither
 * waits for the mm nor allocates.
 *
 * Context: Process context, may sleep.
 */
void umem_odp_region_residency(const struct umem_odp_region *r, u64 va, u8 *pages, unsigned int nr);

/**
 * umem_odp_region_counters() - read the statistics that need no walk of the table
 * @r: the region
 * @stats: filled, but for resident_pages, huge_pages and table_bytes, which are 0
 *
 * Context: Any context up to softirq.
 */
void umem_odp_region_counters(const struct umem_odp_region *r, struct umem_odp_stats *stats);

/**
 * umem_odp_region_fault_ns() - how long a region's faults take, in ns
 * @r: the region
 *
 * Context: Any context up to softirq.
 * Return: umem_odp_stats.avg_fault_ns.
 */
u64 umem_odp_region_fault_ns(const struct umem_odp_region *r);

#endif /* UMEM_ODP_UMEM_ODP_H */
