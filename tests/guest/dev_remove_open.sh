#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The device goes while a process has rings mapped and regions registered: by "rdma link delete", with the netdev, with
# the module. Nothing waits for the process, what it has mapped stays memory, and its next call fails.
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

cat >/run/hold.py <<'PYTHON'
import mmap, os, sys, time
from pyverbs.cq import CQ
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.pyverbs_error import PyverbsRDMAError
from pyverbs.qp import QP, QPCap, QPInitAttr
from pyverbs.srq import SRQ, SrqAttr, SrqInitAttr
import pyverbs.enums as e

context = Context(name='rxe_odp0')
pd = PD(context)
cq = CQ(context, 100)
srq = SRQ(pd, SrqInitAttr(SrqAttr(max_wr=100, max_sge=4)))
cap = QPCap(max_send_wr=64, max_recv_wr=64, max_send_sge=4, max_recv_sge=4)
qp = QP(pd, QPInitAttr(qp_type=e.IBV_QPT_RC, scq=cq, rcq=cq, cap=cap))
pinned = MR(pd, 1 << 20, e.IBV_ACCESS_LOCAL_WRITE)
odp = MR(pd, 1 << 20, e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | e.IBV_ACCESS_ON_DEMAND)
rings = sum('infiniband' in line for line in open('/proc/self/maps'))
if rings != 4:
    sys.exit(f'{rings} rings are mapped, not 4')
open('/run/held', 'w').close()
while not os.path.exists('/run/go'):
    time.sleep(0.05)
if cq.poll() != (0, []):
    sys.exit('the ring changed')
try:
    MR(pd, 4096, e.IBV_ACCESS_LOCAL_WRITE)
    sys.exit('a region of a device that is gone')
except PyverbsRDMAError:
    pass
sys.stdout.flush()
os._exit(0)
PYTHON

hold()
{
	rm -f /run/held /run/go
	python3 /run/hold.py &
	holder=$!
	await $holder "the holder" [ -e /run/held ]
}

release()
{
	touch /run/go
	wait $holder || fail "$1: the holder failed"
}

hold
timeout "$(left)" rdma link del rxe_odp0 || fail "the link is not deleted"
release link
/odp/host/links reset || fail "no links after a deletion"

hold
timeout "$(left)" ip link del veth0 || fail "the netdev is not deleted"
release netdev
/odp/host/links reset || fail "no links after the end of the netdev"

hold
timeout "$(left)" rmmod rxe_odp || fail "the module is not removed"
timeout "$(left)" rmmod umem_odp || fail "umem_odp is not removed"
release module
/odp/host/links reset || fail "no links after the end of the module"

hold
kill -9 $holder
wait $holder 2>/dev/null
timeout "$(left)" rmmod rxe_odp || fail "the module is not removed after a kill"
/odp/host/links reset || fail "no links after a kill"
