# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Waiting, for programs in shell.

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((${TEST_LIMIT_S:-100} - 5)) ] || return 1
		sleep 0.1
	done
}

# written STAT: how many writes a disk has seen, by its file "stat" in sysfs
written()
{
	local writes
	read -r _ _ _ _ writes _ <"$1" && echo "$writes"
}
is_written_more_than() { [ "$(written "$2")" -gt "$1" ]; }
