// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile caller: verbs with random sizes, flags, attributes, handles and addresses, mappings at random offsets, and commands
 * that are no commands; of XRC domains by files, SRQs, both kinds of queue pairs, and targets by their numbers. Each is refused or
 * works; what works can be destroyed; and what is opened afterwards works.
 *
 * rdma-odp: timeout 60
 */
#include "fuzz_uverbs/command.h"
#include "fuzz_uverbs/shape.h"
#include "fuzz_uverbs/verb.h"
#include "pair.h"

static const struct call {
	const char *name;
	bool (*fn)(struct zoo *z);
	unsigned int weight;
} calls[] = {
	{ "reg_mr", verb_reg_mr, 2 },
	{ "advise", verb_advise, 6 },
	{ "create_cq", verb_create_cq, 1 },
	{ "resize_cq", verb_resize_cq, 1 },
	{ "create_srq", verb_create_srq, 1 },
	{ "modify_srq", verb_modify_srq, 2 },
	{ "create_qp", verb_create_qp, 1 },
	{ "create_ah", verb_create_ah, 1 },
	{ "alloc_mw", verb_alloc_mw, 1 },
	{ "modify_qp", verb_modify_qp, 6 },
	{ "post", verb_post, 3 },
	{ "map", verb_map, 1 },
	{ "command", command_write, 1 },
	{ "ioctl", command_ioctl, 8 },
};

static unsigned long worked[ARRAY_SIZE(calls)];

static unsigned int some_call(struct rnd *r)
{
	unsigned int i, total = 0, left;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		total += calls[i].weight;
	left = rnd_below(r, total);
	for (i = 0; left >= calls[i].weight; i++)
		left -= calls[i].weight;
	return i;
}

/* What has never worked yet, or NULL. */
static const char *never_worked(const struct zoo *z)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (!worked[i])
			return calls[i].name;
	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		if (!z->ioctls[i])
			return shapes[i].name;
	return NULL;
}

static void print_worked(const struct zoo *z, unsigned long tried)
{
	unsigned int i;

	printf("%lu calls; worked:", tried);
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		printf(" %s %lu", calls[i].name, worked[i]);
	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		printf(" %s %lu", shapes[i].name, z->ioctls[i]);
	printf("\n");
}

static void random_calls(void **state)
{
	double end = seconds() + env_number("FUZZ_S", 5);
	struct zoo z = { .rnd = { rnd_seed() } };
	struct conn conn = CONN;
	unsigned long tried = 0;
	struct pair pair;

	(void)state;
	zoo_open(&z);
	/* A slow kernel is given what it takes until each kind of call was more than refused. */
	do {
		unsigned int which = some_call(&z.rnd);

		worked[which] += calls[which].fn(&z);
		tried++;
	} while (seconds() < end || never_worked(&z));
	print_worked(&z, tried);
	if (never_worked(&z))
		fail_because("%s has never worked", never_worked(&z));
	zoo_close(&z);
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(random_calls))
