# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# A server, which has to be ready before its client comes, and the client.

# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1

server=''

# serves HOW [NAMESPACE]: HOW is a port of TCP on which somebody listens there; "cm", somebody does by RDMA-CM; or a regular expression
# for what the server says
serves()
{
	case $1 in
	cm) in_netns "${2:-}" rdma resource show cm_id | grep -q 'state LISTEN' ;;
	[0-9]*) [ -n "$(in_netns "${2:-}" ss -Hltn "sport = :$1")" ] ;;
	*) grep -q "$1" /tmp/said_server ;;
	esac
}

# serve NAMESPACE HOW CMD...: a server there; sets server, its process, when it serves
serve()
{
	local netns=$1 how=$2
	shift 2
	: >/tmp/said_server
	{
		[ -z "$netns" ] || exec ip netns exec "$netns" "$@"
		exec "$@"
	} >/tmp/said_server 2>&1 &
	server=$!
	await $server "the server of $*" serves "$how" "$netns"
}

# client CMD...: it ends well, and so does the server, where there is one
client()
{
	timeout -s KILL "$(left)" "$@" >/tmp/said_client 2>&1 || fail "$*: status $?"
	[ -z "$server" ] || wait "$server" || fail "$*: the server failed"
}
