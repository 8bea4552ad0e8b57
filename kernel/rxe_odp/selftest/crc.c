// SPDX-License-Identifier: GPL-2.0
/*
 * What the CRC of this kernel and that of rxe_odp are worth, for benchmarks that compare it with
 * stock rxe, which calls crc32_le(): a line of the kernel log when it is loaded. It does not load
 * where crc32_le() and the tables of rxe_odp differ.
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

static bool crc_is_same(const u8 *data)
{
	size_t from, bytes;

	for (from = 0; from < 32; from++)
		for (bytes = 0; from + bytes <= DATA_BYTES; bytes += bytes < SHORT_BYTES ? 1 : 97)
			if (crc_of_kernel(bytes, data + from, bytes) !=
			    rxo_crc32_sliced(bytes, data + from, bytes))
				return false;
	return true;
}

/* Of 10^6 bytes a second, over packets of the greatest path MTU. */
static u64 crc_rate(u32 (*crc)(u32 crc, const void *data, size_t bytes), const u8 *data)
{
	u64 start = ktime_get_ns(), bytes = 0, ns;
	u32 sum = 0, i;

	do {
		for (i = 0; i < 64; i++)
			sum = crc(sum, data, DATA_BYTES);
		OPTIMIZER_HIDE_VAR(sum);
		bytes += 64 * DATA_BYTES;
		ns = ktime_get_ns() - start;
	} while (ns < RATE_NS);
	return div64_u64(bytes * 1000, ns);
}

static int __init crc_init(void)
{
	u8 *data = kmalloc(DATA_BYTES, GFP_KERNEL);
	int err = 0;

	if (!data)
		return -ENOMEM;
	get_random_bytes(data, DATA_BYTES);
	rxo_crc_choose();
	if (crc_is_same(data)) {
		pr_info("crc32_le %llu MB/s, rxe_odp %llu MB/s by %s\n",
			crc_rate(crc_of_kernel, data), crc_rate(rxo_crc32, data),
			crc_fn == crc_of_kernel ? "crc32_le" : "tables");
	} else {
		pr_err("crc32_le() and the tables of rxe_odp differ\n");
		err = -EINVAL;
	}
	kfree(data);
	return err;
}

static void __exit crc_exit(void)
{
}

module_init(crc_init);
module_exit(crc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The speed of rxe_odp's CRC beside the kernel's");
