#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# bench.sh: ./run bench. A benchmark is a script benchmarks/NAME.sh; it is called with the kernel as its argument (or none, to
# choose itself) and leaves its table and CSV in build/bench/NAME.
. "$(dirname "$0")/lib.sh"

names() { for f in "$SRC"/benchmarks/*.sh; do [ ! -e "$f" ] || basename "$f" .sh; done; }

usage()
{
	echo "usage: ./run bench [-k KERNEL] [NAME]"
	echo "NAME (default base): $(names | xargs)"
}

kernel='' name=base
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernel=$2; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run bench --help" ;;
	*) name=$1; shift ;;
	esac
done
case $kernel in
'' | stable | backports | uml | uml-fast) ;;
*) die "unknown kernel '$kernel': use stable, backports, uml or uml-fast" ;;
esac
[ -x "$SRC/benchmarks/$name.sh" ] || die "there is no benchmark '$name'; there are: $(names | xargs)"
"$SRC/scripts/host.sh" guest build
mkdir -p "$SRC/build/bench/$name"
exec "$SRC/benchmarks/$name.sh" ${kernel:+"$kernel"}
