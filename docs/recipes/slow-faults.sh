#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# slow-faults.sh [CMD...]: the slowest page faults of on-demand regions, of all processes, while CMD runs (10 s if there is none):
# how long in nanoseconds, the process, the address, the error. As root; needs trace-cmd.
set -e
[ $# -gt 0 ] || set -- sleep 10
data=$(mktemp)
trap 'rm -f "$data"' EXIT
trace-cmd record -q -o "$data" -e umem_odp:umem_odp_wake "$@" >&2
trace-cmd report -q -i "$data" | sed -n 's/.*pid=\([0-9]*\) va=\([0-9a-fx]*\) err=\(-\{0,1\}[0-9]*\) fault_ns=\([0-9]*\).*/\4 ns pid \1 address \2 error \3/p' |
	sort -rn | head -n 20
