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

# The end of rxm's server: up to 2.6 it closes an endpoint and then handles messages that came before, which ends the process where
# one is left ("prov/rxm: fix the msg_ep use-after-free at connection teardown"). The client has compared all its data by then.
ended() { [ "$1" = 0 ] || { [[ $2 == *ofi_rxm* ]] && [ "$1" = 139 ]; }; }

# pingpong ARGS...: -c compares what came with what was sent.
pingpong()
{
	local server before status

	before=$(sent)
	ip netns exec peer fi_pingpong "$@" >/tmp/fi_server 2>&1 &
	server=$!
	until listens; do
		kill -0 $server 2>/dev/null || fail "$*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-240}" ] || fail "$*: the server does not listen"
		sleep 0.1
	done
	timeout "$(left)" fi_pingpong "$@" 10.77.0.2 >/tmp/fi_client 2>&1 || fail "$*: status $?"
	wait $server
	status=$?
	ended $status "$*" || fail "$*: the server's status $status"
	[ $(($(sent) - before)) -ge 50 ] || fail "$*: it did not go through the device"
}

for size in 64 4096 65536; do
	pingpong -p verbs -e msg -c -I 50 -S $size
	pingpong -p 'verbs;ofi_rxm' -e rdm -c -I 50 -S $size
done
exit 0
