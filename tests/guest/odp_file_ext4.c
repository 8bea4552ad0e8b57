// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A file of ext4, mapped shared and registered: what peers write into it is in the file, also on the disk, and a file that
 * is cut short under traffic costs its owner an error and nothing else.
 */
#include "ext4.h"
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_NAME EXT4_DIR "/file"
#define BYTES	  (2 * MIB)
#define TURNS	  32 /* so often it is cut, and grows again */

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

/*
 * Mapped nowhere and not in the page cache: whoever reads it next reads the disk. A fault thread asks a file system for a few
 * pages in a row, and may still be at that when the message is through, because another one has brought them in meanwhile.
 */
static void drop(struct buf *file)
{
	double last = seconds() + BOUND_S;

	do {
		assert_zero(madvise(file->map, BYTES, MADV_DONTNEED));
		assert_zero(posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED));
	} while (mem_resident(file->map, BYTES) && seconds() < last);
	assert_int_equal(mem_resident(file->map, BYTES), 0);
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
			drop(&file);
		check_disk(seed);
		/* By the NIC first, which brings in again what was dropped. */
		memset(from.data, 0, BYTES);
		pair_move(&pair, OP_READ, &file, 0, &from, 0, BYTES);
		pattern_check(from.data, BYTES, seed, 0, "read back");
		pattern_check(file.data, BYTES, seed, 0, "the mapping");
	}
	buf_free(&file);
	buf_free(&from);
	pair_close(&pair);
}

static volatile bool stop;
static volatile unsigned int syncs;

static void *sync_over_and_over(void *arg)
{
	int fd = *(int *)arg;

	for (; !stop; syncs++)
		if (fdatasync(fd))
			return "fdatasync failed";
	return NULL;
}

/*
 * Writing back takes the right to write from the pages, in the middle of what peers write into them:
 * nothing is lost by it.
 */
static void written_while_it_is_synced(void **state)
{
	static const enum op ops[] = { OP_WRITE, OP_SEND, OP_READ };
	struct conn conn = CONN;
	struct buf from, file;
	struct pair pair;
	pthread_t thread;
	uint32_t seed = 0;
	void *failure;
	int pass;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	map_file(&file, pair.rig.pd);
	for (pass = 0; pass < 6; pass++) {
		double last = seconds() + BOUND_S;

		stop = false;
		syncs = 0;
		assert_zero(pthread_create(&thread, NULL, sync_over_and_over, &file.fd));
		/* Other bytes each time: those of the last time must be there. */
		do {
			size_t at;

			pattern_fill(from.data, BYTES, ++seed, 0);
			for (at = 0; at < BYTES; at += 32 * KIB)
				pair_move(&pair, ops[pass % 3], &from, at, &file, at, 32 * KIB);
		} while (syncs < 3 && seconds() < last);
		stop = true;
		pthread_join(thread, &failure);
		if (failure || syncs < 3)
			fail_because("%s", failure ? (char *)failure : "nothing is synced");
		assert_zero(fdatasync(file.fd));
		drop(&file);
		check_disk(seed);
	}
	buf_free(&file);
	buf_free(&from);
	pair_close(&pair);
}

struct cutter {
	int fd;
	sem_t go;
};

/* Short, whole, short ..., each of them until the other thread has seen it. */
static void *cut_and_grow(void *arg)
{
	struct cutter *cutter = arg;
	bool cut;

	for (cut = true; !stop; cut = !cut) {
		if (ftruncate(cutter->fd, cut ? BYTES / 2 : BYTES))
			return "ftruncate failed";
		while (sem_wait(&cutter->go))
			;
	}
	return NULL;
}

/* What is done with the file: by a peer, or as the requester's own memory. */
static const struct use {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool local, written;
	enum ibv_wc_status refused;
} uses[] = {
	{ "a write to it", IBV_WR_RDMA_WRITE, false, true, IBV_WC_REM_ACCESS_ERR },
	{ "a read of it", IBV_WR_RDMA_READ, false, false, IBV_WC_REM_ACCESS_ERR },
	{ "a write from it", IBV_WR_RDMA_WRITE, true, false, IBV_WC_LOC_PROT_ERR },
	{ "a read into it", IBV_WR_RDMA_READ, true, true, IBV_WC_LOC_PROT_ERR },
};

#define PIECE (64 * KIB)

/*
 * True if it was done, with the right bytes as far as they stay; false if it was refused, as it may
 * be where they do not.
 */
static bool is_done(struct pair *pair, const struct use *use, struct buf *file, struct buf *other,
		    bool stays, uint32_t seed)
{
	size_t at = (stays ? 0 : BYTES / 2) + seed % 8 * PIECE;
	struct ibv_sge sge = use->local ? buf_sge(file, at, PIECE) : buf_sge(other, 0, PIECE);
	struct ibv_send_wr wr =
		wr_rdma(use->opcode, &sge, 1, use->local ? other : file, use->local ? 0 : at);
	struct ibv_wc wc;

	memset(other->data, 0x55, PIECE);
	if (use->written)
		pattern_fill(other->data, PIECE, seed, 0);
	else if (stays)
		pattern_fill(file->data + at, PIECE, seed, 0);
	end_post(&pair->a, &wr);
	wc = cq_wait(pair->a.scq);
	if (wc.status == IBV_WC_SUCCESS) {
		if (stays)
			pattern_check(use->written ? file->data + at : other->data, PIECE, seed, 0,
				      use->name);
		return true;
	}
	/* Behind the end of the file there is no memory. */
	if (stays || wc.status != use->refused)
		fail_because("%s, where it %s: \"%s\"", use->name, stays ? "stays" : "goes",
			     ibv_wc_status_str(wc.status));
	pair_reconnect(pair);
	return false;
}

static void cut_short_under_traffic(void **state)
{
	struct cutter cutter;
	struct conn conn = CONN;
	struct buf other, file;
	struct pair pair;
	pthread_t thread;
	uint32_t seed = 0;
	unsigned int turn;
	void *failure;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&other, pair.rig.pd, MEM_ANON, PIECE, 0, ACCESS_ALL);
	map_file(&file, pair.rig.pd);
	stop = false;
	cutter.fd = file.fd;
	assert_zero(sem_init(&cutter.go, 0, 0));
	assert_zero(pthread_create(&thread, NULL, cut_and_grow, &cutter));
	/* Every use is refused while the file is short, and done again when it is whole. */
	for (turn = 0; turn < 2 * TURNS; turn++) {
		const struct use *use = &uses[turn / 2 % ARRAY_SIZE(uses)];
		double last = seconds() + BOUND_S;
		bool whole = turn & 1;

		do {
			if (seconds() > last)
				fail_because("%s is %s for %d s", use->name,
					     whole ? "refused" : "done", BOUND_S);
			assert_true(is_done(&pair, use, &file, &other, true, ++seed));
		} while (is_done(&pair, use, &file, &other, false, seed) != whole);
		stop = turn == 2 * TURNS - 1;
		sem_post(&cutter.go);
	}
	pthread_join(thread, &failure);
	if (failure)
		fail_because("%s", (char *)failure);
	sem_destroy(&cutter.go);
	pair_assert_works(&pair);
	buf_free(&file);
	buf_free(&other);
	pair_close(&pair);
}

/* clang-format off */
#define ON_EXT4(fn) { #fn, fn, mount_ext4, umount_ext4, NULL }
/* clang-format on */

TEST_MAIN(ON_EXT4(written_reaches_the_disk), ON_EXT4(written_while_it_is_synced),
	  ON_EXT4(cut_short_under_traffic))
