// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A file of ext4, mapped shared and registered: what peers write into it is in the file, also on the disk, and a file that
 * is cut short under traffic costs its owner an error and nothing else.
 */
#include "ext4.h"
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_NAME EXT4_DIR "/file"
#define BYTES	  (2 * MIB)

static int mount_ext4(void **state)
{
	(void)state;
	return ext4_begin();
}

static int umount_ext4(void **state)
{
	(void)state;
	return ext4_end();
}

static void map_file(struct buf *buf, struct ibv_pd *pd)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_zero(ftruncate(fd, BYTES));
	memset(buf, 0, sizeof(*buf));
	buf->fd = fd;
	buf->bytes = BYTES;
	buf->map_bytes = BYTES;
	buf->map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(buf->map, MAP_FAILED);
	buf->data = buf->map;
	buf_reg(buf, pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
}

/* Past every cache: what the disk has. */
static void check_disk(uint32_t seed)
{
	int fd = open(FILE_NAME, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint8_t *data = aligned_alloc(PAGE, BYTES);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, BYTES, 0), BYTES);
	pattern_check(data, BYTES, seed, 0, "the disk");
	free(data);
	close(fd);
}

static void written_reaches_the_disk(void **state)
{
	struct conn conn = CONN;
	struct buf from, file;
	struct pair pair;
	uint32_t seed;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	map_file(&file, pair.rig.pd);
	for (seed = 1; seed <= 3; seed++) {
		size_t at;

		/* Pages that are clean, written back, and dropped in turn. */
		pattern_fill(from.data, BYTES, seed, 0);
		for (at = 0; at < BYTES; at += 256 * KIB)
			pair_move(&pair, seed & 1 ? OP_WRITE : OP_SEND, &from, at, &file, at,
				  256 * KIB);
		assert_zero(msync(file.map, BYTES, MS_SYNC));
		if (seed != 2)
			assert_zero(posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED));
		check_disk(seed);
		pattern_check(file.data, BYTES, seed, 0, "the mapping");
		pair_move(&pair, OP_READ, &file, 0, &from, 0, BYTES);
		pattern_check(from.data, BYTES, seed, 0, "read back");
	}
	buf_free(&file);
	buf_free(&from);
	pair_close(&pair);
}

static volatile bool stop;

static void *cut_and_grow(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		if (ftruncate(fd, BYTES / 2) || ftruncate(fd, BYTES))
			return "ftruncate failed";
		usleep(2000);
	}
	return NULL;
}

static void reconnect(struct pair *pair)
{
	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	ends_connect(&pair->a, &pair->b, &pair->conn);
}

static void cut_short_under_traffic(void **state)
{
	unsigned int right = 0, refused = 0, i;
	struct conn conn = CONN;
	struct buf from, file;
	struct pair pair;
	pthread_t thread;
	void *failure;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	map_file(&file, pair.rig.pd);
	stop = false;
	assert_zero(pthread_create(&thread, NULL, cut_and_grow, &file.fd));
	for (i = 0; i < 200; i++) {
		bool stays = i & 1;
		size_t at = (stays ? 0 : BYTES / 2) + i % 8 * 64 * KIB;
		struct ibv_sge sge = buf_sge(&from, 0, 64 * KIB);
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &file, at);
		struct ibv_wc wc;

		pattern_fill(from.data, 64 * KIB, i, 0);
		end_post(&pair.a, &wr);
		wc = cq_wait(pair.a.scq);
		if (wc.status == IBV_WC_SUCCESS) {
			right++;
			if (stays)
				pattern_check(file.data + at, 64 * KIB, i, 0, "what stays");
			continue;
		}
		/* Behind the end of the file there is no memory. */
		if (stays || wc.status != IBV_WC_REM_ACCESS_ERR)
			fail_because("a write to what %s: \"%s\"", stays ? "stays" : "goes",
				     ibv_wc_status_str(wc.status));
		refused++;
		reconnect(&pair);
	}
	stop = true;
	pthread_join(thread, &failure);
	if (failure)
		fail_because("%s", (char *)failure);
	printf("%u writes arrived, %u were refused\n", right, refused);
	pair_assert_works(&pair);
	buf_free(&file);
	buf_free(&from);
	pair_close(&pair);
}

/* clang-format off */
#define ON_EXT4(fn) { #fn, fn, mount_ext4, umount_ext4, NULL }
/* clang-format on */

TEST_MAIN(ON_EXT4(written_reaches_the_disk), ON_EXT4(cut_short_under_traffic))
