// SPDX-License-Identifier: GPL-2.0
/*
 * Exporters of dma-bufs, for tests: memory that stays while it is attached, memory that moves
 * unless it is pinned and may be taken back, memory without an address for the CPU, and with one
 * that is a device's. The protocol is in include/rxe_odp/selftest.h.
 */
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <rxe_odp/selftest.h>

MODULE_IMPORT_NS("DMA_BUF");

#define EXPORTER_PAGES_MAX	1024
#define EXPORTER_FREED		0x5a
#define EXPORTER_WATCH_MS	10

/* The buffer's reservation lock protects all but the atomics and @flags. */
struct exporter {
	u32 flags;
	void *memory;			/* NULL: taken back */
	u32 attachments, pins, vmaps;
	atomic_t cpu_accesses, begun;
};

static int exporter_attach(struct dma_buf *buf, struct dma_buf_attachment *attach)
{
	struct exporter *exporter = buf->priv;

	/* The importer would have to be told where the memory of the device is. */
	if (attach->peer2peer)
		return -EOPNOTSUPP;
	dma_resv_lock(buf->resv, NULL);
	exporter->attachments++;
	dma_resv_unlock(buf->resv);
	return 0;
}

static void exporter_detach(struct dma_buf *buf, struct dma_buf_attachment *attach)
{
	struct exporter *exporter = buf->priv;

	dma_resv_lock(buf->resv, NULL);
	exporter->attachments--;
	dma_resv_unlock(buf->resv);
}

static int exporter_pin(struct dma_buf_attachment *attach)
{
	struct exporter *exporter = attach->dmabuf->priv;

	if (!exporter->memory)
		return -ENODEV;
	exporter->pins++;
	return 0;
}

static void exporter_unpin(struct dma_buf_attachment *attach)
{
	struct exporter *exporter = attach->dmabuf->priv;

	WARN_ON(!exporter->pins--);
}

static struct sg_table *exporter_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void exporter_unmap(struct dma_buf_attachment *attach, struct sg_table *table,
			   enum dma_data_direction dir)
{
}

static int exporter_begin_cpu_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct exporter *exporter = buf->priv;

	might_sleep();
	atomic_inc(&exporter->begun);
	atomic_inc(&exporter->cpu_accesses);
	return 0;
}

static int exporter_end_cpu_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct exporter *exporter = buf->priv;

	might_sleep();
	atomic_dec(&exporter->cpu_accesses);
	return 0;
}

static int exporter_vmap(struct dma_buf *buf, struct iosys_map *map)
{
	struct exporter *exporter = buf->priv;

	/* Memory that may move has no lasting address. */
	WARN_ON(!exporter->attachments);
	WARN_ON(exporter->flags & RXE_ODP_EXPORT_MOVES && !exporter->pins);
	if (!exporter->memory)
		return -ENODEV;
	if (exporter->flags & RXE_ODP_EXPORT_IOMEM)
		iosys_map_set_vaddr_iomem(map, (void __iomem *)exporter->memory);
	else
		iosys_map_set_vaddr(map, exporter->memory);
	exporter->vmaps++;
	return 0;
}

static void exporter_vunmap(struct dma_buf *buf, struct iosys_map *map)
{
	struct exporter *exporter = buf->priv;

	WARN_ON(!exporter->vmaps--);
}

static int exporter_mmap(struct dma_buf *buf, struct vm_area_struct *vma)
{
	struct exporter *exporter = buf->priv;
	int err = -ENODEV;

	dma_resv_lock(buf->resv, NULL);
	if (exporter->memory)
		err = remap_vmalloc_range(vma, exporter->memory, vma->vm_pgoff);
	dma_resv_unlock(buf->resv);
	return err;
}

static void exporter_release(struct dma_buf *buf)
{
	struct exporter *exporter = buf->priv;

	WARN_ON(exporter->attachments || exporter->pins || exporter->vmaps);
	WARN_ON(atomic_read(&exporter->cpu_accesses));
	vfree(exporter->memory);
	kfree(exporter);
}

#define EXPORTER_OPS					\
	.attach		  = exporter_attach,		\
	.detach		  = exporter_detach,		\
	.map_dma_buf	  = exporter_map,		\
	.unmap_dma_buf	  = exporter_unmap,		\
	.begin_cpu_access = exporter_begin_cpu_access,	\
	.end_cpu_access	  = exporter_end_cpu_access,	\
	.mmap		  = exporter_mmap,		\
	.release	  = exporter_release

#define EXPORTER_VMAP					\
	.vmap		  = exporter_vmap,		\
	.vunmap		  = exporter_vunmap

static const struct dma_buf_ops ops_no_vmap = { EXPORTER_OPS };
static const struct dma_buf_ops ops_stays = { EXPORTER_OPS, EXPORTER_VMAP };
static const struct dma_buf_ops ops_moves = {
	EXPORTER_OPS,
	EXPORTER_VMAP,
	.pin		  = exporter_pin,
	.unpin		  = exporter_unpin,
};

static const struct dma_buf_ops *exporter_ops(u32 flags)
{
	if (flags & RXE_ODP_EXPORT_NO_VMAP)
		return &ops_no_vmap;
	return flags & RXE_ODP_EXPORT_MOVES ? &ops_moves : &ops_stays;
}

static int exporter_open_flags(u32 flags)
{
	if (flags & RXE_ODP_EXPORT_WRITE)
		return O_WRONLY;
	return flags & RXE_ODP_EXPORT_READ ? O_RDONLY : O_RDWR;
}

static struct dma_buf *exporter_export(const struct rxe_odp_export *arg)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct exporter *exporter = kzalloc_obj(*exporter, GFP_KERNEL);
	struct dma_buf *buf;

	if (!exporter)
		return ERR_PTR(-ENOMEM);
	exporter->flags = arg->flags;
	exporter->memory = vmalloc_user(arg->pages * PAGE_SIZE);
	if (!exporter->memory) {
		kfree(exporter);
		return ERR_PTR(-ENOMEM);
	}
	info.ops = exporter_ops(arg->flags);
	info.size = arg->pages * PAGE_SIZE;
	info.flags = exporter_open_flags(arg->flags);
	info.priv = exporter;
	buf = dma_buf_export(&info);
	if (IS_ERR(buf)) {
		vfree(exporter->memory);
		kfree(exporter);
	}
	return buf;
}

static long exporter_new(void __user *uarg)
{
	struct rxe_odp_export arg;
	struct dma_buf *buf;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (!arg.pages || arg.pages > EXPORTER_PAGES_MAX)
		return -EINVAL;
	buf = exporter_export(&arg);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	arg.fd = dma_buf_fd(buf, O_CLOEXEC);
	if (arg.fd < 0) {
		dma_buf_put(buf);
		return arg.fd;
	}
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static struct dma_buf *exporter_get(int fd)
{
	struct dma_buf *buf = dma_buf_get(fd);

	if (!IS_ERR(buf) && buf->ops->release != exporter_release) {
		dma_buf_put(buf);
		return ERR_PTR(-EINVAL);
	}
	return buf;
}

static long exporter_uses(void __user *uarg)
{
	struct rxe_odp_export_uses arg;
	struct exporter *exporter;
	struct dma_buf *buf;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	buf = exporter_get(arg.fd);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	exporter = buf->priv;
	dma_resv_lock(buf->resv, NULL);
	arg.attachments = exporter->attachments;
	arg.pins = exporter->pins;
	arg.vmaps = exporter->vmaps;
	dma_resv_unlock(buf->resv);
	arg.cpu_accesses = atomic_read(&exporter->cpu_accesses);
	arg.begun = atomic_read(&exporter->begun);
	dma_buf_put(buf);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* Whether nobody writes to what was taken back. It is freed then: who reads it may crash. */
static int exporter_free_memory(void *memory, size_t bytes)
{
	int err = 0;

	if (!memory)
		return -EBUSY;
	memset(memory, EXPORTER_FREED, bytes);
	msleep(EXPORTER_WATCH_MS);
	if (memchr_inv(memory, EXPORTER_FREED, bytes))
		err = -EIO;
	vfree(memory);
	return err;
}

static long exporter_revoke(int fd)
{
	struct dma_buf *buf = exporter_get(fd);
	struct exporter *exporter;
	void *memory = NULL;
	size_t bytes;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	bytes = buf->size;
	exporter = buf->priv;
	dma_resv_lock(buf->resv, NULL);
	dma_buf_invalidate_mappings(buf);
	if (!exporter->vmaps)
		swap(memory, exporter->memory);
	dma_resv_unlock(buf->resv);
	dma_buf_put(buf);
	return exporter_free_memory(memory, bytes);
}

static long exporter_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case RXE_ODP_EXPORT:
		return exporter_new((void __user *)arg);
	case RXE_ODP_EXPORT_USES:
		return exporter_uses((void __user *)arg);
	case RXE_ODP_EXPORT_REVOKE:
		return exporter_revoke(arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations exporter_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = exporter_ioctl,
};

static struct miscdevice exporter_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "rxe_odp_exporter",
	.fops = &exporter_fops,
};

module_misc_device(exporter_device);

MODULE_DESCRIPTION("Exporters of dma-bufs, for tests of rxe_odp");
MODULE_LICENSE("GPL");
