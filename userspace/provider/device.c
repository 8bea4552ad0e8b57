// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which devices are ours. Stock rxe's have the same driver id and ABI version, and belong to librxe; what tells them apart is
 * the attribute "user_abi" in sysfs. Where it cannot be read - /sys shows the devices of the network namespace that it was
 * mounted in, which need not be the caller's, and older modules have no such attribute - the kernel is asked by netlink for the
 * device's firmware string, which is "rxe_odp".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "device.h"
#include "fw.h"
#include "provider.h"

static const struct verbs_match_ent device_table[] = {
	VERBS_DRIVER_ID(RDMA_DRIVER_RXE),
	{},
};

/* A name and a number: the name says that it is ours, the number which provider it takes. */
static bool device_abi_fits(const char *abi, const char *name)
{
	if (!strcmp(abi, RXE_ODP_USER_ABI))
		return true;
	fprintf(stderr,
		"librxe_odp: %s has the user ABI \"%s\", this library \"%s\"; install the one that belongs to the module. librxe serves the device meanwhile.\n",
		name, abi, RXE_ODP_USER_ABI);
	return false;
}

static bool device_match(struct verbs_sysfs_dev *sysfs)
{
	char text[64];

	if (sysfs->driver_id != RDMA_DRIVER_UNKNOWN && sysfs->driver_id != RDMA_DRIVER_RXE)
		return false;
	if (ibv_read_ibdev_sysfs_file(text, sizeof(text), sysfs, "user_abi") > 0)
		return !strncmp(text, "rxe_odp ", 8) && device_abi_fits(text, sysfs->ibdev_name);
	if (ibv_read_ibdev_sysfs_file(text, sizeof(text), sysfs, "fw_ver") > 0)
		return !strcmp(text, RXO_FW_STRING);
	return sysfs->ibdev_idx >= 0 && rxo_fw_is_ours(sysfs->ibdev_idx);
}

static struct verbs_device *device_alloc(struct verbs_sysfs_dev *sysfs)
{
	struct rxo_device *dev = calloc(1, sizeof(*dev));

	return dev ? &dev->vdev : NULL;
}

static void device_uninit(struct verbs_device *vdev)
{
	free(container_of(vdev, struct rxo_device, vdev));
}

static const struct verbs_device_ops device_ops = {
	.name = "rxe_odp",
	.match_min_abi_version = RXO_RXE_ABI,
	.match_max_abi_version = RXO_RXE_ABI,
	.match_table = device_table,
	.match_device = device_match,
	.alloc_device = device_alloc,
	.uninit_device = device_uninit,
	.alloc_context = rxo_alloc_context,
	.import_context = rxo_import_context,
};

bool rxo_device_is_ours(const struct ibv_device *ibdev)
{
	return verbs_get_device(ibdev)->ops == &device_ops;
}

PROVIDER_DRIVER(rxe_odp, device_ops);
