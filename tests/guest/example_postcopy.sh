#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# userspace/examples/postcopy: two peers read pages that are not there yet and have the file's bytes; a file that is cut short
# ends the server and its reader with a sentence; so does a server that is killed, and what was missing is an error then for all that
# still have its memory.
#
# rdma-odp: both providers
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

postcopy=$(cd "${0%/*}/../examples" && pwd)/postcopy || exit 1
out=/tmp/example_postcopy
trap 'end_jobs; rm -f $out.*' EXIT

# serve_pages DELAY_US
serve_pages() { serve peer '^serving' "$postcopy" serve -d "$1" $out.file 10.77.0.2; }

# Not a whole number of pages.
pages=700
head -c $((pages * 4096 - 1000)) /dev/urandom >$out.file
# It pushes for 3.5 s from when a reader is connected, which is to ask for a page by then.
serve_pages 5000
"$postcopy" read 10.77.0.2 $out.file >/tmp/said_one 2>&1 &
"$postcopy" read 10.77.0.2 $out.file >/tmp/said_two 2>&1 || fail "the second reader"
wait $! || fail "the first reader"
grep -q "^$pages pages were read in random order, all as in the file" /tmp/said_one || fail "not all pages"
await $server "the server" grep -q "^$pages of $pages pages are there" /tmp/said_server
! grep -q ': 0 were asked for' /tmp/said_server || fail "no page was asked for"
# Now it is ordinary memory.
"$postcopy" read 10.77.0.2 $out.file >/tmp/said_one 2>&1 || fail "the third reader"
kill -INT $server
wait $server || fail "the server ends with $? at SIGINT"

# reader_fails PID: the reader of the background
reader_fails()
{
	! wait "$1" || fail "the reader has read what is not there"
	grep -q '^postcopy: ' /tmp/said_one || fail "no sentence of the reader"
	! grep -q 'is not that of the file' /tmp/said_one || fail "the reader has got other bytes instead of an error"
}

# What is cut off later is no longer to be had. The reader compares with another copy.
cp $out.file $out.copy
serve_pages 5000
truncate -s 40960 $out.file
"$postcopy" read 10.77.0.2 $out.copy >/tmp/said_one 2>&1 &
reader_fails $!
! wait $server || fail "the server of a file that was cut short"
grep -q 'has been cut short' /tmp/said_server || fail "no sentence of the server"

# A page takes a minute: its reader hears that the server is gone.
cp $out.copy $out.file
serve_pages 60000000
"$postcopy" read 10.77.0.2 $out.file >/tmp/said_one 2>&1 &
reader=$!
is_connected() { in_peer rdma resource show qp | grep -q 'state RTS'; }
await $reader "the reader" is_connected
# Whoever waits for a page keeps the memory alive, as the NIC does, when the server has closed its userfaultfd by dying.
"${0%/*}/../data/peek.py" $server >/tmp/said_peek 2>&1 &
peek=$!
waits_for_a_page() { grep -qsx reading /tmp/said_peek && [ "$(sed 's/.*) //; s/ .*//' "/proc/$peek/stat")" = D ]; }
await $peek "peek.py" waits_for_a_page
kill -9 $server
wait $peek || fail "peek.py fails"
! grep -qxE 'zeros|bytes' /tmp/said_peek || fail "a page that was never filled is read: $(tail -n 1 /tmp/said_peek)"
reader_fails $reader
exit 0
