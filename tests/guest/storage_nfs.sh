#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's NFS over RDMA between the two namespaces, over our devices, and with stock rxe at either end where the kernel has
# it; by ./run peers between two guests. fio verifies what it wrote; a tree of files comes back as it went, to a client that has
# mounted anew; between guests the server's link goes meanwhile.
#
# Nothing of nfs-utils is needed: version 4.2 asks for no helper of mount(8), and what rpc.mountd would answer the server is
# written to its caches.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/ends.sh
. "${0%/*}/../lib/ends.sh" || exit 1

export_dir=/var/tmp/nfs_export mount_dir=/tmp/nfs_mount tree=/tmp/nfs_tree
export export_dir mount_dir tree limit

as() { if [ "$1" = peer ]; then ip netns exec peer "${@:2}"; else "${@:2}"; fi; }
other() { if [ "$1" = peer ]; then echo init; else echo peer; fi; }
address() { if [ "$1" = peer ]; then echo 10.77.0.2; else echo 10.77.0.1; fi; }

# serve_nfs CLIENT: starts the server and stops it when its input ends.
serve_nfs()
{
	local never=2147483647
	mount -t nfsd nfsd /proc/fs/nfsd && cd /proc/fs/nfsd || return
	echo '-3 +4 +4.2' >versions
	echo "nfsd $1 $never rdma_odp" >/proc/net/rpc/auth.unix.ip/channel
	# Flags: fsid 0, which is the root; any port; no check of subtrees; root is root.
	echo "rdma_odp $export_dir $never 9218 65534 65534 0" >/proc/net/rpc/nfsd.export/channel
	printf '%s\n' "rdma_odp 1 \\x00000000 $never $export_dir" >/proc/net/rpc/nfsd.fh/channel
	echo 10 >nfsv4leasetime
	echo 10 >nfsv4gracetime
	echo 'rdma 20049' >portlist && echo 4 >threads || return
	echo ready
	read -r _
	echo 0 >threads
	cd / && umount /proc/fs/nfsd
}

mount_nfs()
{
	timeout "$limit" mount -i -t nfs4 -o "addr=$1,clientaddr=$2,vers=4.2,proto=rdma,port=20049" "$1:/" "$mount_dir" || return
	grep -q " $mount_dir nfs4 .*proto=rdma" /proc/mounts
}

verified()
{
	timeout "$limit" fio --name=verified --directory="$mount_dir" --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 \
		--randseed=7711 --fallocate=none --rw=randwrite --bsrange=4k-256k --size=4m "$@"
}

# use SERVER CLIENT OPTION...: mounts, runs fio, and leaves a tree there or compares it.
use()
{
	trap 'umount $mount_dir' EXIT
	mount_nfs "$1" "$2" && verified "${@:3}" || return
	if [ -e "$mount_dir/tree" ]; then
		timeout "$limit" diff -r "$tree" "$mount_dir/tree"
	else
		cp -r "$tree" "$mount_dir/tree"
	fi
}
export -f serve_nfs mount_nfs verified use

# start_server NAMESPACE CLIENT
start_server()
{
	: >/tmp/said_server
	exec 8> >(as "$1" bash -c "serve_nfs $2" >/tmp/said_server 2>&1)
	server=$!
	await $server "the server" grep -qx ready /tmp/said_server
}

stop_server()
{
	[ -n "$server" ] || return 0
	exec 8>&-
	wait "$server"
	server=''
}

# between CLIENT: two mounts by a client there, of a server in the other namespace
between()
{
	local how
	rm -rf $export_dir/tree
	start_server "$(other "$1")" "$(address "$1")"
	for how in --direct=1 ''; do
		as "$1" bash -c "use $(address "$(other "$1")") $(address "$1") $how" >/tmp/said_client 2>&1 || fail "$1 is the client: $?"
	done
	stop_server
}

cleanup()
{
	umount -l "$mount_dir"
	stop_server
	rm -rf "$mount_dir" "$export_dir" "$tree" /tmp/said_*
	[ "$mixed" = 0 ] || { LINK_NAME=mixed /odp/host/links down; rdma link delete mixed0; }
	rmmod nfsv4 nfs nfsd rpcrdma
	[ "$mixed" = 0 ] || { rmmod rdma_rxe; LINK_NAME=rxe_odp /odp/host/links reset; }
} 2>/dev/null
server='' mixed=0

make_tree()
{
	mkdir -p $mount_dir $export_dir $tree
	cp -r /etc/ssl /usr/share/fio $tree 2>/dev/null
}

# Between guests.
make_target()
{
	make_tree
	start_server init "$initiator"
}
unmake_target()
{
	stop_server
	rm -rf "$export_dir"
}
make_initiator() { make_tree; }
unmake_initiator()
{
	rm -f /tmp/nfs_busy
	pkill -x fio
	umount -l "$mount_dir"
	rm -rf "$mount_dir" "$tree"
}

is_live() { rdma resource show qp link nvx | grep -q 'type RC .*state RTS'; }
is_away() { ! is_live; }

acts()
{
	local how io
	for how in --direct=1 '' --direct=1; do
		bash -c "use $address $initiator $how" >/tmp/said_client 2>&1 || fail "mount, fio, a tree: $?"
	done
	mount_nfs "$address" "$initiator" || fail "it cannot be mounted again"
	touch /tmp/nfs_busy
	while [ -e /tmp/nfs_busy ]; do verified --direct=1 || exit; done >/tmp/said_client 2>&1 &
	io=$!
	is_live || fail "no connection"
	cut || fail "the link stays"
	eventually is_away || fail "the client does not notice"
	mend || fail "the link stays away"
	eventually is_live || fail "the client does not connect again"
	rm /tmp/nfs_busy
	wait $io || fail "without a link for a while: fio"
	umount "$mount_dir" || fail "it cannot be unmounted"
}

if [ "$role" != both ]; then
	! has_target || { need rpcrdma nfsd; loaded+=(nfsd); }
	! has_initiator || { need rpcrdma nfsv4; loaded+=(nfsv4 nfs); }
	loaded+=(rpcrdma)
	run_ends
fi

need rpcrdma nfsd nfsv4
trap cleanup EXIT
make_tree
between init
modinfo rdma_rxe >/dev/null 2>&1 || exit 0

# Stock rxe in the initial namespace: up to Linux 6.12 it takes the port there when its module is loaded.
mixed=1
export LINK_NAME=mixed
{ /odp/host/links down && /odp/host/links up && rdma link delete mixed0 && modprobe rdma_rxe &&
	rdma link add mixed0 type rxe netdev veth0; } || fail "no link of rdma_rxe"
eventually has_gid mixed0 10.77.0.1 || fail "no GID of rdma_rxe"
between init
between peer
exit 0
