#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# check.sh: style and static checks; ./run check. Every tool runs, each tells what it found, and the exit status is the sum.
. "$(dirname "$0")/lib.sh"
case ${1:-} in
'') ;;
-h | --help) echo "usage: ./run check   checkpatch, sparse and W=1, clang-format, shellcheck, SPDX lines"; exit 0 ;;
*) die "unknown option '$1'; see ./run check --help" ;;
esac

"$SRC/scripts/host.sh" guest build check
cd "$SRC"
mkdir -p build
bad=0
verdict() { if [ "$2" = 0 ]; then say "$1: clean"; else say "$1: FAILED"; bad=1; fi; }

files()
{
	find "$@" -type f ! -path './build/*' 2>/dev/null | sort
}

# checkpatch as for the kernel. Left out, with the reason:
#   FILE_PATH_CHANGES, MAINTAINERS      there is no MAINTAINERS file here
#   LINUX_VERSION_CODE                  compat probes need none; nothing else may ask either
#   SPDX_LICENSE_TAG                    user space and shared headers are GPL-2.0 OR Linux-OpenIB, checked below
checkpatch()
{
	local linux=$1 c
	mapfile -t c < <(files kernel include tests userspace examples benchmarks | grep -E '\.[ch]$')
	[ ${#c[@]} -gt 0 ] || return 0
	perl "$linux/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary --show-types --max-line-length=100 \
		--ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG \
		-f "${c[@]}"
}

spdx()
{
	local f rc=0 want
	while read -r f; do
		case $f in
		kernel/* | include/umem_odp/*) want='GPL-2.0' ;;
		*) want='GPL-2.0( WITH Linux-syscall-note)?\)? OR Linux-OpenIB' ;;
		esac
		head -n 3 "$f" | grep -qE "SPDX-License-Identifier: .*$want" || { echo "$f: no SPDX line with $want"; rc=1; }
	done < <(files kernel include tests userspace examples benchmarks scripts cmake run CMakeLists.txt |
		grep -E '\.([chS]|sh|py|cmake)$|Kbuild$|CMakeLists.txt$|^run$' | grep -v '/data/')
	return $rc
}

# The kernel's .clang-format agrees with checkpatch on C that has no kernel macros: our programs.
clang_format()
{
	local c rc=0 f
	mapfile -t c < <(files tests userspace examples benchmarks | grep -E '\.[ch]$')
	for f in "${c[@]}"; do
		clang-format --style=file --dry-run -Werror "$f" >/dev/null 2>&1 || { echo "$f: clang-format -i would change it"; rc=1; }
	done
	return $rc
}

shell()
{
	local s
	mapfile -t s < <(files run .ci scripts tests benchmarks kernel | while read -r f; do
		case $f in
		*.sh) echo "$f" ;;
		*.c | *.h | *.md | *.py) ;;
		*) ! head -n 1 "$f" | grep -qE '^#!/bin/(ba)?sh' || echo "$f" ;;
		esac
	done)
	shellcheck "${s[@]}"
}

# A build from nothing with W=1 and sparse; any warning fails. On stable: sparse cannot read 7.2, and Kbuild there says so.
# Its count of locks is left out, since it sees neither guard() nor a lock taken in one function and given back in another;
# lockdep watches those at run time.
static()
{
	rm -rf build/stable-check
	scripts/modules.sh stable-check W=1 C=2 "CF=-D__CHECK_ENDIAN__ -Wno-context" || return 1
	grep -q '^  CHECK ' build/stable-check/kbuild.log || { echo "sparse did not run"; return 1; }
	! grep -E -A3 'warning:|error:|Warning:' build/stable-check/kbuild.log
}

run_check()
{
	local name=$1 rc=0 out
	shift
	out=$("$@" 2>&1) || rc=1
	[ $rc = 0 ] || printf '%s\n' "$out" | head -n 200
	verdict "$name" $rc
}

linux=$("$SRC/scripts/source.sh")
run_check checkpatch checkpatch "$linux"
run_check SPDX spdx
run_check clang-format clang_format
run_check shellcheck shell
run_check "W=1 and sparse" static
exit $bad
