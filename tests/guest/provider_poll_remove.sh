#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A thread of the kernel polls send queues that are full of work while its device goes: by "rdma link delete", with the module, and with
# its process. Nothing waits for the process, and no thread is left.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

provider=$(cd "${0%/*}/../provider" && pwd) || exit 1
export RXE_ODP_POLL_US=1000000 IBV_DRIVERS=$provider/librxe_odp
client=''
trap end_jobs EXIT

threads() { grep -lx rxe_odp_poll /proc/[0-9]*/comm 2>/dev/null | wc -l; }

# await_threads N
await_threads() { eventually has_threads "$1" || fail "there are $(threads) polling threads, not $1"; }
has_threads() { [ "$(threads)" -eq "$1" ]; }
has_sent() { [ "$(counter sent_pkts)" -gt "$1" ]; }

# A transfer without end between two processes; each has a thread, and posts all the time.
busy()
{
	serve '' 18515 ib_write_bw -d rxe_odp0 -F -D 600 -s 64
	ib_write_bw -d rxe_odp0 -F -D 600 -s 64 10.77.0.1 >/tmp/said_client 2>&1 &
	client=$!
	await_threads 2
	await $client "the client" has_sent $(($(counter sent_pkts) + 1000))
}

idle()
{
	kill -9 $client $server
	wait $client $server 2>/dev/null
	await_threads 0
}

busy
timeout "$(left)" rdma link del rxe_odp0 || fail "the link is not deleted"
await_threads 0
idle
/odp/host/links reset || fail "no links after a deletion"

busy
timeout "$(left)" rmmod rxe_odp || fail "the module is not removed"
await_threads 0
idle
/odp/host/links reset || fail "no links after the end of the module"

busy
idle
timeout "$(left)" rmmod rxe_odp || fail "the module is not removed after a kill"
/odp/host/links reset || fail "no links after a kill"
