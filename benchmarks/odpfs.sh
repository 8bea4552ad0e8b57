#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# odpfs.sh KERNEL ROUNDS: the example odpfs: memory of its server beside that of a pinned registration, speed beside NFS over RDMA, which
# only Debian's kernels have (KERNEL may be empty: stable). The samples, the table and the page are left in build/bench/odpfs.
. "$(dirname "$0")/../scripts/lib.sh"

[ $# -le 2 ] || die "odpfs is one program and takes no PROGRAM: leave out '${*:3}'"
kernel=${1:-stable} rounds=${2:-5}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "'$rounds' is no number of rounds"

out=$SRC/build/bench/odpfs share=$SRC/build/$kernel/bench
mkdir -p "$out"
"$SRC/scripts/modules.sh" "$kernel"
"$SRC/scripts/programs.sh" "$kernel" benchmarks bench
"$SRC/scripts/programs.sh" "$kernel" userspace/examples examples
rm -rf "$share/examples"
cp -r "$SRC/build/$kernel/examples" "$share/"
cp "$SRC/benchmarks/lib/odpfs" "$share/odpfs_guest"
. "$SRC/benchmarks/lib/collect"
rc=0
rm -f "$out/$kernel.odpfs"
"$SRC/scripts/vm.sh" -k "$kernel" --no-build -t 3600 -d "$share" --log "$out/$kernel.klog" -- bash ./odpfs_guest "$rounds" </dev/null |
	rows "$kernel" || rc=1
[ $rc = 0 ] || say "the benchmark or the guest failed, see above"
show "$out"/*.odpfs || rc=1
exit $rc
