/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Plain registrations: those without IB_ACCESS_ON_DEMAND. Whether they are pinned or on demand is
 * an attribute of the device, "register", whose default is the module's parameter of that name.
 */
#ifndef RXO_PLAIN_H
#define RXO_PLAIN_H

#include <linux/types.h>

/* The word for it, in sysfs and on modprobe's command line. */
const char *rxo_plain_word(bool on_demand);
/* 0, or -EINVAL for what is no such word. */
int rxo_plain_parse(const char *word, bool *on_demand);
/* What a new device begins with. */
bool rxo_plain_default(void);

#endif /* RXO_PLAIN_H */
