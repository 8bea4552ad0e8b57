#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# build.sh: ./run build
. "$(dirname "$0")/lib.sh"
kernel=stable
while [ $# -gt 0 ]; do
	case $1 in
	-k) [ $# -ge 2 ] || die "option -k needs a kernel"; kernel=$2; shift 2 ;;
	-h | --help) echo "usage: ./run build [-k KERNEL] [MAKE ARGUMENTS]   builds the modules into build/KERNEL/modules, and makes the kernel and its guest tree if need be; KERNEL: stable (default), backports, uml, uml-fast, kcsan, kasan"; exit 0 ;;
	-*) die "unknown option '$1'; see ./run build --help" ;;
	*) break ;;
	esac
done
case $kernel in
stable | backports | uml | uml-fast | kcsan | kasan) ;;
*) die "unknown kernel '$kernel': use stable, backports, uml, uml-fast, kcsan or kasan" ;;
esac
"$SRC/scripts/host.sh" guest build
# With it a User Mode Linux is ready for whoever has no root's rights; the others are built in their trees.
case $kernel in
uml* | kcsan | kasan) "$SRC/scripts/tree.sh" backports >/dev/null ;;
esac
"$SRC/scripts/modules.sh" "$kernel" "$@"
say "built: $(cd "$SRC" && echo build/"$kernel"/modules/*.ko)"
