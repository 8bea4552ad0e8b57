// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Storm: queue pairs that write, send, read and count in on-demand-paging regions of private, shared and ext4 memory, while
 * threads do to that memory all that a process may do to its memory, at random. STORM_S seconds (20), FUZZ_SEED.
 *
 * The memory is cut into slices, one for each worker. What takes data away (DONTNEED, FREE, unmapping, moving, holes,
 * protection) is done by the one who holds the slice's lock, between two transactions of its worker: neighbours in
 * the same page tables have theirs under way. What must not take data away (paging out, collapsing, splitting,
 * forks, migration, soft-dirty, KSM, khugepaged) is done at any time. The last three slices are wild: everything is done to them at any
 * time, truncation and secret memory too, their workers take the errors that they are owed, and connect anew.
 *
 * Meanwhile other owners of regions come and go on the same device: killed, gone or turned into another program in the middle of
 * traffic, and of faults that never end.
 *
 * rdma-odp: timeout 60
 */
#include "ext4.h"
#include "storm/chaos.h"
#include "storm/deed.h"
#include "storm/victim.h"
#include "storm/worker.h"
#include "swap.h"

#include <unistd.h>

/* Merging goes on by itself while it is switched on; 2 takes everything apart again. */
static void ksm(bool on)
{
	write_text("/sys/kernel/mm/ksm/pages_to_scan", on ? "2000" : "100");
	write_text("/sys/kernel/mm/ksm/run", on ? "1" : "2");
	if (!on)
		write_text("/sys/kernel/mm/ksm/run", "0");
}

/* Puts pages together to huge ones. Where there are none there is no such file. */
static void khugepaged(bool on)
{
	write_text("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   on ? "500" : "4294967295");
}

static void storm(void **state)
{
	static void *(*const functions[])(void *) = { chaos, chaos, victims };
	pthread_t threads[ARRAY_SIZE(functions)];
	struct rnd rnds[ARRAY_SIZE(functions)];
	struct conn conn = CONN;
	uint64_t seed = rnd_seed();
	long merged = 0, now;
	struct pair pair;
	unsigned int i;
	double end;

	(void)state;
	swap_begin();
	ksm(true);
	khugepaged(true);
	conn.mtu = IBV_MTU_4096;
	/* Two seconds, eight times: a guest that swaps and compacts under emulation may stand still for long. */
	conn.timeout = 19;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	memories_make(pair.rig.pd);
	workers_make(&pair, seed);
	end = seconds() + env_number("STORM_S", 20);
	workers_start();
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		rnds[i].state = seed + 1000 * (i + 1);
		assert_zero(pthread_create(&threads[i], NULL, functions[i], &rnds[i]));
	}
	while (!storm_stop && seconds() < end) {
		usleep(100000);
		now = read_number("/sys/kernel/mm/ksm/pages_sharing", 0);
		if (now > merged)
			merged = now;
	}
	printf("KSM: %ld pages merged at most\n", merged);
	storm_stop = true;
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		pthread_join(threads[i], NULL);
	workers_join();
	workers_check();
	deeds_check(storm_lazy_mmu);
	workers_free();
	memories_free();
	pair_close(&pair);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { TEST(storm) };
	int rc;

	if (argc == 3)
		return victim(argv[2][0], atoi(argv[1]));
	rc = test_run(tests, ARRAY_SIZE(tests));
	khugepaged(false);
	ksm(false);
	swap_end();
	return ext4_end() ? 1 : rc;
}
