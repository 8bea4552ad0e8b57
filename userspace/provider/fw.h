/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXO_FW_H
#define RXO_FW_H

#include <stdbool.h>

/* The firmware string of a device of ours. */
#define RXO_FW_STRING "rxe_odp"

/* Asks by netlink, in the calling thread's network namespace; false if there is no answer. */
bool rxo_fw_is_ours(int ibdev_idx);

#endif /* RXO_FW_H */
