#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# libfabric as it comes: messages over RC, and reliable datagrams above them (rxm), which asks for CQs of half a million.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1
trap end_jobs EXIT

# moved STATUS FILE ARGS...: an end of pingpong has sent all, and got it back as it was. rxm's may die after it: up to 2.6 it closes an
# endpoint and handles what came before then ("prov/rxm: fix the msg_ep use-after-free at connection teardown").
moved() { [ "$1" = 0 ] || { [ "$1" = 139 ] && [[ $* == *ofi_rxm* ]] && grep -q '[[:space:]]50  *=50[[:space:]]' "$2"; }; }

# pingpong ARGS...: -c compares what came with what was sent.
pingpong()
{
	local before status
	before=$(sent)
	# By lines, since what an end that dies has in its buffer is lost.
	serve peer 47592 stdbuf -oL fi_pingpong "$@"
	timeout "$(left)" stdbuf -oL fi_pingpong "$@" 10.77.0.2 >/tmp/said_client 2>&1
	status=$?
	moved $status /tmp/said_client "$@" || fail "$*: the client's status $status"
	wait $server
	status=$?
	moved $status /tmp/said_server "$@" || fail "$*: the server's status $status"
	[ $(($(sent) - before)) -ge 50 ] || fail "$*: it did not go through the device"
}

for size in 64 4096 65536; do
	pingpong -p verbs -e msg -c -I 50 -S $size
	pingpong -p 'verbs;ofi_rxm' -e rdm -c -I 50 -S $size
done
exit 0
