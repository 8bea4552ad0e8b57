// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "dv.h"

#include <dlfcn.h>

void *dv_symbol(const char *name)
{
	static void *lib;
	void *symbol;

	if (!lib)
		lib = dlopen("./provider/librxe_odp.so.1", RTLD_NOW);
	if (!lib)
		fail_because("%s", dlerror());
	symbol = dlvsym(lib, name, "RXE_ODP_DV_1.0");
	if (!symbol)
		fail_because("%s", dlerror());
	return symbol;
}
