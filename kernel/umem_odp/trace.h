/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM umem_odp

#if !defined(UMEM_ODP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define UMEM_ODP_TRACE_H

#include <linux/mmu_notifier.h>
#include <linux/tracepoint.h>

#include "mirror.h"
#include "region.h"

TRACE_EVENT(umem_odp_fault_begin,
	    TP_PROTO(const struct umem_odp_mirror *m, u64 va, u64 end, bool write),
	    TP_ARGS(m, va, end, write),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(u64, va)
			     __field(u64, end)
			     __field(bool, write)),
	    TP_fast_assign(__entry->pid = m->pid;
			   __entry->va = va;
			   __entry->end = end;
			   __entry->write = write;),
	    TP_printk("pid=%d va=%#llx end=%#llx write=%d", __entry->pid, __entry->va,
		      __entry->end, __entry->write)
);

TRACE_EVENT(umem_odp_fault_end,
	    TP_PROTO(const struct umem_odp_mirror *m, u64 next, int err, unsigned int retries),
	    TP_ARGS(m, next, err, retries),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(u64, next)
			     __field(int, err)
			     __field(unsigned int, retries)),
	    TP_fast_assign(__entry->pid = m->pid;
			   __entry->next = next;
			   __entry->err = err;
			   __entry->retries = retries;),
	    TP_printk("pid=%d next=%#llx err=%d retries=%u", __entry->pid, __entry->next,
		      __entry->err, __entry->retries)
);

TRACE_EVENT(umem_odp_install,
	    TP_PROTO(const struct umem_odp_mirror *m, u64 va, unsigned int pages, bool write,
		     bool huge),
	    TP_ARGS(m, va, pages, write, huge),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(u64, va)
			     __field(unsigned int, pages)
			     __field(bool, write)
			     __field(bool, huge)),
	    TP_fast_assign(__entry->pid = m->pid;
			   __entry->va = va;
			   __entry->pages = pages;
			   __entry->write = write;
			   __entry->huge = huge;),
	    TP_printk("pid=%d va=%#llx pages=%u write=%d huge=%d", __entry->pid, __entry->va,
		      __entry->pages, __entry->write, __entry->huge)
);

TRACE_EVENT(umem_odp_invalidate,
	    TP_PROTO(const struct umem_odp_mirror *m, u64 start, u64 last, unsigned int event,
		     unsigned long pages),
	    TP_ARGS(m, start, last, event, pages),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(u64, start)
			     __field(u64, last)
			     __field(unsigned int, event)
			     __field(unsigned long, pages)),
	    TP_fast_assign(__entry->pid = m->pid;
			   __entry->start = start;
			   __entry->last = last;
			   __entry->event = event;
			   __entry->pages = pages;),
	    TP_printk("pid=%d start=%#llx last=%#llx event=%s pages=%lu", __entry->pid,
		      __entry->start, __entry->last,
		      __print_symbolic(__entry->event,
				       { MMU_NOTIFY_UNMAP, "UNMAP" },
				       { MMU_NOTIFY_CLEAR, "CLEAR" },
				       { MMU_NOTIFY_PROTECTION_VMA, "PROTECTION_VMA" },
				       { MMU_NOTIFY_PROTECTION_PAGE, "PROTECTION_PAGE" },
				       { MMU_NOTIFY_SOFT_DIRTY, "SOFT_DIRTY" },
				       { MMU_NOTIFY_RELEASE, "RELEASE" },
				       { MMU_NOTIFY_MIGRATE, "MIGRATE" },
				       { MMU_NOTIFY_EXCLUSIVE, "EXCLUSIVE" }),
		      __entry->pages)
);

TRACE_EVENT(umem_odp_wake,
	    TP_PROTO(const struct umem_odp_mirror *m, const struct umem_odp_waiter *w, int err),
	    TP_ARGS(m, w, err),
	    TP_STRUCT__entry(__field(pid_t, pid)
			     __field(u64, va)
			     __field(int, err)
			     __field(u64, fault_ns)
			     __field(u64, len_bytes)
			     __field(u64, region)
			     __field(u64, region_last)
			     __field(bool, write)
			     __field(bool, prefetch)),
	    TP_fast_assign(__entry->pid = m->pid;
			   __entry->va = w->va;
			   __entry->err = err;
			   __entry->fault_ns = w->fault_ns;
			   __entry->len_bytes = w->len_bytes;
			   __entry->region = w->region->start;
			   __entry->region_last = w->region->last;
			   __entry->write = w->write;
			   __entry->prefetch = w->prefetch;),
	    TP_printk("pid=%d va=%#llx err=%d fault_ns=%llu len=%llu write=%d prefetch=%d region=%#llx last=%#llx",
		      __entry->pid, __entry->va, __entry->err, __entry->fault_ns,
		      __entry->len_bytes, __entry->write, __entry->prefetch, __entry->region,
		      __entry->region_last)
);

#endif /* UMEM_ODP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
