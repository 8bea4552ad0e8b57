#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# peers.sh: ./run peers
. "$(dirname "$0")/lib.sh"

all=(nvme iser srp nfs perftest)

usage()
{
	cat <<-TEXT
	usage: ./run peers [-k KERNEL] [--nic MODEL] [NAME[.TARGET-INITIATOR]...]

	Boots two guests at a time, connected by a wire (./run vm --wire). One has our driver, the other one stock rdma_rxe and no module of ours. Each
	test has its target in one guest and its initiator in the other, and then the other way round. No part of ./run test.

	  -k KERNEL     stable (the default) or backports
	  --nic MODEL   the NIC of both, as QEMU calls it: virtio-net-pci (the default), igb, e1000e, vmxnet3
	  NAME          only these: ${all[*]}
	  TARGET-INITIATOR   their drivers: ours-stock and stock-ours are run if none is named, and of perftest ours-ours too; stock-stock shows what is
	                     not ours

	nvme, iser, srp, nfs: the kernel's storage (tests/guest/storage_*.sh). perftest: rping, rstream and perftest (tests/peers).
	Prints a line for each and a table at the end; the status is 1 if any failed. The output of those and both consoles are kept in build/failed.
	TEXT
}

kernel=stable nic=virtio-net-pci names=()
while [ $# -gt 0 ]; do
	case $1 in
	-k | --nic) [ $# -ge 2 ] || die "option $1 needs a value" ;;&
	-k) kernel=$2; shift 2 ;;
	--nic) nic=$2; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run peers --help" ;;
	*) names+=("$1"); shift ;;
	esac
done
case $kernel in
stable | backports) ;;
*) die "two guests of '$kernel' cannot be connected: use stable or backports" ;;
esac
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
cases=()
for n in "${names[@]}"; do
	[[ " ${all[*]} " == *" ${n%%.*} "* ]] || die "there is no '$n'; there are: ${all[*]}"
	case $n in
	*.ours-stock | *.stock-ours | *.ours-ours | *.stock-stock) cases+=("$n") ;;
	*.*) die "'${n#*.}' is no TARGET-INITIATOR: use ours-stock, stock-ours, ours-ours or stock-stock" ;;
	*)
		cases+=("$n.ours-stock" "$n.stock-ours")
		[ "$n" != perftest ] || cases+=("$n.ours-ours")
		;;
	esac
done

"$SRC/scripts/host.sh" guest build
mkdir -p "$SRC/build"
# Results lie in build/.
exec {lock}>"$SRC/build/.lock"
flock -n "$lock" || { say "waiting for another run of tests in this clone"; flock "$lock"; }
"$SRC/scripts/modules.sh" "$kernel"

session=$SRC/build/$kernel/session.peers
# The name of a socket is short.
wire=$(mktemp -d "${TMPDIR:-/tmp}/rdma-odp.XXXXXX")
table=$wire/table
: >"$table"
vms=()
end_guests()
{
	[ ${#vms[@]} = 0 ] || kill "${vms[@]}" 2>/dev/null || :
	wait
	vms=()
}
trap 'end_guests; rm -rf "$wire"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

source_of()
{
	local f=$SRC/tests/guest/storage_$1.sh
	[ -e "$f" ] || f=$SRC/tests/peers/$1.sh
	echo "$f"
}

# make_session CASE...: both guests see it.
make_session()
{
	local n source limit target
	rm -rf "$session"
	mkdir -p "$session/programs" "$session/results" "$session/meeting" "$session/lib"
	cp "$SRC"/tests/guest/lib/*.sh "$session/lib/"
	cp "$SRC/tests/peers/guest" "$session/"
	total=300
	for n in "$@"; do
		source=$(source_of "${n%%.*}")
		cp "$source" "$session/programs/"
		limit=$(grep -oE 'rdma-odp: timeout [0-9]+' "$source" | grep -oE '[0-9]+$') || die "$source does not say how long it may take"
		target=1
		[[ $n != *.stock-ours ]] || target=2
		echo "$n $(basename "$source") $limit $target" >>"$session/todo"
		total=$((total + limit))
	done
}

# start_guest END DRIVER
start_guest()
{
	local loaded=(--no-links) driver=rxe_odp
	[ "$2" = ours ] || loaded=(--no-modules --rxe) driver=rxe
	"$SRC/scripts/vm.sh" -k "$kernel" -d "$session" -t "$total" -m 2G --no-build --wire "$wire/$1,$nic" "${loaded[@]}" \
		--log "$session/console.$1" -- ./guest "$1" $driver >"$session/guest.$1" 2>&1 &
	vms+=($!)
}

# run_guests: until both have ended; one that is alone has another two minutes. Sets ended, how they did.
run_guests()
{
	local n alone=''
	ended=(0 0)
	while kill -0 "${vms[0]}" 2>/dev/null || kill -0 "${vms[1]}" 2>/dev/null; do
		if ! kill -0 "${vms[0]}" 2>/dev/null || ! kill -0 "${vms[1]}" 2>/dev/null; then
			: "${alone:=$SECONDS}"
			[ $((SECONDS - alone)) -lt 120 ] || kill "${vms[@]}" 2>/dev/null || :
		fi
		sleep 1
	done
	for n in 0 1; do
		wait "${vms[$n]}" || ended[n]=$?
	done
	vms=()
}

# keep CASE: what both guests left
keep()
{
	local kept
	mkdir -p "$SRC/build/failed"
	kept=$(mktemp -d "$SRC/build/failed/$kernel.peers.$1.$(date +%Y%m%d-%H%M%S)-XXX")
	cp "$session"/results/"$1".* "$session"/{console,guest}.[12] "$kept/" 2>/dev/null || :
	say "what they left: $kept"
}

# judge CASE: 1 if either end failed, or its kernel complained
judge()
{
	local n status seconds=- bad=0 why='' took=0
	for n in 1 2; do
		status='' seconds=0
		! read -r status seconds 2>/dev/null <"$session/results/$1.$n.status" || :
		[ "${seconds:-0}" -le "$took" ] || took=$seconds
		tr -d '\r' <"$session/console.$n" | awk -v from="rdma-odp: begin $1" -v to="rdma-odp: begin " \
			'index($0, from) { on = 1; print; next } index($0, to) { on = 0 } on' >"$session/results/$1.$n.klog" || :
		if [ -z "$status" ]; then
			why+="guest $n did not get through it; "
		elif [ "$status" = unload ]; then
			why+="guest $n: the driver cannot be removed; "
		elif [ "$status" != 0 ]; then
			why+="guest $n: status $status; "
		fi
		"$SRC/scripts/klog.sh" "$session/results/$1.$n.klog" >"$session/results/$1.$n.complaints" || why+="the kernel of guest $n complained; "
	done
	[ -z "$why" ] || bad=1
	printf '%-24s %-10s %-16s %-8s %6s s  %s\n' "$1" "$kernel" "$nic" "$([ $bad = 0 ] && echo passed || echo FAILED)" "$took" "${why%; }" >>"$table"
	say "$(tail -n 1 "$table" | tr -s ' ')"
	[ $bad = 1 ] || return 0
	for n in 1 2; do
		printf -- '--- guest %d\n' $n
		cat "$session/results/$1.$n.out" "$session/results/$1.$n.complaints" 2>/dev/null || :
	done >&2
	keep "$1"
	return 1
}

# run_group DRIVER DRIVER CASE...: of the guests at ends 1 and 2
run_group()
{
	local n bad=0
	make_session "${@:3}"
	say "two guests, $1 and $2: ${*:3}"
	start_guest 1 "$1"
	start_guest 2 "$2"
	run_guests
	for n in "${@:3}"; do
		judge "$n" || bad=1
	done
	for n in 1 2; do
		case ${ended[n - 1]} in
		0) ;;
		126) [ $bad = 1 ] || { say "guest $n: its kernel complained"; cat "$session/guest.$n" >&2; bad=1; } ;;
		*) say "guest $n did not end well:"; tail -n 40 "$session/guest.$n" >&2; bad=1 ;;
		esac
	done
	return $bad
}

# One pair of guests for a name and a pair of drivers, in both orders.
failed=0
while [ ${#cases[@]} -gt 0 ]; do
	n=${cases[0]} group=("${cases[0]}") rest=()
	for c in "${cases[@]:1}"; do
		if [ "$c" = "$n" ]; then
			continue
		elif [[ ${n#*.} =~ ^(ours-stock|stock-ours)$ && ${c#*.} =~ ^(ours-stock|stock-ours)$ && ${c%%.*} = "${n%%.*}" ]]; then
			[[ " ${group[*]} " == *" $c "* ]] || group+=("$c")
		else
			rest+=("$c")
		fi
	done
	cases=("${rest[@]}")
	case ${n#*.} in
	ours-ours | stock-stock) drivers=("${n##*-}" "${n##*-}") ;;
	*) drivers=(ours stock) ;;
	esac
	run_group "${drivers[@]}" "${group[@]}" || failed=1
done
echo
cat "$table"
[ $failed = 0 ] || say "something failed; what it left is in build/failed"
exit $failed
