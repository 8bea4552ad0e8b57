/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Ioctls as they should be. */
#ifndef FUZZ_UVERBS_SHAPE_H
#define FUZZ_UVERBS_SHAPE_H

#include "zoo.h"

/* What an attribute of an ioctl holds. */
enum attr_kind {
	ATTR_NEW,    /* the handle of an object that is made */
	ATTR_HANDLE, /* value is the kind of object */
	ATTR_NUMBER,
	ATTR_CONST, /* value */
	ATTR_IN,    /* of the ioctl's own bytes */
	ATTR_OUT,
	ATTR_DRIVER_OUT,
	ATTR_DMA_BUF, /* its descriptor */
};

struct attr_shape {
	uint16_t id;
	uint8_t kind, len;
	uint32_t value;
};

#define MAX_ATTRS  14
#define XRC_TARGET "XRC_TARGET"

struct ioctl_shape {
	const char *name;
	uint16_t object, method;
	uint16_t makes; /* by a command in an ioctl: the answer begins with the handle */
	struct attr_shape attrs[MAX_ATTRS];
	uint8_t nr;
};

extern const struct ioctl_shape shapes[SHAPES];

#endif
