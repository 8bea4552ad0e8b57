#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's SRP target and initiator over a device of ours: LUNs in memory and in a file, each with fio's verification, and a file
# system; logins and logouts; a connection that is reset under I/O, loses its target and its link and finds them again; the device is
# removed under it.
# By ./run peers its two ends are in two guests, one of them with stock rxe (lib/ends.sh).
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/lio.sh
. "${0%/*}/../lib/lio.sh" || exit 1

port=5555 group='' asks=1

rport() { compgen -G '/sys/class/srp_remote_ports/port-*'; }
no_rport() { ! rport >/dev/null; }
is_live() { [ "$(cat "$(rport)/state" 2>/dev/null)" = running ]; }

offer() { echo 1 >"$group/enable"; }
withdraw() { echo 0 >"$group/enable"; }
service() { cat /sys/module/ib_srpt/parameters/srpt_service_guid; }

# Status 1 while a login of before is still known. Stock rxe takes 7 retries, the default, for any number, and never notices that nobody answers.
added()
{
	local error
	error=$({ echo "id_ext=${id#0x},ioc_guid=${id#0x},dest=$address:$port,tl_retry_count=3" >/sys/class/infiniband_srp/srp-nvx-1/add_target; } 2>&1) &&
		return
	[[ $error == *exists* ]] || fail "no login: $error"
	return 1
}

login()
{
	eventually added || fail "the login of before stays"
	eventually has_disks || fail "no disks"
}

gone() { no_rport && no_disk; }
logout()
{
	echo 1 >"$(rport)/delete"
	eventually gone || fail "the disks stay"
}

make_target()
{
	local gid name lun
	make_backstores
	# A port's name is the second half of its first GID.
	read -r gid </sys/class/infiniband/nvx/ports/1/gids/0
	name=${gid#*:*:*:*:}
	group=$target/srpt/$name/$name
	{ mkdir -p "$target/srpt" && mkdir "${group%/*}" "$group"; } || fail "no target"
	make_luns "$group"
	# ib_srpt knows an initiator that comes by RDMA-CM by the address it comes to.
	mkdir "$group/acls/$address" || fail "the initiator may not come"
	for lun in 0 1; do
		{ mkdir "$group/acls/$address/lun_$lun" && ln -s "$group/lun/lun_$lun" "$group/acls/$address/lun_$lun/"; } ||
			fail "the initiator may not have LUN $lun"
	done
	{ offer && echo $port >"$target/srpt/discovery_auth/rdma_cm_port"; } || fail "the target does not listen"
}

unmake_target()
{
	withdraw
	echo 0 >"$target/srpt/discovery_auth/rdma_cm_port"
	rm "$group/acls/$address"/lun_{0,1}/lun_{0,1}
	rmdir "$group/acls/$address"/lun_{0,1} "$group/acls/$address"
	unmake_luns "$group"
	rmdir "$group" "${group%/*}" "$target/srpt"
	unmake_backstores
}

make_initiator() { id=$(at_target service) || fail "the target has no name"; }

unmake_initiator() { unmake_lio_initiator; }

acts()
{
	lio_acts
	# Under it all, the device goes: the disks go with it.
	rdma link del nvx
	eventually gone || fail "the disks outlive their device"
}

! has_target || { need ib_srpt && need_lio; loaded+=(ib_srpt); }
if has_initiator; then
	need ib_srp sd_mod
	{ rmmod ib_srp && modprobe ib_srp reconnect_delay=1 fast_io_fail_tmo=off dev_loss_tmo=600; } || fail "ib_srp cannot be loaded anew"
	loaded+=(ib_srp scsi_transport_srp)
fi
loaded+=(target_core_{user,pscsi,iblock,file,mod} sd_mod)
run_ends
