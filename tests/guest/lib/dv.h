/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The direct interface of the provider, found by name and version in the library as it is installed, so that tests need not be
 * linked with it. RDMA_ODP_PROVIDER and IBV_DRIVERS stay what they are.
 */
#ifndef TESTS_GUEST_DV_H
#define TESTS_GUEST_DV_H

#include "rig.h"

#include <infiniband/rxe_odp_dv.h>

void *dv_symbol(const char *name);

#define DV(function) ((__typeof__(function) *)dv_symbol(#function))

#endif
