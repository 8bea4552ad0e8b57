#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# bench.sh: ./run bench. A benchmark is a script benchmarks/NAME.sh; it is called with the kernel (empty: what it chooses), the
# number of rounds and names of its programs (none: all), and leaves its table, CSV and page in build/bench/NAME.
. "$(dirname "$0")/lib.sh"

names() { for f in "$SRC"/benchmarks/*.sh; do [ ! -e "$f" ] || basename "$f" .sh; done; }

usage()
{
	cat <<-TEXT
	usage: ./run bench [-k KERNEL] [-r ROUNDS] [NAME [PROGRAM...]]

	  -k KERNEL     only what runs on that kernel
	  -r ROUNDS     samples of everything (default 5)
	  NAME          one of: $(names | xargs) (default base)
	  PROGRAM       only these of its programs

	The table, the samples and a page with charts (index.html, and PNGs) are left in build/bench/NAME; the last line says
	where the page is. Nothing else should run on the machine meanwhile; its load stands beside every sample.
	TEXT
}

kernel='' rounds=5
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernel=$2; shift 2 ;;
	-r) [ $# -ge 2 ] || die "option -r needs a number"; rounds=$2; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run bench --help" ;;
	*) break ;;
	esac
done
case $kernel in
'' | stable | backports | uml | uml-fast) ;;
*) die "unknown kernel '$kernel': use stable, backports, uml or uml-fast" ;;
esac
name=${1:-base}
[ $# -eq 0 ] || shift
[ -x "$SRC/benchmarks/$name.sh" ] || die "there is no benchmark '$name'; there are: $(names | xargs)"
"$SRC/scripts/host.sh" guest build bench
mkdir -p "$SRC/build/bench/$name"
exec "$SRC/benchmarks/$name.sh" "$kernel" "$rounds" "$@"
