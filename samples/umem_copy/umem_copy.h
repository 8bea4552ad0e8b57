/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * /dev/umem_copy: copies between memory that processes have exposed.
 *
 * An open file exposes one range of the process that says so, once. Whoever has the file, by fork()
 * or a Unix socket, may name the range by it: it is written through a file that is open for
 * writing, read through one that is open for reading. Nothing is pinned, and a range need not be
 * mapped before it is used.
 */
#ifndef UMEM_COPY_H
#define UMEM_COPY_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct umem_copy_range {
	__u64 start;
	__u64 length_bytes;
};

/*
 * Into the file's range, from that of from_fd; the two may be one file. Parts that overlap have no
 * bytes in particular afterwards.
 */
struct umem_copy_order {
	__s32 from_fd;
	__u32 reserved;		/* 0 */
	__u64 from_offset;
	__u64 to_offset;
	__u64 length_bytes;
	__u64 done_bytes;	/* out, on a failure of the copy too */
};

/* EBUSY: it exposes something already. EINVAL: no range of user memory. */
#define UMEM_COPY_EXPOSE	_IOW('u', 0x60, struct umem_copy_range)
/*
 * EBADF: not such a file, or not open for that. ENOMEM. ENODATA: one of the two exposes nothing.
 * EINVAL: outside of what is exposed. EFAULT: not mapped there, or not with the permission.
 * EOWNERDEAD: the owner's address space is gone. EHWPOISON: its memory is broken. EINTR: a signal
 * came; done_bytes says how far it was.
 */
#define UMEM_COPY_COPY		_IOWR('u', 0x61, struct umem_copy_order)

#endif
