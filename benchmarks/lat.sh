#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# lat.sh KERNEL ROUNDS: thousands of single rounds, pinned and on demand (KERNEL may be empty: uml-fast). The table is left in
# build/bench/lat.
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -le 2 ] || die "lat is one program and takes no PROGRAM: leave out '${*:3}'"
kernel=${1:-uml-fast} rounds=${2:-5}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "'$rounds' is no number of rounds"

out=$SRC/build/bench/lat
mkdir -p "$out"
"$SRC/scripts/modules.sh" "$kernel"
"$SRC/scripts/programs.sh" "$kernel" benchmarks bench
read -r load _ </proc/loadavg
say "$kernel: lat (load $load)"
"$SRC/scripts/vm.sh" -k "$kernel" --pin --packets --no-build -t 1800 -d "$SRC/build/$kernel/bench" -e "BENCH_ROUNDS=$rounds" \
	-e TEST_LIMIT_S=1500 --log "$out/$kernel.klog" -- ./lat </dev/null |
	sed "1i $kernel, $((1000 * rounds)) rounds, load $load: rxe_odp alone; stock rxe is not measured here" | tee "$out/$kernel.txt"
