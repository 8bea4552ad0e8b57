#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's NVMe target and host over a device of ours: a RAM disk and a file, each with fio's verification and a file system;
# controllers that come and go, are reset under I/O, lose their target and their link and find it again; the device is removed
# under them.
# By ./run peers its two ends are in two guests, one of them with stock rxe (lib/ends.sh).
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/storage.sh
. "${0%/*}/../lib/storage.sh" || exit 1

nqn=rdma-odp-storage
port=$config/nvmet/ports/7711
subsystem=$config/nvmet/subsystems/$nqn

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

make_target()
{
	{ rmmod brd && modprobe brd rd_nr=1 rd_size=65536; } || fail "no RAM disk"
	mount_config
	{ mkdir $subsystem $subsystem/namespaces/1 $port && echo 1 >$subsystem/attr_allow_any_host && echo rdma >$port/addr_trtype &&
		echo ipv4 >$port/addr_adrfam && echo "$address" >$port/addr_traddr && echo 4420 >$port/addr_trsvcid; } || fail "no target"
	backed_by /dev/ram0
	offer || fail "the target does not listen"
	truncate -s 64M /var/tmp/storage_file
}

unmake_target()
{
	withdraw
	rmdir "$port" "$subsystem/namespaces/1" "$subsystem"
	rm -f /var/tmp/storage_file
}

make_initiator() { :; }

unmake_initiator()
{
	end_io
	no_controller || echo 1 >"$(controller)/delete_controller"
	eventually no_controller
}

reset() { echo 1 >"$(controller)/reset_controller" && eventually is_live; }
resets() { reset && reset && reset; }

acts()
{
	local what
	for what in /dev/ram0 /var/tmp/storage_file; do
		at_target backed_by $what || fail "no namespace of $what"
		connect
		verified_sizes 0
		[ $what != /dev/ram0 ] || file_system 0
		disconnect
	done
	for _ in 1 2 3; do
		connect
		disconnect
	done
	connect
	during 0 resets
	during 0 target_goes
	during 0 network_goes
	without_a_link 0
	# Under it all, the device goes: the controller goes with it.
	rdma link del nvx
	eventually no_controller || fail "the controller outlives its device"
}

! has_target || { need nvmet-rdma brd; loaded+=(nvmet_rdma); }
! has_initiator || { need nvme-rdma; loaded+=(nvme_rdma nvme_fabrics); }
! has_target || loaded+=(nvmet)
loaded+=(nvme_core brd)
run_ends
