#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# odpfs.sh KERNEL ROUNDS: the example odpfs: memory of its server beside that of a pinned registration, speed beside NFS over RDMA, which
# only Debian's kernels have (KERNEL may be empty: stable). Samples and table are left in build/bench/odpfs.
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
read -r load _ </proc/loadavg
say "$kernel: odpfs (load $load)"
"$SRC/scripts/vm.sh" -k "$kernel" --no-build -t 3600 -d "$share" --log "$out/$kernel.klog" -- bash ./odpfs_guest "$rounds" </dev/null |
	tee "$out/$kernel.out"

echo 'what,mib,round,value,unit' >"$out/samples.csv"
sed -n 's/^ROW,//p' "$out/$kernel.out" >>"$out/samples.csv"
# Medians, with a bar for each.
{
	echo "$kernel, load $load, $rounds round(s)"
	grep -v '^ROW,' "$out/$kernel.out" || :
	sed 1d "$out/samples.csv" | sort -t, -k5,5 -k2,2n -k1,1 -k4,4n | awk -F, '
		function flush(	i, bar) {
			if (!n)
				return
			v = value[int((n + 1) / 2)]
			bar = sprintf("%*s", unit == "KiB" ? v / 4096 : v / 10, "")
			gsub(" ", "#", bar)
			printf "%-16s %4d MiB %10.1f %-5s %s\n", what, mib, v, unit, bar
			n = 0
		}
		$1 != what || $2 != mib { flush() }
		{ what = $1; mib = $2; unit = $5; value[++n] = $4 }
		END { flush() }'
} | tee "$out/table.txt"
