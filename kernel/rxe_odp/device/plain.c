// SPDX-License-Identifier: GPL-2.0
/* What plain registrations become: the words, and the module's parameter. */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "device/plain.h"

static bool plain_default;

const char *rxo_plain_word(bool on_demand)
{
	return on_demand ? "on-demand" : "pinned";
}

int rxo_plain_parse(const char *word, bool *on_demand)
{
	if (sysfs_streq(word, rxo_plain_word(true)))
		WRITE_ONCE(*on_demand, true);
	else if (sysfs_streq(word, rxo_plain_word(false)))
		WRITE_ONCE(*on_demand, false);
	else
		return -EINVAL;
	return 0;
}

bool rxo_plain_default(void)
{
	return READ_ONCE(plain_default);
}

static int plain_set(const char *word, const struct kernel_param *param)
{
	return rxo_plain_parse(word, param->arg);
}

static int plain_get(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%s\n", rxo_plain_word(rxo_plain_default()));
}

static const struct kernel_param_ops plain_param_ops = {
	.set = plain_set,
	.get = plain_get,
};

module_param_cb(register, &plain_param_ops, &plain_default, 0644);
MODULE_PARM_DESC(register,
		 "What registrations of user memory are that do not ask to be on demand, on links that are added from then on: pinned (default) or on-demand");
