#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# What scripts and exporters of metrics read in sysfs: the netdev's name, and port counters that count packets and words of four
# bytes as the port sends and receives them.
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	ip link set sysfs_new name veth0
	ip link set veth0 up
	# It lost that when it went down.
	ip addr add fd77::1/64 dev veth0 nodad
	rm -f /tmp/sysfs_*
} 2>/dev/null
trap cleanup EXIT

numbers()
{
	local f
	for f in "/sys/class/infiniband/$1/ports/1/counters"/*; do
		echo "${f##*/} $(cat "$f")"
	done
}
# value WHEN DEV COUNTER
value() { awk -v name="$3" '$1 == name { print $2 }' "/tmp/sysfs_$2_$1"; }
grown() { echo $(($(value after "$1" "$2") - $(value before "$1" "$2"))); }
look()
{
	numbers rxe_odp0 >"/tmp/sysfs_rxe_odp0_$1"
	in_peer numbers rxe_odp1 >"/tmp/sysfs_rxe_odp1_$1"
}

[ "$(cat /sys/class/infiniband/rxe_odp0/parent)" = veth0 ] || fail "the parent is not veth0"
[ "$(in_peer cat /sys/class/infiniband/rxe_odp1/parent)" = veth1 ] || fail "the parent is not veth1"

look before
for name in symbol_error link_error_recovery link_downed port_rcv_errors port_rcv_remote_physical_errors \
	port_rcv_switch_relay_errors port_xmit_discards port_xmit_constraint_errors port_rcv_constraint_errors \
	local_link_integrity_errors excessive_buffer_overrun_errors VL15_dropped port_xmit_data port_rcv_data \
	port_xmit_packets port_rcv_packets port_xmit_wait unicast_xmit_packets unicast_rcv_packets \
	multicast_xmit_packets multicast_rcv_packets; do
	[[ $(value before rxe_odp0 $name) =~ ^[0-9]+$ ]] || fail "$name is no number"
done

messages=64 bytes=8192
serve peer 18515 ib_write_bw -d rxe_odp1 -F -s $bytes -n $messages
client ib_write_bw -d rxe_odp0 -F -s $bytes -n $messages 10.77.0.2
look after

# What one sends the other receives; the data and at least 44 bytes (IPv4, UDP, BTH, ICRC) around each of the two packets.
[ "$(grown rxe_odp0 port_xmit_packets)" -ge $((2 * messages)) ] || fail "port_xmit_packets grew by $(grown rxe_odp0 port_xmit_packets)"
[ "$(grown rxe_odp0 port_xmit_data)" -ge $((messages * (bytes + 2 * 44) / 4)) ] ||
	fail "port_xmit_data grew by $(grown rxe_odp0 port_xmit_data)"
[ "$(grown rxe_odp0 port_xmit_data)" -le $((messages * (bytes + 1000) / 2)) ] ||
	fail "port_xmit_data grew by $(grown rxe_odp0 port_xmit_data): not words of four bytes"
for what in packets data; do
	[ "$(grown rxe_odp0 port_xmit_$what)" = "$(grown rxe_odp1 port_rcv_$what)" ] ||
		fail "rxe_odp0 sent $(grown rxe_odp0 port_xmit_$what) $what, rxe_odp1 received $(grown rxe_odp1 port_rcv_$what)"
	[ "$(grown rxe_odp1 port_xmit_$what)" = "$(grown rxe_odp0 port_rcv_$what)" ] ||
		fail "rxe_odp1 sent $(grown rxe_odp1 port_xmit_$what) $what, rxe_odp0 received $(grown rxe_odp0 port_rcv_$what)"
done
[ "$(grown rxe_odp0 unicast_xmit_packets)" = "$(grown rxe_odp0 port_xmit_packets)" ] || fail "unicast packets are not all"

ip link set veth0 down
ip link set veth0 name sysfs_new || fail "veth0 cannot be renamed"
[ "$(cat /sys/class/infiniband/rxe_odp0/parent)" = sysfs_new ] || fail "the parent's new name is not shown"
[ "$(cat /sys/class/infiniband/rxe_odp0/ports/1/counters/link_downed)" -gt "$(value before rxe_odp0 link_downed)" ] ||
	fail "link_downed does not count"
exit 0
