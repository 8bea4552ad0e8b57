#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# base.sh KERNEL ROUNDS [PROGRAM...]: ours beside stock rxe; see lib/plan.
. "$(dirname "$0")/../scripts/lib.sh"

# Bandwidth at native speed; page faults, which are dear in a User Mode Linux, in emulated guests; instructions where the clock
# counts them.
name=base
plan()
{
	cat <<-'PLAN'
	uml-fast uml-fast --pin peers bw cpus bridge gso foreign lat reg table late life siw
	stable stable - cold madvise
	backports backports - cold madvise life
	backports-icount backports --icount instr
	PLAN
}
. "$SRC/benchmarks/lib/plan"
