#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# userspace/examples/postcopy: two peers read pages that are not there yet and have the file's bytes; a file that is cut short
# ends the server and its reader with a sentence; so does a server that is killed, and what was missing is an error then for all that
# still have its memory.
#
# rdma-odp: both providers
set -u

postcopy=$(cd "$(dirname "$0")/../examples" && pwd)/postcopy || exit 1
out=/tmp/example_postcopy
fail() { echo "example_postcopy: $*"; tail -n 20 $out.*[^e] 2>/dev/null; exit 1; }
trap 'kill -9 $(jobs -p) 2>/dev/null; rm -f $out.*' EXIT

# serve DELAY_US: sets server
serve()
{
	: >$out.server
	ip netns exec peer "$postcopy" serve -d "$1" $out.file 10.77.0.2 >$out.server 2>&1 &
	server=$!
	until grep -q '^serving' $out.server; do
		kill -0 $server 2>/dev/null || fail "the server has ended"
		sleep 0.1
	done
}

# Not a whole number of pages.
pages=700
head -c $((pages * 4096 - 1000)) /dev/urandom >$out.file
serve 200
"$postcopy" read 10.77.0.2 $out.file >$out.one 2>&1 &
"$postcopy" read 10.77.0.2 $out.file >$out.two 2>&1 || fail "the second reader"
wait $! || fail "the first reader"
grep -q "^$pages pages were read in random order, all as in the file" $out.one || fail "not all pages"
until grep -q "^$pages of $pages pages are there" $out.server; do
	kill -0 $server 2>/dev/null || fail "the server has ended"
	sleep 0.1
done
! grep -q ': 0 were asked for' $out.server || fail "no page was asked for"
# Now it is ordinary memory.
"$postcopy" read 10.77.0.2 $out.file >$out.one 2>&1 || fail "the third reader"
kill -INT $server
wait $server || fail "the server ends with $? at SIGINT"

# reader_fails PID: the reader of the background
reader_fails()
{
	! wait "$1" || fail "the reader has read what is not there"
	grep -q '^postcopy: ' $out.one || fail "no sentence of the reader"
	! grep -q 'is not that of the file' $out.one || fail "the reader has got other bytes instead of an error"
}

# What is cut off later is no longer to be had. The reader compares with another copy.
cp $out.file $out.copy
serve 5000
truncate -s 40960 $out.file
"$postcopy" read 10.77.0.2 $out.copy >$out.one 2>&1 &
reader_fails $!
! wait $server || fail "the server of a file that was cut short"
grep -q 'has been cut short' $out.server || fail "no sentence of the server"

# A page takes a minute: its reader hears that the server is gone.
cp $out.copy $out.file
serve 60000000
"$postcopy" read 10.77.0.2 $out.file >$out.one 2>&1 &
reader=$!
until ip netns exec peer rdma resource show qp | grep -q 'state RTS'; do
	kill -0 $reader 2>/dev/null || fail "the reader has ended"
	sleep 0.1
done
# Whoever waits for a page keeps the memory alive, as the NIC does, when the server has closed its userfaultfd by dying.
"$(dirname "$0")/../data/peek.py" $server >$out.peek 2>&1 &
peek=$!
until grep -qx reading $out.peek && [ "$(sed 's/.*) //; s/ .*//' /proc/$peek/stat)" = D ]; do
	kill -0 $peek 2>/dev/null || fail "nobody has waited for the page"
	sleep 0.1
done
kill -9 $server
wait $peek || fail "peek.py fails"
! grep -qxE 'zeros|bytes' $out.peek || fail "a page that was never filled is read: $(tail -n 1 $out.peek)"
reader_fails $reader
exit 0
