// SPDX-License-Identifier: GPL-2.0
/*
 * Slab caches, all of them charged to the owner's cgroup. They are not merged with others of the
 * same size, so that slabinfo tells what registrations cost, and a leak has a name.
 */
#include <linux/slab.h>

#include "chunk.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"
#include "region.h"

struct kmem_cache *umem_odp_region_cache;
struct kmem_cache *umem_odp_mirror_cache;
struct kmem_cache *umem_odp_chunk_cache;
struct kmem_cache *umem_odp_leaf_cache;
struct kmem_cache *umem_odp_entries_cache;

#define CACHE_FLAGS	(SLAB_ACCOUNT | SLAB_NO_MERGE)

/**
 * umem_odp_mem_caches_create() - make the caches, when the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int umem_odp_mem_caches_create(void)
{
	umem_odp_region_cache = KMEM_CACHE(umem_odp_region, CACHE_FLAGS);
	umem_odp_mirror_cache = KMEM_CACHE(umem_odp_mirror, CACHE_FLAGS);
	umem_odp_chunk_cache = KMEM_CACHE(umem_odp_chunk, CACHE_FLAGS);
	umem_odp_leaf_cache = KMEM_CACHE(umem_odp_leaf, CACHE_FLAGS);
	umem_odp_entries_cache = kmem_cache_create("umem_odp_entries", UMEM_ODP_ENTRIES_BYTES, 0,
						   CACHE_FLAGS, NULL);
	if (umem_odp_region_cache && umem_odp_mirror_cache && umem_odp_chunk_cache &&
	    umem_odp_leaf_cache && umem_odp_entries_cache)
		return 0;
	umem_odp_mem_caches_destroy();
	return -ENOMEM;
}

/**
 * umem_odp_mem_caches_destroy() - undo umem_odp_mem_caches_create()
 *
 * Context: May sleep. Waits for what is freed by RCU.
 */
void umem_odp_mem_caches_destroy(void)
{
	kmem_cache_destroy(umem_odp_entries_cache);
	kmem_cache_destroy(umem_odp_leaf_cache);
	kmem_cache_destroy(umem_odp_chunk_cache);
	kmem_cache_destroy(umem_odp_mirror_cache);
	kmem_cache_destroy(umem_odp_region_cache);
}
