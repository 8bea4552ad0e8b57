#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# kvm.sh TREE: succeeds where /dev/kvm runs that tree's kernel. It is tried, because a /dev/kvm that opens may still hang
# a guest; the answer is kept until this machine boots again.
. "$(dirname "$0")/lib.sh"

tree=$1
[ -w /dev/kvm ] || exit 1
qemu=$("$SRC/scripts/qemu.sh")
answer=$CACHE/kvm-$(basename "$tree")-$(basename "$(dirname "$qemu")")-$(cat /proc/sys/kernel/random/boot_id)

probe()
{
	local run result=no
	[ ! -e "$answer" ] || return 0
	run=$(mktemp -d "${TMPDIR:-/tmp}/rdma-odp.XXXXXX")
	mkdir "$run/host" "$run/out"
	cat >"$run/host/boot" <<-'BOOT'
	#!/bin/sh
	mkdir -p /odp/out
	mount -t 9p -o trans=virtio,version=9p2000.L out /odp/out
	touch /odp/out/up
	echo b >/proc/sysrq-trigger
	BOOT
	chmod +x "$run/host/boot"
	# Braces, because bash tells on its own standard error that a command was killed.
	{ TMPDIR=$run timeout -s KILL 12 setpriv --pdeathsig KILL "$qemu" -accel kvm -cpu host -smp 2 -m 1G -display none \
		-no-reboot -nic none -monitor none -serial null -kernel "$tree/vmlinuz" -initrd "$tree/initrd.img" \
		-drive "file=$tree/disk.img,format=raw,if=virtio,snapshot=on" \
		-virtfs "local,path=$run/host,mount_tag=host,security_model=none,readonly=on" \
		-virtfs "local,path=$run/out,mount_tag=out,security_model=none" \
		-append "console=ttyS0 panic=-1 root=/dev/vda rw init=/odp/init ODP_SHARE=9p" </dev/null >/dev/null || :; } 2>/dev/null
	[ ! -e "$run/out/up" ] || result=yes
	rm -rf "$run"
	rm -f "$CACHE/kvm-$(basename "$tree")-"*
	echo $result >"$answer.tmp" && mv "$answer.tmp" "$answer"
	say "KVM $([ $result = yes ] && echo boots the guest || echo 'does not boot the guest: emulating its CPU')"
}

[ -e "$answer" ] || { say "trying KVM (12 s at most)"; with_lock kvm probe; }
[ "$(cat "$answer")" = yes ]
