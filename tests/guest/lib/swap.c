// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "swap.h"
#include "test.h"

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
	swapoff(ZRAM);
	write_text("/sys/block/zram0/reset", "1");
}

long swapped_kb(const void *addr)
{
	unsigned long start, end;
	bool here = false;
	char line[256];
	long kb = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)addr && (uintptr_t)addr < end;
		else if (here && sscanf(line, "Swap: %ld kB", &kb) == 1)
			break;
	}
	fclose(smaps);
	return kb;
}

bool page_out(void *addr, size_t bytes)
{
	assert_zero(madvise(addr, bytes, MADV_PAGEOUT));
	if (swapped_kb(addr))
		return true;
	/* Pages that another CPU has just brought in wait in a batch of its own: this empties all batches. */
	assert_zero(write_text("/proc/sys/vm/drop_caches", "1"));
	assert_zero(madvise(addr, bytes, MADV_PAGEOUT));
	return swapped_kb(addr);
}
