#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# release.sh KERNEL: the version of a kernel in the cache, for people to read; makes nothing.
. "$(dirname "$0")/lib.sh"

kernel=${1:?release.sh: name a kernel}
case $kernel in
uml*) newest=$(find "$CACHE" -maxdepth 4 -path "$CACHE/$kernel-????????????/build/linux" -printf '%T@ %p\n') ;;
*) newest=$(find "$CACHE" -maxdepth 2 -path "$CACHE/tree-$kernel-????????????/release" -printf '%T@ %p\n') ;;
esac
file=$(sort -n <<<"$newest" | tail -n 1 | cut -d' ' -f2)
case $kernel in
*) [ -n "$file" ] || { echo "Linux of unknown version"; exit 0; } ;;&
uml*) echo "Linux $("$file" --version)" ;;
*) echo "Linux $(cat "$file")" ;;
esac
