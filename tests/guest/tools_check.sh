#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# rxe_odp_check: a machine that is as it should be, and one fault after the other: each is named in a sentence with its mend.
set -u
# shellcheck source=tests/guest/lib/device.sh
. "${0%/*}/../lib/device.sh" || exit 1
check=$(cd "${0%/*}/../tools" && pwd)/rxe_odp_check || exit 1

listener='' relink=0 node=''
# What of the provider's file there was before is not touched.
fake=()
cleanup()
{
	[ -z "$listener" ] || kill "$listener"
	nft delete table inet tools_check
	rm -rf /tmp/tools_check "${fake[@]}"
	[ -z "$node" ] || mv "$node.away" "$node"
	rdma link delete tools_check
	ip netns exec tools_check rdma link delete tools_check
	ip netns del tools_check
	ip link del tools_check0
	ip link del tools_check1
	if [ "$relink" = 1 ]; then
		[ ! -e /sys/module/rdma_rxe ] || { eventually is_unused rdma_rxe && rmmod rdma_rxe; }
		/odp/host/links reset
	fi
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

# only DEVICE CHECK ARGS...
only() { "$2" -d "$1" "${@:3}"; }
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"; }

"$check" || fail "the links as they are: status $?"
right "the peer's" in_peer
"$check" --nonsense 2>/dev/null
[ $? = 2 ] || fail "an option that there is not: status"
! "$check" -d nonesuch >/dev/null || fail "no such link is right"

# notes WHAT PATTERN [CMD...]: that is said where -q is not, whatever else is.
notes()
{
	local what=$1 pattern=$2
	shift 2
	said=$("$@" "$check" 2>&1)
	[[ $said =~ $pattern ]] || fail "$what: not '$pattern': $said"
}

mkdir -p /tmp/tools_check/bin
echo 6.1.0-44-amd64 >/tmp/tools_check/osrelease
wrong "an old kernel" 'kernel 6.1.0-44-amd64 is too old' unshare --mount sh -c \
	'mount --bind /tmp/tools_check/osrelease /proc/sys/kernel/osrelease && exec "$@"' sh

wrong memlock 'may pin 64 KiB.*on-demand' as_nobody bash -c 'ulimit -l 64; exec "$@"' bash
chmod 600 /dev/infiniband/uverbs*
wrong "device nodes" 'nobody may not open /dev/infiniband/uverbs' as_nobody
chmod 666 /dev/infiniband/uverbs*
for at in /sys/class/infiniband_verbs/*/ibdev; do
	[ "$(cat "$at")" != rxe_odp0 ] || { at=${at%/ibdev} node=/dev/infiniband/${at##*/}; }
done
mv "$node" "$node.away"
wrong "no device node" "device node $node of rxe_odp0 is missing" env
mv "$node.away" "$node"
node=''

as_nobody_there() { ip netns exec tools_check setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"; }

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
# iptables of old writes its rules elsewhere, and the guests have it not: what it would say.
# iptables RULES
iptables()
{
	printf '%s\n' '#!/bin/sh' "cat <<'END'" "$1" END >/tmp/tools_check/bin/iptables-legacy-save
	chmod 755 /tmp/tools_check/bin/iptables-legacy-save
}
with_fakes=(env "PATH=/tmp/tools_check/bin:$PATH")
iptables $':INPUT ACCEPT [0:0]\n-A INPUT -p udp -m udp --dport 4791 -j DROP'
wrong "a rule of iptables" 'iptables-legacy -D INPUT -p udp -m udp --dport 4791 -j DROP$' "${with_fakes[@]}"
iptables $':INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT'
wrong "a chain of iptables" 'iptables-legacy -I INPUT -p udp --dport 4791 -j ACCEPT$' "${with_fakes[@]}"
iptables $':INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 4791 -j ACCEPT'
right "a chain of iptables that accepts it" "${with_fakes[@]}"
rm /tmp/tools_check/bin/iptables-legacy-save

ip link set veth0 mtu 576
wrong "a small MTU" 'MTU of veth0 is 576' env
ip link set veth0 mtu 1400
notes "an MTU below Ethernet's" 'MTU of veth0 is 1400: packets of rxe_odp0 carry 1024 bytes' env
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
any_gid() { grep -qs '[1-9a-f]' /sys/class/infiniband/rxe_odp0/ports/1/gids/?; }
eventually any_gid || fail "the link-local GID does not come"
wrong "a link-local address alone" 'no GID but the link-local one.*ip addr add ADDRESS/PREFIX dev veth0' env
ip addr add 10.77.0.1/24 dev veth0
ip addr add fd77::1/64 dev veth0 nodad
eventually has_gid rxe_odp0 10.77.0.1 || fail "the GID does not come"

ip link add tools_check1 type veth peer name tools_check0
ip link set tools_check1 up
add_link '' tools_check tools_check1
wrong "no carrier" 'tools_check is down.*tools_check1 has no carrier' env
right "the other link, where only it is asked for" only rxe_odp0

# Another namespace: no link, one whose netdev stayed behind, and then a program and a tunnel with the port.
ip netns add tools_check
wrong "no link" 'no link of rxe_odp.*rdma link add' ip netns exec tools_check
notes "namespaces" 'one network namespace each \(netns exclusive\).*rdma dev set NAME netns NS' ip netns exec tools_check
rdma dev set tools_check netns tools_check || fail "the device cannot be moved"
wrong "a netdev elsewhere" 'netdev of tools_check is not in this network namespace' ip netns exec tools_check
ip netns exec tools_check rdma link delete tools_check
ip link del tools_check1
ip -n tools_check link set lo up
ip netns exec tools_check python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 4791))
s.connect(("127.0.0.1", 9))
print(flush=True)
time.sleep(3600)' >/tmp/tools_check.listener &
listener=$!
await $listener "the program with the port" [ -s /tmp/tools_check.listener ]
rm -f /tmp/tools_check.listener
wrong "a port that is taken" '4791 is taken by a program \(python3, pid [0-9]+\)' ip netns exec tools_check
wrong "a port that is taken, to a user" '4791 is taken, so no link can be added: rxe_odp_check says by whom to root' as_nobody_there
kill $listener
wait $listener 2>/dev/null
listener=''
ip -n tools_check link add tools_check0 type vxlan id 1 dstport 4791 || fail "no tunnel"
ip -n tools_check link set tools_check0 up
wrong "a port that a tunnel has" '4791 is taken by no process that can be seen here, so by a tunnel' ip netns exec tools_check
ip -n tools_check link del tools_check0

wrong "no provider" 'no provider of libibverbs' env RXE_ODP_CHECK_CONF=/tmp/tools_check
wrong "IBV_DRIVERS" 'IBV_DRIVERS names /nowhere/librxe_odp' env IBV_DRIVERS=/nowhere/librxe_odp

# Which of two providers it is: one file has to name both. That a file is there is enough.
lib=$(echo /usr/lib/*/libibverbs)
[ -d "$lib" ] || fail "not one directory of providers: $lib"
ours=$(basename "$lib"/librxe-rdmav*.so | sed 's/librxe/librxe_odp/')
for at in "$lib/$ours" "$lib/librxe_odp-rdmav1.so"; do
	[ ! -e "$at" ] || fail "$at is there already"
	fake+=("$at")
done
: >"${fake[1]}"
wrong "a provider of old" 'librxe_odp-rdmav1.so is for another private ABI' env
rm "${fake[1]}"
: >"${fake[0]}"
with_conf=(env RXE_ODP_CHECK_CONF=/tmp/tools_check/conf)
mkdir /tmp/tools_check/conf
echo 'driver rxe' >/tmp/tools_check/conf/rxe.driver
notes "a provider that is not named" 'librxe_odp is installed, but no file of /tmp/tools_check/conf names it' "${with_conf[@]}"
echo 'driver rxe_odp' >/tmp/tools_check/conf/rxe_odp.driver
wrong "two providers" 'left to chance.*install.sh install' "${with_conf[@]}"
printf 'driver rxe_odp\ndriver rxe\n' >/tmp/tools_check/conf/rxe.driver
rm /tmp/tools_check/conf/rxe_odp.driver
right "two providers in one file" "${with_conf[@]}"
rm "${fake[0]}"

# Stock rxe with the port, then no module at all, and one that is there and not loaded.
relink=1
/odp/host/links down
if modinfo rdma_rxe >/dev/null 2>&1; then
	ip link add tools_check1 mtu 4200 type dummy
	ip link set tools_check1 up
	{ modprobe rdma_rxe && rdma link add tools_check type rxe netdev tools_check1; } || fail "no link of rdma_rxe"
	wrong "a port that rdma_rxe has" '4791 is taken by no process .* so by stock rdma_rxe perhaps.*rmmod rdma_rxe' env
	wrong "a device of rdma_rxe" 'tools_check is no device of rxe_odp' only tools_check
	rdma link delete tools_check
	ip link del tools_check1
	{ eventually is_unused rdma_rxe && rmmod rdma_rxe; } || fail "rdma_rxe is not removed"
fi
rmmod rxe_odp || fail "the module is not removed"
# Debian's kernels have none; where a package has been installed it is found.
printf '#!/bin/sh\nexit 1\n' >/tmp/tools_check/bin/modinfo
chmod 755 /tmp/tools_check/bin/modinfo
wrong "no module" 'there is no module rxe_odp for kernel .*build and install it' "${with_fakes[@]}"
printf '#!/bin/sh\nexit 0\n' >/tmp/tools_check/bin/modinfo
wrong "a module that is not loaded" 'the module rxe_odp is not loaded: modprobe rxe_odp' "${with_fakes[@]}"
exit 0
