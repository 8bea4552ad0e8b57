// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A file of ext4 with DAX, mapped and registered on demand: peers reach persistent memory itself, which pinning refuses. What they
 * write is in the file after the file system was mounted again; a file that is cut short or unmapped under them is an error.
 */
#include "method.h"
#include "pair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

#define DEVICE	  "/dev/pmem0"
#define DIRECTORY "/tmp/rdma_odp_dax"
#define FILE_NAME DIRECTORY "/file"
#define BYTES	  (4 * MIB)
#define FLUSH	  (IBV_ACCESS_FLUSH_GLOBAL | IBV_ACCESS_FLUSH_PERSISTENT)

static bool loaded, mounted;

static int dax_mount(void)
{
	int rc = system("mount -t ext4 -o dax " DEVICE " " DIRECTORY);

	mounted = !rc;
	return rc;
}

static int dax_umount(void)
{
	int rc = system("umount " DIRECTORY);

	mounted = rc;
	return rc;
}

/* A region that has its driver holds the module that found it. */
#define REGIONS "/sys/bus/nd/drivers/nd_region"
#define UNLOAD                                                                                     \
	"for r in " REGIONS "/region*; do echo ${r##*/} >" REGIONS "/unbind; done; "               \
	"modprobe -r nd_pmem nd_e820"

/* scripts/vm.sh gives emulated guests such a device. */
static int begin(void **state)
{
	(void)state;
	if (access("/sys/devices/platform/e820_pmem", F_OK))
		return 0;
	loaded = true;
	return system("modprobe nd_e820 && modprobe nd_pmem && "
		      "mkdir -p " DIRECTORY " && mkfs.ext4 -q -F -b 4096 " DEVICE) ||
	       dax_mount();
}

static int end(void **state)
{
	int rc = 0;

	(void)state;
	/* A test that failed may have left its file open. */
	if (mounted)
		rc = system("umount -l " DIRECTORY) || rmdir(DIRECTORY);
	if (loaded)
		rc |= system(UNLOAD);
	return rc;
}

static void map_file(struct buf *file)
{
	if (!mounted)
		skip_because("this machine has no persistent memory");
	*file = (struct buf){ .bytes = BYTES, .map_bytes = BYTES };
	file->fd = open(FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file->fd >= 0);
	assert_zero(ftruncate(file->fd, BYTES));
	/* A mapping that only DAX gives: what is written there has a place in the file. */
	file->map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC,
			 file->fd, 0);
	if (file->map == MAP_FAILED)
		fail_because("mmap with MAP_SYNC: %s", strerror(errno));
	file->data = file->map;
}

static void free_file(struct buf *file)
{
	buf_free(file);
	assert_zero(unlink(FILE_NAME));
}

static void check_file(uint32_t seed)
{
	int fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	uint8_t *data = malloc(BYTES);

	assert_true(fd >= 0);
	assert_non_null(data);
	assert_int_equal(pread(fd, data, BYTES, 0), BYTES);
	pattern_check(data, BYTES, seed, 0, "the file");
	free(data);
	close(fd);
}

struct dax {
	struct pair pair;
	struct buf from, file;
};

static void dax_open(struct dax *dax)
{
	struct conn conn = CONN;

	conn.send_ops = IBV_QP_EX_WITH_FLUSH;
	conn.access |= FLUSH;
	map_file(&dax->file);
	conn.mtu = IBV_MTU_4096;
	pair_open(&dax->pair, &conn);
	rig_need_odp(&dax->pair.rig, 0, 0);
	buf_make(&dax->from, dax->pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_reg(&dax->file, dax->pair.rig.pd, ACCESS_ALL | FLUSH | IBV_ACCESS_ON_DEMAND);
}

static void dax_close(struct dax *dax)
{
	free_file(&dax->file);
	buf_free(&dax->from);
	pair_close(&dax->pair);
}

static void write_all(struct dax *dax, enum op op, uint32_t seed)
{
	size_t at;

	pattern_fill(dax->from.data, BYTES, seed, 0);
	for (at = 0; at < BYTES; at += 512 * KIB)
		pair_move(&dax->pair, op, &dax->from, at, &dax->file, at, 512 * KIB);
}

/* A hole first, then blocks that the file system has given, then ones that it has written back. */
static void written_is_in_the_file(void **state)
{
	static const enum op ops[] = { OP_WRITE, OP_SEND, OP_WRITE };
	struct dax dax;
	unsigned int i;
	uint64_t sum = 5;

	(void)state;
	dax_open(&dax);
	assert_null(ibv_reg_mr(dax.pair.rig.pd, dax.file.data, BYTES, ACCESS_ALL));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		write_all(&dax, ops[i], 1 + i);
		check_file(1 + i);
		assert_zero(i ? msync(dax.file.map, BYTES, MS_SYNC) : 0);
		memset(dax.from.data, 0, BYTES);
		pair_move(&dax.pair, OP_READ, &dax.file, 0, &dax.from, 0, BYTES);
		pattern_check(dax.from.data, BYTES, 1 + i, 0, "read back");
		pattern_check(dax.file.data, BYTES, 1 + i, 0, "the mapping");
	}
	memcpy(dax.file.data, &sum, sizeof(sum));
	pair_add_checked(&dax.pair, &dax.from, &dax.file, &sum);
	write_all(&dax, OP_WRITE, 8);
	buf_dereg(&dax.file);
	assert_zero(munmap(dax.file.map, BYTES));
	assert_zero(close(dax.file.fd));
	assert_zero(dax_umount());
	assert_zero(dax_mount());
	check_file(8);
	map_file(&dax.file);
	dax_close(&dax);
}

static enum ibv_wc_status write_at(struct dax *dax, size_t offset)
{
	struct ibv_sge sge = buf_sge(&dax->from, 0, 64);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &dax->file, offset);

	end_post(&dax->pair.a, &wr);
	return cq_wait(dax->pair.a.scq).status;
}

/* The file system waits for whoever holds such a page before it gives the block to another file: nobody does. */
static void cut_short(void **state)
{
	struct ibv_sge sge;
	struct dax dax;
	unsigned int i, posts = 32;

	(void)state;
	dax_open(&dax);
	write_all(&dax, OP_WRITE, 1);
	sge = buf_sge(&dax.from, 0, 64 * KIB);
	for (i = 0; i < posts; i++) {
		struct ibv_send_wr wr =
			wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &dax.file, BYTES - 64 * KIB);

		end_post(&dax.pair.a, &wr);
	}
	assert_zero(ftruncate(dax.file.fd, BYTES / 2));
	for (i = 0; i < posts; i++)
		cq_wait(dax.pair.a.scq);
	pair_reconnect(&dax.pair);
	assert_int_equal(write_at(&dax, BYTES / 2), IBV_WC_REM_ACCESS_ERR);
	pair_reconnect(&dax.pair);
	assert_int_equal(write_at(&dax, BYTES / 2 - 64), IBV_WC_SUCCESS);
	assert_zero(ftruncate(dax.file.fd, BYTES));
	assert_int_equal(dax.file.data[BYTES / 2], 0);
	write_all(&dax, OP_WRITE, 2);
	check_file(2);
	dax_close(&dax);
}

static void unmapped(void **state)
{
	struct dax dax;

	(void)state;
	dax_open(&dax);
	write_all(&dax, OP_WRITE, 3);
	assert_zero(munmap(dax.file.map + BYTES / 2, BYTES / 2));
	assert_int_equal(write_at(&dax, BYTES / 2), IBV_WC_REM_ACCESS_ERR);
	pair_reconnect(&dax.pair);
	assert_int_equal(write_at(&dax, BYTES / 2 - 64), IBV_WC_SUCCESS);
	memcpy(dax.file.data + BYTES / 2 - 64, dax.from.data + BYTES / 2 - 64, 64);
	check_file(3);
	dax.file.map_bytes = BYTES / 2;
	dax_close(&dax);
}

static enum ibv_wc_status flush(struct dax *dax, size_t at, size_t bytes, uint8_t level)
{
	end_post_flush(&dax->pair.a, dax->file.mr->rkey, (uintptr_t)dax->file.data + at, bytes,
		       IBV_FLUSH_GLOBAL | IBV_FLUSH_PERSISTENT, level);
	return cq_wait(dax->pair.a.scq).status;
}

/*
 * Persistent placement, where the file has holes, where pages were written to and are in no page table of the NIC's any more,
 * and over all of it. (What was in a cache of the CPU only cannot be told from outside.)
 */
static void flushed(void **state)
{
	struct dax dax;

	(void)state;
	dax_open(&dax);
	assert_int_equal(flush(&dax, 0, BYTES, IBV_FLUSH_RANGE), IBV_WC_SUCCESS);
	assert_int_equal(write_at(&dax, MIB + 4000), IBV_WC_SUCCESS);
	assert_int_equal(flush(&dax, MIB + 4000, 64, IBV_FLUSH_RANGE), IBV_WC_SUCCESS);
	write_all(&dax, OP_WRITE, 1);
	assert_int_equal(flush(&dax, 77, BYTES - 100, IBV_FLUSH_RANGE), IBV_WC_SUCCESS);
	assert_zero(madvise(dax.file.map, BYTES, MADV_DONTNEED));
	assert_int_equal(flush(&dax, 0, 0, IBV_FLUSH_MR), IBV_WC_SUCCESS);
	check_file(1);
	assert_int_equal(flush(&dax, 0, BYTES + 1, IBV_FLUSH_RANGE), IBV_WC_REM_ACCESS_ERR);
	dax_close(&dax);
}

/* Without MAP_SYNC blocks may not be the file's yet; and what is mapped there later is not persistent by itself. */
static void flush_refused(void **state)
{
	struct dax dax;
	uint8_t *map;

	(void)state;
	dax_open(&dax);
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, dax.file.fd, 0);
	assert_true(map != MAP_FAILED);
	errno = 0;
	assert_null(
		ibv_reg_mr(dax.pair.rig.pd, map, BYTES, ACCESS_ALL | FLUSH | IBV_ACCESS_ON_DEMAND));
	assert_int_equal(errno, EINVAL);
	assert_zero(munmap(map, BYTES));

	write_all(&dax, OP_WRITE, 1);
	map = mmap(dax.file.map + PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_true(map == dax.file.map + PAGE);
	assert_int_equal(write_at(&dax, PAGE), IBV_WC_SUCCESS);
	assert_int_equal(flush(&dax, 0, PAGE, IBV_FLUSH_RANGE), IBV_WC_SUCCESS);
	assert_int_equal(flush(&dax, 0, 0, IBV_FLUSH_MR), IBV_WC_REM_ACCESS_ERR);
	pair_reconnect(&dax.pair);
	assert_int_equal(flush(&dax, PAGE, 1, IBV_FLUSH_RANGE), IBV_WC_REM_ACCESS_ERR);
	dax_close(&dax);
}

/* The device is made by the first test and goes after the last. */
/* clang-format off */
#define FIRST(fn) { #fn, fn, begin, NULL, NULL }
#define LAST(fn) { #fn, fn, NULL, end, NULL }
/* clang-format on */

TEST_MAIN(FIRST(written_is_in_the_file), TEST(cut_short), TEST(flushed), TEST(flush_refused),
	  LAST(unmapped))
