#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM over QP1: rping between the two namespaces, IPv4 and IPv6, with its data checked, and perftest that connects
# through it, pinned and on demand.
#
# rdma-odp: both providers
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	tc qdisc del dev veth0 root
} 2>/dev/null
trap cleanup EXIT

check_provider
serve peer cm rping -s -a 10.77.0.2 -C 20 -S 4000 -V
client rping -c -a 10.77.0.2 -C 20 -S 4000 -V
serve peer cm rping -s -a fd77::2 -C 20 -S 4000 -V
client rping -c -a fd77::2 -C 20 -S 4000 -V

# perftest's server connects twice, and does not listen while it gets ready for the second time; its client asks at once, is refused
# by ib_cm (8: nobody listens) and may crash. On a wire that takes a while the server is ready first, unless its CPU has stood still:
# then it was perftest's fault, and both begin again.
too_early() { ! kill -0 $server 2>/dev/null || kill $server; wait $server; grep -q 'RDMA_CM_EVENT_REJECTED; error: 8' /tmp/said_client; }

# perftest TOOL ARGS...
perftest()
{
	local tool=$1
	shift
	while :; do
		serve peer cm "$tool" -R -d rxe_odp1 -F -s 20000 -n 50 "$@"
		! "$tool" -R -d rxe_odp0 -F -s 20000 -n 50 "$@" 10.77.0.2 >/tmp/said_client 2>&1 || break
		too_early || fail "$tool $*: the client failed"
		[ "$(left)" -gt 5 ] || fail "$tool $*: its server never listens in time"
	done
	wait $server || fail "$tool $*: the server failed"
}

tc qdisc add dev veth0 root netem delay 20ms || fail "no netem"
for odp in '' --odp; do
	for tool in ib_write_bw ib_send_bw ib_read_bw; do
		# shellcheck disable=SC2086
		perftest $tool $odp
	done
done
exit 0
