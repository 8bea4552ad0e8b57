#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# base.sh KERNEL ROUNDS [PROGRAM...]: ours beside stock rxe; KERNEL may be empty for all. Each program's rows,
# one a sample, go to build/bench/base/GUEST.PROGRAM; samples.csv and table.txt are made of the newest of each.
. "$(dirname "$0")/../scripts/lib.sh"

# GUEST (its name in files and tables), KERNEL, options for ./run vm (-: none), programs. The guest writes down its setup (CRC,
# CPUs) as well. Bandwidth at native speed; page faults, which are dear in a User Mode Linux, in emulated guests; instructions
# where the clock counts them.
plan()
{
	cat <<-'PLAN'
	uml-fast uml-fast --pin peers bw reg table late
	stable stable - cold madvise
	backports backports - cold madvise
	backports-icount backports --icount instr
	PLAN
}

trap 'exit 130' INT TERM HUP

only_kernel=${1:-} rounds=${2:-5} chosen=("${@:3}")
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "'$rounds' is no number of rounds"

out=$SRC/build/bench/base
mkdir -p "$out"
"$SRC/scripts/host.sh" guest build bench
# rows GUEST: takes the rows from what the guest prints and adds its name, the kernel's release and how busy this machine is.
rows()
{
	local guest=$1 line load release='' to=/dev/null
	while read -r line; do
		case $line in
		ROW,*)
			read -r load _ </proc/loadavg
			echo "$(date -u +%FT%TZ),$guest,$release,${line#ROW,},$load" >>"$to"
			;;
		'KERNEL '*) release=${line#KERNEL } ;;
		'BEGIN '*)
			to=$out/$guest.${line#BEGIN }
			: >"$to"
			say "$guest: ${line#BEGIN } (load $(cut -d' ' -f1 /proc/loadavg))"
			;;
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

rc=0
while read -r guest kernel options programs; do
	[ -z "$only_kernel" ] || [ "$kernel" = "$only_kernel" ] || continue
	run=()
	for p in $programs; do
		! wanted "$p" || run+=("$p")
	done
	[ ${#run[@]} -gt 0 ] || continue
	"$SRC/scripts/modules.sh" "$kernel"
	"$SRC/scripts/programs.sh" "$kernel" benchmarks bench
	cp "$SRC/benchmarks/lib/guest" "$SRC/build/$kernel/bench/"
	[ "$options" != - ] || options=''
	say "$guest: ${run[*]}"
	# shellcheck disable=SC2086
	"$SRC/scripts/vm.sh" -k "$kernel" $options --no-build --no-links -t 3600 \
		-d "$SRC/build/$kernel/bench" -e "BENCH_ROUNDS=$rounds" --log "$out/$guest.klog" -- \
		bash ./guest "${run[@]}" </dev/null | rows "$guest" || rc=1
done < <(plan)

csv=$out/samples.csv
{
	echo 'time,kernel,release,part,driver,what,mode,bytes,qps,round,value,unit,load'
	while read -r guest _ _ programs; do
		for p in setup $programs; do
			[ ! -e "$out/$guest.$p" ] || cat "$out/$guest.$p"
		done
	done < <(plan)
} >"$csv"
python3 "$SRC/benchmarks/lib/report" "$csv" | tee "$out/table.txt"
say "the samples are in $csv"
[ $rc = 0 ] || die "a benchmark or a guest failed, see above"
