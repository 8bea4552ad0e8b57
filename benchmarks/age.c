// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What ageing is good for: a file twice as large as the memory of its cgroup, mapped and registered on demand, of which nine
 * remote reads in ten want the same tenth. How often the device has to fault in that tenth and the rest again, where its
 * accesses count as use of a page and where they do not, with each of the kernel's ways to choose what is reclaimed.
 */
#include "bench.h"
#include "cgroup.h"
#include "ext4.h"
#include "method.h"
#include "random.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define BYTES	(16 * MIB)
#define HOT	(BYTES / 10 / PAGE * PAGE)
#define GROUP	"8M"
#define READS	30000UL
#define DEPTH	16
#define AGE	"/sys/module/umem_odp/parameters/age"
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"

struct file {
	uint8_t *map;
	struct ibv_mr *hot, *cold;
};

/* Only what is asked for comes in: no reading ahead. */
static void stop_read_ahead(int fd)
{
	char path[96];
	struct stat st;

	assert_zero(fstat(fd, &st));
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/bdi/read_ahead_kb", major(st.st_dev),
		 minor(st.st_dev));
	assert_zero(write_text(path, "0"));
}

static void file_open(struct file *file, struct ibv_pd *pd)
{
	static uint8_t page[PAGE];
	int fd = open(EXT4_DIR "/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int access = ACCESS_ALL | IBV_ACCESS_ON_DEMAND;
	size_t at;

	assert_true(fd >= 0);
	for (at = 0; at < BYTES; at += PAGE)
		assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
	assert_zero(fsync(fd));
	assert_zero(posix_fadvise(fd, 0, BYTES, POSIX_FADV_DONTNEED));
	stop_read_ahead(fd);
	close(fd);
	/* What a file reads ahead is set when it is opened. */
	fd = open(EXT4_DIR "/file", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	file->map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file->map, MAP_FAILED);
	close(fd);
	file->hot = ibv_reg_mr(pd, file->map, HOT, access);
	file->cold = ibv_reg_mr(pd, file->map + HOT, BYTES - HOT, access);
	assert_true(file->hot && file->cold);
}

static void file_close(struct file *file)
{
	assert_zero(ibv_dereg_mr(file->hot));
	assert_zero(ibv_dereg_mr(file->cold));
	munmap(file->map, BYTES);
	unlink(EXT4_DIR "/file");
}

static unsigned long faults_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	return stats.faults;
}

static void post_read(struct flow *flow, const struct file *file, struct rnd *rnd)
{
	flow->to = rnd_below(rnd, 10) ? file->hot : file->cold;
	flow_post(flow, OP_READ, 0, rnd_below(rnd, flow->to->length / PAGE) * PAGE, PAGE);
}

static void read_pages(struct flow *flow, const struct file *file, unsigned long reads,
		       struct rnd *rnd)
{
	unsigned long end = flow->posted + reads;
	double last = seconds() + 900;

	while (flow->done < end) {
		while (flow->posted < end && flow->posted - flow->done < DEPTH)
			post_read(flow, file, rnd);
		if (!flow_poll_cq(flow, flow->a.scq, &flow->done))
			sched_yield();
		if (flow->failed != IBV_WC_SUCCESS)
			fail_because("read: %s", ibv_wc_status_str(flow->failed));
		if (seconds() > last)
			fail_because("a read does not complete");
	}
}

static void measure(struct flow *flow, struct ibv_pd *pd, const char *lru, bool age,
		    unsigned int round)
{
	unsigned long hot, cold;
	struct rnd rnd = { round };
	struct file file;
	char what[32];

	assert_zero(write_text(AGE, age ? "1" : "0"));
	file_open(&file, pd);
	read_pages(flow, &file, READS, &rnd);
	hot = faults_of(file.hot);
	cold = faults_of(file.cold);
	read_pages(flow, &file, READS, &rnd);
	snprintf(what, sizeof(what), "%s hot %s", lru, age ? "on" : "off");
	row("age", "rxe_odp", what, "odp", BYTES, 1, round,
	    (faults_of(file.hot) - hot) * 1000.0 / READS, "faults");
	snprintf(what, sizeof(what), "%s all %s", lru, age ? "on" : "off");
	row("age", "rxe_odp", what, "odp", BYTES, 1, round,
	    (faults_of(file.hot) - hot + faults_of(file.cold) - cold) * 1000.0 / READS, "faults");
	file_close(&file);
}

static void measure_with(struct flow *flow, struct ibv_pd *pd, const char *lru, unsigned int round)
{
	measure(flow, pd, lru, true, round);
	measure(flow, pd, lru, false, round);
}

static void leave_group(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_zero(write_text(CGROUP_ROOT "/cgroup.procs", pid));
	group_end();
}

int main(void)
{
	bool lru_gen = !access(LRU_GEN, F_OK);
	struct ibv_mr *to;
	struct flow flow;
	struct rig rig;
	unsigned int round;

	driver_open(&rig, OURS);
	flow_open(&flow, &rig, &rig, PAGE, 0);
	to = flow.to;
	group_begin();
	assert_zero(write_text(CGROUP "/memory.max", GROUP));
	assert_zero(ext4_begin());
	assert_zero(group_enter());
	for (round = 1; round <= ROUNDS; round++) {
		if (lru_gen) {
			assert_zero(write_text(LRU_GEN, "7"));
			measure_with(&flow, rig.pd, "multi-gen", round);
			assert_zero(write_text(LRU_GEN, "0"));
		}
		measure_with(&flow, rig.pd, "classic", round);
	}
	if (lru_gen)
		write_text(LRU_GEN, "7");
	write_text(AGE, "1");
	ext4_end();
	leave_group();
	flow.to = to;
	flow_close(&flow);
	rig_close(&rig);
	return 0;
}
