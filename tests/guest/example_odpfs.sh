#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# userspace/examples/odpfs: a file larger than the memory of the server's cgroup, on ext4, is put, got, verified and read at random;
# two clients at once; names that are not to be had; a file that is cut short under its reader; either side killed in the middle.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

odpfs=$(cd "${0%/*}/../examples" && pwd)/odpfs || exit 1
dir=/tmp/example_odpfs served=/tmp/example_odpfs/served group=/sys/fs/cgroup/example_odpfs
cleanup()
{
	end_jobs
	umount "$served"
	rm -rf "$dir"
	until rmdir "$group" || [ ! -e "$group" ]; do sleep 0.1; done
} 2>/dev/null
trap cleanup EXIT

# forget FILE: takes it out of the page cache
forget() { dd if="$1" iflag=nocache count=0 status=none; }

# serve_files: in its cgroup
# shellcheck disable=SC2016
serve_files()
{
	serve '' '^serving' bash -c 'echo $$ >"$1/cgroup.procs" && exec ip netns exec peer "$2" serve "$3" 10.77.0.2' sh $group "$odpfs" $served
}

# started PID: waits until the server's region has been read from
started() { await "$1" "the client" is_read; }
is_read() { in_peer rdma statistic show mr | grep -q '^ *page_faults [1-9]'; }

# refuses SENTENCE COMMAND ARGS...: without the server's address
refuses()
{
	! "$odpfs" "$2" 10.77.0.2 "${@:3}" >/tmp/said_refused 2>&1 || fail "not refused: ${*:2}"
	grep -qF "$1" /tmp/said_refused || fail "refused otherwise: ${*:2}"
}

mkdir -p $served $group
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || fail "no memory controller"
echo 8M >$group/memory.max
[ ! -e $group/memory.swap.max ] || echo 0 >$group/memory.swap.max
truncate -s 64M $dir/image
modprobe loop 2>/dev/null
mkfs.ext4 -q -m 0 $dir/image || fail "no ext4"
mount -o loop $dir/image $served || fail "no file system"
# The program's own pages are to be charged to nobody who has to give some back: on User Mode Linux a process on the other CPU would go
# on executing what its page holds next (docs/testing.md).
ldd "$odpfs" | awk '$3 ~ "^/" { print $3 }' | xargs cat "$odpfs" >/dev/null || fail "no libraries"
head -c 12000001 /dev/urandom >$dir/large
head -c 3000000 /dev/urandom >$dir/small
serve_files

"$odpfs" put 10.77.0.2 $dir/large || fail "put"
cmp $dir/large $served/large || fail "put something else"
forget $served/large
"$odpfs" get 10.77.0.2 large $dir/got || fail "get"
cmp $dir/large $dir/got || fail "got something else"
"$odpfs" randread 10.77.0.2 large 300 $dir/large || fail "randread"
"$odpfs" put 10.77.0.2 $dir/small &
"$odpfs" verify 10.77.0.2 large $dir/large || fail "verify, with another client beside it"
wait $! || fail "put, with another client beside it"
"$odpfs" verify 10.77.0.2 small $dir/small || fail "verify"
refuses 'another size' verify large $dir/small
printf x | dd of=$served/small bs=1 seek=1000000 conv=notrunc status=none
refuses 'the files differ' verify small $dir/small
: >$dir/empty
"$odpfs" put 10.77.0.2 $dir/empty || fail "put of nothing"
"$odpfs" get 10.77.0.2 empty $dir/got || fail "get of nothing"
[ ! -s $dir/got ] || fail "got something of nothing"
grep -qx 'oom_kill 0' $group/memory.events || fail "out of memory"
[ ! -e $group/memory.peak ] || [ "$(cat $group/memory.peak)" -lt 12000001 ] || fail "more memory than there may be"

echo secret >$dir/secret
ln -s $dir/secret $served/link
mkfifo $served/fifo
mkdir $served/sub
echo hidden >$served/.hidden
for name in ../secret /etc/passwd .hidden .. sub/x '' $'a\nb' sub fifo; do
	refuses 'Invalid argument' get "$name" $dir/got
done
refuses 'symbolic links' get link $dir/got
refuses 'No such file' get nothing $dir/got
# A name of put is its third argument.
for name in ../new .new sub/new fifo link; do
	! "$odpfs" put 10.77.0.2 $dir/small "$name" 2>/dev/null || fail "put $name"
done
[[ $(cat $dir/secret) = secret && ! -e $dir/new ]] || fail "written outside"

fallocate -l $(($(df --output=avail $served | tail -n 1) - 1000))K $served/filler || fail "the disk cannot be filled"
refuses 'its disk is full' put $dir/small new
rm $served/filler $served/new
"$odpfs" put 10.77.0.2 $dir/small new || fail "put, where there is room again"

"$odpfs" randread 10.77.0.2 large 1000000000 >/tmp/said_random 2>&1 &
started $!
truncate -s 4096 $served/large
! wait $! || fail "read what is cut off"
grep -q 'has been cut short' /tmp/said_random || fail "no sentence"

# Its client is killed: what was registered for it goes.
cp $dir/large $served/large
"$odpfs" randread 10.77.0.2 large 1000000000 >/tmp/said_random 2>&1 &
client=$!
started $client
kill -9 $client
no_region_of() { ! in_peer rdma resource show mr | grep -qw "pid $1"; }
await $server "the server of a client that was killed" no_region_of $server

# The server is killed: its client says so.
"$odpfs" randread 10.77.0.2 large 1000000000 >/tmp/said_random 2>&1 &
client=$!
started $client
kill -9 $server
! wait $client || fail "read from nobody"
grep -q '^odpfs: ' /tmp/said_random || fail "no sentence"

serve_files
"$odpfs" verify 10.77.0.2 large $dir/large || fail "verify, at another server"
kill -INT $server
wait $server || fail "the server ends with $? at SIGINT"
exit 0
