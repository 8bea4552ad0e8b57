/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A bad wire between the two namespaces. What it loses and corrupts is the test's packets only: neighbours are pinned
 * meanwhile, because an ARP packet has no checksum, and one flipped bit in it sends everything to nobody.
 */
#ifndef TESTS_GUEST_NETEM_H
#define TESTS_GUEST_NETEM_H

#include <stdbool.h>

/* Options of tc-netem(8), for both directions, in place of those before. False: this kernel has none. */
bool netem_begin(const char *options);
/* Likewise any qdisc with its options, as tc-qdisc(8) has it. */
bool wire_shape(const char *qdisc);
/* Of either. Does nothing if it has not begun; also behind a test that failed. */
void netem_end(void);

#endif
