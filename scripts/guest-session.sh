# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The session (session.sh) of programs of tests/guest: what lies in its directory. Sourced by guest-tests.sh and debug-kernel.sh.
# shellcheck disable=SC2154

# limit NAME: the seconds that a program has: those that its source says, or 120. What is asked to take longer is given that time.
limit()
{
	local n
	n=$(cat "$SRC/tests/guest/${1%%.*}".{c,sh} 2>/dev/null | grep -aoE 'rdma-odp: timeout [0-9]+' | head -n 1 | grep -oE '[0-9]+$' || :)
	echo $((${n:-120} * factor + ${STORM_S:-0} + 4 * ${FUZZ_S:-0} + ${TEST_LONG:-0} * 600))
}

# begin_session BUILD: without programs; BUILD is the directory in which those of this guest were built
begin_session()
{
	rm -rf "$session"
	mkdir -p "$session"/{programs,results,provider,lib}
	: >"$session/todo"
	cp -r "$SRC/tests/guest/data" "$SRC/docs/recipes" "$session/"
	cp "$SRC"/tests/guest/lib/*.sh "$session/lib/"
	cp -RP "$1/provider"/{librxe_odp*,abi,asan,tsan} "$session/provider/"
}

# put_program BUILD NAME
put_program()
{
	local source=$SRC/tests/guest/${2%%.*} program=$session/programs/$2
	if [[ $2 == kunit_* ]]; then
		printf '#!/bin/sh\nexec /odp/host/kunit %s_kunit\n' "${2#kunit_}" >"$program"
	elif [ -e "$source.c" ]; then
		cp "$1/tests/${2%%.*}" "$program"
	else
		cp "$source.sh" "$program"
	fi
	chmod 755 "$program"
	echo "$2 $(limit "$2")" >>"$session/todo"
}
