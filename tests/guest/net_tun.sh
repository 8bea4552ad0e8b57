#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Links on both ends of a tun, which has no link layer, and of a tap, in two namespaces with a program in between that carries
# the packets: GIDs follow the addresses, data goes both ways, pinned and on demand.
# rdma-odp: timeout 240
set -u

fail() { echo "net_tun: $*"; cat /tmp/tun_server /tmp/tun_client /tmp/tun_carrier 2>/dev/null; exit 1; }

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-240} > SECONDS ? ${TEST_LIMIT_S:-240} - SECONDS : 1)); }

# eventually CMD...: while there is time for this program
eventually()
{
	until "$@"; do
		[ $SECONDS -lt $((${TEST_LIMIT_S:-100} - 5)) ] || return 1
		sleep 0.1
	done
}

# index SIDE GID: prints it
index()
{
	# shellcheck disable=SC2016
	ip netns exec "tun_$1" bash -c 'for i in {0..15}; do
		read -r gid <"/sys/class/infiniband/$1/ports/1/gids/$i" && [ "$gid" = "$2" ] && echo "$i" && exit 0
	done
	exit 1' bash "dev_$1" "$2"
}
has_gid() { index "$@" >/dev/null; }
no_gid() { ! has_gid "$@"; }

listens() { [ -n "$(ip netns exec tun_b ss -Hltn 'sport = :18515')" ]; }

cleanup()
{
	# The server of a client that failed, too.
	# shellcheck disable=SC2046
	kill $(jobs -p)
	wait
	ip netns del tun_a
	ip netns del tun_b
	ip link del tun_a
	ip link del tun_b
	rm -f /tmp/tun_server /tmp/tun_client /tmp/tun_carrier
} 2>/dev/null
trap cleanup EXIT

# carry MODE: makes both netdevs and carries what one sends to the other
carry()
{
	exec python3 -c '
import fcntl, os, select, struct, sys
mode = {"tun": 1, "tap": 2}[sys.argv[1]]
fds = []
for name in b"tun_a", b"tun_b":
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", name, mode | 0x1000))
    fds.append(fd)
print("ready", flush=True)
while True:
    for fd in select.select(fds, [], [])[0]:
        packet = os.read(fd, 70000)
        try:
            os.write(fds[1 - fds.index(fd)], packet)
        except OSError:
            pass
' "$1" >/tmp/tun_carrier 2>&1
}

# side SIDE NUMBER
side()
{
	local in=(ip netns exec "tun_$1")
	ip netns add "tun_$1"
	ip link set "tun_$1" mtu 9000 netns "tun_$1"
	"${in[@]}" sysctl -q "net.ipv6.conf.tun_$1.accept_dad=0"
	"${in[@]}" ip addr add "10.78.0.$2/24" dev "tun_$1"
	"${in[@]}" ip link set lo up
	"${in[@]}" ip link set "tun_$1" up
	# The name is taken until all of the device of the other mode has gone.
	eventually "${in[@]}" rdma link add "dev_$1" type rxe_odp netdev "tun_$1" 2>/dev/null || fail "no link on tun_$1"
	! rdma dev show "dev_$1" >/dev/null 2>&1 || rdma dev set "dev_$1" netns "tun_$1" || fail "dev_$1 cannot be moved"
	# One address before the link, one after.
	"${in[@]}" ip addr add "fd78::$2/64" dev "tun_$1" nodad
	eventually has_gid "$1" "0000:0000:0000:0000:0000:ffff:0a4e:000$2" || fail "no GID of 10.78.0.$2"
	eventually has_gid "$1" "fd78:0000:0000:0000:0000:0000:0000:000$2" || fail "no GID of fd78::$2"
	"${in[@]}" grep -qv '0000:0000:0000:0000' "/sys/class/infiniband/dev_$1/node_guid" || fail "dev_$1 has no GUID"
}

# both GID-PREFIX CMD...: from tun_a to tun_b
both()
{
	local prefix=$1
	shift
	ip netns exec tun_b "$@" "$(index b "${prefix}2")" -d dev_b >/tmp/tun_server 2>&1 &
	local server=$!
	eventually listens || fail "$*: does not listen"
	timeout "$(left)" ip netns exec tun_a "$@" "$(index a "${prefix}1")" -d dev_a 10.78.0.2 >/tmp/tun_client 2>&1 ||
		fail "$*: status $?"
	wait $server || fail "$*: the server failed"
}

modprobe -q tun
for mode in tun tap; do
	rm -f /tmp/tun_carrier
	carry $mode &
	carrier=$!
	eventually grep -q ready /tmp/tun_carrier || fail "no $mode"
	side a 1
	side b 2
	for prefix in 0000:0000:0000:0000:0000:ffff:0a4e:000 fd78:0000:0000:0000:0000:0000:0000:000; do
		# -u 20: a packet is sent again after 4.3 s, not after 67 ms. The program in between takes one packet at a time, and where
		# others run too it is late by more than that: all that is sent again is more to carry, until seven retries are used up.
		both $prefix ibv_ud_pingpong -n 5 -s 1000 -g
		both $prefix ib_write_bw -F -s 20000 -n 5 -u 20 -x
		both $prefix ib_read_bw -F -s 20000 -n 5 -u 20 --odp -x
	done
	ip netns exec tun_a ip addr del 10.78.0.1/24 dev tun_a
	eventually no_gid a 0000:0000:0000:0000:0000:ffff:0a4e:0001 || fail "a GID for an address that is gone"
	eventually has_gid a fd78:0000:0000:0000:0000:0000:0000:0001 || fail "the other address has lost its GID"
	kill $carrier
	wait $carrier 2>/dev/null
	# The netdevs went with their files, the devices with them.
	eventually eval '! ip netns exec tun_a rdma link show | grep -q "link dev_a/"' || fail "the link outlives its netdev"
	ip netns del tun_a
	ip netns del tun_b
done
exit 0
