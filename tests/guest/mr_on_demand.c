// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Registrations that do not ask to be on demand are so where the device or the context says it: nothing is pinned, a mapping that
 * pinning refuses works, and what is not mapped or not writable is refused as before.
 */
#include "ext4.h"
#include "method.h"
#include "pair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES (16 * PAGE)

static void device_registers(const char *how)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	assert_zero(write_text(path, how));
}

static void device_says_at(int line, const char *how)
{
	char path[200], text[40] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	if (strcmp(text, how))
		fail_because("line %d: %s", line, text);
}
#define device_says(how) device_says_at(__LINE__, how)

/* As it was, whatever became of the test. */
static int restore(void **state)
{
	(void)state;
	device_registers("pinned");
	return 0;
}

static long pinned_kb(void)
{
	char line[200];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld kB", &kb);
	fclose(f);
	return kb;
}

static uint8_t *map_bytes(void)
{
	uint8_t *map =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static uint32_t kind_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_int_equal(mr_stats(mr, &stats, sizeof(stats)), 0);
	return stats.kind;
}

static void as_the_device_says(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	char path[200];
	long before;

	(void)state;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	device_says("pinned\n");
	assert_int_not_equal(write_text(path, "both"), 0);
	device_says("pinned\n");
	pair_open(&pair, &conn);
	before = pinned_kb();
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 100, ACCESS_ALL);
	assert_int_equal(kind_of(from.mr), RXE_ODP_MR_PINNED);
	assert_true(pinned_kb() > before);
	before = pinned_kb();
	device_registers("on-demand");
	device_says("on-demand\n");
	buf_make(&to, pair.rig.pd, MEM_ANON, BYTES, 100, ACCESS_ALL);
	assert_int_equal(kind_of(to.mr), RXE_ODP_MR_ON_DEMAND);
	assert_int_equal(pinned_kb(), before);
	pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
	buf_forget(&to);
	pair_move_checked(&pair, OP_SEND, &from, &to, 2);
	pair_move_checked(&pair, OP_READ, &to, &from, 3);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* What is refused when it is pinned is refused when it is not, with the same error. */
static void refuses(struct ibv_pd *pd, uint8_t *map, int access, bool refused)
{
	static const char *const modes[] = { "pinned", "on-demand" };
	struct ibv_mr *mr;
	int i;

	for (i = 0; i < 2; i++) {
		device_registers(modes[i]);
		errno = 0;
		mr = ibv_reg_mr(pd, map, BYTES, access);
		if (!!mr == refused)
			fail_because("%s: %s, errno %d", modes[i], mr ? "taken" : "refused", errno);
		if (mr)
			assert_zero(ibv_dereg_mr(mr));
		else
			assert_int_equal(errno, EFAULT);
	}
}

static void what_pinning_refuses(void **state)
{
	struct rig rig;
	uint8_t *map;

	(void)state;
	rig_open(&rig);
	map = map_bytes();
	refuses(rig.pd, map, ACCESS_ALL, false);
	assert_zero(mprotect(map + 3 * PAGE, PAGE, PROT_READ));
	refuses(rig.pd, map, ACCESS_ALL, true);
	refuses(rig.pd, map, IBV_ACCESS_REMOTE_READ, false);
	assert_zero(mprotect(map + 3 * PAGE, PAGE, PROT_NONE));
	refuses(rig.pd, map, IBV_ACCESS_REMOTE_READ, true);
	munmap(map + 3 * PAGE, PAGE);
	refuses(rig.pd, map, IBV_ACCESS_REMOTE_READ, true);
	munmap(map, BYTES);
	refuses(rig.pd, map, IBV_ACCESS_REMOTE_READ, true);
	rig_close(&rig);
}

/* Who asks for it is asked nothing: the range may be mapped later. */
static void explicitly(void **state)
{
	struct ibv_mr *mr;
	struct rig rig;
	uint8_t *map;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	map = map_bytes();
	munmap(map, BYTES);
	device_registers("on-demand");
	mr = ibv_reg_mr(rig.pd, map, BYTES, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	assert_zero(ibv_dereg_mr(mr));
	rig_close(&rig);
}

static enum ibv_wc_status write_to(struct pair *pair, struct buf *from, uint8_t *at,
				   const struct ibv_mr *mr)
{
	struct ibv_sge sge = buf_sge(from, 0, from->bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_RDMA_WRITE, &sge, 1);

	wr.wr.rdma.remote_addr = (uintptr_t)at;
	wr.wr.rdma.rkey = mr->rkey;
	end_post(&pair->a, &wr);
	return cq_wait(pair->a.scq).status;
}

static void a_file_that_cannot_be_pinned(void **state)
{
	struct conn conn = CONN;
	struct ibv_mr *mr;
	struct pair pair;
	struct buf from;
	uint8_t *map;
	int fd;

	(void)state;
	if (ext4_begin())
		fail_because("no ext4");
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	pattern_fill(from.data, BYTES, 3, 0);
	fd = open(EXT4_DIR "/mr_on_demand", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_zero(ftruncate(fd, BYTES));
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_null(ibv_reg_mr(pair.rig.pd, map, BYTES, ACCESS_ALL));
	device_registers("on-demand");
	mr = ibv_reg_mr(pair.rig.pd, map, BYTES, ACCESS_ALL);
	assert_non_null(mr);
	assert_int_equal(write_to(&pair, &from, map, mr), IBV_WC_SUCCESS);
	memset(from.data, 0, BYTES);
	assert_int_equal(pread(fd, from.data, BYTES, 0), BYTES);
	pattern_check(from.data, BYTES, 3, 0, "the file");
	assert_zero(ibv_dereg_mr(mr));
	munmap(map, BYTES);
	close(fd);
	buf_free(&from);
	pair_close(&pair);
	assert_zero(ext4_end());
}

/* Pinned memory would have stayed what it was; a peer of this is told that there is none. */
static void unmapped_behind_its_back(void **state)
{
	struct rxe_odp_access_error error;
	struct conn conn = CONN;
	struct ibv_mr *mr;
	struct pair pair;
	struct buf from;
	uint8_t *map;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	device_registers("on-demand");
	map = map_bytes();
	mr = ibv_reg_mr(pair.rig.pd, map, BYTES, ACCESS_ALL);
	assert_non_null(mr);
	assert_int_equal(write_to(&pair, &from, map, mr), IBV_WC_SUCCESS);
	munmap(map, BYTES);
	assert_int_equal(write_to(&pair, &from, map, mr), IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(qp_access_error(pair.b.qp, &error, sizeof(error)), 0);
	assert_int_equal(error.reason, RXE_ODP_REASON_NOT_MAPPED);
	assert_zero(ibv_dereg_mr(mr));
	buf_free(&from);
	pair_close(&pair);
}

/* A region stays what it is when its domain changes, and becomes what is said when its rights are given anew. */
static void registered_again(void **state)
{
	struct ibv_mr *mr;
	struct ibv_pd *pd;
	struct rig rig;
	uint8_t *map;

	(void)state;
	rig_open(&rig);
	pd = ibv_alloc_pd(rig.ctx);
	assert_non_null(pd);
	map = map_bytes();
	mr = ibv_reg_mr(rig.pd, map, BYTES, ACCESS_ALL);
	assert_non_null(mr);
	device_registers("on-demand");
	assert_int_equal(mr_rereg(mr, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0), 0);
	assert_int_equal(kind_of(mr), RXE_ODP_MR_PINNED);
	assert_int_equal(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL), 0);
	assert_int_equal(kind_of(mr), RXE_ODP_MR_ON_DEMAND);
	assert_zero(ibv_dereg_mr(mr));
	assert_zero(ibv_dealloc_pd(pd));
	munmap(map, BYTES);
	rig_close(&rig);
}

static uint32_t kind_in_context(uint32_t flags, int access)
{
	struct rxe_odp_alloc_ucontext_req req = { .flags = flags };
	struct rxe_odp_mr_stats stats;
	uint8_t *map = map_bytes();
	uint32_t pd, mr;
	int fd;

	fd = raw_open(rig_device_name(), &req, sizeof(req), NULL, 0);
	assert_true(fd >= 0);
	assert_int_equal(raw_alloc_pd(fd, &pd), 0);
	assert_int_equal(raw_reg_mr(fd, pd, map, BYTES, access, &mr), 0);
	assert_int_equal(raw_mr_stats(fd, mr, &stats), 0);
	close(fd);
	munmap(map, BYTES);
	return stats.kind;
}

static void as_the_context_says(void **state)
{
	static const char *const modes[] = { "pinned", "on-demand" };
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		device_registers(modes[i]);
		assert_int_equal(kind_in_context(RXE_ODP_UCTX_REGISTER_ON_DEMAND, ACCESS_ALL),
				 RXE_ODP_MR_ON_DEMAND);
		assert_int_equal(kind_in_context(RXE_ODP_UCTX_REGISTER_PINNED, ACCESS_ALL),
				 RXE_ODP_MR_PINNED);
		assert_int_equal(kind_in_context(RXE_ODP_UCTX_REGISTER_PINNED,
						 ACCESS_ALL | IBV_ACCESS_ON_DEMAND),
				 RXE_ODP_MR_ON_DEMAND);
		assert_int_equal(kind_in_context(0, ACCESS_ALL),
				 i ? RXE_ODP_MR_ON_DEMAND : RXE_ODP_MR_PINNED);
	}
}

#define RESTORED(fn)                                                                               \
	{                                                                                          \
#fn, fn, NULL, restore, NULL                                                       \
	}

TEST_MAIN(RESTORED(as_the_device_says), RESTORED(what_pinning_refuses), RESTORED(explicitly),
	  RESTORED(a_file_that_cannot_be_pinned), RESTORED(unmapped_behind_its_back),
	  RESTORED(registered_again), RESTORED(as_the_context_says))
