#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The kernel's NFS over RDMA between the two namespaces, over our devices, and with stock rxe at either end where the kernel has
# it. fio verifies what it wrote; a tree of files comes back as it went, to a client that has mounted anew.
#
# Nothing of nfs-utils is needed: version 4.2 asks for no helper of mount(8), and what rpc.mountd would answer the server is
# written to its caches.
#
# rdma-odp: timeout 240
set -u

export_dir=/var/tmp/nfs_export mount_dir=/tmp/nfs_mount tree=/tmp/nfs_tree
export export_dir mount_dir tree

fail()
{
	echo "storage_nfs: $*"
	cat /tmp/nfs_server /tmp/nfs_client 2>/dev/null
	dmesg | tail -n 25
	exit 1
}

for module in rpcrdma nfsd nfsv4; do
	modprobe $module 2>/dev/null || { echo "SKIP: this kernel has no $module"; exit 77; }
done

as() { if [ "$1" = peer ]; then ip netns exec peer "${@:2}"; else "${@:2}"; fi; }
other() { if [ "$1" = peer ]; then echo init; else echo peer; fi; }
address() { if [ "$1" = peer ]; then echo 10.77.0.2; else echo 10.77.0.1; fi; }

# serve CLIENT: starts the server and stops it when its input ends.
serve()
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

# use SERVER CLIENT OPTION...: mounts, runs fio, and leaves a tree there or compares it.
use()
{
	timeout "${TEST_LIMIT_S:-100}" mount -i -t nfs4 -o "addr=$1,clientaddr=$2,vers=4.2,proto=rdma,port=20049" "$1:/" "$mount_dir" || return
	trap 'umount $mount_dir' EXIT
	grep -q " $mount_dir nfs4 .*proto=rdma" /proc/mounts || return
	timeout "${TEST_LIMIT_S:-100}" fio --name=verified --directory="$mount_dir" --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 \
		--randseed=7711 --fallocate=none --rw=randwrite --bsrange=4k-256k --size=4m "${@:3}" || return
	if [ -e "$mount_dir/tree" ]; then
		timeout "${TEST_LIMIT_S:-100}" diff -r "$tree" "$mount_dir/tree"
	else
		cp -r "$tree" "$mount_dir/tree"
	fi
}
export -f serve use

start_server()
{
	: >/tmp/nfs_server
	exec 8> >(as "$1" bash -c "serve $(address "$(other "$1")")" >/tmp/nfs_server 2>&1)
	server=$!
	for _ in {1..300}; do
		! grep -qx ready /tmp/nfs_server || return 0
		kill -0 $server 2>/dev/null || break
		sleep 0.1
	done
	fail "the server does not start"
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
	start_server "$(other "$1")"
	for how in --direct=1 ''; do
		as "$1" bash -c "use $(address "$(other "$1")") $(address "$1") $how" >/tmp/nfs_client 2>&1 || fail "$1 is the client: $?"
	done
	stop_server
}

cleanup()
{
	umount -l "$mount_dir"
	stop_server
	rm -rf "$mount_dir" "$export_dir" "$tree" /tmp/nfs_server /tmp/nfs_client
	[ "$mixed" = 0 ] || { LINK_NAME=mixed /odp/host/links down; rdma link delete mixed0; }
	rmmod nfsv4 nfs nfsd rpcrdma
	[ "$mixed" = 0 ] || { rmmod rdma_rxe; LINK_NAME=rxe_odp /odp/host/links reset; }
} 2>/dev/null
server='' mixed=0
trap cleanup EXIT

mkdir -p $mount_dir $export_dir $tree
cp -r /etc/ssl /usr/share/fio $tree 2>/dev/null
between init
modinfo rdma_rxe >/dev/null 2>&1 || exit 0

# Stock rxe in the initial namespace: up to Linux 6.12 it takes the port there when its module is loaded.
mixed=1
export LINK_NAME=mixed
{ /odp/host/links down && /odp/host/links up && rdma link delete mixed0 && modprobe rdma_rxe &&
	rdma link add mixed0 type rxe netdev veth0; } || fail "no link of rdma_rxe"
for _ in {1..100}; do
	! grep -qsx 0000:0000:0000:0000:0000:ffff:0a4d:0001 /sys/class/infiniband/mixed0/ports/1/gids/* || break
	sleep 0.1
done
between init
between peer
exit 0
