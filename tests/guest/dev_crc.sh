#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The CRC is chosen when the module is loaded, from what this kernel has, and the log says which and why; each of them computes
# what the tables do; none keeps a module of the kernel when ours is gone.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

# The whole of the log may be longer than the kernel's ring: what comes from here on.
said() { dmesg | sed -n '/dev_crc: begin/,$p' | grep -oE "$1" | tail -n 1; }
crypto_used() { cat /sys/module/crc32*/refcnt 2>/dev/null | tr '\n' ' '; }
begin() { /odp/host/links load && /odp/host/links up; }
finish()
{
	local status=$?
	rmmod rxe_odp_crc 2>/dev/null
	[ $status = 0 ] || { /odp/host/links load && /odp/host/links reset; }
}
trap finish EXIT

echo "dev_crc: begin" >/dev/kmsg
/odp/host/links unload || fail "the modules are not removed"
before=$(crypto_used)
begin || fail "the links do not come up"
choice=$(said 'rxe_odp: CRC-32 by .*')
echo "$choice"
[[ $choice =~ 'CRC-32 by '([^ ]+)' (MB/s: crc32_le '([0-9]+)', '(.+)' '([0-9]+)', tables '([0-9]+)')' ]] ||
	fail "the log does not say which CRC was chosen"
chosen=${BASH_REMATCH[1]} crypto=${BASH_REMATCH[3]}
case $chosen in
crc32_le) rate=${BASH_REMATCH[2]} ;;
tables) rate=${BASH_REMATCH[5]} ;;
"$crypto") rate=${BASH_REMATCH[4]} ;;
*) fail "$chosen is none of those that were timed" ;;
esac
# What is hardly faster than crc32_le() is not taken for it.
for other in "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}" "${BASH_REMATCH[5]}"; do
	[ "$other" -le $((rate + rate / 8 + 1)) ] || fail "$chosen was chosen, and $other MB/s is more than its $rate"
done

insmod /odp/host/modules/rxe_odp_crc.ko || fail "one CRC of this kernel is not what the tables say, see the log"
[ -n "$(said 'rxe_odp_crc: crc32_le: as the tables')" ] || fail "crc32_le() was not compared"
[ -n "$(said 'rxe_odp_crc: tables: as the tables')" ] || fail "the tables were not compared"
[[ $crypto == none* ]] || [ -n "$(said "rxe_odp_crc: $crypto: as the tables")" ] || fail "$crypto was not compared"
[ -n "$(said 'rxe_odp_crc: crc32_le [0-9]+ MB/s, rxe_odp [0-9]+ MB/s by [^ ]+$')" ] || fail "the benchmarks' line is not there"
rmmod rxe_odp_crc || fail "the module is not removed"

/odp/host/links unload || fail "the modules are not removed again"
if [ -n "$before" ] && [ "$(crypto_used)" != "$before" ]; then
	fail "references of modules that have a CRC: $before before, $(crypto_used) after"
fi
begin
