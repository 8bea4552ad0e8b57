# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# A session: guests that boot and run the programs of a directory with scripts/guest/session, one after the other; after a crash or a
# hang the next one goes on behind the culprit. Sourced by guest-tests.sh and stacks.sh, which set
#   kernel    the guest's
#   session   the directory: todo, programs, results, and boot.klog and boot.out of the last boot
#   title     what stands before a program's name where progress is told
#   factor    how much longer everything takes there
#   vm_args   more options of vm.sh, if any
# shellcheck disable=SC2154

# Tells progress, on the terminal or file that ./run test gives us past ctest.
tell() { [ -z "${RDMA_ODP_PROGRESS:-}" ] || printf '==> %s\n' "$*" >>"$RDMA_ODP_PROGRESS"; }

# slowness: how much longer everything takes where the CPU is emulated, or KASAN and lockdep watch
slowness()
{
	case $kernel in
	uml-fast) echo 1 ;;
	uml) echo 5 ;;
	*) if "$SRC/scripts/kvm.sh" "$("$SRC/scripts/tree.sh" "$kernel")"; then echo 1; else echo 5; fi ;;
	esac
}

fail()
{
	local name=$1 why=$2
	[ ! -e "$session/boot.klog" ] ||
		tr -d '\r' <"$session/boot.klog" | awk -v mark="rdma-odp: begin $name" 'index($0, mark) { on = 1 } on' |
			tail -n 200 >>"$session/results/$name.out"
	echo "session: $why" >>"$session/results/$name.out"
	echo "$why 0" | sed 's/ .* / /; s/^[a-z]*/guest/' >"$session/results/$name.status"
}

# keep NAME: what a failed program left: its output, its kernel log, and the whole console from the boot on. Another run of the
# test makes the session anew, so it is kept elsewhere, under a name of its own, until somebody removes it.
keep()
{
	local kept
	mkdir -p "$SRC/build/failed"
	kept=$(mktemp -d "$SRC/build/failed/$kernel.$1.$(date +%Y%m%d-%H%M%S)-XXX")
	cp "$session/results/$1".{out,klog} "$session/results/kernel" "$session/boot.out" "$kept/" 2>/dev/null || :
	cp "$session/boot.klog" "$kept/console" 2>/dev/null || :
	echo "$kept" >"$session/results/$1.kept"
}

keep_failures()
{
	local f name
	for f in "$session"/results/*.status; do
		name=$(basename "$f" .status)
		case $(cut -d' ' -f1 "$f" 2>/dev/null) in
		'' | 0 | 77) ;;
		*) [ -e "${f%.status}.kept" ] || keep "$name" ;;
		esac
	done
}

# boot_once: one guest, watched. The session says which program runs; one that outlasts its own
# bound by two minutes has taken the guest with it.
boot_once()
{
	local name vm current='' since=$SECONDS now before=0 rc=0 bound=$((240 * factor)) args=()
	for name in STORM_S FUZZ_S FUZZ_SEED TEST_LONG; do
		[ -z "${!name:-}" ] || args+=(-e "$name=${!name}")
	done
	"$SRC/scripts/vm.sh" -k "$kernel" -d "$session" -t 14400 --packets --no-build "${vm_args[@]}" --log "$session/boot.klog" "${args[@]}" -- \
		/odp/host/session >"$session/boot.out" 2>&1 &
	vm=$!
	# shellcheck disable=SC2064
	trap "kill $vm 2>/dev/null; wait $vm; exit 130" INT TERM HUP
	while kill -0 $vm 2>/dev/null; do
		# By the shell alone: the guests have the CPUs.
		now=''
		! read -r now 2>/dev/null <"$session/results/current" || :
		tell_results
		if [ "$now" != "$current" ] || [ ${#told[@]} != "$before" ]; then
			current=$now before=${#told[@]} since=$SECONDS bound=$((240 * factor))
			[ -z "$current" ] || bound=$(($(awk -v n="$current" '$1 == n { print $2 }' "$session/todo") + 120))
		fi
		if [ $((SECONDS - since)) -gt "$bound" ]; then
			echo "session: no progress for $bound s, the guest is killed" >>"$session/boot.out"
			kill $vm
		fi
		sleep 1
	done
	wait $vm || rc=$?
	trap - INT TERM HUP
	tell_results
	return $rc
}

vm_args=()

# Each result once.
declare -A told=()
tell_results()
{
	local f name status seconds
	for f in "$session"/results/*.status; do
		name=${f##*/} name=${name%.status}
		[[ -e $f && -z ${told[$name]:-} ]] || continue
		read -r status seconds <"$f" || continue
		told[$name]=1
		case $status in
		0) status=passed ;;
		77) status=skipped ;;
		*) status=FAILED ;;
		esac
		tell "$title.$name: $status, $seconds s"
	done
}

left()
{
	local name
	while read -r name _; do
		[ -e "$session/results/$name.status" ] || echo "$name"
	done <"$session/todo"
}

tell_kept() { [ ! -e "$session/results/$1.kept" ] || echo "the whole kernel log and console: $(cat "$session/results/$1.kept")"; }

# run_session: until all of todo have results. Sets rc, how the last guest ended, and boots. Exits if the guest does not come up; to be
# called where set -e counts, since a result that cannot be written would be waited for.
run_session()
{
	local current idle=0
	rc=0 boots=0
	while [ -n "$(left)" ]; do
		boots=$((boots + 1))
		tell "$title: booting, $(left | wc -l) programs to run"
		rm -f "$session/results/current"
		rc=0
		boot_once || rc=$?
		current=$(cat "$session/results/current" 2>/dev/null || :)
		if [ -n "$current" ] && [ ! -e "$session/results/$current.status" ]; then
			fail "$current" "the guest died or hung while it ran"
			cat "$session/boot.out" >>"$session/results/$current.out"
			tell_results
			idle=0
		elif [ -z "$current" ] && [ -n "$(left)" ]; then
			# It did not come up. Once more may be luck; twice is not.
			idle=$((idle + 1))
			if [ $idle -eq 2 ]; then
				cat "$session/boot.out"
				keep boot
				echo "$kernel: $("$SRC/scripts/release.sh" "$kernel") does not come up"
				tell_kept boot
				exit 1
			fi
		fi
		keep_failures
	done
	echo "$rc" >"$session/last"
}

# end_of_session: the end of the last boot: links and modules removed, kernel log clean. 1, and why, if not.
end_of_session()
{
	local rc
	[ -e "$session/last" ] || die "the session did not end"
	rc=$(cat "$session/last")
	tell_kept unload
	[ "$rc" = 0 ] || [ "$rc" = 126 ] || [ "$rc" = 99 ] || { cat "$session/boot.out"; return 1; }
	# 126: a dirty log. That of a program is that program's failure; what no program saw, between two or at the end, is this one's.
	if [ "$rc" = 126 ]; then
		cp "$session/boot.klog" "$session/end.klog"
		! grep -qs '^klog ' "$session"/results/*.status ||
			awk '/rdma-odp: command ended/ { on = 1 } on' "$session/boot.klog" >"$session/end.klog"
		"$SRC/scripts/klog.sh" "$session/end.klog"
	fi
}
