// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "mem.h"
#include "swap.h"

#include <sys/mman.h>
#include <sys/swap.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define ZRAM "/dev/zram0"

static bool swap_is_on;

void swap_begin(void)
{
	if (swap_is_on)
		return;
	if (system("modprobe zram 2>/dev/null || test -e " ZRAM))
		skip_because("no zram");
	if (write_text("/sys/block/zram0/disksize", "128M"))
		skip_because("zram takes no size");
	if (system("mkswap " ZRAM " >/dev/null") || swapon(ZRAM, 0))
		skip_because("no swap on zram: %s", strerror(errno));
	swap_is_on = true;
}

void swap_end(void)
{
	if (!swap_is_on)
		return;
	swap_is_on = false;
	swapoff(ZRAM);
	write_text("/sys/block/zram0/reset", "1");
}

bool page_out(void *addr, size_t bytes)
{
	assert_zero(madvise(addr, bytes, MADV_PAGEOUT));
	if (mem_resident(addr, bytes)) {
		/*
		 * Pages that another CPU has just brought in wait in a batch of its own, whose
		 * reference keeps them: this empties all batches.
		 */
		assert_zero(write_text("/proc/sys/vm/drop_caches", "1"));
		assert_zero(madvise(addr, bytes, MADV_PAGEOUT));
	}
	/* What is left was read ahead from swap beside another page, and is in no page table. */
	return mem_resident(addr, bytes) <= bytes / PAGE / 4;
}
