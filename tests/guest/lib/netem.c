// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "netem.h"
#include "test.h"

static bool pinned;

static const char pin[] =
	"mac0=$(cat /sys/class/net/veth0/address)\n"
	"mac1=$(ip netns exec peer cat /sys/class/net/veth1/address)\n"
	"for ip in 10.77.0.2 fd77::2; do\n"
	"	ip neigh replace $ip lladdr $mac1 dev veth0 nud permanent || exit\n"
	"done\n"
	"for ip in 10.77.0.1 fd77::1; do\n"
	"	ip netns exec peer ip neigh replace $ip lladdr $mac0 dev veth1 nud permanent || exit\n"
	"done\n";

static const char unpin[] = "ip neigh flush dev veth0 nud permanent\n"
			    "ip netns exec peer ip neigh flush dev veth1 nud permanent\n"
			    "tc qdisc del dev veth0 root 2>/dev/null\n"
			    "ip netns exec peer tc qdisc del dev veth1 root 2>/dev/null\n"
			    "true\n";

void netem_end(void)
{
	if (pinned && system(unpin))
		fail_because("the wire cannot be mended");
	pinned = false;
}

bool wire_shape(const char *qdisc)
{
	char cmd[300];

	netem_end();
	pinned = true;
	if (system(pin))
		fail_because("the neighbours cannot be pinned");
	snprintf(
		cmd, sizeof(cmd),
		"tc qdisc add dev veth0 root %s && ip netns exec peer tc qdisc add dev veth1 root %s",
		qdisc, qdisc);
	return !system(cmd);
}

bool netem_begin(const char *options)
{
	char qdisc[120];

	snprintf(qdisc, sizeof(qdisc), "netem %s", options);
	return wire_shape(qdisc);
}
