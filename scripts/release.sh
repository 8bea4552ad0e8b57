#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# release.sh KERNEL: the version of a kernel in the cache, the newest that was made, for people to read; makes nothing.
. "$(dirname "$0")/lib.sh"

kernel=${1:?release.sh: name a kernel}
newest=''
case $kernel in
uml*) files=("$CACHE/$kernel"-????????????/build/linux) ;;
kcsan | kasan) files=("$CACHE/$kernel"-????????????/build/include/config/kernel.release) ;;
*) files=("$CACHE/tree-$kernel"-????????????/release) ;;
esac
for f in "${files[@]}"; do
	[ ! -e "$f" ] || [[ -n $newest && ! $f -nt $newest ]] || newest=$f
done
case $kernel:$newest in
*:) echo "Linux of unknown version" ;;
uml*) echo "Linux $("$newest" --version)" ;;
*) echo "Linux $(cat "$newest")" ;;
esac
