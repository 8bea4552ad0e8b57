// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "discard.h"

#include <sys/mman.h>

#include "mem.h"

static void *discards(void *arg)
{
	struct discarder *d = arg;
	size_t at;

	for (at = 0; !d->stop; at = (at + PAGE) % d->bytes) {
		if (d->touches && d->pages % 64 == 0)
			d->at[at] = 1;
		madvise(d->at + at, PAGE, MADV_DONTNEED);
		d->pages++;
	}
	return NULL;
}

void discard_begin(struct discarder *d, uint8_t *at, size_t bytes, bool touches)
{
	*d = (struct discarder){ .at = at, .bytes = bytes, .touches = touches };
	assert_zero(pthread_create(&d->thread, NULL, discards, d));
}

void discard_end(struct discarder *d)
{
	d->stop = true;
	pthread_join(d->thread, NULL);
}
