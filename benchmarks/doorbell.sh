#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# doorbell.sh KERNEL ROUNDS: what posting costs, with librxe and with our provider (KERNEL may be empty: uml-fast). The samples,
# the table and the page are left in build/bench/doorbell.
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
. "$SRC/benchmarks/lib/collect"
rc=0
# shellcheck disable=SC2016
"$SRC/scripts/vm.sh" -k "$kernel" --pin --packets --no-build -t 1800 -d "$SRC/build/$kernel/bench" -e "BENCH_ROUNDS=$rounds" \
	-e TEST_LIMIT_S=1500 --log "$out/$kernel.klog" -- sh -c 'echo "KERNEL $(uname -r)"; echo "BEGIN doorbell"; exec ./doorbell' \
	</dev/null | rows "$kernel" || rc=1
[ $rc = 0 ] || say "the benchmark or the guest failed, see above"
show "$out"/*.doorbell || rc=1
exit $rc
