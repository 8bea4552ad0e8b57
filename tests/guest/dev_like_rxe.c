// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Whoever comes from stock rxe finds as much here: every limit of its devices and ports, of what both can do, and every name of
 * its counters.
 */
#include "mixed.h"
#include "rig.h"

#include <dirent.h>

struct limit {
	const char *name;
	unsigned long stock, ours;
};

static void not_less(const struct limit *limits, size_t count)
{
	int less = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		printf("%-24s stock %lu, ours %lu\n", limits[i].name, limits[i].stock,
		       limits[i].ours);
		less += limits[i].ours < limits[i].stock;
	}
	if (less)
		fail_because("%d are less than stock rxe's", less);
}

/* clang-format off */
#define LIMIT(field) { #field, stock.field, ours.field }
/* clang-format on */

/*
 * Left out: windows, raw packets and domains, which we do not have; local_ca_ack_delay, which is better the
 * smaller it is; and max_pkeys, where stock rxe says 64 of a port that has one.
 */
static void device(void **state)
{
	struct ibv_device_attr stock, ours;
	struct rig a, b;

	(void)state;
	rig_open(&a);
	rig_open_peer(&b);
	stock = a.attr.orig_attr;
	ours = b.attr.orig_attr;

	const struct limit limits[] = {
		LIMIT(max_mr_size),
		LIMIT(max_qp),
		LIMIT(max_qp_wr),
		LIMIT(max_sge),
		LIMIT(max_sge_rd),
		LIMIT(max_cq),
		LIMIT(max_cqe),
		LIMIT(max_mr),
		LIMIT(max_pd),
		LIMIT(max_qp_rd_atom),
		LIMIT(max_res_rd_atom),
		LIMIT(max_qp_init_rd_atom),
		LIMIT(atomic_cap),
		LIMIT(max_ah),
		LIMIT(max_srq),
		LIMIT(max_srq_wr),
		LIMIT(max_srq_sge),
		LIMIT(max_mcast_grp),
		LIMIT(max_mcast_qp_attach),
		LIMIT(max_total_mcast_qp_attach),
		LIMIT(phys_port_cnt),
		{ "num_comp_vectors", a.ctx->num_comp_vectors, b.ctx->num_comp_vectors },
	};

	not_less(limits, ARRAY_SIZE(limits));
	assert_int_equal(stock.page_size_cap & ~ours.page_size_cap, 0);
	rig_close(&a);
	rig_close(&b);
}

static void port(void **state)
{
	struct ibv_port_attr stock, ours;
	struct rig a, b;

	(void)state;
	rig_open(&a);
	rig_open_peer(&b);
	assert_zero(ibv_query_port(a.ctx, 1, &stock));
	assert_zero(ibv_query_port(b.ctx, 1, &ours));

	const struct limit limits[] = {
		LIMIT(max_mtu),	     LIMIT(active_mtu),	  LIMIT(gid_tbl_len),
		LIMIT(max_msg_sz),   LIMIT(pkey_tbl_len), LIMIT(max_vl_num),
		LIMIT(active_width), LIMIT(active_speed), LIMIT(state),
	};

	not_less(limits, ARRAY_SIZE(limits));
	assert_int_equal(stock.port_cap_flags & ~ours.port_cap_flags, 0);
	rig_close(&a);
	rig_close(&b);
}

/* What a queue pair of one request with nothing inline may have at most. */
static uint32_t inline_of(struct rig *rig, uint32_t bytes)
{
	struct ibv_cq *cq = ibv_create_cq(rig->ctx, 1, NULL, NULL, 0);
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = cq,
		.cap = { 1, 1, 1, 1, bytes },
	};
	struct ibv_qp *qp;

	assert_non_null(cq);
	qp = ibv_create_qp(rig->pd, &init);
	if (qp)
		assert_zero(ibv_destroy_qp(qp));
	assert_zero(ibv_destroy_cq(cq));
	return qp ? bytes : 0;
}

static void inline_data(void **state)
{
	struct rig a, b;
	uint32_t bytes;

	(void)state;
	rig_open(&a);
	rig_open_peer(&b);
	for (bytes = 4096; bytes && !inline_of(&a, bytes); bytes -= 16)
		;
	assert_int_not_equal(bytes, 0);
	assert_int_equal(inline_of(&b, bytes), bytes);
	rig_close(&a);
	rig_close(&b);
}

static void counters(void **state)
{
	char path[200], *command;
	struct dirent *entry;
	int rc, missing = 0, names = 0;
	DIR *dir;

	(void)state;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters",
		 rig_device_name());
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		names++;
		/* The peer's directory, which its namespace alone shows. */
		assert_true(
			asprintf(
				&command,
				"ip netns exec peer test -e /sys/class/infiniband/%s/ports/1/hw_counters/%s",
				rig_peer_name(), entry->d_name) > 0);
		rc = system(command);
		free(command);
		if (rc)
			printf("missing: %s\n", entry->d_name);
		missing += !!rc;
	}
	closedir(dir);
	assert_true(names > 10);
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device),
		TEST(port),
		TEST(inline_data),
		TEST(counters),
	};

	return mixed_run(tests, ARRAY_SIZE(tests));
}
