#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# doorbell.sh KERNEL ROUNDS: what posting costs, with librxe and with our provider (KERNEL may be empty: uml-fast). The table is
# left in build/bench/doorbell.
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -le 2 ] || die "doorbell is one program and takes no PROGRAM: leave out '${*:3}'"
kernel=${1:-uml-fast} rounds=${2:-5}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "'$rounds' is no number of rounds"

out=$SRC/build/bench/doorbell
mkdir -p "$out"
"$SRC/scripts/modules.sh" "$kernel"
"$SRC/scripts/programs.sh" "$kernel" benchmarks bench
"$SRC/scripts/provider.sh" "$kernel"
mkdir -p "$SRC/build/$kernel/bench/provider"
cp -P "$SRC/build/$kernel/provider"/librxe_odp* "$SRC/build/$kernel/bench/provider/"
read -r load _ </proc/loadavg
say "$kernel: doorbell (load $load)"
"$SRC/scripts/vm.sh" -k "$kernel" --pin --packets --no-build -t 1800 -d "$SRC/build/$kernel/bench" -e "BENCH_ROUNDS=$rounds" \
	-e TEST_LIMIT_S=1500 --log "$out/$kernel.klog" -- ./doorbell </dev/null |
	sed "1i $kernel, load $load: rxe_odp, both ends on one device, one thread on one CPU; the polling thread on the other" |
	tee "$out/$kernel.txt"
