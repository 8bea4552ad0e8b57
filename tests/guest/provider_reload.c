// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The provider's own library is loaded again and closed again while libibverbs keeps it, as a plug-in does that is linked with it,
 * and devices are opened and closed all the while: they work each time, and nothing is mapped or open in the end that was not after
 * the first time.
 */
#include "pair.h"

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

#define ROUNDS 10

static unsigned int lines(const char *path)
{
	unsigned int n = 0;
	FILE *f = fopen(path, "r");
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static unsigned int files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void use(void)
{
	struct conn conn = CONN;
	struct pair pair;

	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

static void again_and_again(void **state)
{
	unsigned int maps = 0, open = 0, i;
	char path[512];
	void *lib;

	(void)state;
	snprintf(path, sizeof(path), "%s-rdmav34.so", getenv("IBV_DRIVERS"));
	for (i = 0; i < ROUNDS; i++) {
		lib = dlopen(path, RTLD_NOW);
		if (!lib)
			fail_because("dlopen: %s", dlerror());
		use();
		assert_zero(dlclose(lib));
		use();
		if (i == 1) {
			maps = lines("/proc/self/maps");
			open = files();
		}
	}
	assert_in_range(lines("/proc/self/maps"), 1, maps + 2);
	assert_int_equal(files(), open);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(again_and_again) };

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
