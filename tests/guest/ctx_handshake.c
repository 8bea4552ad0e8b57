// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a provider and the kernel tell one another when a context is opened: of any length, and nothing is as well. What the kernel
 * does not know it ignores as a capability and refuses as a wish.
 */
#include "method.h"

#include <sys/mman.h>
#include <unistd.h>

#define LONGEST 300
#define CANARY	0xee

/* A new context: 0 or an errno. */
static int get_context(const void *req, uint16_t req_bytes, void *resp, uint16_t resp_bytes)
{
	int fd = raw_open(rig_device_name(), req, req_bytes, resp, resp_bytes);

	if (fd < 0)
		return -fd;
	close(fd);
	return 0;
}

static void told_by_a_file(void **state)
{
	char path[200], text[40] = "";
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/user_abi", rig_device_name());
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, RXE_ODP_USER_ABI "\n");
}

static uint64_t kernel_caps(void)
{
	struct rxe_odp_alloc_ucontext_req req = { 0 };
	struct rxe_odp_alloc_ucontext_resp resp = { 0 };

	assert_int_equal(get_context(&req, sizeof(req), &resp, sizeof(resp)), 0);
	return resp.caps;
}

static void capabilities(void **state)
{
	struct rxe_odp_alloc_ucontext_req all = { .caps = ~0ULL };
	uint64_t known = RXE_ODP_CAP_MR_STATS | RXE_ODP_CAP_QP_ACCESS_ERROR |
			 RXE_ODP_CAP_MR_RESIDENCY | RXE_ODP_CAP_ADVISE_MR | RXE_ODP_CAP_REGISTER |
			 RXE_ODP_CAP_PREFETCH;

	(void)state;
	assert_int_equal(kernel_caps() & known, known);
	/* What it does not know it does not mind. */
	assert_int_equal(get_context(&all, sizeof(all), NULL, 0), 0);
	/* As stock librxe opens it. */
	assert_int_equal(get_context(NULL, 0, NULL, 0), 0);
}

static void any_request_length(void **state)
{
	uint8_t req[LONGEST];
	size_t bytes, at;

	(void)state;
	for (bytes = 0; bytes <= LONGEST; bytes++) {
		memset(req, 0, sizeof(req));
		memset(req, 0xff, bytes < 8 ? bytes : 8);
		assert_int_equal(get_context(req, bytes, NULL, 0), 0);
		if (bytes <= sizeof(struct rxe_odp_alloc_ucontext_req))
			continue;
		at = sizeof(struct rxe_odp_alloc_ucontext_req) +
		     bytes % (bytes - sizeof(struct rxe_odp_alloc_ucontext_req));
		req[at] = 1;
		assert_int_equal(get_context(req, bytes, NULL, 0), EOPNOTSUPP);
	}
}

static void any_response_length(void **state)
{
	uint64_t caps = kernel_caps();
	uint8_t resp[LONGEST];
	size_t bytes, at;

	(void)state;
	for (bytes = 0; bytes < LONGEST; bytes++) {
		size_t known = bytes < sizeof(caps) ? bytes : sizeof(caps);

		memset(resp, CANARY, sizeof(resp));
		assert_int_equal(get_context(NULL, 0, resp, bytes), 0);
		assert_memory_equal(resp, &caps, known);
		for (at = bytes; at < LONGEST; at++)
			assert_int_equal(resp[at], CANARY);
	}
}

static void unknown_wishes(void **state)
{
	struct rxe_odp_alloc_ucontext_req req = { .flags = 1U << 31 };

	(void)state;
	assert_int_equal(get_context(&req, sizeof(req), NULL, 0), EOPNOTSUPP);
	req.flags = RXE_ODP_UCTX_REGISTER_ON_DEMAND | RXE_ODP_UCTX_REGISTER_PINNED;
	assert_int_equal(get_context(&req, sizeof(req), NULL, 0), EINVAL);
	req = (struct rxe_odp_alloc_ucontext_req){ .poll_idle_us = RXE_ODP_POLL_MAX_US + 1 };
	assert_int_equal(get_context(&req, sizeof(req), NULL, 0), EINVAL);
	/* Half of a field. */
	req = (struct rxe_odp_alloc_ucontext_req){ .flags = 1U << 15 };
	assert_int_equal(get_context(&req, offsetof(struct rxe_odp_alloc_ucontext_req, flags) + 2,
				     NULL, 0),
			 EOPNOTSUPP);
}

static void bad_pointers(void **state)
{
	uint8_t *hole =
		mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(hole, MAP_FAILED);
	munmap(hole + 4096, 4096);
	assert_int_equal(get_context(hole + 4096, 16, NULL, 0), EFAULT);
	assert_int_equal(get_context(hole + 4096 - 8, 16, NULL, 0), EFAULT);
	assert_int_equal(get_context(hole + 4096 - 16, 24, NULL, 0), EOPNOTSUPP);
	assert_int_equal(get_context(NULL, 0, hole + 4096, 8), EFAULT);
	assert_int_equal(get_context(NULL, 0, hole + 4096 - 4, 8), EFAULT);
	munmap(hole, 4096);
}

TEST_MAIN(TEST(told_by_a_file), TEST(capabilities), TEST(any_request_length),
	  TEST(any_response_length), TEST(unknown_wishes), TEST(bad_pointers))
