#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Links on both ends of a tun, which has no link layer, and of a tap, in two namespaces with a program in between that carries
# the packets: GIDs follow the addresses, data goes both ways, pinned and on demand.
# rdma-odp: timeout 240
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

cleanup()
{
	end_jobs
	ip netns del tun_a
	ip netns del tun_b
	ip link del tun_a
	ip link del tun_b
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
' "$1" >/tmp/said_carrier 2>&1
}

# side SIDE NUMBER
side()
{
	local in=(ip netns exec "tun_$1")
	ip netns add "tun_$1"
	ip link set "tun_$1" mtu 9000 netns "tun_$1"
	"${in[@]}" ip addr add "10.78.0.$2/24" dev "tun_$1"
	"${in[@]}" ip link set lo up
	"${in[@]}" ip link set "tun_$1" up
	add_link "tun_$1" "dev_$1" "tun_$1"
	# One address before the link, one after.
	"${in[@]}" ip addr add "fd78::$2/64" dev "tun_$1" nodad
	eventually in_netns "tun_$1" has_gid "dev_$1" "10.78.0.$2" || fail "no GID of 10.78.0.$2"
	eventually in_netns "tun_$1" has_gid "dev_$1" "fd78::$2" || fail "no GID of fd78::$2"
	"${in[@]}" grep -qv '0000:0000:0000:0000' "/sys/class/infiniband/dev_$1/node_guid" || fail "dev_$1 has no GUID"
}

# both PREFIX CMD...: from tun_a to tun_b, by the GIDs of their addresses that begin so
both()
{
	serve tun_b 18515 "${@:2}" "$(in_netns tun_b index_of dev_b "${1}2")" -d dev_b
	client ip netns exec tun_a "${@:2}" "$(in_netns tun_a index_of dev_a "${1}1")" -d dev_a 10.78.0.2
}

modprobe -q tun
for mode in tun tap; do
	rm -f /tmp/said_carrier
	carry $mode &
	carrier=$!
	await $carrier "the carrier of a $mode" grep -qs ready /tmp/said_carrier
	side a 1
	side b 2
	for prefix in 10.78.0. fd78::; do
		# -u 20: a packet is sent again after 4.3 s, not after 67 ms. The program in between takes one packet at a time, and where
		# others run too it is late by more than that: all that is sent again is more to carry, until seven retries are used up.
		both $prefix ibv_ud_pingpong -n 5 -s 1000 -g
		both $prefix ib_write_bw -F -s 20000 -n 5 -u 20 -x
		both $prefix ib_read_bw -F -s 20000 -n 5 -u 20 --odp -x
	done
	ip netns exec tun_a ip addr del 10.78.0.1/24 dev tun_a
	eventually in_netns tun_a no_gid dev_a 10.78.0.1 || fail "a GID for an address that is gone"
	eventually in_netns tun_a has_gid dev_a fd78::1 || fail "the other address has lost its GID"
	kill $carrier
	wait $carrier 2>/dev/null
	# The netdevs went with their files, the devices with them.
	eventually in_netns tun_a no_link dev_a || fail "the link outlives its netdev"
	ip netns del tun_a
	ip netns del tun_b
done
exit 0
