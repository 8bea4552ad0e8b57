#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# bench.sh: ./run bench
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<-'TEXT'
	usage: ./run bench [-k KERNEL] [-r ROUNDS] [NAME [PROGRAM...]]

	Runs the benchmarks of NAME (default: base) and prints a table; the raw figures, one row a sample, are in
	build/bench/NAME.csv and the table in build/bench/NAME.txt.

	  -k KERNEL     only what runs on that kernel
	  -r ROUNDS     samples of everything (default 5)
	  PROGRAM       only these: bw, reg, cold, madvise, table, late, instr

	Nothing else should run on the machine: its load stands beside every sample.
	TEXT
}

only_kernel='' rounds=5
while [ $# -gt 0 ]; do
	case $1 in
	-k | -r) [ $# -ge 2 ] || die "option $1 needs a value; see ./run bench --help" ;;&
	-k) only_kernel=$2; shift 2 ;;
	-r) rounds=$2; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run bench --help" ;;
	*) break ;;
	esac
done
case $only_kernel in
'' | stable | backports | uml | uml-fast) ;;
*) die "unknown kernel '$only_kernel': use stable, backports, uml or uml-fast" ;;
esac
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "'$rounds' is no number of rounds"
name=${1:-base}
[ $# -eq 0 ] || shift
[ -r "$SRC/benchmarks/$name.plan" ] ||
	die "there is no benchmark '$name'; there are:$(cd "$SRC/benchmarks" && printf ' %s' *.plan | sed 's/\.plan//g')"
chosen=("$@")

out=$SRC/build/bench
csv=$out/$name.csv
mkdir -p "$out"
"$SRC/scripts/host.sh" guest build bench
echo 'kernel,part,driver,what,mode,bytes,qps,round,value,unit,load' >"$csv.tmp"

# rows KERNEL: takes the rows from what the guest prints and adds the kernel and how busy this machine is.
rows()
{
	local kernel=$1 line load
	while read -r line; do
		case $line in
		ROW,*)
			read -r load _ </proc/loadavg
			echo "$kernel,${line#ROW,},$load" >>"$csv.tmp"
			;;
		'KERNEL '*) echo "$kernel: ${line#KERNEL }" >>"$out/$name.kernels" ;;
		'BEGIN '*) say "$kernel: ${line#BEGIN } (load $(cut -d' ' -f1 /proc/loadavg))" ;;
		*) printf '%s\n' "$line" >&2 ;;
		esac
	done
}

wanted()
{
	local p
	[ ${#chosen[@]} -gt 0 ] || return 0
	for p in "${chosen[@]}"; do
		[ "$p" != "$1" ] || return 0
	done
	return 1
}

# A line of a plan: KERNEL "OPTIONS OF ./run vm" PROGRAM...
rc=0
: >"$out/$name.kernels"
while read -r kernel options programs; do
	case $kernel in '' | '#'*) continue ;; esac
	[ -z "$only_kernel" ] || [ "$kernel" = "$only_kernel" ] || continue
	run=()
	for p in $programs; do
		! wanted "$p" || run+=("$p")
	done
	[ ${#run[@]} -gt 0 ] || continue
	"$SRC/scripts/modules.sh" "$kernel"
	"$SRC/scripts/programs.sh" "$kernel" benchmarks bench
	cp "$SRC/benchmarks/guest.sh" "$SRC/build/$kernel/bench/"
	[ "$options" != - ] || options=''
	say "$kernel: ${run[*]}"
	# shellcheck disable=SC2086
	"$SRC/scripts/vm.sh" -k "$kernel" $options --no-build -t 3600 -d "$SRC/build/$kernel/bench" -e "BENCH_ROUNDS=$rounds" \
		--log "$out/$name.$kernel.klog" -- bash ./guest.sh "${run[@]}" </dev/null | rows "$kernel" || rc=1
done <"$SRC/benchmarks/$name.plan"
mv "$csv.tmp" "$csv"

{
	echo "Date: $(date -u +%Y-%m-%d). Machine: $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)."
	sed 's/^/Kernel /' "$out/$name.kernels" | sort -u
	python3 "$SRC/benchmarks/report.py" "$csv"
} | tee "$out/$name.txt"
say "the samples are in $csv"
[ $rc = 0 ] || die "a benchmark or a guest failed, see above"
