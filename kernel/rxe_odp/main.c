// SPDX-License-Identifier: GPL-2.0
/* The module: its link type, and what all devices share. */
#include <linux/module.h>
#include <rdma/rdma_netlink.h>

#include "crc.h"
#include "dev.h"
#include "ns.h"

struct workqueue_struct *rxo_wq;

static struct rdma_link_ops link_ops = {
	.type = "rxe_odp",
	.newlink = rxo_dev_newlink,
};

static int __init rxo_init(void)
{
	int err;

	rxo_crc_init();
	/* Sends storage's dirty pages among others, so it must go on without free memory. */
	rxo_wq = alloc_workqueue("rxe_odp", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!rxo_wq)
		return -ENOMEM;
	err = rxo_ns_init();
	if (err)
		goto err_wq;
	err = rxo_dev_init();
	if (err)
		goto err_ns;
	rdma_link_register(&link_ops);
	return 0;

err_ns:
	rxo_ns_exit();
err_wq:
	destroy_workqueue(rxo_wq);
	return err;
}

static void __exit rxo_exit(void)
{
	/* No link is added from here on, and none is being added. */
	rdma_link_unregister(&link_ops);
	rxo_dev_exit();
	rxo_ns_exit();
	destroy_workqueue(rxo_wq);
	/* RCU callbacks of ours end before our code goes. */
	rcu_barrier();
}

module_init(rxo_init);
module_exit(rxo_exit);

MODULE_DESCRIPTION("Soft RoCEv2 NIC with on-demand paging");
MODULE_AUTHOR("rdma-odp");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RDMA_LINK("rxe_odp");
