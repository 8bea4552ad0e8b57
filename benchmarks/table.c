// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The memory of the translation table for 1 GiB that becomes resident in 4 KiB pages, from its start, each time that twice as much
 * is there, and after MADV_DONTNEED: as the region itself reports it. Ours alone: stock rxe allocates everything when
 * it registers (see reg).
 */
#include "bench.h"

#define WINDOW MIB

static double region_stat(const char *name)
{
	FILE *f = popen("rdma statistic show mr", "r");
	char line[4096], *at;
	double sum = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, name);
		if (!at)
			continue;
		sum = (sum < 0 ? 0 : sum) + strtod(at + strlen(name), NULL);
	}
	pclose(f);
	if (sum < 0)
		fail_because("\"rdma statistic show mr\" tells no %s", name);
	return sum;
}

int main(void)
{
	size_t bytes = env_number("BENCH_TABLE_MIB", 1024) * MIB, at;
	struct conn conn = bench_conn();
	struct flow flow = { 0 };
	struct rig rig;
	void *scratch = map_pages(WINDOW), *region = map_pages(bytes);

	driver_open(&rig, OURS);
	ends_open(&flow.a, &rig, &flow.b, &rig, &conn);
	memset(scratch, 0, WINDOW);
	memset(region, 3, bytes);
	flow.from = ibv_reg_mr(rig.pd, scratch, WINDOW, ACCESS_ALL);
	flow.to = ibv_reg_mr(rig.pd, region, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!flow.from || !flow.to)
		fail_because("ibv_reg_mr: errno %d", errno);
	row("table", "rxe_odp", "table when nothing is resident", "odp", bytes, 1, 1,
	    region_stat("table_bytes "), "bytes");
	for (at = 0; at < bytes; at += WINDOW) {
		flow_post(&flow, OP_WRITE, 0, at, WINDOW);
		while (flow.posted != flow.done)
			if (!flow_poll_cq(&flow, flow.a.scq, &flow.done))
				sched_yield();
		if (flow.failed != IBV_WC_SUCCESS)
			fail_because("write: %s", ibv_wc_status_str(flow.failed));
		/* Its bytes are those that are resident. */
		if (!((at + WINDOW) & at))
			row("residency", "rxe_odp", "table", "odp", at + WINDOW, 1, 1,
			    region_stat("table_bytes ") / KIB, "KiB");
	}
	row("table", "rxe_odp", "resident pages", "odp", bytes, 1, 1,
	    region_stat("resident_pages "), "pages");
	row("table", "rxe_odp", "table when all is resident", "odp", bytes, 1, 1,
	    region_stat("table_bytes ") / MIB, "MiB");
	assert_zero(madvise(region, bytes, MADV_DONTNEED));
	row("table", "rxe_odp", "table after DONTNEED", "odp", bytes, 1, 1,
	    region_stat("table_bytes "), "bytes");
	flow_close(&flow);
	rig_close(&rig);
	return 0;
}
