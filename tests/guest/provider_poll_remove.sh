#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A thread of the kernel polls send queues that are full of work while its device goes: by "rdma link delete", with the module, and with
# its process. Nothing waits for the process, and no thread is left.
set -u

fail() { echo "provider_poll_remove: $*"; exit 1; }

provider=$(cd "$(dirname "$0")/../provider" && pwd) || exit 1
export RXE_ODP_POLL_US=1000000 IBV_DRIVERS=$provider/librxe_odp
server='' client=''
trap 'kill -9 $server $client 2>/dev/null; rm -f /run/poll_server /run/poll_client' EXIT

threads() { grep -lx rxe_odp_poll /proc/[0-9]*/comm 2>/dev/null | wc -l; }

sent_packets() { cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/sent_pkts; }

# await_threads N
await_threads()
{
	local end=$((SECONDS + 30))
	until [ "$(threads)" -eq "$1" ]; do
		[ $SECONDS -lt $end ] || fail "there are $(threads) polling threads, not $1"
		sleep 0.05
	done
}

# A transfer without end between two processes; each has a thread, and posts all the time.
busy()
{
	local end=$((SECONDS + 30))
	ib_write_bw -d rxe_odp0 -F -D 600 -s 64 >/run/poll_server 2>&1 &
	server=$!
	until ss -Hltn 'sport = :18515' | grep -q .; do
		[ $SECONDS -lt $end ] || fail "ib_write_bw does not listen"
		sleep 0.05
	done
	ib_write_bw -d rxe_odp0 -F -D 600 -s 64 10.77.0.1 >/run/poll_client 2>&1 &
	client=$!
	await_threads 2
	sent=$(sent_packets)
	until [ "$(sent_packets)" -gt $((sent + 1000)) ]; do
		[ $SECONDS -lt $end ] || { cat /run/poll_client; fail "nothing is sent"; }
		sleep 0.05
	done
}

idle()
{
	kill -9 $client $server
	wait $client $server 2>/dev/null
	await_threads 0
}

busy
timeout "${TEST_LIMIT_S:-100}" rdma link del rxe_odp0 || fail "the link is not deleted"
await_threads 0
idle
/odp/host/links reset || fail "no links after a deletion"

busy
timeout "${TEST_LIMIT_S:-100}" rmmod rxe_odp || fail "the module is not removed"
await_threads 0
idle
/odp/host/links reset || fail "no links after the end of the module"

busy
idle
timeout "${TEST_LIMIT_S:-100}" rmmod rxe_odp || fail "the module is not removed after a kill"
/odp/host/links reset || fail "no links after a kill"
