// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The capability bits say what works, and nothing else: ODP for every RC and UC operation, SRQ receive, UD send and receive; and
 * the device says how long its answers may take for it.
 */
#include "rig.h"

/* libibverbs of this rdma-core has no names for them. */
#define ODP_SUPPORT_FLUSH	 (1 << 6)
#define ODP_SUPPORT_ATOMIC_WRITE (1 << 7)

static void bits(void **state)
{
	uint32_t rc = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE |
		      IBV_ODP_SUPPORT_READ | IBV_ODP_SUPPORT_ATOMIC | IBV_ODP_SUPPORT_SRQ_RECV |
		      ODP_SUPPORT_FLUSH | ODP_SUPPORT_ATOMIC_WRITE;
	uint32_t uc = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE |
		      IBV_ODP_SUPPORT_SRQ_RECV;
	uint32_t ud = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_SRQ_RECV;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	assert_int_equal(rig.attr.odp_caps.per_transport_caps.rc_odp_caps, rc);
	assert_int_equal(rig.attr.odp_caps.per_transport_caps.ud_odp_caps, ud);
	assert_int_equal(rig.attr.odp_caps.per_transport_caps.uc_odp_caps, uc);
	assert_true(rig.attr.odp_caps.general_caps & IBV_ODP_SUPPORT);
	rig_close(&rig);
}

/* Whether implicit registration is claimed or not, the claim is true. */
static void implicit_is_as_claimed(void **state)
{
	struct ibv_mr *mr;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	mr = ibv_reg_mr(rig.pd, NULL, SIZE_MAX, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND);
	if (rig.attr.odp_caps.general_caps & IBV_ODP_SUPPORT_IMPLICIT)
		assert_non_null(mr);
	else
		assert_null(mr);
	if (mr)
		assert_zero(ibv_dereg_mr(mr));
	rig_close(&rig);
}

/*
 * A responder that waits for a page answers after a quarter of an ACK timeout of code 14 (67 ms), and a tick or two of its
 * timer. What it says of itself is the next code that covers that.
 */
static void the_longest_delay_is_told(void **state)
{
	const double hold_us = 4.096 * (1 << 14) / 4, tick_us = 10000;
	double told_us;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	told_us = 4.096 * (1 << rig.attr.orig_attr.local_ca_ack_delay);
	assert_true(told_us > hold_us);
	assert_true(told_us < 2 * (hold_us + 2 * tick_us));
	rig_close(&rig);
}

TEST_MAIN(TEST(bits), TEST(implicit_is_as_claimed), TEST(the_longest_delay_is_told))
