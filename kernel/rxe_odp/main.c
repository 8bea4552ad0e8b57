// SPDX-License-Identifier: GPL-2.0
/*
 * The module: its link type, and the tables that it gives lower floors.
 *
 * Floors, from the top: verbs.c; transport/; net/, queue/ and memory/; device/ and wire/. A file
 * includes only from its own folder and from floors below it.
 */
#include <linux/module.h>
#include <rdma/rdma_netlink.h>

#include "device/dev.h"
#include "memory/mem.h"
#include "net/gid.h"
#include "net/net.h"
#include "net/ns.h"
#include "net/run.h"
#include "transport/qp.h"
#include "verbs.h"

#ifdef CONFIG_PREEMPT_RT
#error "rxe_odp needs a kernel without PREEMPT_RT: it spins until copies in softirqs have ended"
#endif

static const struct rxo_dev_upper dev_upper = {
	.verbs		= &rxo_dev_ops,
	.uapi		= rxo_dev_uapi,
	.attach		= rxo_net_attach,
	.detach		= rxo_net_detach,
	.enabled	= rxo_gid_rescan,
	.sum_odp_stats	= rxo_mem_sum_stats,
};

static struct rdma_link_ops link_ops = {
	.type = "rxe_odp",
	.newlink = rxo_dev_newlink,
};

static int __init rxo_init(void)
{
	int err;

	rxo_crc_choose();
	rxo_run_probe();
	rxo_net_init();
	err = rxo_ns_init(&rxo_transport);
	if (err)
		goto err_crc;
	err = rxo_dev_init(&dev_upper);
	if (err)
		goto err_ns;
	err = rxo_gid_notify_begin();
	if (err)
		goto err_dev;
	rdma_link_register(&link_ops);
	return 0;

err_dev:
	rxo_dev_exit();
err_ns:
	rxo_ns_exit();
err_crc:
	rxo_crc_release();
	return err;
}

static void __exit rxo_exit(void)
{
	/* No link is added from here on, and none is being added. */
	rdma_link_unregister(&link_ops);
	rxo_gid_notify_end();
	rxo_dev_exit();
	rxo_ns_exit();
	/* RCU callbacks of ours end before our code goes. */
	rcu_barrier();
	rxo_crc_release();
}

module_init(rxo_init);
module_exit(rxo_exit);

MODULE_DESCRIPTION("Soft RoCEv2 NIC with on-demand paging");
MODULE_AUTHOR("rdma-odp");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RDMA_LINK("rxe_odp");
