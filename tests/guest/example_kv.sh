#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# userspace/examples/kv: values that are set, got and deleted; a reader beside a writer, whose values are moved and freed all the
# time, checks each of them; once more with a server that unmaps what it frees, where the reader has to connect again.
#
# rdma-odp: both providers
set -u

kv=$(cd "$(dirname "$0")/../examples" && pwd)/kv || exit 1
out=/tmp/example_kv
fail() { echo "example_kv: $*"; tail -n 20 $out.* 2>/dev/null; exit 1; }
trap 'kill -9 $(jobs -p) 2>/dev/null; rm -f $out.*' EXIT

# serve [--unmap]: sets server
serve()
{
	: >$out.server
	ip netns exec peer "$kv" serve "$@" 10.77.0.2 >$out.server 2>&1 &
	server=$!
	until grep -q '^serving' $out.server; do
		kill -0 $server 2>/dev/null || fail "the server has ended"
		sleep 0.1
	done
}

stop()
{
	kill -INT $server
	wait $server || fail "the server ends with $? at SIGINT"
}

# reader_beside_a_writer: sets again, how often the reader had to connect again
reader_beside_a_writer()
{
	"$kv" write 10.77.0.2 700 >$out.write 2>&1 &
	"$kv" read 10.77.0.2 350 >$out.read 2>&1 || fail "the reader"
	wait $! || fail "the writer"
	again=$(sed -n 's/.*connected again \([0-9]*\) times$/\1/p' $out.read)
}

[ -z "${RDMA_ODP_PROVIDER:-}" ] || ibv_devinfo -d rxe_odp0 | grep -qF "($RDMA_ODP_PROVIDER)" || fail "not driven by $RDMA_ODP_PROVIDER"
serve
"$kv" set 10.77.0.2 colour red || fail "set"
[ "$("$kv" get 10.77.0.2 colour)" = red ] || fail "get"
"$kv" set 10.77.0.2 colour 'a longer value' || fail "set again"
[ "$("$kv" get 10.77.0.2 colour)" = 'a longer value' ] || fail "get again"
"$kv" delete 10.77.0.2 colour || fail "delete"
! "$kv" get 10.77.0.2 colour >$out.get 2>&1 || fail "got what is deleted"
grep -qF "there is no 'colour'" $out.get || fail "no sentence"
reader_beside_a_writer
[ "$again" = 0 ] || fail "memory that was heap is not mapped: $again times"
stop

# How often its reads meet memory that is gone is chance.
serve --unmap
again=0
until [ "$again" -gt 0 ]; do
	[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "the reader never had to connect again"
	reader_beside_a_writer
done
stop
exit 0
