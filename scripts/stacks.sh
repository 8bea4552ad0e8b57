#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# stacks.sh: ./run stacks
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/session.sh"

stacks=()
for f in "$SRC"/tests/stacks/*.sh; do
	f=$(basename "$f" .sh)
	[ "$f" = lib ] || stacks+=("$f")
done

usage()
{
	cat <<-TEXT
	usage: ./run stacks [-k KERNEL]... [NAME...]

	Runs the stacks that programs build on, as Debian has them, between two namespaces, unprivileged and with RLIMIT_MEMLOCK 0, by
	the commands of docs/recipes/stacks.md: first with packets, then without (NAME.local). One guest for all of them.

	  -k KERNEL   stable, backports, uml or uml-fast (may be repeated; default: stable and uml-fast, one after the other)
	  NAME        only these: ${stacks[*]}; NAME.local is the second run alone

	Prints a line for each and a table at the end; the status is 1 if any failed. The output of those and the guest's log are kept in build/failed.
	TEXT
}

tell() { say "$@"; }

make_session()
{
	local n source limit
	rm -rf "$session"
	mkdir -p "$session/programs" "$session/results" "$session/data" "$session/bin" "$session/lib"
	: >"$session/todo"
	: >"$session/data/skips"
	cp "$SRC/build/$kernel/stacks"/*_verify "$SRC"/tests/stacks/{mpi_agent,mpi_verify.py} "$session/bin/"
	cp "$SRC/tests/stacks/lib.sh" "$session/programs/"
	cp "$SRC"/tests/guest/lib/*.sh "$session/lib/"
	cp -r "$SRC/docs/recipes" "$session/"
	for n in "${chosen[@]}"; do
		source=$SRC/tests/stacks/${n%.local}.sh
		install -m 755 "$source" "$session/programs/$n"
		limit=$(grep -oE 'rdma-odp: timeout [0-9]+' "$source" | grep -oE '[0-9]+$') || die "$source does not say how long it may take"
		echo "$n $((limit * factor))" >>"$session/todo"
	done
}

# run_kernel: status 1 if anything failed.
run_kernel()
{
	local status seconds n bad=0
	title=stack.$kernel session=$SRC/build/$kernel/session.stacks
	told=()
	"$SRC/scripts/modules.sh" "$kernel"
	"$SRC/scripts/programs.sh" "$kernel" tests/stacks stacks
	factor=$(slowness)
	make_session
	run_session >&2
	for n in "${chosen[@]}"; do
		read -r status seconds <"$session/results/$n.status"
		[ "$status" = 0 ] || bad=1
		printf '%-20s %-10s %-8s %8s s\n' "$n" "$kernel" "$([ "$status" = 0 ] && echo passed || echo FAILED)" "$seconds" >>"$table"
		[ "$status" = 0 ] || {
			cat "$session/results/$n.out"
			tell_kept "$n"
		} >&2
	done
	end_of_session >&2 || { say "$title: the guest did not end well"; bad=1; }
	return $bad
}

kernels=() names=()
if [ "${1:-}" = --one ]; then
	kernel=$2 table=$3 chosen=("${@:4}")
	run_kernel
	exit
fi
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernels+=("$2"); shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) die "unknown option '$1'; see ./run stacks --help" ;;
	*) names+=("$1"); shift ;;
	esac
done
[ ${#kernels[@]} -gt 0 ] || kernels=(stable uml-fast)
for k in "${kernels[@]}"; do
	case $k in
	stable | backports | uml | uml-fast) ;;
	*) die "unknown kernel '$k': use stable, backports, uml or uml-fast" ;;
	esac
done
[ ${#names[@]} -gt 0 ] || names=("${stacks[@]}")
chosen=()
for n in "${names[@]}"; do
	[[ " ${stacks[*]} " == *" ${n%.local} "* ]] || die "there is no stack '$n'; there are: ${stacks[*]}"
	[[ $n == *.local ]] || chosen+=("$n")
done
# Behind the others, since the links are made anew for them; each once.
for n in "${names[@]}"; do
	chosen+=("${n%.local}.local")
done
mapfile -t chosen < <(printf '%s\n' "${chosen[@]}" | awk '!seen[$0]++')

"$SRC/scripts/host.sh" guest build
mkdir -p "$SRC/build"
# Results lie in build/.
exec {lock}>"$SRC/build/.lock"
flock -n "$lock" || { say "waiting for another run of tests in this clone"; flock "$lock"; }

table=$(mktemp)
trap 'rm -f "$table"' EXIT
# A guest's shell ends by itself then, which bash takes for good.
trap 'exit 130' INT
trap 'exit 143' TERM HUP
failed=0
for kernel in "${kernels[@]}"; do
	# A process of its own: what goes wrong in it ends it.
	"$0" --one "$kernel" "$table" "${chosen[@]}" || failed=1
done
echo
cat "$table"
[ $failed = 0 ] || say "something failed; what it left is in build/failed"
exit $failed
