// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that another thread swaps in, from zram that has written it back to a slow device: a fault meanwhile may return with
 * success and nothing mapped. That is no error: an atomic waits for its word, and for the place of its result.
 */
#include "pair.h"
#include "swap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 8
#define IMAGE  "/tmp/rdma_odp_slow"
#define SLOW   "rdma_odp_slow"

/* Reading takes 500 ms a request, writing no time. */
#define MAKE                                                                                       \
	"modprobe -a loop dm_mod dm_delay zram && truncate -s 64M " IMAGE                          \
	" && loop=$(losetup -f --show " IMAGE ") && dmsetup create --noudevsync --table "          \
	"\"0 131072 delay $loop 0 500 $loop 0 0\" " SLOW                                           \
	" && echo /dev/dm-$(dmsetup info -c --noheadings -o minor " SLOW                           \
	") >/sys/block/zram0/backing_dev"
#define REMOVE                                                                                     \
	"dmsetup remove --noudevsync --retry " SLOW " && losetup -d $(losetup -nO NAME -j " IMAGE  \
	") && rm " IMAGE
#define WRITE_BACK "echo all >/sys/block/zram0/idle && echo idle >/sys/block/zram0/writeback"

static int slow_swap(void **state)
{
	(void)state;
	if (access("/sys/module/zram", F_OK) && system("modprobe zram"))
		return 0;
	if (access("/sys/block/zram0/backing_dev", F_OK))
		return 0;
	return system(MAKE);
}

static int no_swap(void **state)
{
	(void)state;
	swap_end();
	return access(IMAGE, F_OK) ? 0 : system(REMOVE);
}

struct toucher {
	volatile uint64_t *word;
	volatile pid_t tid;
	volatile bool done;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;

	t->tid = syscall(SYS_gettid);
	(void)*t->word;
	t->done = true;
	return NULL;
}

/* True when it sleeps in its page fault, false if that was over before anybody saw it. */
static bool sleeps(struct toucher *t)
{
	char path[64], line[256], state = 0;
	FILE *f;

	while (!t->done) {
		if (!t->tid)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", t->tid);
		f = fopen(path, "re");
		if (!f)
			return false;
		if (fgets(line, sizeof(line), f))
			state = strrchr(line, ')')[2];
		fclose(f);
		if (state == 'D')
			return true;
	}
	return false;
}

/* Adds one; old is the word before. Late is the one of the two buffers whose page is just read. */
static bool add_while_it_is_read(struct pair *pair, struct buf *result, struct buf *target,
				 struct buf *late, uint64_t old)
{
	struct ibv_sge sge = buf_sge(result, 0, sizeof(old));
	struct toucher t = { .word = (uint64_t *)late->data };
	struct ibv_send_wr wr;
	pthread_t thread;
	bool met;

	assert_true(page_out(late->data, late->bytes));
	assert_zero(system(WRITE_BACK));
	assert_zero(pthread_create(&thread, NULL, touch, &t));
	met = sleeps(&t);
	wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, target, 0, 1, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	pthread_join(thread, NULL);
	assert_true(*(uint64_t *)result->data == old);
	assert_true(*(uint64_t *)target->data == old + 1);
	return met;
}

/* Of all regions of the device. */
static long failed_faults(void)
{
	FILE *f = popen("rdma statistic show mr", "r");
	char line[4096], *at;
	long sum = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "failed_faults ");
		if (at)
			sum += strtol(at + strlen("failed_faults "), NULL, 10);
	}
	pclose(f);
	return sum;
}

static void atomics(bool late_result)
{
	struct conn conn = CONN;
	struct buf result, target;
	unsigned int i, met = 0;
	struct pair pair;

	if (access(IMAGE, F_OK))
		skip_because("zram does not write back");
	swap_begin();
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&result, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&target, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	*(uint64_t *)result.data = 0;
	*(uint64_t *)target.data = 1000;
	for (i = 0; i < ROUNDS; i++)
		met += add_while_it_is_read(&pair, &result, &target,
					    late_result ? &result : &target, 1000 + i);
	print_message("%u of %u atomics met the swap-in\n", met, ROUNDS);
	assert_true(met);
	assert_int_equal(failed_faults(), 0);
	buf_free(&target);
	buf_free(&result);
	pair_close(&pair);
}

static void word_of_an_atomic(void **state)
{
	(void)state;
	atomics(false);
}

static void result_of_an_atomic(void **state)
{
	(void)state;
	atomics(true);
}

#define SWAP_TEST(fn) cmocka_unit_test_setup_teardown(fn, slow_swap, no_swap)

TEST_MAIN(SWAP_TEST(word_of_an_atomic), SWAP_TEST(result_of_an_atomic))
