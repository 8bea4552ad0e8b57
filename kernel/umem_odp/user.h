/* SPDX-License-Identifier: GPL-2.0 */
/* Users: how many passes of all of a user's processes wait. */
#ifndef UMEM_ODP_USER_H
#define UMEM_ODP_USER_H

#include <linux/types.h>

struct umem_odp_user;

struct umem_odp_user *umem_odp_user_get(void);
void umem_odp_user_put(struct umem_odp_user *user);
bool umem_odp_user_block(struct umem_odp_user *user);
void umem_odp_user_unblock(struct umem_odp_user *user);

#endif
