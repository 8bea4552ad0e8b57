/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A FUSE file system of one file, served by a thread of the test, that can leave reads of the file without an answer. All else it
 * answers always.
 */
#ifndef TESTS_GUEST_FUSE_H
#define TESTS_GUEST_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUSE_FILE  "/tmp/rdma_odp_fuse/file"
#define FUSE_BYTES (256UL * 1024)
#define FUSE_SEED  11 /* the file holds this pattern */

/*
 * Mounts it; skips the test where the kernel has no FUSE. Where at_once is set a page is read by who needs it, who cannot be killed
 * meanwhile; else it is read ahead, and waited for.
 */
void fuse_begin(bool at_once);
/* Reads have no answer from now on. */
void fuse_hold(void);
/* Waits until one has been asked for: false if none was within that time. */
bool fuse_asked(int timeout_ms);
/* All are answered, also those to come. */
void fuse_release(void);
/* What the file holds, as far as it was written back. */
const uint8_t *fuse_store(void);
/* The server dies: what waits for it fails. A second call does nothing. */
void fuse_end(void);

#endif
