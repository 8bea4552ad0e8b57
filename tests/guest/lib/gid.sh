# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# For tests in shell: the session has this directory's scripts in lib/, beside programs/.

# index_of DEV GID: in this namespace's /sys
index_of()
{
	local i gid
	for i in {0..15}; do
		read -r gid <"/sys/class/infiniband/$1/ports/1/gids/$i" && [ "$gid" = "$2" ] && echo "$i" && return
	done
}
