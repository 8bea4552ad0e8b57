// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "kuser.h"

#include <rxe_odp/selftest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "module.h"
#include "rig.h"

void kuser_run(const char *test)
{
	struct rxe_odp_kuser_run run = { 0 };
	int fd = module_open("rxe_odp_kuser", "rxe_odp_kuser");

	snprintf(run.device, sizeof(run.device), "%s", rig_device_name());
	snprintf(run.test, sizeof(run.test), "%s", test);
	if (ioctl(fd, RXE_ODP_KUSER_RUN, &run))
		fail_because("%s: %s (%s)", test, run.why, strerror(errno));
	close(fd);
}
