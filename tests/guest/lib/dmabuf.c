// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "dmabuf.h"
#include "method.h"
#include "module.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HEAP	"/dev/dma_heap/system"
#define UDMABUF "/dev/udmabuf"

static int exporter_open(void)
{
	return module_open("rxe_odp_exporter", "rxe_odp_exporter");
}

static int export_ours(uint32_t flags, size_t bytes)
{
	struct rxe_odp_export arg = { .flags = flags, .pages = bytes / PAGE };
	int fd = exporter_open();

	assert_zero(ioctl(fd, RXE_ODP_EXPORT, &arg));
	close(fd);
	return arg.fd;
}

static int export_udmabuf(size_t bytes)
{
	struct udmabuf_create arg = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = bytes };
	int fd = open(UDMABUF, O_RDWR | O_CLOEXEC), buf;

	if (fd < 0)
		skip_because(UDMABUF ": %s", strerror(errno));
	arg.memfd = memfd_create("rdma-odp-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true((int)arg.memfd >= 0);
	assert_zero(ftruncate(arg.memfd, bytes));
	assert_zero(fcntl(arg.memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	buf = ioctl(fd, UDMABUF_CREATE, &arg);
	if (buf < 0)
		fail_because("UDMABUF_CREATE: %s", strerror(errno));
	close(arg.memfd);
	close(fd);
	return buf;
}

static int export_heap(size_t bytes)
{
	struct dma_heap_allocation_data arg = { .len = bytes, .fd_flags = O_RDWR | O_CLOEXEC };
	int fd = open(HEAP, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip_because(HEAP ": %s", strerror(errno));
	assert_zero(ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &arg));
	close(fd);
	return arg.fd;
}

int dmabuf_export(enum exporter exporter, uint32_t flags, size_t bytes)
{
	switch (exporter) {
	case EXPORTER_UDMABUF:
		return export_udmabuf(bytes);
	case EXPORTER_HEAP:
		return export_heap(bytes);
	default:
		return export_ours(flags, bytes);
	}
}

struct rxe_odp_export_uses dmabuf_uses(int fd)
{
	struct rxe_odp_export_uses uses = { .fd = fd };
	int exporter = exporter_open();

	assert_zero(ioctl(exporter, RXE_ODP_EXPORT_USES, &uses));
	close(exporter);
	return uses;
}

int dmabuf_revoke(int fd)
{
	int exporter = exporter_open();
	int err = ioctl(exporter, RXE_ODP_EXPORT_REVOKE, fd) ? errno : 0;

	close(exporter);
	return err;
}

void dmabuf_sync(int fd, bool start)
{
	struct dma_buf_sync sync = {
		.flags = DMA_BUF_SYNC_RW | (start ? DMA_BUF_SYNC_START : DMA_BUF_SYNC_END),
	};

	assert_zero(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
}

static bool through_provider(void)
{
	return getenv("RDMA_ODP_PROVIDER");
}

static struct ibv_mr *reg_by_hand(struct ibv_pd *pd, uint64_t offset, uint64_t length,
				  uint64_t iova, uint32_t fd, uint32_t access)
{
	struct method m = method_of(UVERBS_OBJECT_MR, UVERBS_METHOD_REG_DMABUF_MR);
	struct ibv_mr *mr = calloc(1, sizeof(*mr));
	int err;

	assert_non_null(mr);
	*mr = (struct ibv_mr){ .context = pd->context, .pd = pd, .length = length };
	method_handle(&m, UVERBS_ATTR_REG_DMABUF_MR_HANDLE, 0);
	method_handle(&m, UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd->handle);
	method_in(&m, UVERBS_ATTR_REG_DMABUF_MR_OFFSET, &offset, sizeof(offset));
	method_in(&m, UVERBS_ATTR_REG_DMABUF_MR_LENGTH, &length, sizeof(length));
	method_in(&m, UVERBS_ATTR_REG_DMABUF_MR_IOVA, &iova, sizeof(iova));
	method_in(&m, UVERBS_ATTR_REG_DMABUF_MR_FD, &fd, sizeof(fd));
	method_in(&m, UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, &access, sizeof(access));
	method_out(&m, UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, &mr->lkey, sizeof(mr->lkey));
	method_out(&m, UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, &mr->rkey, sizeof(mr->rkey));
	err = method_call(pd->context->cmd_fd, &m);
	if (err) {
		free(mr);
		errno = err;
		return NULL;
	}
	mr->handle = m.attrs[0].data;
	return mr;
}

struct ibv_mr *dmabuf_reg(struct ibv_pd *pd, uint64_t offset, uint64_t length, uint64_t iova,
			  int fd, int access)
{
	if (through_provider())
		return ibv_reg_dmabuf_mr(pd, offset, length, iova, fd, access);
	return reg_by_hand(pd, offset, length, iova, fd, access);
}

int dmabuf_dereg(struct ibv_mr *mr)
{
	int err;

	if (through_provider())
		return ibv_dereg_mr(mr);
	err = raw_dereg_mr(mr->context->cmd_fd, mr->handle);
	free(mr);
	return err;
}

void dmabuf_make(struct buf *buf, struct ibv_pd *pd, enum exporter exporter, uint32_t flags,
		 size_t bytes, size_t page_offset, int access)
{
	size_t before = GUARD_BYTES + page_offset;
	size_t map_bytes = (before + bytes + GUARD_BYTES + PAGE - 1) & ~(PAGE - 1);

	*buf = (struct buf){
		.bytes = bytes,
		.map_bytes = map_bytes,
		.guard_before = before,
		.guard_after = map_bytes - before - bytes,
		.fd = dmabuf_export(exporter, flags, map_bytes),
	};
	buf->map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, 0);
	assert_ptr_not_equal(buf->map, MAP_FAILED);
	buf->data = buf->map + before;
	memset(buf->map, GUARD_FILL, before);
	memset(buf->data + bytes, GUARD_FILL, buf->guard_after);
	buf->mr = dmabuf_reg(pd, before, bytes, (uintptr_t)buf->data, buf->fd, access);
	if (!buf->mr)
		fail_because("registering a dma-buf: errno %d", errno);
}

void dmabuf_free(struct buf *buf)
{
	if (buf->mr)
		assert_zero(dmabuf_dereg(buf->mr));
	buf->mr = NULL;
	buf_free(buf);
}
