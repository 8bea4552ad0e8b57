// SPDX-License-Identifier: GPL-2.0
/*
 * Performance management: the port counters of sysfs ("ports/1/counters").
 *
 * ib_core reads them as a subnet manager would, by a management datagram that
 * it makes itself. Datagrams from the wire come with a completion and are left
 * to the registered agents: remote hosts do not need our counters, and their
 * datagrams are not parsed.
 */
#include <rdma/ib_mad.h>
#include <rdma/ib_pma.h>

#include "device/dev.h"
#include "device/stats.h"

/* A counter of so many bits stops at its largest value (IBTA 16.1.3.5). */
static u64 pma_stat_bits(const struct rxo_dev *dev, enum rxo_stat stat, unsigned int bits)
{
	return min(rxo_stat_read(dev, stat), GENMASK_ULL(bits - 1, 0));
}

/* The unit of the data counters is four octets. */
static u64 pma_stat_words(const struct rxo_dev *dev, enum rxo_stat stat)
{
	return rxo_stat_read(dev, stat) / 4;
}

static void pma_fill_class_port_info(void *data)
{
	struct ib_class_port_info *info = data;

	BUILD_BUG_ON(sizeof(*info) > sizeof_field(struct ib_pma_mad, data));
	info->base_version = 1;
	info->class_version = 1;
	info->capability_mask = IB_PMA_CLASS_CAP_EXT_WIDTH;
}

static void pma_fill_counters(const struct rxo_dev *dev, void *data)
{
	struct ib_pma_portcounters *pma = data;

	BUILD_BUG_ON(sizeof(*pma) > sizeof_field(struct ib_pma_mad, data));
	pma->port_select = 1;
	pma->link_downed_counter = pma_stat_bits(dev, RXO_STAT_LINK_DOWNED, 8);
	pma->port_rcv_errors = cpu_to_be16(pma_stat_bits(dev, RXO_STAT_ICRC_ERR, 16));
	pma->port_xmit_discards = cpu_to_be16(pma_stat_bits(dev, RXO_STAT_SEND_ERR, 16));
	pma->port_xmit_data = cpu_to_be32(min(pma_stat_words(dev, RXO_STAT_SENT_BYTES), U32_MAX));
	pma->port_rcv_data = cpu_to_be32(min(pma_stat_words(dev, RXO_STAT_RCVD_BYTES), U32_MAX));
	pma->port_xmit_packets = cpu_to_be32(pma_stat_bits(dev, RXO_STAT_SENT_PKTS, 32));
	pma->port_rcv_packets = cpu_to_be32(pma_stat_bits(dev, RXO_STAT_RCVD_PKTS, 32));
}

/* Counters are read while they grow: no difference may become negative. */
static void pma_fill_counters_ext(const struct rxo_dev *dev, void *data)
{
	u64 sent_mcast = rxo_stat_read(dev, RXO_STAT_SENT_MCAST_PKTS);
	u64 rcvd_mcast = rxo_stat_read(dev, RXO_STAT_RCVD_MCAST_PKTS);
	u64 sent = rxo_stat_read(dev, RXO_STAT_SENT_PKTS);
	u64 rcvd = rxo_stat_read(dev, RXO_STAT_RCVD_PKTS);
	struct ib_pma_portcounters_ext *pma = data;

	BUILD_BUG_ON(sizeof(*pma) > sizeof_field(struct ib_pma_mad, data));
	pma->port_select = 1;
	pma->port_xmit_data = cpu_to_be64(pma_stat_words(dev, RXO_STAT_SENT_BYTES));
	pma->port_rcv_data = cpu_to_be64(pma_stat_words(dev, RXO_STAT_RCVD_BYTES));
	pma->port_xmit_packets = cpu_to_be64(sent);
	pma->port_rcv_packets = cpu_to_be64(rcvd);
	pma->port_unicast_xmit_packets = cpu_to_be64(sent - min(sent, sent_mcast));
	pma->port_unicast_rcv_packets = cpu_to_be64(rcvd - min(rcvd, rcvd_mcast));
	pma->port_multicast_xmit_packets = cpu_to_be64(sent_mcast);
	pma->port_multicast_rcv_packets = cpu_to_be64(rcvd_mcast);
}

int rxo_process_mad(struct ib_device *ibdev, int flags, u32 port, const struct ib_wc *in_wc,
		    const struct ib_grh *in_grh, const struct ib_mad *in, struct ib_mad *out,
		    size_t *out_bytes, u16 *out_pkey_index)
{
	struct ib_pma_mad *answer = (struct ib_pma_mad *)out;
	struct rxo_dev *dev = to_rxo_dev(ibdev);

	BUILD_BUG_ON(sizeof(*answer) != sizeof(*out));
	if (in_wc || port != 1 || in->mad_hdr.mgmt_class != IB_MGMT_CLASS_PERF_MGMT ||
	    in->mad_hdr.method != IB_MGMT_METHOD_GET)
		return IB_MAD_RESULT_SUCCESS;

	memset(answer, 0, sizeof(*answer));
	answer->mad_hdr = in->mad_hdr;
	answer->mad_hdr.method = IB_MGMT_METHOD_GET_RESP;
	switch (in->mad_hdr.attr_id) {
	case IB_PMA_CLASS_PORT_INFO:
		pma_fill_class_port_info(answer->data);
		break;
	case IB_PMA_PORT_COUNTERS:
		pma_fill_counters(dev, answer->data);
		break;
	case IB_PMA_PORT_COUNTERS_EXT:
		pma_fill_counters_ext(dev, answer->data);
		break;
	default:
		answer->mad_hdr.status = cpu_to_be16(IB_MGMT_MAD_STATUS_UNSUPPORTED_METHOD_ATTRIB);
		break;
	}
	return IB_MAD_RESULT_SUCCESS | IB_MAD_RESULT_REPLY;
}
