/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks at the moments in which the races begin that the diagrams draw. The KUnit suites (kunit/)
 * do something there; in the module itself the hooks are empty.
 */
#ifndef UMEM_ODP_HOOK_H
#define UMEM_ODP_HOOK_H

/**
 * enum umem_odp_moment - where a hook stands; behind the semicolon: the object that it is given
 * @UMEM_ODP_LEAF_FOUND: an access has found a leaf, and not locked it; the leaf
 * @UMEM_ODP_AGE_FOUND: umem_odp_age_*() has found a leaf, and not looked at it; the leaf
 * @UMEM_ODP_LEAF_CLOSING: closing was incremented, and the leaf is not locked yet; the leaf
 * @UMEM_ODP_LEAF_MADE: a leaf has been allocated, and not published; its chunk
 * @UMEM_ODP_PAGES_MADE: a page of entries has been allocated, and not published; its leaf
 * @UMEM_ODP_CHUNK_MADE: a chunk has been made, and not published; its mirror
 * @UMEM_ODP_CHUNK_DEAD: a chunk is dead, and not erased; the chunk
 * @UMEM_ODP_LOOKED_UP: a pass has looked pages up, and installed none; its mirror
 * @UMEM_ODP_COVERED: an install knows that regions cover its pages, and has put none in; its chunk,
 *	whose lock is held
 * @UMEM_ODP_WENT_AHEAD: a pass has gone on behind its leader's leaf, and has looked at nothing
 *	there; its mirror
 */
enum umem_odp_moment {
	UMEM_ODP_LEAF_FOUND,
	UMEM_ODP_AGE_FOUND,
	UMEM_ODP_LEAF_CLOSING,
	UMEM_ODP_LEAF_MADE,
	UMEM_ODP_PAGES_MADE,
	UMEM_ODP_CHUNK_MADE,
	UMEM_ODP_CHUNK_DEAD,
	UMEM_ODP_LOOKED_UP,
	UMEM_ODP_COVERED,
	UMEM_ODP_WENT_AHEAD,
};

#ifdef UMEM_ODP_KUNIT
void umem_odp_hook(enum umem_odp_moment moment, const void *of);
#else
static inline void umem_odp_hook(enum umem_odp_moment moment, const void *of) {}
#endif

#endif
