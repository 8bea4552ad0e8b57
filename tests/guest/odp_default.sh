#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Registrations on demand by the device's policy: programs as they come, of a user who may lock no memory and who asks for nothing,
# run where they fail without it. And a new link begins with what the module's parameter says. (fio is left out: it works, but asks
# for no RNR retry, so that a page fault which takes longer than a quarter of
# the ACK timeout, on a machine that is busy, ends it.)
#
# rdma-odp: timeout 120
set -u
# shellcheck source=tests/guest/lib/serve.sh
. "${0%/*}/../lib/serve.sh" || exit 1

param=/sys/module/rxe_odp/parameters/register
is() { [ "$(cat "/sys/class/infiniband/$1/register")" = "$2" ]; }
cleanup()
{
	end_jobs
	policy pinned
	echo pinned >"$param"
	ip link del default_a
	rm -rf /tmp/default_home
} 2>/dev/null
trap cleanup EXIT

# Neither root nor a limit helps them.
mkdir -m 1777 /tmp/default_home
nobody=(prlimit --memlock=0:0 setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all
	env HOME=/tmp/default_home TMPDIR=/tmp/default_home)

# as_nobody PORT|cm CMD...: a server in peer
as_nobody() { serve peer "$1" "${nobody[@]}" "${@:2}"; }

# through PACKETS CMD...: a client, and so many at least are sent by the device.
through()
{
	local before
	before=$(sent)
	client "${nobody[@]}" "${@:2}"
	[ $(($(sent) - before)) -ge "$1" ] || fail "${*:2}: it did not go through the device"
}

write=(-F -s 65536 -n 20)
policy pinned || fail "no policy"
as_nobody 18515 ib_write_bw -d rxe_odp1 "${write[@]}"
! timeout "$(left)" "${nobody[@]}" ib_write_bw -d rxe_odp0 "${write[@]}" 10.77.0.2 >/tmp/said_client 2>&1 ||
	fail "memory is pinned for a user who may lock none"
grep -q "Couldn't allocate MR" /tmp/said_client || fail "it is not the registration that fails"
kill $server 2>/dev/null
wait $server

policy on-demand
as_nobody 18515 ib_write_bw -d rxe_odp1 "${write[@]}"
through 20 ib_write_bw -d rxe_odp0 "${write[@]}" 10.77.0.2
as_nobody cm rping -s -a 10.77.0.2 -C 5 -S 4000 -V
through 5 rping -c -a 10.77.0.2 -C 5 -S 4000 -V
as_nobody cm rstream -I 20 -C 20 -S 4000
through 20 rstream -s 10.77.0.2 -I 20 -C 20 -S 4000

export UCX_TLS=rc,ud,self UCX_NET_DEVICES=rxe_odp1:1
ucx=(ucx_perftest -P 0 -t tag_bw -n 20 -w 2 -s 65536)
as_nobody 13337 "${ucx[@]}"
UCX_NET_DEVICES=rxe_odp0:1
through 20 "${ucx[@]}" 10.77.0.2
cat >/tmp/default_home/ranks.py <<'PY'
from mpi4py import MPI

world = MPI.COMM_WORLD
goes, came = bytearray([world.rank + 1]) * 300000, bytearray(300000)
world.Sendrecv(goes, 1 - world.rank, recvbuf=came, source=1 - world.rank)
assert came == bytearray([2 - world.rank]) * 300000
PY
server=''
through 100 mpirun -np 2 --mca pml ucx python3 /tmp/default_home/ranks.py

! echo both 2>/dev/null >"$param" || fail "the parameter takes any word"
echo on-demand >"$param"
[ "$(cat "$param")" = on-demand ] || fail "the parameter is not what was written"
policy pinned
ip link add default_a type veth peer name default_b || fail "no veth"
ip link set default_a up
add_link '' default_a default_a
is default_a on-demand || fail "a new link does not begin with what the parameter says"
is rxe_odp0 pinned || fail "the parameter changes a link that is there"
exit 0
