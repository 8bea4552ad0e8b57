#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# lat.sh KERNEL ROUNDS: thousands of single rounds, pinned and on demand, beside stock rxe (KERNEL may be empty: uml-fast); see lib/plan.
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -le 2 ] || die "lat is one program and takes no PROGRAM: leave out '${*:3}'"
name=lat
plan()
{
	cat <<-'PLAN'
	stable stable - lat
	backports backports - lat
	uml-fast uml-fast --pin lat
	PLAN
}
set -- "${1:-uml-fast}" "${2:-5}"
. "$SRC/benchmarks/lib/plan"
