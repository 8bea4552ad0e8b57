// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a dma-buf, reached by the CPU.
 *
 * An attachment holds the buffer in place. It does not allow peer-to-peer memory, so the exporter
 * moves the buffer to system memory. Where the exporter has pin(), the attachment is pinned; an
 * exporter without it holds what is attached, as drm_gem_map_attach() does, and might move what is
 * only vmapped. The attachment is never mapped: nothing here does DMA, and our InfiniBand device
 * cannot.
 *
 * Where vmap() fails, for want of memory say, dma_buf_vmap() warns, once for a boot: the core takes
 * that for a bug of the exporter's. A process can bring it about, as through any other importer.
 *
 * An exporter may take back even what is pinned (a device that is reset or goes away). Once it was
 * told so, no access reaches the buffer again, for good:
 *
 *	dmabuf_revoke()				an access, in a softirq
 *	---------------				-----------------------
 *						rcu_read_lock()
 *						reads kaddr, copies
 *	kaddr = NULL
 *	synchronize_rcu_expedited()		rcu_read_unlock()
 *	vunmap, unpin				rcu_read_lock(); kaddr is NULL: -EFAULT
 *
 * begin_cpu_access() and end_cpu_access() stand around the whole time of the registration, not
 * around each access. They sleep, for fences and locks of the exporter, and accesses come in
 * softirqs. The first waits for what other devices were doing with the buffer. What those do
 * afterwards is ordered as with any other NIC, by the process, which knows when a message has
 * come and when its GPU is to begin.
 *
 * Nothing here cleans or invalidates a cache, and the process cannot do it for us:
 * DMA_BUF_IOCTL_SYNC is for its own accesses, and the start of one may discard what we have just
 * written, with the lines of the cache or by copying a bounce buffer over it. So the devices that
 * share the buffer have to see what is in the CPU's caches, without bounce buffers, as on x86.
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
	struct dma_buf_attachment *attach;	/* dynamic if the exporter is */
	struct iosys_map map;			/* of all of the buffer, while @kaddr is set */
	void *kaddr;				/* NULL: taken back, or not there yet */
	enum dma_data_direction direction;
};

/* dma_buf_pin() is for dynamic attachments alone, which are made where the exporter has pin(). */
static int dmabuf_pin_locked(struct rxo_dmabuf *dmabuf)
{
	dma_resv_assert_held(dmabuf->buf->resv);
	return dma_buf_is_dynamic(dmabuf->buf) ? dma_buf_pin(dmabuf->attach) : 0;
}

static void dmabuf_unpin_locked(struct rxo_dmabuf *dmabuf)
{
	dma_resv_assert_held(dmabuf->buf->resv);
	if (dma_buf_is_dynamic(dmabuf->buf))
		dma_buf_unpin(dmabuf->attach);
}

static void dmabuf_unmap_locked(struct rxo_dmabuf *dmabuf)
{
	dma_resv_assert_held(dmabuf->buf->resv);
	dma_buf_vunmap(dmabuf->buf, &dmabuf->map);
	dmabuf_unpin_locked(dmabuf);
}

static void dmabuf_revoke(struct dma_buf_attachment *attach)
{
	struct rxo_dmabuf *dmabuf = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (!dmabuf->kaddr)
		return;
	WRITE_ONCE(dmabuf->kaddr, NULL);
	/* Expedited: the exporter holds its lock while each region of the buffer comes here. */
	synchronize_rcu_expedited();
	dmabuf_unmap_locked(dmabuf);
}

static const struct dma_buf_attach_ops dmabuf_attach_ops = {
	.allow_peer2peer	= false,
	.invalidate_mappings	= dmabuf_revoke,
};

static int dmabuf_attach(struct rxo_dmabuf *dmabuf, struct rxo_dev *dev)
{
	struct device *device = &dev->ibdev.dev;
	struct dma_buf *buf = dmabuf->buf;

	/* Older kernels map a dynamic attachment at once where the exporter is not dynamic. */
	if (dma_buf_is_dynamic(buf))
		dmabuf->attach = dma_buf_dynamic_attach(buf, device, &dmabuf_attach_ops, dmabuf);
	else
		dmabuf->attach = dma_buf_attach(buf, device);
	return PTR_ERR_OR_ZERO(dmabuf->attach);
}

/* Memory of a device has no atomics, and does not take each kind of copy. */
static bool dmabuf_is_memory(const struct iosys_map *map)
{
	return !map->is_iomem && IS_ALIGNED((uintptr_t)map->vaddr, sizeof(u64));
}

static int dmabuf_map_locked(struct rxo_dmabuf *dmabuf)
{
	int err;

	dma_resv_assert_held(dmabuf->buf->resv);
	err = dmabuf_pin_locked(dmabuf);
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
	dmabuf_unpin_locked(dmabuf);
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
	/* A region can always be read, for messages that are sent from it. */
	if (!(buf->file->f_mode & FMODE_READ))
		return -EACCES;
	/* Asked here, since dma_buf_vmap() would answer -EINVAL. */
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
	dma_buf_detach(buf, dmabuf->attach);
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
	dma_buf_detach(dmabuf->buf, dmabuf->attach);
	/* Last: this reference keeps the exporter's module loaded. */
	dma_buf_put(dmabuf->buf);
	kfree(dmabuf);
}

bool rxo_dmabuf_is_writable(const struct rxo_dmabuf *dmabuf)
{
	return dmabuf->buf->file->f_mode & FMODE_WRITE;
}

bool rxo_dmabuf_is_taken_back(const struct rxo_dmabuf *dmabuf)
{
	return !READ_ONCE(dmabuf->kaddr);
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
