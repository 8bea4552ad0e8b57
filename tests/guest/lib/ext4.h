/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A file system of the test's own, on a loop device: one that tracks writes. */
#ifndef TESTS_GUEST_EXT4_H
#define TESTS_GUEST_EXT4_H

#define EXT4_DIR "/tmp/rdma_odp_ext4/mnt"

/* 0, or what a command said; a second call does nothing. */
int ext4_begin(void);
/* What a failed test has left open or mapped of it goes with the process. */
int ext4_end(void);

/*
 * Nothing of it is written until it is thawed. A process of its own thaws it when this one has not done it in time, because
 * a process that hangs on it may not be able to.
 */
void ext4_freeze(void);
/* Fails the test if that process came first. */
void ext4_thaw(void);

#endif
