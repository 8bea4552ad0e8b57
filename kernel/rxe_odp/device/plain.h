/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Plain registrations: those that do not ask to be on demand. What a device makes of them is said
 * by its attribute "register", and until then by the module's parameter of that name.
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
