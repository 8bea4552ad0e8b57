#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# A link that cannot be: the right errno, and one sentence with the mend in the kernel log.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

# refused ERROR SENTENCE CMD...
refused()
{
	local error=$1 sentence=$2 said
	shift 2
	echo "dev_errors: $*" >/dev/kmsg
	said=$("$@" 2>&1) && fail "accepted: $*"
	[[ $said == *"$error"* ]] || fail "'$*' said '$said', not '$error'"
	[ -z "$sentence" ] || dmesg | awk -v mark="dev_errors: $*" 'index($0, mark) { out = "" } { out = out $0 "\n" } END { print out }' |
		grep -q "$sentence" || fail "'$*' is not explained by '$sentence'"
}

cleanup()
{
	kill "$holder"
	ip link del t0.5
	ip link del t0
	ip link del t1
	ip netns del taken
	rdma link del tdev
	rm -f /run/port-is-taken
} 2>/dev/null
holder=
trap cleanup EXIT

add() { rdma link add tdev type rxe_odp netdev "$1"; }
add_taken() { ip netns exec taken rdma link add tdev type rxe_odp netdev "$1"; }
refused 'No such device' '' add nosuch
refused 'File exists' 'has a link already' add veth0
ip link add t0 mtu 343 type dummy
refused 'Message too long' 'MTU 343 is too small for tdev, set it to 344 or more' add t0
ip link set t0 mtu 1500
refused 'File exists' 'RDMA device rxe_odp0 already' rdma link add rxe_odp0 type rxe_odp netdev t0
modprobe -q 8021q
ip link add link t0 name t0.5 type vlan id 5
refused 'Wrong medium type' 'a VLAN cannot have a link: add tdev on t0' add t0.5
# A monitor of radio frames: a tun says that it is one.
modprobe -q tun
python3 -c '
import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"t1", 0x1001))  # TUNSETIFF
fcntl.ioctl(fd, 0x400454cd, 803)                                    # TUNSETLINK, ARPHRD_IEEE80211_RADIOTAP
fcntl.ioctl(fd, 0x400454cb, 1)                                      # TUNSETPERSIST' || fail "no tun"
refused 'Wrong medium type' 'carries no IP packets for tdev' add t1

# Somebody else has the port.
ip netns add taken
ip link set t0 netns taken
ip netns exec taken ip link set t0 up
rm -f /run/port-is-taken
ip netns exec taken python3 -c '
import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 4791))
open("/run/port-is-taken", "w").close()
signal.pause()' &
holder=$!
await $holder "the holder of the port" [ -e /run/port-is-taken ]
refused 'Address already in use' '4791' add_taken t0
kill $holder
wait $holder 2>/dev/null
add_taken t0 || fail "the port is free, and yet no link"
