// SPDX-License-Identifier: GPL-2.0
#include <linux/hmm.h>

unsigned int probe(unsigned long pfn)
{
	return hmm_pfn_to_map_order(pfn);
}
