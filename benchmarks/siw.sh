#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# siw.sh KERNEL ROUNDS: bandwidth beside siw, the kernel's iWARP, and stock rxe; uml-fast alone, because Debian's kernels have no siw. See lib/plan.
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -le 2 ] || die "siw is one program and takes no PROGRAM: leave out '${*:3}'"
[[ ${1:-uml-fast} = uml-fast ]] || die "only uml-fast has siw: leave out '-k $1'"
name=siw
plan() { echo 'uml-fast uml-fast --pin siw'; }
. "$SRC/benchmarks/lib/plan"
