/* SPDX-License-Identifier: GPL-2.0 */
/* Users: how many passes of all of a user's processes wait. */
#ifndef UMEM_ODP_USER_H
#define UMEM_ODP_USER_H

#include <linux/types.h>

#include "queue.h"

struct umem_odp_user;

struct umem_odp_user *umem_odp_user_get(void);
void umem_odp_user_put(struct umem_odp_user *user);
bool umem_odp_user_block(struct umem_odp_user *user, enum umem_odp_wait wait);
void umem_odp_user_unblock(struct umem_odp_user *user, enum umem_odp_wait wait);

#endif
