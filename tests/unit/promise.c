// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The promise of transport/promise.c and the post that relies on it, as a model: every interleaving of a requester that runs dry
 * and a process that posts, on processors that hold back what they have stored (a load may overtake an earlier store to
 * another place; a full barrier lets all stores out first). No post may end neither seen nor rung. Without either barrier,
 * without the second look, or if what was posted after the requester ran dry is taken for something held up, one does.
 */
#include "unit.h"

#include <stdbool.h>
#include <string.h>

enum place { PRODUCER, PROMISE, PLACES };
enum side_of { REQUESTER, PROCESS, SIDES };

#define MAX_STORES 3
#define POSTS	   2

/* What is left out, or wrong. */
struct rules {
	bool no_kernel_barrier, no_process_barrier, no_second_look, dry_is_held_up;
};

struct cpu {
	int pc;
	int value; /* loaded last */
	bool dry;
	int nr_stores;
	struct store {
		enum place place;
		int value;
	} stores[MAX_STORES];
};

/* The whole world: small enough to be tried from everywhere. */
struct world {
	int mem[PLACES];
	struct cpu cpus[SIDES];
	int posted, taken;
	bool doorbell; /* rung, and not yet answered by a run */
};

static struct rules rules;
static unsigned long lost, worlds;

static int load(const struct world *w, enum side_of side, enum place place)
{
	const struct cpu *cpu = &w->cpus[side];
	int i;

	for (i = cpu->nr_stores; i--;)
		if (cpu->stores[i].place == place)
			return cpu->stores[i].value;
	return w->mem[place];
}

/* False: too much is held back already. */
static bool store(struct world *w, enum side_of side, enum place place, int value)
{
	struct cpu *cpu = &w->cpus[side];

	if (cpu->nr_stores == MAX_STORES)
		return false;
	cpu->stores[cpu->nr_stores++] = (struct store){ place, value };
	return true;
}

static void let_out(struct world *w, enum side_of side)
{
	struct cpu *cpu = &w->cpus[side];

	w->mem[cpu->stores[0].place] = cpu->stores[0].value;
	memmove(cpu->stores, cpu->stores + 1, --cpu->nr_stores * sizeof(*cpu->stores));
}

/* A barrier cannot be passed while stores are held back. */
static bool barrier_waits(const struct world *w, enum side_of side, bool left_out)
{
	return !left_out && w->cpus[side].nr_stores;
}

/* One step of the requester: rxo_req_run() with its rxo_promise_run() and rxo_promise_run_ends(). False: it cannot now. */
static bool requester_step(struct world *w)
{
	struct cpu *cpu = &w->cpus[REQUESTER];

	switch (cpu->pc) {
	case 0: /* waits for a doorbell */
		if (!w->doorbell)
			return false;
		w->doorbell = false;
		cpu->pc = 1;
		return true;
	case 1:
		cpu->pc = 2;
		return store(w, REQUESTER, PROMISE, 1);
	case 2: /* takes what is posted; else it ran dry */
		cpu->value = load(w, REQUESTER, PRODUCER);
		cpu->dry = cpu->value == w->taken;
		w->taken = cpu->value;
		cpu->pc = cpu->dry ? 3 : 2;
		return true;
	case 3:
		if (load(w, REQUESTER, PRODUCER) != w->taken)
			cpu->pc = rules.dry_is_held_up ? 0 : 2;
		else
			cpu->pc = 4;
		return true;
	case 4:
		cpu->pc = 5;
		return store(w, REQUESTER, PROMISE, 0);
	case 5:
		if (barrier_waits(w, REQUESTER, rules.no_kernel_barrier))
			return false;
		cpu->pc = rules.no_second_look ? 0 : 6;
		return true;
	default:
		cpu->pc = load(w, REQUESTER, PRODUCER) != w->taken ? 1 : 0;
		return true;
	}
}

static bool process_step(struct world *w)
{
	struct cpu *cpu = &w->cpus[PROCESS];

	switch (cpu->pc) {
	case 0:
		if (w->posted == POSTS)
			return false;
		cpu->pc = 1;
		return store(w, PROCESS, PRODUCER, ++w->posted);
	case 1:
		if (barrier_waits(w, PROCESS, rules.no_process_barrier))
			return false;
		cpu->pc = 2;
		return true;
	case 2:
		cpu->value = load(w, PROCESS, PROMISE);
		cpu->pc = cpu->value ? 0 : 3;
		return true;
	default: /* a system call is a barrier */
		if (cpu->nr_stores)
			return false;
		w->doorbell = true;
		cpu->pc = 0;
		return true;
	}
}

#define MAX_WORLDS 100000

static struct world seen[MAX_WORLDS];

static bool is_new(const struct world *w)
{
	unsigned long i;

	for (i = 0; i < worlds; i++)
		if (!memcmp(&seen[i], w, sizeof(*w)))
			return false;
	assert_true(worlds < MAX_WORLDS);
	seen[worlds++] = *w;
	return true;
}

static void go_on(const struct world *w)
{
	struct world next;
	enum side_of side;
	bool moved = false;

	if (!is_new(w))
		return;
	for (side = 0; side < SIDES; side++) {
		next = *w;
		if (next.cpus[side].nr_stores) {
			let_out(&next, side);
			moved = true;
			go_on(&next);
		}
		next = *w;
		if (side == REQUESTER ? requester_step(&next) : process_step(&next)) {
			moved = true;
			go_on(&next);
		}
	}
	if (!moved && w->taken != POSTS)
		lost++;
}

static unsigned long lost_with(struct rules r)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	memset(seen, 0, sizeof(seen));
	rules = r;
	lost = 0;
	worlds = 0;
	go_on(&w);
	assert_true(worlds > 50);
	return lost;
}

static void nothing_is_lost(void **state)
{
	(void)state;
	assert_int_equal(lost_with((struct rules){ 0 }), 0);
}

static void each_part_is_needed(void **state)
{
	(void)state;
	assert_true(lost_with((struct rules){ .no_kernel_barrier = true }));
	assert_true(lost_with((struct rules){ .no_process_barrier = true }));
	assert_true(lost_with((struct rules){ .no_second_look = true }));
	assert_true(lost_with((struct rules){ .dry_is_held_up = true }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(each_part_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
