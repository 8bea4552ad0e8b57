#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# test.sh: ./run test
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<-'TEXT'
	usage: ./run test [-k KERNEL]... [-l] [--long] [PATTERN]

	Builds and runs the test suite, and ends with ctest's closing line; a list of what was skipped stands above it.

	  -k KERNEL   only this kernel's guest tests: stable, backports, uml (may be repeated; default: all of them)
	  -l          only lists the tests
	  --long      the long set: pages that come after 30 s, fuzzers for 5 minutes, a storm of an hour on each kernel
	  PATTERN     only the tests whose name matches this regular expression, such as
	              unit, fuzz, check, guest.stable, rc_write. Guests boot only for what is asked.

	STORM_S=3600 ./run test storm lets the storm test run for an hour; FUZZ_S=300 lets each fuzzer run for 5 minutes, and
	FUZZ_SEED repeats a run with the seed that it printed.
	TEXT
}

kernels=() pattern='' list=0
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernels+=("$2"); shift 2 ;;
	-l) list=1; shift ;;
	--long) export TEST_LONG=1 STORM_S="${STORM_S:-3600}" FUZZ_S="${FUZZ_S:-300}"; shift ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run test --help" ;;
	*) [ -z "$pattern" ] || die "one pattern only; see ./run test --help"; pattern=$1; shift ;;
	esac
done
for k in "${kernels[@]}"; do
	case $k in
	stable | backports | uml) ;;
	*) die "no tests for kernel '$k': use stable, backports or uml" ;;
	esac
done

"$SRC/scripts/host.sh" guest build check bench

only=()
if [ ${#kernels[@]} -gt 0 ]; then
	# -k alone means that kernel's tests, not unit and check again.
	label=$(IFS='|'; echo "${kernels[*]}")
	only=(-L "^($label)\$")
else
	kernels=(stable backports uml)
fi
mkdir -p "$SRC/build"
# Results lie in build/: one at a time in a clone.
exec {lock}>"$SRC/build/.lock"
flock -n "$lock" || { say "waiting for another ./run test in this clone"; flock "$lock"; }
# A few programs are not worth a second guest.
parts=2
[ -z "$pattern" ] || parts=1
step "configuring" "$SRC/build/configure.log" \
	cmake -S "$SRC" --preset default "-DRDMA_ODP_KERNELS=$(IFS=';'; echo "${kernels[*]}")" -DRDMA_ODP_PARTS=$parts

# Session tests are fixtures: ctest adds them where a chosen test needs one.
choose=(-R "${pattern:-.}" "${only[@]}")
[ -z "$pattern" ] || choose+=(-E '^session\.')
if [ $list = 1 ]; then
	exec ctest --test-dir "$SRC/build/host" -N "${choose[@]}"
fi
chosen=$(ctest --test-dir "$SRC/build/host" -N "${choose[@]}" | sed -n 's/^ *Test *#[0-9]*: //p')
[ -n "$chosen" ] || die "no test matches '$pattern'; ./run test -l lists them"

build_unit() { cmake --build "$SRC/build/host" -j "$(nproc)"; }
! grep -qE '^(unit|fuzz)\.' <<<"$chosen" || step "building the unit tests and fuzzers" "$SRC/build/unit.log" build_unit

# The first kernel with its progress on the terminal. The others come in the background, with what CPU time is left over by the guests
# that run meanwhile; their sessions wait for the lock.
chosen_kernels=()
for k in stable backports uml; do
	! grep -qE "^guest\.$k\." <<<"$chosen" || chosen_kernels+=("$k")
done
tail='' ctest='' background=''
stop()
{
	# With the guests: the shells that watch them end them.
	[ -z "$ctest" ] || kill -- "-$ctest" 2>/dev/null || :
	while [ -n "$ctest" ] && kill -0 -- "-$ctest" 2>/dev/null; do sleep 0.2; done
	[ -z "$background" ] || kill -- "-$background" 2>/dev/null || :
	[ -z "$tail" ] || kill "$tail" 2>/dev/null || :
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ctest shows nothing of a running test: the sessions, and what is made in the background, tell their progress in a file, and it is
# shown from there.
export RDMA_ODP_PATTERN=$pattern RDMA_ODP_PROGRESS=$SRC/build/progress
: >"$RDMA_ODP_PROGRESS"
tail -f -n +1 --pid $$ "$RDMA_ODP_PROGRESS" >&2 &
tail=$!

prepare_in_background()
{
	local k fd fds=() prepared=''
	for k; do
		mkdir -p "$SRC/build/$k"
		exec {fd}>>"$SRC/build/$k/.prepared"
		flock "$fd"
		fds+=("$fd") prepared+=" $k=$fd"
	done
	RDMA_ODP_PREPARED=$prepared setsid chrt --idle 0 "$SRC/scripts/prepare.sh" "$@" </dev/null 2>>"$RDMA_ODP_PROGRESS" {lock}>&- &
	background=$!
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
}
[ ${#chosen_kernels[@]} -lt 2 ] || prepare_in_background "${chosen_kernels[@]:1}"
[ ${#chosen_kernels[@]} -eq 0 ] || "$SRC/scripts/prepare.sh" "${chosen_kernels[0]}"

rc=0
: >"$SRC/build/ctest.out"
# In a process group of its own: what a shell starts in the background ignores an interrupt.
setsid ctest --test-dir "$SRC/build/host" --output-on-failure "${choose[@]}" -j 2 >"$SRC/build/ctest.out" 2>&1 &
ctest=$!
# The closing lines are kept back, so that they come last.
tail -f -n +1 --pid "$ctest" "$SRC/build/ctest.out" | sed -u '/% tests passed,/,$d' &
show=$!
wait "$ctest" || rc=$?
ctest=''
wait "$show" 2>/dev/null || :

skips()
{
	local f name kernel
	for f in "$SRC"/build/{stable,backports,uml}/session.*/results/*.status; do
		[ -e "$f" ] || continue
		[ "$f" -nt "$SRC/build/configure.log" ] || continue
		[ "$(cut -d' ' -f1 "$f")" = 77 ] || continue
		name=$(basename "$f" .status) kernel=${f#"$SRC/build/"}
		grep -qx "guest.${kernel%%/*}.$name" <<<"$chosen" || continue
		printf '  guest.%s.%s: %s\n' "${kernel%%/*}" "$name" "$(grep -aiE 'skip' "${f%.status}.out" | grep -avE '^\[' | tail -n 1)"
	done
}

# The kernels that were asked for: what their guests said they are, or why there was none.
versions()
{
	local k dir came kept
	for k in stable backports uml; do
		grep -qE "^guest\.$k\." <<<"$chosen" || continue
		dir=$SRC/build/$k
		came=("$dir"/session.*/results/kernel) kept=("$dir"/session.*/results/boot.kept)
		if [ -e "$dir/unfit" ]; then
			printf '  %s\n' "$(cat "$dir/unfit")"
		elif [ -e "${came[0]}" ]; then
			printf '  %s: %s\n' "$k" "$(cat "${came[0]}")"
		else
			printf '  %s: %s did not come up; see %s\n' "$k" "$("$SRC/scripts/release.sh" $k)" \
				"$(cat "${kept[0]}" 2>/dev/null || echo "the output of session.$k.1")"
		fi
	done
}

# Those of this run: a guest that ./run vm started meanwhile is another's.
failures()
{
	local f
	for f in "$SRC"/build/failed/*; do
		[[ ! $f -nt $SRC/build/configure.log || $f == *.vm.* ]] || printf '  %s\n' "$f"
	done
}

# What ctest has shown of them stands far above by now: their first words of a failure.
said()
{
	local f name kernel status seconds
	for f in "$SRC"/build/{stable,backports,uml}/session.*/results/*.status; do
		[[ $f -nt $SRC/build/configure.log ]] || continue
		read -r status seconds <"$f" || continue
		[[ $status != 0 && $status != 77 ]] || continue
		name=$(basename "$f" .status) kernel=${f#"$SRC/build/"}
		grep -qx "guest.${kernel%%/*}.$name" <<<"$chosen" || continue
		printf '  guest.%s.%s: status %s after %s s\n' "${kernel%%/*}" "$name" "$status" "$seconds"
		grep -aE 'FAIL:|ERROR|session:|BUG|WARNING' "${f%.status}.out" | cut -c1-160 | head -n 4 | sed 's/^/    /' || :
	done
}

skipped=$(skips) ran=$(versions) failed=$(failures) said=$(said)
[ -z "$skipped" ] || printf '\nSkipped, and why:\n%s\n' "$skipped"
[ -z "$said" ] || printf '\nWhat failed, and its first words:\n%s\n' "$said"
[ -z "$failed" ] || printf '\nKernel log, console and output of what failed, kept until you remove them:\n%s\n' "$failed"
[ -z "$ran" ] || printf '\nKernels:\n%s\n\n' "$ran"
sed -n '/% tests passed,/,$p' "$SRC/build/ctest.out"
exit $rc
