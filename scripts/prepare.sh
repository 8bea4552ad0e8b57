#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# prepare.sh KERNEL...: makes what the guest tests of each kernel need, one kernel after the other: its guest tree or User Mode Linux,
# the modules, the test programs. Where that fails, build/KERNEL/unfit says why in a sentence, its session fails with it, and
# the other kernels still run: the newest kernel of a distribution may be newer than this tree.
#
# RDMA_ODP_PREPARED holds KERNEL=FD: a file descriptor with the lock for which the kernel's sessions wait; closed when it is ready.
. "$(dirname "$0")/lib.sh"

# make_kernel KERNEL: its tree, or the User Mode Linux.
make_kernel()
{
	local tree
	tree=$("$SRC/scripts/tree.sh" "${1/uml/backports}") || return 1
	case $1 in
	uml) "$SRC/scripts/uml.sh" uml >/dev/null ;;
	# Not with what is left over alone: it has 12 s.
	*) chrt --other 0 "$SRC/scripts/kvm.sh" "$tree" || : ;;
	esac
}

prepare_kernel()
{
	local k=$1 what log
	mkdir -p "$SRC/build/$k"
	rm -f "$SRC/build/$k/unfit" "$SRC/build/$k"/session.*/results/kernel
	what="the kernel or its guest tree cannot be made" log=$CACHE/log
	(make_kernel "$k") && {
		what="the modules do not build" log=$SRC/build/modules-$k.log
		(step "building the modules ($k)" "$log" "$SRC/scripts/modules.sh" "$k")
	} && {
		what="the test programs do not build" log=$SRC/build/programs-$k.log
		(step "building the test programs ($k)" "$log" "$SRC/scripts/programs.sh" "$k" tests/guest tests)
	} && return
	[ "$log" = "$CACHE/log" ] || what="$("$SRC/scripts/release.sh" "$k"): $what"
	echo "$k: $what; see $log" >"$SRC/build/$k/unfit"
	say "$(cat "$SRC/build/$k/unfit"). Its tests fail, the other kernels still run."
}

for k; do
	prepare_kernel "$k"
	for word in ${RDMA_ODP_PREPARED:-}; do
		[ "${word%=*}" != "$k" ] || { fd=${word#*=}; exec {fd}>&-; }
	done
done
