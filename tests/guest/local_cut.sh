#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# What an administrator does to the path between two devices holds for requests that take no packets as well: a firewall's rule at either
# end and a link that is down end them, and when the path is there again, so are they. What a filter counts of them is the probes.
# rdma-odp: timeout 120
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	nft delete table inet cut
	in_peer nft delete table inet cut
	in_peer ip link set veth1 up
} 2>/dev/null
trap cleanup EXIT

index0=$(index_of rxe_odp0 10.77.0.1)
index1=$(in_peer index_of rxe_odp1 10.77.0.2)

# until_true CMD...: while the client goes on
until_true() { await $client "the client" "$@"; }
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
	about=$1
	until_true has_ops $(($(counter local_ops) + 100))
	$2 || fail "$2"
	until_true have_ended
	$3 || fail "$3"
	until_true has_ops $(($(counter local_ops) + 100))
	about=''
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
drop_input() { in_peer table input drop; }
mend_output() { nft delete table inet cut; }
mend_input() { in_peer nft delete table inet cut; }
link_down() { in_peer ip link set veth1 down; }
link_up() { in_peer ip link set veth1 up; }

# 4 us << 19 are 2 s, eight times: no time without a path is too long for the client.
serve peer 18515 ib_write_bw -d rxe_odp1 -x "$index1" -F -s 4096 -u 19 --run_infinitely
ib_write_bw -d rxe_odp0 -x "$index0" -F -s 4096 -u 19 --run_infinitely 10.77.0.2 >/tmp/said_client 2>&1 &
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
until_true has_ops $((before + 2000))
seen=$(nft list table inet cut | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')
[ "$seen" -ge 1 ] || fail "no probe was seen"
[ "$seen" -lt 1000 ] || fail "2000 requests took $seen packets"
exit 0
