#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# tsc.sh: prints how fast this machine's TSC counts, in kHz, which is what an emulated CPU's TSC shows; nothing where it has none, or
# there is no compiler. A guest would measure it at boot against timers that QEMU emulates, by short intervals: beside others on a busy
# machine it was seen to find 524 MHz where there are 2594, and its clock then went five times too fast.
. "$(dirname "$0")/lib.sh"

answer=$CACHE/tsc-$(cat /proc/sys/kernel/random/boot_id)

measure()
{
	local run
	[ ! -e "$answer" ] || return 0
	run=$(mktemp -d "${TMPDIR:-/tmp}/rdma-odp.XXXXXX")
	gcc -O -x c -o "$run/tsc" - <<-'END' &&
	#include <stdint.h>
	#include <stdio.h>
	#include <time.h>
	#include <x86intrin.h>

	static int64_t now_ns(void)
	{
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		return t.tv_sec * 1000000000LL + t.tv_nsec;
	}

	/* Both at one time: of many tries that which took the least. */
	static void read_both(int64_t *ns, int64_t *tsc)
	{
		int64_t least = INT64_MAX;
		int i;

		for (i = 0; i < 100; i++) {
			int64_t before = now_ns(), count = __rdtsc(), after = now_ns();

			if (after - before >= least)
				continue;
			least = after - before;
			*ns = before + least / 2;
			*tsc = count;
		}
	}

	int main(void)
	{
		struct timespec pause = { .tv_nsec = 200000000 };
		int64_t ns[2], tsc[2];

		read_both(&ns[0], &tsc[0]);
		nanosleep(&pause, NULL);
		read_both(&ns[1], &tsc[1]);
		printf("%.0f\n", (tsc[1] - tsc[0]) * 1e6 / (ns[1] - ns[0]));
		return 0;
	}
	END
		"$run/tsc" >"$run/khz" && rm -f "$CACHE/tsc-"* && mv "$run/khz" "$answer"
	rm -rf "$run"
}

[ "$(uname -m)" = x86_64 ] && command -v gcc >/dev/null || exit 0
[ -e "$answer" ] || with_lock tsc measure
cat "$answer"
