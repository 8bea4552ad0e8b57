// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The rdma controller of cgroups: a group has as many contexts and objects of the device as its limits say, what it gives back it
 * may have again, and others have theirs.
 */
#include "cgroup.h"
#include "rig.h"

#define OBJECTS 6

static int cleanup(void **state)
{
	(void)state;
	group_end();
	return 0;
}

static bool is_charged(const char *what)
{
	char text[200] = "";
	FILE *f = fopen(CGROUP "/rdma.current", "r");

	if (!f)
		return false;
	while (fgets(text, sizeof(text), f) && strncmp(text, rig_device_name(), 8))
		;
	fclose(f);
	return strstr(text, what);
}

/* In the group: which step went wrong. */
static int in_the_group(void)
{
	struct ibv_context *ctx = rig_context(rig_device_name());
	struct ibv_pd *pds[OBJECTS + 1];
	struct ibv_cq *cq;
	unsigned int i;

	if (!ctx)
		return 1;
	errno = 0;
	if (rig_context(rig_device_name()) || errno != EAGAIN)
		return 2;
	for (i = 0; i <= OBJECTS; i++) {
		errno = 0;
		pds[i] = ibv_alloc_pd(ctx);
		if (!pds[i])
			break;
	}
	if (i != OBJECTS || errno != EAGAIN)
		return 3;
	if (!is_charged("hca_handle=1") || !is_charged("hca_object=6"))
		return 4;
	errno = 0;
	if (ibv_create_cq(ctx, 1, NULL, NULL, 0) || errno != EAGAIN)
		return 5;
	if (ibv_dealloc_pd(pds[0]))
		return 6;
	cq = ibv_create_cq(ctx, 1, NULL, NULL, 0);
	if (!cq)
		return 7;
	/* The rest goes with the process. */
	return 0;
}

static void limits_are_kept(void **state)
{
	char limits[100];
	struct rig rig;

	(void)state;
	group_begin();
	if (!group_control("rdma"))
		skip_because("no rdma controller");
	snprintf(limits, sizeof(limits), "%s hca_handle=1 hca_object=%d", rig_device_name(),
		 OBJECTS);
	assert_zero(write_text(CGROUP "/rdma.max", limits));
	group_run(in_the_group, "max");
	rig_open(&rig);
	rig_close(&rig);
}

/* clang-format off */
TEST_MAIN({ "limits_are_kept", limits_are_kept, NULL, cleanup, NULL })
/* clang-format on */
