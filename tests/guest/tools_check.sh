#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rxe_odp_check: a machine that is as it should be, and one fault after the other: each is named in a sentence with its mend.
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1
check=$(cd "${0%/*}/../tools" && pwd)/rxe_odp_check || exit 1

listener=''
cleanup()
{
	[ -z "$listener" ] || kill "$listener"
	nft delete table inet tools_check
	rm -rf /tmp/tools_check
	ip netns del tools_check
	ip link del tools_check0
	ip link set veth0 down
	ip link set veth0 up mtu 9000
	ip addr add 10.77.0.1/24 dev veth0
	ip addr add fd77::1/64 dev veth0 nodad
} 2>/dev/null
trap cleanup EXIT

# right WHAT [CMD...]: nothing is wrong, with CMD before the check.
right()
{
	local what=$1
	shift
	said=$("$@" "$check" -q 2>&1) || fail "$what: status $?: $said"
	[ -z "$said" ] || fail "$what, quiet: $said"
}

# wrong WHAT PATTERN [CMD...]: that is said, and the status is 1.
wrong()
{
	local what=$1 pattern=$2 status=0
	shift 2
	said=$("$@" "$check" -q 2>&1) || status=$?
	[ $status = 1 ] || fail "$what: status $status: $said"
	[[ $said =~ $pattern ]] || fail "$what: not '$pattern': $said"
}

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"; }

"$check" || fail "the links as they are: status $?"
right "the peer's" in_peer
"$check" --nonsense 2>/dev/null
[ $? = 2 ] || fail "an option that there is not: status"
! "$check" -d nonesuch >/dev/null || fail "no such link is right"

wrong memlock 'may pin 64 KiB.*on-demand' as_nobody bash -c 'ulimit -l 64; exec "$@"' bash
chmod 600 /dev/infiniband/uverbs*
wrong "device nodes" 'nobody may not open /dev/infiniband/uverbs' as_nobody
chmod 666 /dev/infiniband/uverbs*

# rules INPUT-POLICY RULE: beside the rule against forgery, which is as it should be
rules()
{
	nft -f - <<-END
	table inet tools_check
	delete table inet tools_check
	table inet tools_check {
		chain output {
			type filter hook output priority filter; policy accept;
			udp dport 4791 meta skuid != 0 drop
		}
		chain input {
			type filter hook input priority filter; policy $1;
			$2
		}
	}
	END
}
# User Mode Linux is built without nftables.
if nft list ruleset >/dev/null 2>&1; then
	rules accept 'udp dport 4791 counter drop'
	wrong "a rule that drops" 'drops RoCEv2.*udp dport 4791' env
	rules drop 'tcp dport 22 accept'
	wrong "a chain that drops" 'nothing allows RoCEv2.*nft add rule inet tools_check input udp dport 4791 accept' env
	rules drop 'udp dport 4791 accept'
	right "a chain that accepts it" env
	nft delete table inet tools_check
fi

ip link set veth0 mtu 576
wrong "a small MTU" 'MTU of veth0 is 576' env
ip link set veth0 mtu 9000
ip link set veth0 down
wrong "a netdev that is down" 'netdev veth0 is: ip link set veth0 up' env
ip link set veth0 up
ip addr flush dev veth0
eventually no_gid rxe_odp0 10.77.0.1 || fail "the GID does not go"
wrong "no address" 'has no GID' env
# ib_core asks for neighbours from the link-local address, which comes back so.
ip link set veth0 down
ip link set veth0 up
ip addr add 10.77.0.1/24 dev veth0
ip addr add fd77::1/64 dev veth0 nodad
eventually has_gid rxe_odp0 10.77.0.1 || fail "the GID does not come"

# Another namespace: no link, and then a program with the port.
ip netns add tools_check
wrong "no link" 'no link of rxe_odp.*rdma link add' ip netns exec tools_check
ip netns exec tools_check python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 4791))
print(flush=True)
time.sleep(3600)' >/tmp/tools_check.listener &
listener=$!
await $listener "the program with the port" [ -s /tmp/tools_check.listener ]
rm -f /tmp/tools_check.listener
wrong "a port that is taken" '4791 is taken by a program \(python3, pid [0-9]+\)' ip netns exec tools_check
kill $listener
wait $listener 2>/dev/null
listener=''

mkdir /tmp/tools_check
wrong "no provider" 'no provider of libibverbs' env RXE_ODP_CHECK_CONF=/tmp/tools_check
wrong "IBV_DRIVERS" 'IBV_DRIVERS names /nowhere/librxe_odp' env IBV_DRIVERS=/nowhere/librxe_odp
exit 0
