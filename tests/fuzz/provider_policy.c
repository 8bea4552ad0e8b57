// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The administrator's file under libFuzzer: whatever bytes it has, it ends in a policy, or in one sentence that fits, names a line,
 * and leaves the policy as it was.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum rxo_register policy = RXO_REGISTER_UNSET;
	char why[256] = "";
	FILE *file;

	if (!size)
		return 0;
	file = fmemopen((void *)data, size, "r");
	CHECK(file);
	if (rxo_policy_read(file, "FILE", "rxe_odp0", "fio", &policy, why)) {
		CHECK(!*why && policy <= RXO_REGISTER_IMPLICIT);
	} else {
		CHECK(policy == RXO_REGISTER_UNSET);
		CHECK(!strncmp(why, "FILE:", 5) && why[strlen(why) - 1] == 'n');
	}
	fclose(file);
	return 0;
}
