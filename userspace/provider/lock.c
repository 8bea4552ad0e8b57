// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "provider.h"

void rxo_lock_init(struct rxo_lock *lock, bool unneeded)
{
	lock->unneeded = unneeded;
	pthread_spin_init(&lock->spin, PTHREAD_PROCESS_PRIVATE);
}

void rxo_lock_destroy(struct rxo_lock *lock)
{
	pthread_spin_destroy(&lock->spin);
}
