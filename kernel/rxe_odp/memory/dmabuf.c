// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a dma-buf, reached by the CPU.
 *
 * What holds the buffer in place: an exporter without pin() never moves it, and its vmap() is all
 * that is needed. One with pin() is asked to by an attachment that takes no peer-to-peer memory, so
 * that the buffer comes to system memory and stays there. The attachment is never mapped: no DMA is
 * done here, and the InfiniBand device that stands behind it has no DMA of its own.
 *
 * An exporter may take back even what is pinned (a device that is reset or goes away). Once it was
 * told so, no access reaches the buffer again, for good:
 *
 *	dmabuf_revoke()				an access, in a softirq
 *	---------------				-----------------------
 *						rcu_read_lock()
 *						reads kaddr, copies
 *	kaddr = NULL
 *	synchronize_rcu()			rcu_read_unlock()
 *	vunmap, unpin				rcu_read_lock(); kaddr is NULL: -EFAULT
 *
 * begin_cpu_access() and end_cpu_access() stand around the whole time of the registration, not
 * around each access. They sleep, for fences and locks of the exporter, and accesses come in
 * softirqs. The first waits for what other devices were doing with the buffer. What those do
 * afterwards is ordered as with any other NIC, by the process, which knows when a message has
 * come and when its GPU is to begin: where caches are not coherent it says so with
 * DMA_BUF_IOCTL_SYNC, as around its own accesses to a mapping, and exporters include vmaps in
 * that.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "device/dev.h"
#include "memory/dmabuf.h"

MODULE_IMPORT_NS("DMA_BUF");

/*
 * The reservation lock of @buf protects writers of @kaddr, and @map with it; readers of @kaddr are
 * in an RCU section. The rest is immutable.
 */
struct rxo_dmabuf {
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;	/* NULL: the exporter never moves it */
	struct iosys_map map;			/* of all of the buffer, while @kaddr is set */
	void *kaddr;				/* NULL: taken back, or not there yet */
	enum dma_data_direction direction;
};

static void dmabuf_unmap_locked(struct rxo_dmabuf *dmabuf)
{
	dma_resv_assert_held(dmabuf->buf->resv);
	dma_buf_vunmap(dmabuf->buf, &dmabuf->map);
	if (dmabuf->attach)
		dma_buf_unpin(dmabuf->attach);
}

static void dmabuf_revoke(struct dma_buf_attachment *attach)
{
	struct rxo_dmabuf *dmabuf = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (!dmabuf->kaddr)
		return;
	WRITE_ONCE(dmabuf->kaddr, NULL);
	synchronize_rcu();
	dmabuf_unmap_locked(dmabuf);
}

static const struct dma_buf_attach_ops dmabuf_attach_ops = {
	.allow_peer2peer	= false,
	.invalidate_mappings	= dmabuf_revoke,
};

static int dmabuf_attach(struct rxo_dmabuf *dmabuf, struct rxo_dev *dev)
{
	struct dma_buf_attachment *attach;

	if (!dma_buf_is_dynamic(dmabuf->buf))
		return 0;
	attach = dma_buf_dynamic_attach(dmabuf->buf, &dev->ibdev.dev, &dmabuf_attach_ops, dmabuf);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	dmabuf->attach = attach;
	return 0;
}

static void dmabuf_detach(struct rxo_dmabuf *dmabuf)
{
	if (dmabuf->attach)
		dma_buf_detach(dmabuf->buf, dmabuf->attach);
}

/* Memory of a device has no atomics, and does not take each kind of copy. */
static bool dmabuf_is_memory(const struct iosys_map *map)
{
	return !map->is_iomem && IS_ALIGNED((uintptr_t)map->vaddr, sizeof(u64));
}

static int dmabuf_map_locked(struct rxo_dmabuf *dmabuf)
{
	int err = 0;

	dma_resv_assert_held(dmabuf->buf->resv);
	if (dmabuf->attach)
		err = dma_buf_pin(dmabuf->attach);
	if (err)
		return err;
	err = dma_buf_vmap(dmabuf->buf, &dmabuf->map);
	if (err)
		goto err_unpin;
	if (!dmabuf_is_memory(&dmabuf->map)) {
		dmabuf_unmap_locked(dmabuf);
		return -EOPNOTSUPP;
	}
	WRITE_ONCE(dmabuf->kaddr, dmabuf->map.vaddr);
	return 0;

err_unpin:
	if (dmabuf->attach)
		dma_buf_unpin(dmabuf->attach);
	return err;
}

static int dmabuf_map(struct rxo_dmabuf *dmabuf)
{
	int err;

	if (dma_resv_lock_interruptible(dmabuf->buf->resv, NULL))
		return -ERESTARTSYS;
	err = dmabuf_map_locked(dmabuf);
	dma_resv_unlock(dmabuf->buf->resv);
	return err;
}

static void dmabuf_unmap(struct rxo_dmabuf *dmabuf)
{
	dma_resv_lock(dmabuf->buf->resv, NULL);
	/* Otherwise it was taken back, and is unmapped. */
	if (dmabuf->kaddr)
		dmabuf_unmap_locked(dmabuf);
	dmabuf->kaddr = NULL;
	dma_resv_unlock(dmabuf->buf->resv);
}

static int dmabuf_check(const struct dma_buf *buf, u64 offset, u64 length)
{
	u64 end;

	if (check_add_overflow(offset, length, &end) || end > buf->size)
		return -EINVAL;
	/* What dma_buf_vmap() calls invalid. */
	return buf->ops->vmap ? 0 : -EOPNOTSUPP;
}

static struct rxo_dmabuf *dmabuf_open(struct rxo_dev *dev, struct dma_buf *buf)
{
	struct rxo_dmabuf *dmabuf = kzalloc_obj(*dmabuf, GFP_KERNEL_ACCOUNT);
	int err;

	if (!dmabuf)
		return ERR_PTR(-ENOMEM);
	dmabuf->buf = buf;
	dmabuf->direction = rxo_dmabuf_is_writable(dmabuf) ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	err = dmabuf_attach(dmabuf, dev);
	if (err)
		goto err_free;
	err = dmabuf_map(dmabuf);
	if (err)
		goto err_detach;
	err = dma_buf_begin_cpu_access(buf, dmabuf->direction);
	if (err)
		goto err_unmap;
	return dmabuf;

err_unmap:
	dmabuf_unmap(dmabuf);
err_detach:
	dmabuf_detach(dmabuf);
err_free:
	kfree(dmabuf);
	return ERR_PTR(err);
}

struct rxo_dmabuf *rxo_dmabuf_open(struct rxo_dev *dev, int fd, u64 offset, u64 length)
{
	struct dma_buf *buf = dma_buf_get(fd);
	struct rxo_dmabuf *dmabuf;
	int err;

	if (IS_ERR(buf))
		return ERR_CAST(buf);
	err = dmabuf_check(buf, offset, length);
	dmabuf = err ? ERR_PTR(err) : dmabuf_open(dev, buf);
	if (IS_ERR(dmabuf))
		dma_buf_put(buf);
	return dmabuf;
}

void rxo_dmabuf_close(struct rxo_dmabuf *dmabuf)
{
	dma_buf_end_cpu_access(dmabuf->buf, dmabuf->direction);
	dmabuf_unmap(dmabuf);
	dmabuf_detach(dmabuf);
	/* Our reference to the buffer was one to the exporter's module. */
	dma_buf_put(dmabuf->buf);
	kfree(dmabuf);
}

bool rxo_dmabuf_is_writable(const struct rxo_dmabuf *dmabuf)
{
	return dmabuf->buf->file->f_mode & FMODE_WRITE;
}

void *rxo_dmabuf_begin(const struct rxo_dmabuf *dmabuf, u64 offset)
{
	void *kaddr;

	rcu_read_lock();
	kaddr = READ_ONCE(dmabuf->kaddr);
	if (kaddr)
		return kaddr + offset;
	rcu_read_unlock();
	return NULL;
}

void rxo_dmabuf_end(void)
{
	rcu_read_unlock();
}
