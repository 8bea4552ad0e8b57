#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's NVMe target and host over a device of ours: a RAM disk and a file, each with fio's verification and a file system;
# controllers that come and go, are reset under I/O, lose their target and their link and find it again; the device is removed
# under them.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/wait.sh
. "$(dirname "$0")/../lib/wait.sh" || exit 1

config=/sys/kernel/config/nvmet
nqn=rdma-odp-storage
port=$config/ports/7711
subsystem=$config/subsystems/$nqn
address=10.79.0.1

fail()
{
	echo "storage_nvme: $*"
	cat /tmp/nvme_fio 2>/dev/null
	dmesg | tail -n 25
	exit 1
}

for module in nvmet-rdma nvme-rdma brd; do
	modprobe $module 2>/dev/null || { echo "SKIP: this kernel has no $module"; exit 77; }
done
{ rmmod brd && modprobe brd rd_nr=1 rd_size=65536; } || fail "no RAM disk"

# The controller of this program, as /sys/class/nvme/nvmeN; nothing if there is none.
controller()
{
	local at
	for at in /sys/class/nvme/nvme*; do
		[ ! -e "$at/subsysnqn" ] || [ "$(cat "$at/subsysnqn")" != $nqn ] || { echo "$at"; return; }
	done
}
disk()
{
	local at
	for at in /sys/block/nvme*; do
		[ ! -b "/dev/${at##*/}" ] || [ "$(cat "$at/device/subsysnqn" 2>/dev/null)" != $nqn ] || echo "/dev/${at##*/}"
	done
}
no_controller() { [ -z "$(controller)" ]; }
state() { cat "$(controller)/state" 2>/dev/null; }
is_live() { [ "$(state)" = live ]; }
has_disk() { [ -n "$(disk)" ]; }
has_gid() { grep -qsrx 0000:0000:0000:0000:0000:ffff:0a4f:0001 /sys/class/infiniband/nvx/ports/1/gids; }

connect()
{
	exec 7<>/dev/nvme-fabrics || fail "no /dev/nvme-fabrics"
	echo -n "transport=rdma,traddr=$address,trsvcid=4420,nqn=$nqn,hostnqn=nqn.2014-08.org.nvmexpress:uuid:9f7ff1c8-4c3c-4d56-a3bf-2f8a1c0c7711,hostid=9f7ff1c8-4c3c-4d56-a3bf-2f8a1c0c7711,nr_io_queues=2,queue_size=32,keep_alive_tmo=2,reconnect_delay=1,ctrl_loss_tmo=120" >&7 ||
		fail "the host does not connect"
	exec 7>&-
	eventually has_disk || fail "no disk"
}

disconnect()
{
	echo 1 >"$(controller)/delete_controller" || fail "the controller cannot be deleted"
	eventually no_controller || fail "the controller stays"
}

# backed_by PATH: the namespace is a block device or a file.
backed_by()
{
	echo 0 >$subsystem/namespaces/1/enable
	{ echo -n "$1" >$subsystem/namespaces/1/device_path && echo 1 >$subsystem/namespaces/1/enable; } ||
		fail "no namespace of $1"
}

offer() { ln -s "$subsystem" "$port/subsystems/$nqn"; }
withdraw() { rm "$port/subsystems/$nqn"; }

cleanup()
{
	# shellcheck disable=SC2046
	kill $(jobs -p)
	umount /tmp/nvme_mount
	no_controller || echo 1 >"$(controller)/delete_controller"
	eventually no_controller
	withdraw
	nft delete table ip nvme_cut
	rmdir "$port" "$subsystem/namespaces/1" "$subsystem"
	rdma link del nvx
	ip link del nvx
	rmdir /tmp/nvme_mount
	rm -f /var/tmp/nvme_file /tmp/nvme_fio /tmp/nvme_data /tmp/nvme_busy
	rmmod nvme_rdma nvmet_rdma nvme_fabrics nvmet nvme_core brd
} 2>/dev/null
trap cleanup EXIT

# verified NAME OPTION...: fio, each block with its own checksum
verified()
{
	fio --name="$1" --filename="$(disk)" --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--randseed=7711 "${@:2}" >/tmp/nvme_fio 2>&1
}

# A file system, and a file of 8 MiB in it that is the same after it was mounted again.
file_system()
{
	mkfs.ext4 -q -F "$(disk)" 32M || fail "no file system"
	mkdir -p /tmp/nvme_mount
	mount "$(disk)" /tmp/nvme_mount || fail "it cannot be mounted"
	{ cp /tmp/nvme_data /tmp/nvme_mount/data && umount /tmp/nvme_mount && mount "$(disk)" /tmp/nvme_mount; } ||
		fail "it cannot be mounted again"
	cmp /tmp/nvme_data /tmp/nvme_mount/data || fail "another file comes back"
	umount /tmp/nvme_mount
}

{ ip link add nvx mtu 9000 type veth peer name nvy mtu 9000 && ip link set nvy up && ip link set nvx up &&
	ip addr add $address/24 dev nvx && rdma link add nvx type rxe_odp netdev nvx; } || fail "no device"
eventually has_gid || fail "no GID"
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
{ mkdir $subsystem $subsystem/namespaces/1 $port && echo 1 >$subsystem/attr_allow_any_host && echo rdma >$port/addr_trtype &&
	echo ipv4 >$port/addr_adrfam && echo $address >$port/addr_traddr && echo 4420 >$port/addr_trsvcid; } || fail "no target"
backed_by /dev/ram0
offer || fail "the target does not listen"
head -c 8M /dev/urandom >/tmp/nvme_data
truncate -s 64M /var/tmp/nvme_file

for what in /dev/ram0 /var/tmp/nvme_file; do
	backed_by $what
	connect
	# Of one request each, from what is sent with its command to more than a request may have.
	verified random --rw=randwrite --bsrange=4k-256k --size=8m || fail "$what: fio"
	verified large --rw=write --bs=2m --size=8m --iodepth=2 || fail "$what: fio"
	[ $what != /dev/ram0 ] || file_system
	disconnect
done

# during CMD...: I/O goes on and is right in the end, whatever CMD does.
during()
{
	local io stat written
	stat=/sys/block/$(basename "$(disk)")/stat
	written=$(written "$stat")
	touch /tmp/nvme_busy
	while [ -e /tmp/nvme_busy ]; do verified under --rw=randwrite --bs=16k --size=4m || exit; done &
	io=$!
	eventually is_written_more_than "$written" "$stat" || fail "no I/O"
	"$@" || fail "$*"
	eventually is_live || fail "$*: the controller is $(state)"
	rm /tmp/nvme_busy
	wait $io || fail "$*: fio"
}

reset() { echo 1 >"$(controller)/reset_controller" && eventually is_live; }
resets() { reset && reset && reset; }
is_away() { ! is_live; }
target_goes() { withdraw; eventually is_away && offer; }
# No packet passes until the controller has noticed, by a retry too many or as nothing keeps it alive.
network_goes()
{
	local noticed
	nft 'add table ip nvme_cut; add chain ip nvme_cut in { type filter hook input priority 0; }; add rule ip nvme_cut in udp dport 4791 drop' ||
		return
	eventually is_away
	noticed=$?
	nft delete table ip nvme_cut
	return "$noticed"
}

for _ in 1 2 3; do
	connect
	disconnect
done
connect
during resets
during target_goes
during network_goes
ip link set nvx down
verified down --rw=randwrite --bs=16k --size=1m || fail "packets of this host to itself need no link"
ip link set nvx up
# Under it all, the device goes: the controller goes with it.
rdma link del nvx
eventually no_controller || fail "the controller outlives its device"
exit 0
