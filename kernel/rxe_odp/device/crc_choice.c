// SPDX-License-Identifier: GPL-2.0
/*
 * Which CRC-32 this machine is to use. Each byte of a packet goes through it twice, so that it
 * is most of a packet's time. What has instructions for it (carry-less multiplication) is as fast
 * as memory and differs from kernel to kernel: crc32_le(), or a driver of the crypto API where
 * crc32_le() is a table. So all that a kernel has is timed, for a few milliseconds at most.
 */
#include <crypto/hash.h>
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/timekeeping.h>

#include "device/dev.h"
#include "wire/crc.h"

/* A path MTU over an Ethernet of 1500. */
#define SAMPLE_BYTES	1024
/* Packets in a round. The shortest round counts: nothing interrupted it. */
#define ROUND_PACKETS	8
#define ROUNDS		8
/* Another CRC has to be faster by this part. Newer kernels' crypto API calls crc32_le(). */
#define WORTH_PART	8

enum crc_kind { CRC_LE, CRC_CRYPTO, CRC_TABLES, CRC_KINDS };

struct crc_candidate {
	const char *name;
	rxo_crc_fn *fn;		/* NULL: not there, or wrong */
	u32 mb_per_s;
};

/* NULL if the crypto API has none, or was not chosen. */
static struct crypto_shash *crc_tfm __ro_after_init;
static u8 crc_sample[SAMPLE_BYTES] __initdata;

/* crc32_le() of older kernels takes a pointer to bytes. */
static u32 crc_of_kernel(u32 crc, const void *data, size_t bytes)
{
	return crc32_le(crc, data, bytes);
}

static struct crc_candidate crc_candidates[CRC_KINDS] __initdata = {
	[CRC_LE]	= { .name = "crc32_le", .fn = crc_of_kernel },
	[CRC_CRYPTO]	= { .name = "none of crypto" },
	[CRC_TABLES]	= { .name = "tables", .fn = rxo_crc32_sliced },
};

#if IS_REACHABLE(CONFIG_CRYPTO_HASH)
/*
 * The state of a CRC under way is the CRC: it lies on the stack, where any CPU may have its own,
 * and begins with the caller's instead of a key's. crc_is_right() has seen that it does.
 */
static u32 crc_of_crypto(u32 crc, const void *data, size_t bytes)
{
	SHASH_DESC_ON_STACK(desc, crc_tfm);
	u32 *state = shash_desc_ctx(desc);

	desc->tfm = crc_tfm;
	*state = crc;
	crypto_shash_update(desc, data, bytes);
	return *state;
}

static void __init crc_open_crypto(struct crc_candidate *candidate)
{
	struct crypto_shash *tfm = crypto_alloc_shash("crc32", 0, 0);

	if (IS_ERR(tfm))
		return;
	crc_tfm = tfm;
	candidate->name = crypto_shash_driver_name(tfm);
	if (crypto_shash_descsize(tfm) == sizeof(u32))
		candidate->fn = crc_of_crypto;
}

void rxo_crc_release(void)
{
	crypto_free_shash(crc_tfm);
}

#else
static void __init crc_open_crypto(struct crc_candidate *candidate)
{
}

void rxo_crc_release(void)
{
}
#endif

/* Checks a known value of nine bytes, then every length with a seed against the tables. */
static bool __init crc_is_right(rxo_crc_fn *fn)
{
	size_t bytes;

	if (fn(~0U, "123456789", 9) != ~0xcbf43926)
		return false;
	for (bytes = 0; bytes <= SAMPLE_BYTES; bytes++)
		if (fn(bytes, crc_sample, bytes) != rxo_crc32_sliced(bytes, crc_sample, bytes))
			return false;
	return true;
}

/* 10^6 bytes a second. */
static u32 __init crc_rate(rxo_crc_fn *fn)
{
	u64 best_ns = U64_MAX, start;
	u32 crc = 0, round, packet;

	for (round = 0; round < ROUNDS; round++) {
		start = ktime_get_ns();
		for (packet = 0; packet < ROUND_PACKETS; packet++)
			crc = fn(crc, crc_sample, SAMPLE_BYTES);
		OPTIMIZER_HIDE_VAR(crc);
		best_ns = min(best_ns, ktime_get_ns() - start);
	}
	return div64_u64(ROUND_PACKETS * SAMPLE_BYTES * 1000ULL, max(best_ns, 1ULL));
}

void __init rxo_crc_choose(void)
{
	/* crc32_le(), unless another one is faster by WORTH_PART. */
	struct crc_candidate *c, *best = &crc_candidates[CRC_LE];
	int i;

	rxo_crc_init();
	for (i = 0; i < SAMPLE_BYTES; i++)
		crc_sample[i] = i * i >> 3;
	crc_open_crypto(&crc_candidates[CRC_CRYPTO]);
	for (c = crc_candidates; c < crc_candidates + CRC_KINDS; c++) {
		if (c->fn && crc_is_right(c->fn))
			c->mb_per_s = crc_rate(c->fn);
		if (c->mb_per_s > best->mb_per_s + best->mb_per_s / WORTH_PART)
			best = c;
	}
	rxo_crc_use(best->fn);
	c = crc_candidates;
	pr_info("CRC-32 by %s (MB/s: %s %u, %s %u, %s %u)\n", best->name, c[CRC_LE].name,
		c[CRC_LE].mb_per_s, c[CRC_CRYPTO].name, c[CRC_CRYPTO].mb_per_s,
		c[CRC_TABLES].name, c[CRC_TABLES].mb_per_s);
	if (best != &c[CRC_CRYPTO]) {
		rxo_crc_release();
		crc_tfm = NULL;
	}
}
