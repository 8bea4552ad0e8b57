# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The kernel's SCSI target (LIO) and an initiator over a device of ours, nvx: what the programs of the two fabrics have in common.
# The LUNs are a RAM disk and a file, as disk 0 and disk 1.
#
# A program says what its fabric is by functions: offer and withdraw start and stop the target, login and logout the initiator,
# gone says that it is logged out, is_live whether it is connected, unmake removes the fabric's part of the target.

# shellcheck source=tests/guest/lib/wait.sh
. "$(dirname "$0")/../lib/wait.sh" || exit 1

target=/sys/kernel/config/target
core=$target/core
address=10.79.0.1
program=$(basename "$0" .sh)

fail()
{
	echo "$program: $*"
	cat /tmp/lio_fio 2>/dev/null
	dmesg | tail -n 25
	exit 1
}

# need MODULE...: loads them, or ends the program
need()
{
	local module
	for module in "$@"; do
		modprobe "$module" 2>/dev/null || { echo "SKIP: this kernel has no $module"; exit 77; }
	done
}

# disk LUN: its name; nothing if there is none. The guest has no other SCSI disks.
disk()
{
	local at
	for at in /sys/block/sd*; do
		[[ ! -b /dev/${at##*/} || $(readlink "$at/device") != *:"$1" ]] || echo "/dev/${at##*/}"
	done
}
has_disks() { [ -n "$(disk 0)" ] && [ -n "$(disk 1)" ]; }
no_disk() { ! compgen -G '/sys/block/sd*' >/dev/null; }
is_away() { ! is_live; }
has_gid() { grep -qsrx 0000:0000:0000:0000:0000:ffff:0a4f:0001 /sys/class/infiniband/nvx/ports/1/gids; }

make_device()
{
	{ ip link add nvx mtu 9000 type veth peer name nvy mtu 9000 && ip link set nvy up && ip link set nvx up &&
		ip addr add $address/24 dev nvx && rdma link add nvx type rxe_odp netdev nvx; } || fail "no device"
	eventually has_gid || fail "no GID"
}

make_backstores()
{
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	head -c 8M /dev/urandom >/tmp/lio_data
	truncate -s 64M /var/tmp/lio_file
	{ mkdir -p $core/rd_mcp_0/ram && echo rd_pages=16384 >$core/rd_mcp_0/ram/control && echo 1 >$core/rd_mcp_0/ram/enable; } ||
		fail "no RAM disk"
	{ mkdir -p $core/fileio_0/file && echo fd_dev_name=/var/tmp/lio_file,fd_dev_size=67108864 >$core/fileio_0/file/control &&
		echo 1 >$core/fileio_0/file/enable; } || fail "no file"
}

# make_luns PORTAL_GROUP
make_luns()
{
	{ mkdir "$1/lun/lun_0" "$1/lun/lun_1" && ln -s $core/rd_mcp_0/ram "$1/lun/lun_0/ram" &&
		ln -s $core/fileio_0/file "$1/lun/lun_1/file"; } || fail "no LUNs"
}

unmake_luns()
{
	rm "$1/lun/lun_0/ram" "$1/lun/lun_1/file"
	rmdir "$1/lun/lun_0" "$1/lun/lun_1"
}

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	pkill -x fio
	nft delete table ip lio_cut
	umount -l /tmp/lio_mount
	# It may fail, which ends a shell.
	gone || (logout)
	unmake
	rmdir $core/*/* $core/{rd_mcp,fileio}_0
	rdma link del nvx
	ip link del nvx
	rmdir /tmp/lio_mount
	rm -f /var/tmp/lio_file /tmp/lio_fio /tmp/lio_data /tmp/lio_busy
} 2>/dev/null

remove_lio() { rmmod target_core_{user,pscsi,iblock,file,mod} sd_mod; } 2>/dev/null

# verified LUN NAME OPTION...: fio, each block with its own checksum
verified()
{
	fio --name="$2" --filename="$(disk "$1")" --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--randseed=7711 "${@:3}" >/tmp/lio_fio 2>&1
}

# A file system, and a file of 8 MiB in it that is the same after it was mounted again.
file_system()
{
	mkfs.ext4 -q -F "$(disk "$1")" 32M || fail "no file system"
	mkdir -p /tmp/lio_mount
	mount "$(disk "$1")" /tmp/lio_mount || fail "it cannot be mounted"
	{ cp /tmp/lio_data /tmp/lio_mount/data && umount /tmp/lio_mount && mount "$(disk "$1")" /tmp/lio_mount; } ||
		fail "it cannot be mounted again"
	cmp /tmp/lio_data /tmp/lio_mount/data || fail "another file comes back"
	umount /tmp/lio_mount
}

# during CMD...: I/O goes on and is right in the end, whatever CMD does.
during()
{
	local io stat written
	stat=/sys/block/$(basename "$(disk 1)")/stat
	written=$(written "$stat")
	touch /tmp/lio_busy
	while [ -e /tmp/lio_busy ]; do verified 1 under --rw=randwrite --bs=16k --size=4m || exit; done &
	io=$!
	eventually is_written_more_than "$written" "$stat" || fail "no I/O"
	"$@" || fail "$*"
	eventually is_live || fail "$*: not connected again"
	rm /tmp/lio_busy
	wait $io || fail "$*: fio"
}

# scsi_reset HOW: 1 the LUN, 4 the target or, where the initiator knows no such reset, the host; 0x100 more: that alone, as
# <scsi/sg.h> has them
scsi_reset() { python3 -c "import fcntl, struct; fcntl.ioctl(open('$(disk 1)'), 0x2284, struct.pack('i', $1))"; }
resets() { scsi_reset 1 && eventually is_live && scsi_reset 4 && eventually is_live; }
target_goes() { withdraw; eventually is_away && offer; }
# No packet passes until the initiator has noticed. An initiator that waits for the target alone, with nothing to send itself, does so
# after 30 seconds; so it has to ask for something.
network_goes()
{
	local noticed asked
	nft 'add table ip lio_cut; add chain ip lio_cut in { type filter hook input priority 0; }; add rule ip lio_cut in udp dport 4791 drop' ||
		return
	scsi_reset 0x101 2>/dev/null &
	asked=$!
	eventually is_away
	noticed=$?
	nft delete table ip lio_cut
	wait $asked
	return "$noticed"
}

# All of it, up to a device that is still in use.
acts()
{
	local lun
	login
	for lun in 0 1; do
		verified $lun random --rw=randwrite --bsrange=4k-256k --size=8m || fail "LUN $lun: fio"
		verified $lun large --rw=write --bs=2m --size=8m --iodepth=2 || fail "LUN $lun: fio"
	done
	file_system 0
	for _ in 1 2 3; do
		logout
		login
	done
	during resets
	during target_goes
	during network_goes
	ip link set nvx down
	verified 1 down --rw=randwrite --bs=16k --size=1m || fail "packets of this host to itself need no link"
	ip link set nvx up
}
