#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Registrations on demand by the device's policy: programs as they come, of a user who may lock no memory and who asks for nothing,
# run where they fail without it. And a new link begins with what the module's parameter says. (fio is left out: it works, but asks
# for no RNR retry, so that a page fault which takes longer than a quarter of
# the ACK timeout, on a machine that is busy, ends it.)
#
# rdma-odp: timeout 120
set -u

fail() { echo "odp_default: $*"; cat /tmp/default_home/server /tmp/default_home/client 2>/dev/null; exit 1; }

param=/sys/module/rxe_odp/parameters/register
in_peer() { ip netns exec peer "$@"; }
is() { [ "$(cat "/sys/class/infiniband/$1/register")" = "$2" ]; }
policy()
{
	echo "$1" >/sys/class/infiniband/rxe_odp0/register && in_peer sh -c "echo $1 >/sys/class/infiniband/rxe_odp1/register"
}
cleanup()
{
	# shellcheck disable=SC2046
	kill -9 $(jobs -p)
	policy pinned
	echo pinned >"$param"
	ip link del default_a
	rm -rf /tmp/default_home
} 2>/dev/null
trap cleanup EXIT

# What is left of this program's time: only a hang takes it.
left() { echo $((${TEST_LIMIT_S:-120} > SECONDS ? ${TEST_LIMIT_S:-120} - SECONDS : 1)); }
sent() { cat /sys/class/infiniband/rxe_odp0/ports/1/hw_counters/sent_pkts; }

# Neither root nor a limit helps them.
mkdir -m 1777 /tmp/default_home
nobody=(prlimit --memlock=0:0 setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all
	env HOME=/tmp/default_home TMPDIR=/tmp/default_home)

cm_listens() { in_peer rdma resource show cm_id | grep -q 'state LISTEN'; }
# By TCP: perftest, UCX.
tcp_listens() { in_peer ss -Hltn '( sport = 18515 or sport = 13337 )' | grep -q .; }

# serve LISTENS CMD...: sets server, which listens.
serve()
{
	local listens=$1
	shift
	ip netns exec peer "${nobody[@]}" "$@" >/tmp/default_home/server 2>&1 &
	server=$!
	until $listens; do
		kill -0 $server 2>/dev/null || fail "$*: the server has ended"
		[ "$(left)" -gt 1 ] || fail "$*: the server does not listen"
		sleep 0.1
	done
}

run() { timeout -s KILL "$(left)" "${nobody[@]}" "$@" >/tmp/default_home/client 2>&1; }

# client PACKETS CMD...: it sends so many at least by the device.
client()
{
	local before packets=$1
	shift
	before=$(sent)
	run "$@" || fail "$*: status $?"
	[ -z "$server" ] || wait "$server" || fail "$*: the server failed"
	[ $(($(sent) - before)) -ge "$packets" ] || fail "$*: it did not go through the device"
}

write=(-F -s 65536 -n 20)
policy pinned || fail "no policy"
serve tcp_listens ib_write_bw -d rxe_odp1 "${write[@]}"
! run ib_write_bw -d rxe_odp0 "${write[@]}" 10.77.0.2 || fail "memory is pinned for a user who may lock none"
grep -q "Couldn't allocate MR" /tmp/default_home/client || fail "it is not the registration that fails"
kill $server 2>/dev/null
wait $server

policy on-demand
serve tcp_listens ib_write_bw -d rxe_odp1 "${write[@]}"
client 20 ib_write_bw -d rxe_odp0 "${write[@]}" 10.77.0.2
serve cm_listens rping -s -a 10.77.0.2 -C 5 -S 4000 -V
client 5 rping -c -a 10.77.0.2 -C 5 -S 4000 -V
serve cm_listens rstream -I 20 -C 20 -S 4000
client 20 rstream -s 10.77.0.2 -I 20 -C 20 -S 4000

export UCX_TLS=rc,ud,self UCX_NET_DEVICES=rxe_odp1:1
ucx=(ucx_perftest -P 0 -t tag_bw -n 20 -w 2 -s 65536)
serve tcp_listens "${ucx[@]}"
UCX_NET_DEVICES=rxe_odp0:1
client 20 "${ucx[@]}" 10.77.0.2
cat >/tmp/default_home/ranks.py <<'PY'
from mpi4py import MPI

world = MPI.COMM_WORLD
goes, came = bytearray([world.rank + 1]) * 300000, bytearray(300000)
world.Sendrecv(goes, 1 - world.rank, recvbuf=came, source=1 - world.rank)
assert came == bytearray([2 - world.rank]) * 300000
PY
server=
client 100 mpirun -np 2 --mca pml ucx python3 /tmp/default_home/ranks.py

! echo both 2>/dev/null >"$param" || fail "the parameter takes any word"
echo on-demand >"$param"
[ "$(cat "$param")" = on-demand ] || fail "the parameter is not what was written"
policy pinned
ip link add default_a type veth peer name default_b || fail "no veth"
ip link set default_a up
rdma link add default_a type rxe_odp netdev default_a || fail "no link"
is default_a on-demand || fail "a new link does not begin with what the parameter says"
is rxe_odp0 pinned || fail "the parameter changes a link that is there"
exit 0
