#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's iSER target and initiator over a device of ours, the initiator told what to do by open-iscsi: LUNs in memory and in a
# file, each with fio's verification, and a file system; logins and logouts; a session that is reset under I/O, loses its target and
# its link and finds them again; the device is removed under it.
# By ./run peers its two ends are in two guests, one of them with stock rxe (lib/ends.sh).
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/lio.sh
. "${0%/*}/../lib/lio.sh" || exit 1

iqn=iqn.2026-11.org.rdma-odp:storage
group=$target/iscsi/$iqn/tpgt_1
portal=$address:3260
# Not between guests, where a reset may arrive when packets pass again: LIO's target then waits for its end, and no response to it is sent
# any more, where the connection closes meanwhile (target_wait_for_cmds(), with any driver). It has pings anyway.
[ "$role" != both ] || asks=1

is_live() { [ "$(cat /sys/class/iscsi_session/session*/state 2>/dev/null)" = LOGGED_IN ]; }
no_session() { ! compgen -G '/sys/class/iscsi_session/session*' >/dev/null; }

offer() { echo 1 >"$group/enable"; }
withdraw() { echo 0 >"$group/enable"; }

admin() { iscsiadm -m node -T $iqn -p "$portal" "$@" >/tmp/said_admin 2>&1 || fail "iscsiadm $*"; }
login()
{
	admin --login
	eventually has_disks || fail "no disks"
}
gone() { no_session && no_disk; }
logout()
{
	admin --logout
	eventually gone || fail "the disks stay"
}

make_target()
{
	make_backstores
	{ mkdir -p "$group" && make_luns "$group" && mkdir "$group/np/$portal" && echo 1 >"$group/np/$portal/iser"; } || fail "no target"
	# Who comes may log in, and write.
	for name in generate_node_acls=1 demo_mode_write_protect=0 authentication=0; do
		echo "${name#*=}" >"$group/attrib/${name%=*}" || fail "$name"
	done
	offer || fail "the target does not listen"
}

unmake_target()
{
	withdraw
	rmdir "$group/np/$portal"
	unmake_luns "$group"
	rmdir "$group" "${group%/*}" "$target/iscsi"
	unmake_backstores
}

unmake_initiator()
{
	unmake_lio_initiator
	# shellcheck disable=SC2046
	kill $(pidof iscsid)
	rm -rf /tmp/iser_initiator /var/lib/iscsi/nodes /run/lock/iscsi
}

make_initiator()
{
	mkdir -p /run/lock
	echo InitiatorName=iqn.2026-11.org.rdma-odp:initiator >/tmp/iser_initiator
	iscsid -i /tmp/iser_initiator || fail "no iscsid"
	admin -I iser -o new
	# Who keeps silent for two seconds is gone, and looked for each second.
	for value in 'conn[0].timeo.noop_out_interval=1' 'conn[0].timeo.noop_out_timeout=1' session.iscsi.DefaultTime2Wait=1; do
		admin -o update -n "node.${value%=*}" -v "${value#*=}"
	done
}

acts()
{
	lio_acts
	# Under it all, the device goes. The session stays, and looks for its target, until it is ended.
	rdma link del nvx
	eventually is_away || fail "the session outlives its device"
	logout
}

! has_target || { need ib_isert && need_lio; loaded+=(ib_isert iscsi_target_mod); }
! has_initiator || { need ib_iser sd_mod; loaded+=(ib_iser libiscsi scsi_transport_iscsi); }
loaded+=(target_core_{user,pscsi,iblock,file,mod} sd_mod)
run_ends
