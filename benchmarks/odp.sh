#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# odp.sh KERNEL ROUNDS [PROGRAM...]: umem_odp alone, where numbers could hurt: of regions, of waiters, of neighbours that call
# madvise, of pages that are all there, that come with the first write, or late, of fork(), and what age is good for; see lib/plan.
. "$(dirname "$0")/../scripts/lib.sh"

name=odp
plan()
{
	cat <<-'PLAN'
	stable stable - regions neighbour sparse waiters cold madvise fork age
	stable-icount stable --icount cold
	backports backports - regions neighbour sparse waiters cold madvise fork age
	backports-icount backports --icount cold
	uml-fast uml-fast --pin waiters warm regions madvise cold waits
	PLAN
}
. "$SRC/benchmarks/lib/plan"
