// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to the kernel log, when it is loaded, how fast each CRC-32 of this kernel is and which of
 * them rxe_odp takes, for benchmarks that compare it with stock rxe, which calls crc32_le(). It
 * does not load if one of them differs from the tables of rxe_odp.
 */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "device/crc_choice.c"
#include "wire/crc.c"

#define DATA_BYTES	4096
#define SHORT_BYTES	600	/* up to here every length is compared */
#define RATE_NS		(50 * NSEC_PER_MSEC)

static bool __init crc_is_same(rxo_crc_fn *fn, const u8 *data)
{
	size_t from, bytes;

	for (from = 0; from < 32; from++)
		for (bytes = 0; from + bytes <= DATA_BYTES; bytes += bytes < SHORT_BYTES ? 1 : 97)
			if (fn(bytes, data + from, bytes) !=
			    rxo_crc32_sliced(bytes, data + from, bytes))
				return false;
	return true;
}

/* Of 10^6 bytes a second, over packets of the greatest path MTU. */
static u64 __init crc_long_rate(rxo_crc_fn *fn, const u8 *data)
{
	u64 start = ktime_get_ns(), bytes = 0, ns;
	u32 sum = 0, i;

	do {
		for (i = 0; i < 64; i++)
			sum = fn(sum, data, DATA_BYTES);
		OPTIMIZER_HIDE_VAR(sum);
		bytes += 64 * DATA_BYTES;
		ns = ktime_get_ns() - start;
	} while (ns < RATE_NS);
	return div64_u64(bytes * 1000, ns);
}

static int __init crc_look_at_all(const u8 *data)
{
	const char *chosen = NULL;
	struct crc_candidate *c;

	for (c = crc_candidates; c < crc_candidates + CRC_KINDS; c++) {
		if (!c->fn)
			continue;
		if (!crc_is_same(c->fn, data)) {
			pr_err("%s and the tables of rxe_odp differ\n", c->name);
			return -EINVAL;
		}
		if (c->fn == crc_fn)
			chosen = c->name;
		pr_info("%s: as the tables, %llu MB/s\n", c->name, crc_long_rate(c->fn, data));
	}
	if (!chosen)
		return -EINVAL;
	pr_info("crc32_le %llu MB/s, rxe_odp %llu MB/s by %s\n",
		crc_long_rate(crc_of_kernel, data), crc_long_rate(rxo_crc32, data), chosen);
	return 0;
}

static int __init crc_init(void)
{
	u8 *data = kmalloc(DATA_BYTES, GFP_KERNEL);
	int err;

	if (!data)
		return -ENOMEM;
	get_random_bytes(data, DATA_BYTES);
	rxo_crc_choose();
	if (!crc_tfm)
		crc_open_crypto(&crc_candidates[CRC_CRYPTO]);
	err = crc_look_at_all(data);
	if (err)
		rxo_crc_release();
	kfree(data);
	return err;
}

static void __exit crc_exit(void)
{
	rxo_crc_release();
}

module_init(crc_init);
module_exit(crc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The speed of rxe_odp's CRC beside the kernel's");
