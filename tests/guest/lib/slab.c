// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "slab.h"

#define SLAB_DIR "/sys/kernel/slab"

struct cache {
	char name[64];
	unsigned long active, total, size;
};

static bool parse(const char *line, const char *beginning, struct cache *c)
{
	return !strncmp(line, beginning, strlen(beginning)) &&
	       sscanf(line, "%63s %lu %lu %lu", c->name, &c->active, &c->total, &c->size) == 4;
}

static FILE *open_slabinfo(void)
{
	FILE *info = fopen("/proc/slabinfo", "r");

	assert_non_null(info);
	return info;
}

static void take_from_cpus(const char *beginning)
{
	FILE *info = open_slabinfo();
	struct cache c;
	char path[128], line[300];

	while (fgets(line, sizeof(line), info)) {
		if (!parse(line, beginning, &c))
			continue;
		snprintf(path, sizeof(path), SLAB_DIR "/%s/shrink", c.name);
		write_text(path, "1");
	}
	fclose(info);
}

int64_t slab_bytes(const char *beginning, bool print)
{
	FILE *info;
	char path[128], line[300];
	bool found = false;
	int64_t sum = 0;
	struct cache c;

	take_from_cpus(beginning);
	info = open_slabinfo();
	while (fgets(line, sizeof(line), info)) {
		if (!parse(line, beginning, &c))
			continue;
		found = true;
		snprintf(path, sizeof(path), SLAB_DIR "/%s/object_size", c.name);
		if (slow_kernel())
			c.size = read_number(path, c.size);
		if (print)
			printf("%s: %lu of %lu bytes\n", c.name, c.active, c.size);
		sum += c.active * c.size;
	}
	fclose(info);
	return found ? sum : -1;
}
