// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "child.h"

#include "link.h"
#include "tally.h"

#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

static struct zoo zoo;

static void step(struct zoo *z)
{
	struct link *link = &z->links[rnd_below(&z->rnd, LINKS)];

	switch (rnd_below(&z->rnd, 12)) {
	case 0:
	case 1:
		pool_disturb(&z->sides[rnd_below(&z->rnd, 2)], &z->rnd);
		break;
	case 2:
		link_send_foreign(z, link);
		break;
	case 3:
		usleep(rnd_below(&z->rnd, 1000));
		break;
	default:
		link_step(z, link);
	}
	reap(z);
}

static void destroy_all(struct zoo *z)
{
	unsigned int i;

	for (i = 0; i < LINKS; i++)
		link_break(z, &z->links[i]);
	for (i = 0; i < 2; i++) {
		pool_clear(&z->sides[i]);
		rig_close(&z->sides[i].rig);
	}
}

int child(unsigned int nr, uint64_t seed, int tally_fd)
{
	struct zoo *z = &zoo;
	unsigned int steps, end;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tally_map(tally_fd);
	z->rnd.state = seed;
	z->child = nr;
	rig_open(&z->sides[0].rig);
	rig_open_peer(&z->sides[1].rig);
	end = rnd_below(&z->rnd, 4);
	for (steps = 50 + rnd_below(&z->rnd, 400); steps || end > 1; steps -= !!steps)
		step(z);
	if (!end) {
		tally_count(CHILD_LEFT);
		_exit(0);
	}
	destroy_all(z);
	tally_count(CHILD_CLEANED);
	return 0;
}
