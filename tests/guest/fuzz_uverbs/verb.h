/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Verbs with random sizes, flags, attributes and addresses, and mappings at random offsets. Each call returns whether it worked, and fails
 * when what had worked cannot be destroyed to make room.
 */
#ifndef FUZZ_UVERBS_VERB_H
#define FUZZ_UVERBS_VERB_H

#include "zoo.h"

bool verb_reg_mr(struct zoo *z);
bool verb_advise(struct zoo *z);
bool verb_create_cq(struct zoo *z);
bool verb_resize_cq(struct zoo *z);
bool verb_create_srq(struct zoo *z);
bool verb_modify_srq(struct zoo *z);
bool verb_create_qp(struct zoo *z);
bool verb_create_ah(struct zoo *z);
bool verb_alloc_mw(struct zoo *z);
bool verb_modify_qp(struct zoo *z);
bool verb_post(struct zoo *z);
bool verb_map(struct zoo *z);

#endif
