#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# userspace/examples/kv: values that are set, got and deleted; a reader beside a writer, whose values are moved and freed all the
# time, checks each of them; once more with a server that unmaps what it frees, where the reader has to connect again.
#
# rdma-odp: both providers
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

kv=$(cd "${0%/*}/../examples" && pwd)/kv || exit 1
trap end_jobs EXIT

# serve_kv [--unmap]
serve_kv() { serve peer '^serving' "$kv" serve "$@" 10.77.0.2; }

stop()
{
	kill -INT $server
	wait $server || fail "the server ends with $? at SIGINT"
}

# reader_beside_a_writer: sets again, how often the reader had to connect again
reader_beside_a_writer()
{
	"$kv" write 10.77.0.2 700 >/tmp/said_write 2>&1 &
	"$kv" read 10.77.0.2 350 >/tmp/said_read 2>&1 || fail "the reader"
	wait $! || fail "the writer"
	again=$(sed -n 's/.*connected again \([0-9]*\) times$/\1/p' /tmp/said_read)
}

check_provider
serve_kv
"$kv" set 10.77.0.2 colour red || fail "set"
[ "$("$kv" get 10.77.0.2 colour)" = red ] || fail "get"
"$kv" set 10.77.0.2 colour 'a longer value' || fail "set again"
[ "$("$kv" get 10.77.0.2 colour)" = 'a longer value' ] || fail "get again"
"$kv" delete 10.77.0.2 colour || fail "delete"
! "$kv" get 10.77.0.2 colour >/tmp/said_get 2>&1 || fail "got what is deleted"
grep -qF "there is no 'colour'" /tmp/said_get || fail "no sentence"
reader_beside_a_writer
[ "$again" = 0 ] || fail "memory that was heap is not mapped: $again times"
stop

# How often its reads meet memory that is gone is chance.
serve_kv --unmap
again=0
until [ "$again" -gt 0 ]; do
	[ "$(left)" -gt 5 ] || fail "the reader never had to connect again"
	reader_beside_a_writer
done
stop
exit 0
