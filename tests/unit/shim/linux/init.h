/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef UNIT_LINUX_INIT_H
#define UNIT_LINUX_INIT_H

#define __init

#endif
