/* SPDX-License-Identifier: GPL-2.0 */
/* Slab caches of what a registration costs, each by its own name in slabinfo. */
#ifndef UMEM_ODP_MEM_CACHE_H
#define UMEM_ODP_MEM_CACHE_H

struct kmem_cache;

extern struct kmem_cache *umem_odp_region_cache;
extern struct kmem_cache *umem_odp_mirror_cache;
extern struct kmem_cache *umem_odp_chunk_cache;
extern struct kmem_cache *umem_odp_leaf_cache;
extern struct kmem_cache *umem_odp_entries_cache;

int umem_odp_mem_caches_create(void);
void umem_odp_mem_caches_destroy(void);

#endif
