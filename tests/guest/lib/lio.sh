# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# The kernel's SCSI target (LIO) and an initiator: what the programs of the two fabrics have in common. The LUNs are a RAM disk and a
# file, as disk 0 and disk 1.
#
# A program says what its fabric is by functions, beside those of lib/storage.sh: login and logout are the initiator's, gone says that
# it is logged out. With "asks" the initiator resets a LUN while no packet passes: one that has nothing to send notices after 30 seconds.

# shellcheck source=tests/guest/lib/storage.sh
. "${0%/*}/../lib/storage.sh" || exit 1

target=$config/target
core=$target/core
asks=''

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

need_lio() { need target_core_mod target_core_file && mount_config; }

make_backstores()
{
	truncate -s 64M /var/tmp/storage_file
	{ mkdir -p $core/rd_mcp_0/ram && echo rd_pages=16384 >$core/rd_mcp_0/ram/control && echo 1 >$core/rd_mcp_0/ram/enable; } ||
		fail "no RAM disk"
	{ mkdir -p $core/fileio_0/file && echo fd_dev_name=/var/tmp/storage_file,fd_dev_size=67108864 >$core/fileio_0/file/control &&
		echo 1 >$core/fileio_0/file/enable; } || fail "no file"
}

unmake_backstores()
{
	rmdir $core/*/* $core/{rd_mcp,fileio}_0
	rm -f /var/tmp/storage_file
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

unmake_lio_initiator()
{
	end_io
	# It may fail, which ends a shell.
	gone || (logout)
}

# scsi_reset HOW: 1 the LUN, 4 the target or, where the initiator knows no such reset, the host; 0x100 more: that alone, as
# <scsi/sg.h> has them
scsi_reset() { python3 -c "import fcntl, struct; fcntl.ioctl(open('$(disk 1)'), 0x2284, struct.pack('i', $1))"; }
resets() { scsi_reset 1 && eventually is_live && scsi_reset 4 && eventually is_live; }
ask_for_something() { scsi_reset 0x101 2>/dev/null; }

# All of it, up to a device that is still in use.
lio_acts()
{
	local lun
	login
	for lun in 0 1; do
		verified_sizes $lun
	done
	file_system 0
	for _ in 1 2 3; do
		logout
		login
	done
	during 1 resets
	during 1 target_goes
	during 1 network_goes ${asks:+ask_for_something}
	without_a_link 1
}
