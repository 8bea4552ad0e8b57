#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# What an administrator does to the path between two devices holds for requests that take no packets as well: a firewall's rule at either
# end and a link that is down end them, and when the path is there again, so are they. What a filter counts of them is the probes.
# rdma-odp: timeout 120
set -u
# shellcheck source=lib/gid.sh
. "$(dirname "$0")/../lib/gid.sh" || exit 1

fail() { echo "local_cut: $*"; cat /tmp/cut_server /tmp/cut_client 2>/dev/null; exit 1; }

in_peer() { ip netns exec peer "$@"; }

cleanup()
{
	# shellcheck disable=SC2046
	kill -9 $(jobs -p)
	nft delete table inet cut
	in_peer nft delete table inet cut
	in_peer ip link set veth1 up
	rm -f /tmp/cut_server /tmp/cut_client
} 2>/dev/null
trap cleanup EXIT

counter() { cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/"$1"; }

# until_true WHAT CMD...
until_true()
{
	local what=$1
	shift
	until "$@"; do
		[ $SECONDS -lt "${TEST_LIMIT_S:-120}" ] || fail "$what"
		kill -0 $client 2>/dev/null || fail "$what: the client has ended"
		sleep 0.1
	done
}

index0=$(index_of rxe_odp0 0000:0000:0000:0000:0000:ffff:0a4d:0001)
index1=$(in_peer bash -c "$(declare -f index_of); index_of rxe_odp1 0000:0000:0000:0000:0000:ffff:0a4d:0002")

has_ops() { [ "$(counter local_ops)" -ge "$1" ]; }

# An answer to a probe is good for 100 ms.
have_ended()
{
	local ops
	ops=$(counter local_ops)
	sleep 0.5
	[ "$(counter local_ops)" = "$ops" ]
}

# cut_and_mend NAME CUT MEND: each a command
cut_and_mend()
{
	cut=$1
	until_true "$cut: no requests without packets before" has_ops $(($(counter local_ops) + 100))
	$2 || fail "$cut: $2"
	until_true "$cut: requests go on" have_ended
	$3 || fail "$cut: $3"
	until_true "$cut: no requests without packets afterwards" has_ops $(($(counter local_ops) + 100))
}

# table HOOK RULE: in the namespace that it is called in
table()
{
	nft -f - <<-END
	table inet cut {
		chain packets {
			type filter hook $1 priority 0
			udp dport 4791 $2
		}
	}
	END
}

drop_output() { table output drop; }
drop_input() { in_peer bash -c "$(declare -f table); table input drop"; }
mend_output() { nft delete table inet cut; }
mend_input() { in_peer nft delete table inet cut; }
link_down() { in_peer ip link set veth1 down; }
link_up() { in_peer ip link set veth1 up; }

listens() { [ -n "$(in_peer ss -Hltn 'sport = :18515')" ]; }

# 4 us << 19 are 2 s, eight times: no time without a path is too long for the client.
in_peer ib_write_bw -d rxe_odp1 -x "$index1" -F -s 4096 -u 19 --run_infinitely >/tmp/cut_server 2>&1 &
client=$!
until_true "the server does not listen" listens
ib_write_bw -d rxe_odp0 -x "$index0" -F -s 4096 -u 19 --run_infinitely 10.77.0.2 >/tmp/cut_client 2>&1 &
client=$!

cut_and_mend "a link that is down" link_down link_up
if ! nft list ruleset 2>/dev/null; then
	echo "no nf_tables in this kernel: the rest of it is left out"
	exit 0
fi
cut_and_mend "a rule on the way out" drop_output mend_output
cut_and_mend "a rule on the way in" drop_input mend_input

table output counter || fail "no table"
before=$(counter local_ops)
until_true "no requests" has_ops $((before + 2000))
seen=$(nft list table inet cut | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')
[ "$seen" -ge 1 ] || fail "no probe was seen"
[ "$seen" -lt 1000 ] || fail "2000 requests took $seen packets"
exit 0
