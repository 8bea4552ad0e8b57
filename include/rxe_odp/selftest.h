/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * /dev/rxe_odp_exporter: dma-bufs as exporters make them that no test machine has, and what an
 * importer has done with them.
 *
 * /dev/rxe_odp_kuser: a kernel user of memory registration.
 */
#ifndef RXE_ODP_SELFTEST_H
#define RXE_ODP_SELFTEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define RXE_ODP_EXPORT_NO_VMAP	1	/* has no address for the CPU */
#define RXE_ODP_EXPORT_IOMEM	2	/* has one, of a device's memory */
#define RXE_ODP_EXPORT_MOVES	4	/* moves what is not pinned; others, what is not attached */
#define RXE_ODP_EXPORT_READ	8	/* the descriptor is for reading alone */
#define RXE_ODP_EXPORT_WRITE	16	/* for writing alone */

struct rxe_odp_export {
	__u32 flags;
	__u32 pages;
	__s32 fd;		/* out */
	__u32 reserved;
};

/* How often each is done and not undone. */
struct rxe_odp_export_uses {
	__s32 fd;		/* in */
	__u32 attachments;
	__u32 pins;
	__u32 vmaps;
	__u32 cpu_accesses;
	__u32 begun;		/* of those, ever */
};

#define RXE_ODP_EXPORT		_IOWR('X', 1, struct rxe_odp_export)
#define RXE_ODP_EXPORT_USES	_IOWR('X', 2, struct rxe_odp_export_uses)
/*
 * The argument is a descriptor: the exporter takes the buffer back, pinned or not, and frees it.
 * EBUSY: an importer has not let go of it; EIO: one has written to it afterwards.
 */
#define RXE_ODP_EXPORT_REVOKE	_IO('X', 3)

/* Runs the test of that name. EIO: it failed, and why; ENOENT, ENODEV: there is none. */
struct rxe_odp_kuser_run {
	char device[64];
	char test[64];
	char why[256];		/* out */
};

#define RXE_ODP_KUSER_RUN	_IOWR('X', 4, struct rxe_odp_kuser_run)

#endif /* RXE_ODP_SELFTEST_H */
