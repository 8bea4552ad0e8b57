# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# What programs in shell share, as those in C do test.h: failing, waiting, namespaces. The session has this directory's scripts in lib/,
# beside programs/. What a program starts writes into /tmp/said_*, which fail shows and end_jobs removes.

program=${0##*/}
program=${program%.sh}
limit=${TEST_LIMIT_S:-240}
# What a failure is about, for a program that does the same thing in several ways.
about=''

fail()
{
	echo "FAIL: $program: ${about:+$about: }$*"
	tail -n 60 /tmp/said_* 2>/dev/null
	exit 1
}

# left: what is left of this program's time, in seconds, for timeout(1): only a hang takes it.
left() { echo $((limit > SECONDS ? limit - SECONDS : 1)); }

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((limit - 5)) ] || return 1
		sleep 0.1
	done
}

# await PID WHO CMD...: until CMD succeeds; fails when the process PID ends before, or there is no time left
await()
{
	local pid=$1 who=$2
	shift 2
	until "$@"; do
		kill -0 "$pid" 2>/dev/null || fail "$who has ended before: $*"
		[ $SECONDS -lt $((limit - 5)) ] || fail "$who, not in time: $*"
		sleep 0.1
	done
}

# is_unused MODULE
is_unused() { [ "$(cat "/sys/module/$1/refcnt")" = 0 ]; }

# end_jobs: what this program has in the background, and what it said
end_jobs()
{
	# shellcheck disable=SC2046
	kill -9 $(jobs -p)
	wait
	rm -f /tmp/said_*
} 2>/dev/null

# in_netns NAMESPACE CMD...: '' is the one that this program is in. CMD may be a function, which has all other functions there, but no
# variables.
in_netns()
{
	if [ -z "$1" ]; then
		"${@:2}"
	elif declare -F "$2" >/dev/null; then
		ip netns exec "$1" bash -c "$(declare -f); \"\$@\"" bash "${@:2}"
	else
		ip netns exec "$1" "${@:2}"
	fi
}
in_peer() { in_netns peer "$@"; }
