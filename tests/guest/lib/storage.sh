# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# Block devices of the kernel from a target: I/O on them, and what happens to it. A program says by functions: disk LUN, is_live
# (the initiator is connected), withdraw and offer (the target goes and comes back).

# shellcheck source=tests/guest/lib/ends.sh
. "${0%/*}/../lib/ends.sh" || exit 1

config=/sys/kernel/config

is_away() { ! is_live; }

mount_config() { mountpoint -q $config || mount -t configfs none $config; }

# verified LUN NAME OPTION...: fio, each block with its own checksum
verified()
{
	fio --name="$2" --filename="$(disk "$1")" --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--randseed=7711 "${@:3}" >/tmp/said_fio 2>&1
}

# verified_sizes LUN: of one request each, from what is sent with its command to more than a request may have
verified_sizes()
{
	verified "$1" random --rw=randwrite --bsrange=4k-256k --size=8m || fail "LUN $1: fio"
	verified "$1" large --rw=write --bs=2m --size=8m --iodepth=2 || fail "LUN $1: fio"
}

# file_system LUN: and a file of 8 MiB in it that is the same after it was mounted again
file_system()
{
	head -c 8M /dev/urandom >/tmp/storage_data
	mkfs.ext4 -q -F "$(disk "$1")" 32M || fail "no file system"
	mkdir -p /tmp/storage_mount
	mount "$(disk "$1")" /tmp/storage_mount || fail "it cannot be mounted"
	{ cp /tmp/storage_data /tmp/storage_mount/data && umount /tmp/storage_mount && mount "$(disk "$1")" /tmp/storage_mount; } ||
		fail "it cannot be mounted again"
	cmp /tmp/storage_data /tmp/storage_mount/data || fail "another file comes back"
	umount /tmp/storage_mount
}

# written STAT: how many writes a disk has seen, by its file "stat" in sysfs
written()
{
	local writes
	read -r _ _ _ _ writes _ <"$1" && echo "$writes"
}
is_written_more_than() { [ "$(written "$2")" -gt "$1" ]; }

# during LUN CMD...: I/O goes on and is right in the end, whatever CMD does.
during()
{
	local io stat written
	stat=/sys/block/$(basename "$(disk "$1")")/stat
	written=$(written "$stat")
	touch /tmp/storage_busy
	while [ -e /tmp/storage_busy ]; do verified "$1" under --rw=randwrite --bs=16k --size=4m || exit; done &
	io=$!
	eventually is_written_more_than "$written" "$stat" || fail "no I/O"
	"${@:2}" || fail "${*:2}"
	eventually is_live || fail "${*:2}: not connected again"
	rm /tmp/storage_busy
	wait $io || fail "${*:2}: fio"
}

# I/O that is under way when the program fails would hold up what it uses.
end_io()
{
	rm -f /tmp/storage_busy
	pkill -x fio
	umount -l /tmp/storage_mount
	rmdir /tmp/storage_mount
	rm -f /tmp/storage_data
}

target_goes() { at_target withdraw; eventually is_away && at_target offer; }

# network_goes [CMD...]: no packet passes until the initiator has noticed. Who waits for the target alone, with nothing to send itself, does so
# late; CMD has something to send.
network_goes()
{
	local noticed asked=''
	cut || return
	if [ $# -gt 0 ]; then
		"$@" &
		asked=$!
	fi
	eventually is_away
	noticed=$?
	mend || return
	[ -z "$asked" ] || wait $asked
	return "$noticed"
}

# Packets of this host to itself need no link.
without_a_link()
{
	[ "$role" = both ] || return 0
	ip link set nvx down
	verified "$1" down --rw=randwrite --bs=16k --size=1m || fail "packets of this host to itself need no link"
	ip link set nvx up
}
