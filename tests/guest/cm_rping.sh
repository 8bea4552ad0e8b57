#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# RDMA-CM over QP1: rping between the two namespaces, IPv4 and IPv6, with its data checked, and perftest that connects
# through it, pinned and on demand.
#
# rdma-odp: both providers
set -u

fail() { echo "cm_rping: $*"; cat /tmp/cm_server /tmp/cm_client 2>/dev/null; exit 1; }
trap 'rm -f /tmp/cm_server /tmp/cm_client; kill $(jobs -p) 2>/dev/null; tc qdisc del dev veth0 root 2>/dev/null' EXIT

# serve CMD...: starts a server in peer, sets server, and waits until it listens (perftest's client may crash when it is refused).
serve()
{
	ip netns exec peer "$@" >/tmp/cm_server 2>&1 &
	server=$!
	until ip netns exec peer rdma resource show cm_id | grep -q 'state LISTEN'; do
		kill -0 $server 2>/dev/null || fail "$*: the server has ended"
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$*: it does not listen"
		sleep 0.1
	done
}

client()
{
	"$@" >/tmp/cm_client 2>&1 || fail "$*: status $?"
	wait $server || fail "$*: the server failed"
}

[ -z "${RDMA_ODP_PROVIDER:-}" ] || ibv_devinfo -d rxe_odp0 | grep -qF "($RDMA_ODP_PROVIDER)" || fail "not driven by $RDMA_ODP_PROVIDER"
serve rping -s -a 10.77.0.2 -C 20 -S 4000 -V
client rping -c -a 10.77.0.2 -C 20 -S 4000 -V
serve rping -s -a fd77::2 -C 20 -S 4000 -V
client rping -c -a fd77::2 -C 20 -S 4000 -V

# perftest's server connects twice, and does not listen while it gets ready for the second time; its client asks at once, is refused
# by ib_cm (8: nobody listens) and may crash. On a wire that takes a while the server is ready first, unless its CPU has stood still:
# then it was perftest's fault, and both begin again.
too_early() { ! kill -0 $server 2>/dev/null || kill $server; wait $server; grep -q 'RDMA_CM_EVENT_REJECTED; error: 8' /tmp/cm_client; }

# perftest TOOL ARGS...
perftest()
{
	local tool=$1
	shift
	while :; do
		serve "$tool" -R -d rxe_odp1 -F -s 20000 -n 50 "$@"
		! "$tool" -R -d rxe_odp0 -F -s 20000 -n 50 "$@" 10.77.0.2 >/tmp/cm_client 2>&1 || break
		too_early || fail "$tool $*: the client failed"
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$tool $*: its server never listens in time"
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
