// SPDX-License-Identifier: GPL-2.0
#include <linux/timer.h>

struct holder {
	struct timer_list timer;
};

struct holder *probe(struct timer_list *t);
struct holder *probe(struct timer_list *t)
{
	struct holder *holder = timer_container_of(holder, t, timer);

	return holder;
}
