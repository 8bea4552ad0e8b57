#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# libfabric as it comes: messages over RC, and reliable datagrams above them (rxm), which asks for CQs of half a million.
#
# rdma-odp: timeout 240
set -u
trap 'rm -f /tmp/fi_server /tmp/fi_client; kill $(jobs -p) 2>/dev/null' EXIT

fail() { echo "libfabric: $*"; cat /tmp/fi_server /tmp/fi_client 2>/dev/null; exit 1; }
counter() { cat "/sys/class/infiniband/rxe_odp0/ports/1/hw_counters/$1"; }
# In packets or, with local=on, without.
sent() { echo $(($(counter sent_pkts) + $(counter local_ops))); }
listens() { ip netns exec peer ss -Hltn 'sport = 47592' | grep -q .; }

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-240} > SECONDS ? ${TEST_LIMIT_S:-240} - SECONDS : 1)); }

# moved STATUS FILE ARGS...: an end of pingpong has sent all, and got it back as it was. rxm's may die after it: up to 2.6 it closes an
# endpoint and handles what came before then ("prov/rxm: fix the msg_ep use-after-free at connection teardown").
moved() { [ "$1" = 0 ] || { [ "$1" = 139 ] && [[ $* == *ofi_rxm* ]] && grep -q '[[:space:]]50  *=50[[:space:]]' "$2"; }; }

# pingpong ARGS...: -c compares what came with what was sent.
pingpong()
{
	local server before status

	before=$(sent)
	# By lines, since what an end that dies has in its buffer is lost.
	ip netns exec peer stdbuf -oL fi_pingpong "$@" >/tmp/fi_server 2>&1 &
	server=$!
	until listens; do
		kill -0 $server 2>/dev/null || fail "$*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-240}" ] || fail "$*: the server does not listen"
		sleep 0.1
	done
	timeout "$(left)" stdbuf -oL fi_pingpong "$@" 10.77.0.2 >/tmp/fi_client 2>&1
	status=$?
	moved $status /tmp/fi_client "$@" || fail "$*: the client's status $status"
	wait $server
	status=$?
	moved $status /tmp/fi_server "$@" || fail "$*: the server's status $status"
	[ $(($(sent) - before)) -ge 50 ] || fail "$*: it did not go through the device"
}

for size in 64 4096 65536; do
	pingpong -p verbs -e msg -c -I 50 -S $size
	pingpong -p 'verbs;ofi_rxm' -e rdm -c -I 50 -S $size
done
exit 0
