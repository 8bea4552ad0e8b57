/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What a person wants of this library in this process, for a device: RXE_ODP_REGISTER in the environment before /etc/rxe_odp.conf,
 * and there what is said of the program before what is said of the device. Nothing of libibverbs in here.
 */
#ifndef RXO_POLICY_H
#define RXO_POLICY_H

#include <stdbool.h>
#include <stdio.h>

#define RXO_POLICY_FILE "/etc/rxe_odp.conf"

/* What a registration becomes that does not ask to be on demand. */
enum rxo_register {
	RXO_REGISTER_UNSET, /* as the device has it */
	RXO_REGISTER_PINNED,
	RXO_REGISTER_ON_DEMAND,
	RXO_REGISTER_IMPLICIT, /* in what people say; never a result */
};

/* UNSET for what is none of the words. */
enum rxo_register rxo_policy_parse(const char *word);

/* The policy for a device of that name; what is wrong with what was said goes to stderr, once in a process. */
enum rxo_register rxo_policy_of(const char *device);

/* A file's, for tests. False: @why has a sentence of what is wrong, which begins with @path and the line's number. */
bool rxo_policy_read(FILE *file, const char *path, const char *device, const char *program,
		     enum rxo_register *policy, char why[256]);

#endif /* RXO_POLICY_H */
