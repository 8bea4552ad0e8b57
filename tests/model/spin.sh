#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# spin.sh CHECK DIRECTORY: has spin go through all interleavings of pages.pml, in a directory of its own below DIRECTORY.
#   safety    no state that must not be: one region for both accessors, and one for each
#   liveness  what is to come comes, if each process that can go on does
#   broken    each of the model's BREAK_... is found: the model sees what the locks and the second looks are for
set -euo pipefail
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/pages.pml

# prove KIND OPTION...: verifies the model with these -D options; fails with spin's words for what it found, or if it gave up.
prove()
{
	local kind=$1 flags=() how=(-m100000) dir
	shift
	case $kind in
	safety) flags=(-DSAFETY -DNOCLAIM) ;;
	liveness) flags=(-DNFAIR=3) how=(-a -f -m1000000) ;;
	esac
	dir=$(mktemp -d "$out/XXXXXX")
	(
		cd "$dir"
		spin "$@" -a "$model" >spin.log || { cat spin.log; exit 2; }
		gcc -w "$optimise" -DMEMLIM=1500 "${flags[@]}" -o pan pan.c || exit 2
		./pan -w22 "${how[@]}" >pan.log 2>&1 || :
		grep -E 'errors:|states, stored|pan:1:|reached -D|too small' pan.log || :
		! grep -qE 'MEMLIM|max search depth too small|out of memory' pan.log && grep -qE 'errors: [01]$' pan.log || exit 2
		grep -q 'errors: 0$' pan.log
	)
}

# found KIND OPTION...: prove() must find something.
found()
{
	local rc=0
	echo "${*:2}, $1:"
	prove "$@" || rc=$?
	[ $rc = 1 ] || { echo "pages.pml: spin does not find what ${*:2} breaks"; exit 1; }
}

case ${1:-} in
safety | liveness) optimise=-O2 ;;
broken) optimise=-O0 ;;
*) echo "spin.sh: no check '${1:-}'" >&2; exit 2 ;;
esac
out=${2:?spin.sh: name a directory}/$1
rm -rf "$out"
mkdir -p "$out"
trap 'rm -rf "$out"' EXIT

case $1 in
safety)
	prove safety -DREGIONS=1
	prove safety -DREGIONS=2
	;;
liveness) prove liveness -DREGIONS=2 ;;
broken)
	found liveness -DREGIONS=2 -DBREAK_IGNORE_CLOSING
	for broken in JOIN_UNLOCKED IGNORE_WINDOW CLEAR_SHARED CLOSED_ONCE CLOSED_UNLOCKED SLEEP_UNLOOKED NO_LEAF_PIN; do
		found safety -DREGIONS=2 -DBREAK_$broken
	done
	found safety -DREGIONS=1 -DBREAK_NO_CHUNK_PIN
	;;
esac
