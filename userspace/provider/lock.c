// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A mutex that spins a little, not a spinlock: a doorbell is a system call that may send for milliseconds, and a resize copies what
 * is in a queue. Both happen under a ring's lock, and who waits meanwhile must not burn the CPU that they need.
 */
#include "provider.h"

void rxo_lock_init(struct rxo_lock *lock, bool unneeded)
{
	pthread_mutexattr_t attr;

	lock->unneeded = unneeded;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

void rxo_lock_destroy(struct rxo_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}
