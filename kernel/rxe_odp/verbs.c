// SPDX-License-Identifier: GPL-2.0
/*
 * What the device says of itself, and its table of verbs.
 *
 * driver_id and ABI version are rxe's, so that the librxe of any rdma-core
 * drives it: uverbs refuses an ioctl that carries another driver_id than the
 * device's, and librxe always sends its own.
 */
#include <linux/etherdevice.h>
#include <linux/string_choices.h>
#include <net/addrconf.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_verbs.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>

#include "device/dev.h"
#include "device/plain.h"
#include "device/stats.h"
#include "memory/mr.h"
#include "memory/mw.h"
#include "memory/prefetch.h"
#include "net/ah.h"
#include "queue/cq.h"
#include "queue/ctx.h"
#include "queue/srq.h"
#include "transport/qp.h"
#include "verbs.h"

#define RC_ODP_CAPS (IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV | IB_ODP_SUPPORT_WRITE | \
		     IB_ODP_SUPPORT_READ | IB_ODP_SUPPORT_ATOMIC | IB_ODP_SUPPORT_SRQ_RECV | \
		     IB_ODP_SUPPORT_FLUSH | IB_ODP_SUPPORT_ATOMIC_WRITE)
#define XRC_ODP_CAPS (IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_READ | \
		      IB_ODP_SUPPORT_ATOMIC | IB_ODP_SUPPORT_SRQ_RECV)
#define UC_ODP_CAPS (IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV | IB_ODP_SUPPORT_WRITE | \
		     IB_ODP_SUPPORT_SRQ_RECV)
#define UD_ODP_CAPS (IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV | IB_ODP_SUPPORT_SRQ_RECV)

static int rxo_query_device(struct ib_device *ibdev, struct ib_device_attr *attr,
			    struct ib_udata *udata)
{
	__be64 node_guid = READ_ONCE(ibdev->node_guid);
	const u8 *guid = (const u8 *)&node_guid;

	if (udata && (udata->inlen || udata->outlen))
		return -EINVAL;
	*attr = (struct ib_device_attr) {
		.sys_image_guid		= node_guid,
		.max_mr_size		= U64_MAX,
		.page_size_cap		= ~(u64)(PAGE_SIZE - 1),
		.max_qp			= 1 << 20,
		.max_qp_wr		= RXO_MAX_QP_WR,
		.device_cap_flags	= IB_DEVICE_PORT_ACTIVE_EVENT | IB_DEVICE_SYS_IMAGE_GUID |
					  IB_DEVICE_RC_RNR_NAK_GEN | IB_DEVICE_SRQ_RESIZE |
					  IB_DEVICE_MEM_MGT_EXTENSIONS |
					  IB_DEVICE_MEM_WINDOW | IB_DEVICE_MEM_WINDOW_TYPE_2B |
					  IB_DEVICE_FLUSH_GLOBAL | IB_DEVICE_FLUSH_PERSISTENT |
					  IB_DEVICE_ATOMIC_WRITE | IB_DEVICE_XRC,
		.kernel_cap_flags	= IBK_ALLOW_USER_UNREG | IBK_ON_DEMAND_PAGING,
		.max_send_sge		= RXO_MAX_SGE,
		.max_recv_sge		= RXO_MAX_SGE,
		.max_sge_rd		= RXO_MAX_SGE,
		.max_cq			= 1 << 20,
		.max_cqe		= RXO_MAX_CQE,
		.max_mr			= (1 << 24) - 1,
		.max_mw			= (1 << 24) - 1,
		.max_fast_reg_page_list_len = RXO_MAX_FAST_BLOCKS,
		.max_pd			= 1 << 20,
		.max_qp_rd_atom		= RXO_MAX_RD_ATOMIC,
		.max_res_rd_atom	= RXO_MAX_RD_ATOMIC * (1 << 20),
		.max_qp_init_rd_atom	= RXO_MAX_RD_ATOMIC,
		.atomic_cap		= IB_ATOMIC_GLOB,
		.max_ah			= 1 << 20,
		.max_srq		= 1 << 20,
		.max_srq_wr		= RXO_MAX_SRQ_WR,
		.max_srq_sge		= RXO_MAX_SGE,
		/* All contexts together; one alone has RXO_MAX_CTX_MCAST_GROUPS. */
		.max_mcast_grp		= RXO_MAX_MCAST_GROUPS,
		.max_mcast_qp_attach	= RXO_MAX_MCAST_QPS,
		.max_total_mcast_qp_attach = RXO_MAX_MCAST_MEMBERS,
		.max_pkeys		= 1,
		.local_ca_ack_delay	= RXO_CA_ACK_DELAY,
		.odp_caps = {
			.general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT,
			.per_transport_caps.rc_odp_caps = RC_ODP_CAPS,
			.per_transport_caps.uc_odp_caps = UC_ODP_CAPS,
			.per_transport_caps.ud_odp_caps = UD_ODP_CAPS,
			.per_transport_caps.xrc_odp_caps = XRC_ODP_CAPS,
		},
	};
	/* A MAC address is a vendor's, and so is the device. An EUI-64 inverts one bit of it. */
	attr->vendor_id = (guid[0] ^ 2) << 16 | guid[1] << 8 | guid[2];
	return 0;
}

static void rxo_get_dev_fw_str(struct ib_device *ibdev, char *str)
{
	strscpy(str, "rxe_odp", IB_FW_VERSION_NAME_MAX);
}

static int rxo_query_port(struct ib_device *ibdev, u32 port, struct ib_port_attr *attr)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);
	int err;

	err = ib_get_eth_speed(ibdev, port, &attr->active_speed, &attr->active_width);
	if (err)
		return err;
	attr->state = rxo_dev_port_state(dev);
	if (attr->state == IB_PORT_ACTIVE)
		attr->phys_state = IB_PORT_PHYS_STATE_LINK_UP;
	else if (netif_running(dev->netdev))
		attr->phys_state = IB_PORT_PHYS_STATE_POLLING;
	else
		attr->phys_state = IB_PORT_PHYS_STATE_DISABLED;
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = READ_ONCE(dev->mtu_cap);
	attr->gid_tbl_len = RXO_NUM_GIDS;
	attr->pkey_tbl_len = 1;
	attr->port_cap_flags = IB_PORT_CM_SUP;
	attr->max_msg_sz = RXO_MAX_MSG_BYTES;
	attr->max_vl_num = 1;
	return 0;
}

static int rxo_get_port_immutable(struct ib_device *ibdev, u32 port, struct ib_port_immutable *im)
{
	im->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
	im->gid_tbl_len = RXO_NUM_GIDS;
	im->pkey_tbl_len = 1;
	im->max_mad_size = IB_MGMT_MAD_SIZE;
	return 0;
}

static enum rdma_link_layer rxo_get_link_layer(struct ib_device *ibdev, u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

static int rxo_query_pkey(struct ib_device *ibdev, u32 port, u16 index, u16 *pkey)
{
	if (index)
		return -EINVAL;
	*pkey = IB_DEFAULT_PKEY_FULL;
	return 0;
}

static int rxo_open_ucontext(struct ib_ucontext *ibuc, struct ib_udata *udata)
{
	int err = rxo_alloc_ucontext(ibuc, udata);

	if (err)
		return err;
	err = rxo_poll_begin(to_rxo_ucontext(ibuc));
	if (err)
		rxo_dealloc_ucontext(ibuc);
	return err;
}

static void rxo_close_ucontext(struct ib_ucontext *ibuc)
{
	rxo_poll_end(to_rxo_ucontext(ibuc));
	rxo_dealloc_ucontext(ibuc);
}

/* Nothing to do: a PD is compared by address, and ib_core has zeroed its count of prefetches. */
static int rxo_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	return 0;
}

static int rxo_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	rxo_prefetch_drain(to_rxo_pd(ibpd));
	return 0;
}

/* For processes only: no kernel user has XRC, and post.c does not post it. */
static int rxo_alloc_xrcd(struct ib_xrcd *ibxrcd, struct ib_udata *udata)
{
	return udata ? 0 : -EOPNOTSUPP;
}

static int rxo_dealloc_xrcd(struct ib_xrcd *ibxrcd, struct ib_udata *udata)
{
	return 0;
}

/* The netdev's name: scripts of other projects find it by this file, which stock rxe has. */
static ssize_t parent_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return sysfs_emit(buf, "%s\n", dev->netdev->name);
}
static DEVICE_ATTR_RO(parent);

static int rxo_store_switch(bool *on, const char *buf)
{
	bool wanted;
	int err = kstrtobool(buf, &wanted);

	if (!err)
		WRITE_ONCE(*on, wanted);
	return err;
}

/* Whether connections use ECN and limit their rate on a CNP: transport/ecn.c. */
static ssize_t ecn_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(dev->ecn));
}

static ssize_t ecn_store(struct device *device, struct device_attribute *attr, const char *buf,
			 size_t bytes)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return rxo_store_switch(&dev->ecn, buf) ?: bytes;
}
static DEVICE_ATTR_RW(ecn);

/* Whether requests to peers on this host may be executed without packets: transport/local.c. */
static ssize_t local_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return sysfs_emit(buf, "%s\n", str_on_off(READ_ONCE(dev->local)));
}

static ssize_t local_store(struct device *device, struct device_attribute *attr, const char *buf,
			   size_t bytes)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return rxo_store_switch(&dev->local, buf) ?: bytes;
}
static DEVICE_ATTR_RW(local);

/* Whether registrations without IB_ACCESS_ON_DEMAND are pinned; a context may override it. */
static ssize_t register_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return sysfs_emit(buf, "%s\n", rxo_plain_word(READ_ONCE(dev->register_on_demand)));
}

static ssize_t register_store(struct device *device, struct device_attribute *attr, const char *buf,
			      size_t bytes)
{
	struct rxo_dev *dev = rdma_device_to_drv_device(device, struct rxo_dev, ibdev);

	return rxo_plain_parse(buf, &dev->register_on_demand) ?: bytes;
}
static DEVICE_ATTR_RW(register);

/* By this file a provider tells our devices from stock rxe's. */
static ssize_t user_abi_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, RXE_ODP_USER_ABI "\n");
}
static DEVICE_ATTR_RO(user_abi);

static struct attribute *rxo_attrs[] = {
	&dev_attr_user_abi.attr,
	&dev_attr_register.attr,
	&dev_attr_parent.attr,
	&dev_attr_ecn.attr,
	&dev_attr_local.attr,
	NULL
};

static const struct attribute_group rxo_attr_group = {
	.attrs = rxo_attrs,
};

/* Driver-specific uverbs methods; each is defined on the floor of the object that it is about. */
const struct uapi_definition rxo_dev_uapi[] = {
	UAPI_DEF_CHAIN(rxo_mr_uapi),
	UAPI_DEF_CHAIN(rxo_prefetch_uapi),
	UAPI_DEF_CHAIN(rxo_qp_uapi),
	{},
};

COMPAT_DEFINE_REG_USER_MR(rxo_reg_user_mr)
COMPAT_DEFINE_REG_USER_MR_DMABUF(rxo_reg_user_mr_dmabuf)
COMPAT_DEFINE_RESIZE_USER_CQ(rxo_resize_user_cq)
COMPAT_DEFINE_COUNTER_BIND_QP(rxo_counter_bind_qp)
COMPAT_DEFINE_COUNTER_UNBIND_QP(rxo_counter_unbind_qp)
COMPAT_DEFINE_COUNTER_INIT(rxo_counter_init)

const struct ib_device_ops rxo_dev_ops = {
	.owner			= THIS_MODULE,
	.driver_id		= RDMA_DRIVER_RXE,
	.uverbs_abi_ver		= 2,
	.device_group		= &rxo_attr_group,

	.enable_driver		= rxo_dev_enable,
	.dealloc_driver		= rxo_dev_dealloc,
	.get_dev_fw_str		= rxo_get_dev_fw_str,
	.get_link_layer		= rxo_get_link_layer,
	.get_netdev		= rxo_dev_get_netdev,
	.get_port_immutable	= rxo_get_port_immutable,
	.query_device		= rxo_query_device,
	.query_pkey		= rxo_query_pkey,
	.query_port		= rxo_query_port,

	.alloc_hw_port_stats	= rxo_alloc_hw_port_stats,
	.get_hw_stats		= rxo_get_hw_stats,
	.process_mad		= rxo_process_mad,
	.counter_alloc_stats	= rxo_counter_alloc_stats,
	.counter_bind_qp	= compat_counter_bind_qp(rxo_counter_bind_qp),
	.counter_unbind_qp	= compat_counter_unbind_qp(rxo_counter_unbind_qp),
	.counter_update_stats	= rxo_counter_update_stats,
	.counter_dealloc	= rxo_counter_dealloc,
	compat_counter_init(rxo_counter_init)
	.fill_res_cq_entry	= rxo_fill_res_cq_entry,
	.fill_res_mr_entry	= rxo_fill_res_mr_entry,
	.fill_res_mr_entry_raw	= rxo_fill_res_mr_entry_raw,
	.fill_res_qp_entry	= rxo_fill_res_qp_entry,
	.fill_res_srq_entry	= rxo_fill_res_srq_entry,
	.fill_stat_mr_entry	= rxo_fill_stat_mr_entry,

	.alloc_ucontext		= rxo_open_ucontext,
	.dealloc_ucontext	= rxo_close_ucontext,
	.disassociate_ucontext	= rxo_disassociate_ucontext,
	.mmap			= rxo_mmap,
	.query_ucontext		= rxo_query_ucontext,

	.alloc_pd		= rxo_alloc_pd,
	.dealloc_pd		= rxo_dealloc_pd,

	.alloc_xrcd		= rxo_alloc_xrcd,
	.dealloc_xrcd		= rxo_dealloc_xrcd,

	.create_ah		= rxo_create_ah,
	.create_user_ah		= rxo_create_ah,
	.modify_ah		= rxo_modify_ah,
	.query_ah		= rxo_query_ah,
	.destroy_ah		= rxo_destroy_ah,

	.create_cq		= rxo_create_cq,
	.resize_user_cq		= compat_resize_user_cq(rxo_resize_user_cq),
	.destroy_cq		= rxo_destroy_cq,
	.poll_cq		= rxo_poll_cq,
	.req_notify_cq		= rxo_req_notify_cq,

	.create_srq		= rxo_create_srq,
	.modify_srq		= rxo_modify_srq,
	.query_srq		= rxo_query_srq,
	.destroy_srq		= rxo_destroy_srq,
	.post_srq_recv		= rxo_post_srq_recv,

	.create_qp		= rxo_create_qp,
	.modify_qp		= rxo_modify_qp,
	.query_qp		= rxo_query_qp,
	.destroy_qp		= rxo_destroy_qp,
	.post_send		= rxo_post_send,
	.post_recv		= rxo_post_recv,
	.attach_mcast		= rxo_attach_mcast,
	.detach_mcast		= rxo_detach_mcast,

	.get_dma_mr		= rxo_get_dma_mr,
	.alloc_mr		= rxo_alloc_mr,
	.map_mr_sg		= rxo_map_mr_sg,
	.reg_user_mr		= compat_reg_user_mr(rxo_reg_user_mr),
	.reg_user_mr_dmabuf	= compat_reg_user_mr_dmabuf(rxo_reg_user_mr_dmabuf),
	.rereg_user_mr		= rxo_rereg_user_mr,
	.advise_mr		= rxo_advise_mr,
	.dereg_mr		= rxo_dereg_mr,

	.alloc_mw		= rxo_alloc_mw,
	.dealloc_mw		= rxo_dealloc_mw,

	INIT_RDMA_OBJ_SIZE(ib_ah, rxo_ibah, ibah),
	INIT_RDMA_OBJ_SIZE(ib_cq, rxo_cq, ibcq),
	INIT_RDMA_OBJ_SIZE(ib_mw, rxo_ibmw, ibmw),
	INIT_RDMA_OBJ_SIZE(ib_pd, rxo_pd, ibpd),
	INIT_RDMA_OBJ_SIZE(ib_qp, rxo_qp, ibqp),
	INIT_RDMA_OBJ_SIZE(ib_srq, rxo_srq, ibsrq),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, rxo_ucontext, ibuc),
	INIT_RDMA_OBJ_SIZE(ib_xrcd, rxo_xrcd, ibxrcd),
};
