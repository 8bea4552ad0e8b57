#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Everything that makes, changes and ends devices, at the same time, for a while. The kernel log is the judge, and that
# in the end nothing holds a netdev, a namespace or the module.
# rdma-odp: timeout 120
set -u
# shellcheck source=tests/guest/lib/test.sh
. "${0%/*}/../lib/test.sh" || exit 1

seconds=${STORM_S:-8}
end=$(($(date +%s) + seconds))
going() { [ "$(date +%s)" -lt $end ]; }

attributes()
{
	ip link add sa type dummy
	ip link set sa up
	while going; do
		rdma link add sa0 type rxe_odp netdev sa
		ip link set sa mtu 1500
		ibv_devinfo -d sa0
		ip link set sa down
		ip link set sa mtu 300
		ip link set sa up
		ip link set sa mtu 4200
		rdma statistic show link sa0/1
		rdma link del sa0
	done
	ip link del sa
}

netdevs()
{
	while going; do
		ip link add sb type veth peer name sbp
		ip link set sb up
		ip link set sbp up
		rdma link add sb0 type rxe_odp netdev sb &
		rdma link add sb1 type rxe_odp netdev sbp
		ip addr add 10.99.2.1/24 dev sb
		ibv_devinfo -v &
		ip link del sb
		wait
	done
}

moves()
{
	while going; do
		ip link add sc type dummy
		ip link set sc up
		rdma link add sc0 type rxe_odp netdev sc
		rdma dev set sc0 netns churn1 &
		ip link set sc netns churn1
		ip netns exec churn1 ip link set sc up
		wait
		ip netns exec churn1 rdma link add sc1 type rxe_odp netdev sc &
		ip netns exec churn1 ip link del sc
		wait
	done
}

namespaces()
{
	while going; do
		ip netns add churn2
		ip netns exec churn2 ip link add sn type dummy
		ip netns exec churn2 ip link set sn up
		ip netns exec churn2 rdma link add sn0 type rxe_odp netdev sn
		rdma dev set sn0 netns churn2
		ip netns exec churn2 ibv_devinfo
		ip netns del churn2
	done
}

users()
{
	while going; do
		timeout 60 python3 - <<-'PYTHON'
		import pyverbs.enums as e
		from pyverbs.cq import CQ
		from pyverbs.device import Context, get_device_list
		from pyverbs.mr import MR
		from pyverbs.pd import PD
		from pyverbs.pyverbs_error import PyverbsError
		for i in range(20):
		    for device in get_device_list():
		        try:
		            context = Context(name=device.name.decode())
		            pd, cq = PD(context), CQ(context, 10)
		            mr = MR(pd, 1 << 16, e.IBV_ACCESS_LOCAL_WRITE | (e.IBV_ACCESS_ON_DEMAND if i & 1 else 0))
		            cq.resize(1000)
		            for used in mr, cq, pd, context:
		                used.close()
		        except PyverbsError:
		            pass
		PYTHON
	done
}

ip netns add churn1
for loop in attributes netdevs moves namespaces users; do
	$loop >/dev/null 2>&1 &
done
wait

# What is being unregistered ends by itself.
is_tidy() { [ -z "$(ip -br link | grep -E '^s[abcn]')$(rdma link | grep -E 'link s[abcn]')" ]; }
eventually is_tidy || fail "left over: $(ip -br link) $(rdma link)"
timeout 10 ip netns del churn1 || fail "a namespace does not end"
timeout "$(left)" /odp/host/links unload || fail "the modules are not removed"
/odp/host/links reset || fail "no links afterwards"
