// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "tally.h"

#include <sys/mman.h>
#include <unistd.h>

struct tally *tally;

static const char *const names[KINDS] = {
	[PD_MADE] = "protection domains",
	[CQ_MADE] = "completion queues",
	[CQ_RESIZED] = "completion queues resized",
	[SRQ_MADE] = "SRQs",
	[SRQ_RESIZED] = "SRQs resized",
	[QP_RC] = "queue pairs, RC",
	[QP_UC] = "queue pairs, UC",
	[QP_UD] = "queue pairs, UD",
	[AH_MADE] = "address handles",
	[MR_PINNED] = "regions, pinned",
	[MR_ON_DEMAND] = "regions, on demand",
	[MR_IMPLICIT] = "regions, implicit",
	[MR_REREGISTERED] = "regions registered anew",
	[MW_TYPE_1] = "windows, type 1",
	[MW_TYPE_2] = "windows, type 2",
	[MW_BOUND] = "windows bound",
	[MW_INVALIDATED] = "windows invalidated or unbound",
	[BUSY] = "destroyed too early: EBUSY",
	[REQUESTS] = "requests completed",
	[REQUESTS_FAILED] = "requests failed as owed",
	[MESSAGES] = "messages received",
	[FOREIGN_MESSAGES] = "of them of another process",
	[STALE_KEYS] = "keys refused that were gone",
	[KEY_GONE_UNDER_WAY] = "keys gone under requests",
	[MEMORY_GONE_UNDER_WAY] = "local regions gone under requests",
	[QP_GONE_UNDER_WAY] = "connections gone under requests",
	[CHILD_KILLED] = "processes killed",
	[CHILD_LEFT] = "processes that left everything",
	[CHILD_CLEANED] = "processes that destroyed everything",
	[WATCHED] = "transfers of the watcher",
	[XRCD_MADE] = "XRC domains",
	[XRC_SRQ_MADE] = "XRC SRQs",
	[QP_XRC] = "queue pairs, XRC",
};

int tally_make(void)
{
	int fd = memfd_create("verbs_storm", 0);

	assert_true(fd >= 0);
	assert_zero(ftruncate(fd, sizeof(*tally)));
	tally_map(fd);
	return fd;
}

void tally_map(int fd)
{
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(tally, MAP_FAILED);
}

void tally_free(int fd)
{
	munmap(tally, sizeof(*tally));
	close(fd);
}

void tally_print(void)
{
	unsigned int i;

	for (i = 0; i < KINDS; i++)
		printf("%8lu %s\n", tally->done[i], names[i]);
}

const char *tally_missing(void)
{
	unsigned int i, end = getenv("RDMA_ODP_PROVIDER") ? KINDS : XRC_KINDS;

	for (i = 0; i < end; i++)
		if (!tally->done[i])
			return names[i];
	return NULL;
}
