#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Programs of user space between two guests, connected by RDMA-CM: rping and rstream, which look at each byte, over IPv4 and IPv6, with
# packets of two sizes; perftest, on demand where the driver is ours.
#
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/ends.sh
. "${0%/*}/../lib/ends.sh" || exit 1

server=''
listens() { rdma resource show cm_id link nvx | grep -q 'state LISTEN' || rdma resource show cm_id | grep -q 'state LISTEN'; }
has_ended() { ! kill -0 "$server" 2>/dev/null; }
listens_or_ended() { listens || has_ended; }

# start COMMAND...: a server; it listens
start()
{
	"$@" >/tmp/said_server 2>&1 &
	server=$!
	eventually listens_or_ended && ! has_ended && return
	cat /tmp/said_server
	return 1
}
# finish: it has ended well
finish()
{
	eventually has_ended || kill -KILL "$server"
	wait "$server" && return
	tail -n 40 /tmp/said_server
	return 1
}
abandon() { kill -KILL "$server"; wait "$server"; return 0; } 2>/dev/null

# both SERVER... -- CLIENT...: the two commands
both()
{
	local command=()
	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	at_target start "${command[@]}" || fail "${command[*]}: the server does not start"
	timeout -s KILL "$(left)" "$@" >/tmp/said_client 2>&1 || { at_target abandon; fail "$*"; }
	at_target finish || fail "$*: the server"
}

with_odp() { [ "$driver" != rxe_odp ] || odp=--odp; }
# perftest_server TOOL OPTION...
perftest_server()
{
	local odp=''
	with_odp
	# shellcheck disable=SC2086
	start "$@" $odp
}

# perftest TOOL OPTION...: its server connects twice, and does not listen while it gets ready for the second time; its client asks at once,
# is refused by ib_cm (8: nobody listens) and may crash. Then both begin again.
perftest()
{
	local odp='' command=("$1" -R -d nvx -F "${@:2}")
	with_odp
	while :; do
		at_target perftest_server "${command[@]}" || fail "${command[*]}: the server does not start"
		# shellcheck disable=SC2086
		! timeout -s KILL "$(left)" "${command[@]}" $odp "$address" >/tmp/said_client 2>&1 || break
		grep -q 'RDMA_CM_EVENT_REJECTED; error: 8' /tmp/said_client || fail "${command[*]}"
		at_target abandon
		[ "$(left)" -gt 5 ] || fail "${command[*]}: its server never listens in time"
	done
	at_target finish || fail "${command[*]}: the server"
	echo "${command[*]} $odp: $(awk '/^ *[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+/ { print $4 " MB/s" }' /tmp/said_client)"
}

# mean_bytes: of an IP packet that was received since the last call
last_pkts=0 last_bytes=0
mean_bytes()
{
	local at=/sys/class/infiniband/nvx/ports/1/hw_counters pkts bytes
	pkts=$(<"$at/rcvd_pkts") bytes=$(<"$at/rcvd_bytes")
	[ "$pkts" = "$last_pkts" ] || echo $(((bytes - last_bytes) / (pkts - last_pkts)))
	last_pkts=$pkts last_bytes=$bytes
}

# full_frames: two of ours fill the frames of 9000 bytes with two packets of 4096 bytes each; a few at first have one. A guest that stands
# still for longer than an ACK timeout loses packets, as far as the other can tell, and has plain ones for a while: another connection
# begins anew.
full_frames()
{
	local got tool
	[ "$driver" = rxe_odp ] && [ "$(at_target driver)" = rxe_odp ] || return 0
	for tool in ib_write_bw ib_read_bw; do
		got=0
		until [ "$got" -gt 6000 ]; do
			[ "$(left)" -gt 20 ] || fail "$tool does not fill the frames: $got bytes a packet"
			receiver mean_bytes >/dev/null
			perftest $tool -s 1000000 -n 50 -u 20
			got=$(receiver mean_bytes)
		done
		echo "$tool: $got bytes a packet"
	done
}
# receiver FUNCTION: at the end that gets the data of $tool
receiver() { if [ "$tool" = ib_write_bw ]; then at_target "$@"; else "$@"; fi; }

# with_mtu MTU
with_mtu()
{
	ip link set wire0 mtu "$1" || fail "no MTU of $1"
	eventually has_carrier || fail "no carrier"
}

make_target() { :; }
unmake_target() { [ -z "$server" ] || kill -KILL "$server"; }
make_initiator() { :; }
unmake_initiator() { :; }

acts()
{
	local mtu to tool
	for mtu in 1500 9000; do
		at_target with_mtu $mtu || fail "the target has no MTU of $mtu"
		with_mtu $mtu
		for to in "$address" "fd78::${address##*.}"; do
			both rping -s -a "$to" -C 50 -S 4000 -V -- rping -c -a "$to" -C 50 -S 4000 -V
			both rping -s -a "$to" -C 20 -S 60000 -V -- rping -c -a "$to" -C 20 -S 60000 -V
		done
		both rstream -b "$address" -T v -I 200 -C 1 -S 65536 -- rstream -s "$address" -T v -I 200 -C 1 -S 65536
		both rstream -b "$address" -T v -I 10 -C 4 -S 1048576 -- rstream -s "$address" -T v -I 10 -C 4 -S 1048576
		for tool in ib_write_bw ib_read_bw ib_send_bw; do
			perftest $tool -s 65536 -n 100
			perftest $tool -s 1000000 -n 20
		done
	done
	full_frames
	# A wrong packet is one that the other end takes no notice of, so that it has to be sent again.
	echo "target: $(at_target counters)"
	echo "initiator: $(counters)"
}

run_ends
