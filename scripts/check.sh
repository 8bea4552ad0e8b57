#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# check.sh: style and static checks; ./run check. Every tool runs, each tells what it found, and the exit status is the sum.
. "$(dirname "$0")/lib.sh"
fix=0
case ${1:-} in
'') ;;
--fix) fix=1 ;;
-h | --help) echo "usage: ./run check [--fix]   --fix lets clang-format change our programs; the checks: checkpatch, sparse and W=1, clang-format, shellcheck, manual pages, SPDX lines, how long the examples are, the floors of the NIC"; exit 0 ;;
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

# checkpatch as for the kernel. What is left out, with the reason:
#   FILE_PATH_CHANGES      there is no MAINTAINERS file here
#   SPDX_LICENSE_TAG       user space and shared headers are GPL-2.0 OR Linux-OpenIB, checked below
#   ALLOC_WITH_SIZEOF      kzalloc_obj() is younger than 6.12
#   COMPLEX_MACRO          (compat alone) a macro there stands for a function of another kernel
# and in user space, which has other types and includes:
#   LINE_SPACING, LONG_LINE_COMMENT (clang-format's job), and what names a helper that only the kernel has:
#   OPEN_ENDED_LINE, SPLIT_STRING (clang-format's lines), MACRO_WITH_FLOW_CONTROL, COMPLEX_MACRO, MACRO_ARG_REUSE (cmocka's manner),
#   PREFER_KERNEL_TYPES, PREFER_DEFINED_ATTRIBUTE_MACRO, EMBEDDED_FUNCTION_NAME, NAKED_SSCANF, ENOSYS, BIT_MACRO, VOLATILE, CAMELCASE
#   USE_NEGATIVE_ERRNO (in userspace/ alone) verbs return errnos as they are
checkpatch()
{
	local linux=$1 files=() command rc=0
	command=(perl "$linux/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary --show-types --max-line-length=100)
	mapfile -t files < <(files kernel include samples | grep -E '\.[ch]$' | grep -v '^kernel/compat/')
	[ ${#files[@]} -eq 0 ] ||
		"${command[@]}" --ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG,ALLOC_WITH_SIZEOF -f "${files[@]}" || rc=1
	mapfile -t files < <(files kernel/compat | grep -E '\.[ch]$')
	[ ${#files[@]} -eq 0 ] ||
		"${command[@]}" --ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG,COMPLEX_MACRO,MACRO_ARG_REUSE -f "${files[@]}" || rc=1
	command+=(--ignore "FILE_PATH_CHANGES,SPDX_LICENSE_TAG,LINE_SPACING,LONG_LINE_COMMENT,PREFER_KERNEL_TYPES"
		--ignore "PREFER_DEFINED_ATTRIBUTE_MACRO,EMBEDDED_FUNCTION_NAME,NAKED_SSCANF,ENOSYS,BIT_MACRO,VOLATILE,CAMELCASE"
		--ignore "OPEN_ENDED_LINE,SPLIT_STRING,MACRO_WITH_FLOW_CONTROL,COMPLEX_MACRO,MACRO_ARG_REUSE")
	mapfile -t files < <(files tests examples benchmarks | grep -E '\.[ch]$' | grep -v '_packets\.h$')
	[ ${#files[@]} -eq 0 ] || "${command[@]}" -f "${files[@]}" || rc=1
	mapfile -t files < <(files userspace | grep -E '\.[ch]$')
	[ ${#files[@]} -eq 0 ] || "${command[@]}" --ignore USE_NEGATIVE_ERRNO -f "${files[@]}" || rc=1
	return "$rc"
}

spdx()
{
	local f rc=0 want
	while read -r f; do
		case $f in
		kernel/* | samples/* | include/umem_odp/*) want='GPL-2.0' ;;
		*) want='GPL-2.0( WITH Linux-syscall-note)?\)? OR Linux-OpenIB' ;;
		esac
		head -n 3 "$f" | grep -qE "SPDX-License-Identifier: .*$want" || { echo "$f: no SPDX line with $want"; rc=1; }
	done < <(files kernel include samples tests userspace examples benchmarks scripts packaging cmake docs/ci run CMakeLists.txt |
		grep -E '\.([chS]|sh|py|cmake)$|Kbuild$|CMakeLists.txt$|^run$' | grep -v '/data/')
	return "$rc"
}

# The floors of the NIC: a file includes from its own folder and from floors below it. wire/ is pure: of the kernel's headers it has
# types and constants, and what says where data lies.
floor_of()
{
	case $1 in
	wire) echo 1 ;;
	device) echo 2 ;;
	net | queue | memory) echo 3 ;;
	transport) echo 4 ;;
	*) echo 5 ;;
	esac
}

floors()
{
	local f line own folder rc=0
	local pure='^(linux/(types|errno|string|stddef|compiler|bits|unaligned|build_bug|cache|init)\.h|asm/byteorder\.h|rdma/ib_pack\.h)$'
	while read -r f; do
		own=${f#kernel/rxe_odp/}
		case $own in */*) own=${own%%/*} ;; *) own=. ;; esac
		[ "$own" != selftest ] || continue
		while read -r line; do
			case $line in
			*/*) folder=${line%%/*} ;;
			*.h) folder=. ;;
			*) echo "$f: '$line' is no header of the NIC"; rc=1; continue ;;
			esac
			[ -e "kernel/rxe_odp/$line" ] || { echo "$f: there is no $line; name it from kernel/rxe_odp on"; rc=1; continue; }
			[ "$folder" = "$own" ] || [ "$(floor_of "$folder")" -lt "$(floor_of "$own")" ] ||
				{ echo "$f: includes $line, which is not on a floor below: hand its functions in from above"; rc=1; }
		done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]*)".*/\1/p' "$f")
		[ "$own" = wire ] || continue
		while read -r line; do
			[[ $line =~ $pure ]] || { echo "$f: includes <$line>, but wire/ is tested in user space: types alone"; rc=1; }
		done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*<([^>]*)>.*/\1/p' "$f")
	done < <(files kernel/rxe_odp | grep '\.[ch]$')
	# Nor does kernel/compat name a function of ours.
	! grep -nE '\b(rxo|umem_odp)_[a-z]' -r kernel/compat || { echo "kernel/compat names something of ours"; rc=1; }
	return "$rc"
}

# clang-format formats our programs; in the kernel part it and checkpatch do not agree. Its versions differ in what they do, so
# only one judges.
clang_format()
{
	local c rc=0 f
	if ! clang-format --version | grep -q 'version 14\.'; then
		say "clang-format: not version 14, not asked"
		return 0
	fi
	mapfile -t c < <(files tests userspace examples benchmarks docs/ci | grep -E '\.[ch]$' | grep -v '_packets\.h$')
	if [ "$fix" = 1 ]; then
		clang-format -i --style=file "${c[@]}"
		return
	fi
	for f in "${c[@]}"; do
		clang-format --style=file --dry-run -Werror "$f" >/dev/null 2>&1 || { echo "$f: ./run check --fix would change it"; rc=1; }
	done
	return "$rc"
}

shell()
{
	local s
	mapfile -t s < <(files run .ci scripts tests benchmarks kernel userspace packaging | while read -r f; do
		case $f in
		*.sh) echo "$f" ;;
		*.c | *.h | *.md | *.py | *.[0-9]) ;;
		*) ! head -n 1 "$f" | grep -qE '^#!/bin/(ba)?sh' || echo "$f" ;;
		esac
	done)
	shellcheck "${s[@]}"
}

# Manual pages; each function that the library shows has one, or a part of one, as has each parameter and attribute of the modules. Every
# parameter stands in the package's file of them, too.
manual_pages()
{
	local f said rc=0
	# Of other pages it knows only what is installed here, and where there is no list of those it says so.
	said=$(mandoc -T lint userspace/man/*.[0-9] 2>/dev/null | grep -v 'STYLE: referenced manual not found')
	[ -z "$said" ] || { echo "$said"; rc=1; }
	while read -r f; do
		grep -qE "^\.Nm $f( ,)?$" userspace/man/*.3 || { echo "userspace/man: no page names $f"; rc=1; }
	done < <(sed -n 's/^\t\t\(rxe_odp_dv_[a-z_]*\);$/\1/p' userspace/provider/provider.map)
	while read -r f; do
		grep -qE "^\.It Cm $f " userspace/man/*.4 || { echo "userspace/man: no page names the parameter $f"; rc=1; }
		grep -qE "^#options [a-z_]+ $f=" packaging/dkms/rdma-odp.conf || { echo "packaging/dkms/rdma-odp.conf: no $f"; rc=1; }
	done < <(grep -rhoE 'module_param(_named|_cb)?\([a-z_]+' kernel --exclude-dir selftest --exclude-dir kunit | sed 's/.*(//')
	while read -r f; do
		grep -qE "^\.It Pa $f$" userspace/man/*.4 || { echo "userspace/man: no page names the attribute $f"; rc=1; }
	done < <(grep -rhoE 'DEVICE_ATTR_[A-Z]+\([a-z_]+' kernel | sed 's/.*(//')
	return "$rc"
}

# What people copy from is to be read at one sitting.
examples()
{
	local f n rc=0
	for f in userspace/examples/*.[ch]; do
		n=$(wc -l <"$f")
		[ "$n" -lt 400 ] || { echo "$f: $n lines; an example has fewer than 400"; rc=1; }
	done
	return "$rc"
}

# A build from nothing with W=1 and sparse; any warning fails. On stable: sparse cannot read the newest kernels, and Kbuild there says so.
# Its count of locks is left out, since it sees neither guard() nor a lock taken in one function and given back in another;
# lockdep watches those at run time.
static()
{
	rm -rf build/stable-check
	scripts/modules.sh stable-check W=1 C=2 "CF=-D__CHECK_ENDIAN__ -Wno-context -I/odp/build/build/stable-check/kmod/kernel/rxe_odp" || return 1
	grep -q '^  CHECK ' build/stable-check/kbuild.log || { echo "sparse did not run"; return 1; }
	! grep -E 'warning:|error:|Warning:' build/stable-check/kbuild.log | sort -u | grep .
}

run_check()
{
	local name=$1 rc=0 out
	shift
	out=$("$@" 2>&1) || rc=1
	[ $rc = 0 ] || printf '%s\n' "$out" | head -n 200
	verdict "$name" $rc
}

if [ $fix = 1 ]; then
	clang_format
	exit
fi
linux=$("$SRC/scripts/source.sh")
run_check checkpatch checkpatch "$linux"
run_check SPDX spdx
run_check floors floors
run_check clang-format clang_format
run_check shellcheck shell
run_check "manual pages" manual_pages
run_check examples examples
run_check "W=1 and sparse" static
exit $bad
