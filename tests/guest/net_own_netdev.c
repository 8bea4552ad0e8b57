// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two devices in a namespace, on netdevs of one subnet, and two in another one: what a device sends leaves by the netdev
 * that has its address, whatever route IP would prefer, and reaches the device of the destination's address, whatever
 * netdev it comes in by.
 *
 * rdma-odp: timeout 240
 */
#include "pair.h"
#include "sniff.h"

#define BYTES 20000

/* Devices and netdevs have the same names: side 0 in the initial namespace, side 1 in the peer's. */
static const char *const names[2][2] = { { "ownx0", "ownx1" }, { "owny0", "owny1" } };

/*
 * VLAN is "" or ".5". The netdev that has the addresses is called own[xy][01]VLAN. Each namespace's part is done by one shell there:
 * processes are slow where the CPU is emulated.
 */
static const char functions[] =
	"has_gid() { grep -rqsx --include='?' $2 /sys/class/infiniband/$1/ports/1/gids; }\n"
	"await_gid()\n"
	"{\n"
	"	for n in $(seq 100); do has_gid \"$@\" && return; sleep 0.1; done\n"
	"	echo \"$1: no GID $2\"\n"
	"	return 1\n"
	"}\n"
	"link() { ip link set $1 up && rdma link add $1 type rxe_odp netdev $1; }\n"
	/* NETDEV NUMBER: its addresses end in that. */
	"addresses()\n"
	"{\n"
	"	at=$1$VLAN\n"
	"	[ -z \"$VLAN\" ] || ip link add link $1 name $at type vlan id ${VLAN#.} || return\n"
	"	echo 0 >/proc/sys/net/ipv4/conf/$at/rp_filter\n"
	"	printf '%s\\n' \"link set $at up\" \"addr add 10.78.0.$2/24 dev $at\" \\\n"
	"		\"addr add fd78::$2/64 dev $at nodad\" | ip -batch - &&\n"
	"	await_gid $1 0000:0000:0000:0000:0000:ffff:0a4e:00$(printf %02x $2) &&\n"
	"	await_gid $1 fd78:0000:0000:0000:0000:0000:0000:$(printf %04d $2)\n"
	"}\n";

static const char up[] =
	"in_peer() { ip netns exec peer sh -c \"$FUNCTIONS$*\"; }\n"
	"eval \"$FUNCTIONS\"\n"
	"for dev in x y; do\n"
	"	ip link add own${dev}0 type veth peer name own${dev}1 netns peer || exit\n"
	"done\n"
	"link ownx0 && link owny0 && in_peer 'link ownx1 && link owny1' || exit\n"
	/* Before 7.0 a device is born in the initial namespace. */
	"for dev in ownx1 owny1; do\n"
	"	[ ! -e /sys/class/infiniband/$dev ] || rdma dev set $dev netns peer || exit\n"
	"done\n"
	"addresses ownx0 1 && addresses owny0 2 &&"
	"	in_peer 'addresses ownx1 11 && addresses owny1 12'\n";

static const char down[] =
	/* Not left to the end of the netdevs, behind which the names are still taken for a while. */
	"for dev in ownx0 owny0 owndummy; do rdma link delete $dev; done 2>/dev/null\n"
	"for dev in ownx1 owny1; do ip netns exec peer rdma link delete $dev; done 2>/dev/null\n"
	"for dev in ownx0 owny0 owndummy; do ip link del $dev; done 2>/dev/null\n"
	"ip -n peer route del 10.80.0.1 2>/dev/null\n"
	"true\n";

struct bed {
	struct rig rig[2][2];	  /* x or y, side */
	struct sniff sniff[2][2]; /* of the netdevs with the addresses */
};

static struct bed bed;

static void shell(const char *fmt, ...)
{
	char cmd[500];
	va_list args;

	va_start(args, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	assert_zero(system(cmd));
}

static void bed_up(const char *vlan)
{
	char netdev[20];
	int i, saved;

	if (*vlan)
		(void)!system("modprobe -q 8021q");
	setenv("VLAN", vlan, 1);
	setenv("FUNCTIONS", functions, 1);
	assert_zero(system(up));
	for (i = 0; i < 2; i++) {
		setenv("RDMA_ODP_DEVICE", names[i][0], 1);
		rig_open(&bed.rig[i][0]);
		rig_open_peer(&bed.rig[i][1]);
		snprintf(netdev, sizeof(netdev), "%s%s", names[i][0], vlan);
		sniff_open(&bed.sniff[i][0], netdev);
		saved = netns_enter_peer();
		snprintf(netdev, sizeof(netdev), "%s%s", names[i][1], vlan);
		sniff_open(&bed.sniff[i][1], netdev);
		netns_leave(saved);
	}
}

static void bed_down(void)
{
	int i, side;

	for (i = 0; i < 2; i++)
		for (side = 0; side < 2; side++) {
			sniff_close(&bed.sniff[i][side]);
			rig_close(&bed.rig[i][side]);
		}
	assert_zero(system(down));
}

static int clean(void **state)
{
	(void)state;
	return system(down);
}

/* Drops what was sniffed so far. */
static void forget(void)
{
	struct sniffed packet;
	int i, side;

	for (i = 0; i < 2; i++)
		for (side = 0; side < 2; side++)
			while (sniff_next(&bed.sniff[i][side], &packet))
				;
}

/* Both ways, with answers. */
static void traffic(struct pair *pair, uint32_t seed)
{
	struct buf from, to;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, BYTES, 40, ACCESS_ALL);
	pair_move_checked(pair, OP_WRITE, &from, &to, seed);
	pair_move_checked(pair, OP_READ, &from, &to, seed + 1);
	buf_free(&from);
	buf_free(&to);
}

/* What the ends have sent left by the netdevs named: 0 for x's, 1 for y's. */
static void check_left_by(const struct pair *pair, int a_by, int b_by)
{
	const struct end *ends[2] = { &pair->a, &pair->b };
	const int by[2] = { a_by, b_by };
	struct sniffed packet;
	int i, side;

	for (i = 0; i < 2; i++)
		for (side = 0; side < 2; side++) {
			unsigned int n = 0;

			while (sniff_next(&bed.sniff[i][side], &packet)) {
				if (!packet.roce || !packet.out)
					continue;
				assert_memory_equal(packet.src, ends[side]->gid.raw, 16);
				n++;
			}
			printf("%s: %u\n", names[i][side], n);
			assert_int_equal(n > 0, by[side] == i);
		}
}

/* From x or y to x or y. */
static void pair_of(struct pair *pair, int a, int b, bool ipv6)
{
	memset(pair, 0, sizeof(*pair));
	pair->conn = CONN;
	pair->conn.ipv6 = ipv6;
	ends_open(&pair->a, &bed.rig[a][0], &pair->b, &bed.rig[b][1], &pair->conn);
}

static void pair_end(struct pair *pair)
{
	end_close(&pair->a);
	end_close(&pair->b);
}

static void every_pair(void)
{
	struct pair pair;
	int a, b, ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++)
		for (a = 0; a < 2; a++)
			for (b = 0; b < 2; b++) {
				/* An IPv6 host answers only for addresses of the netdev that it is asked by. */
				if (ipv6 && a != b)
					continue;
				pair_of(&pair, a, b, ipv6);
				forget();
				/* What x sends to y comes in by the other end of x's netdev. */
				traffic(&pair, 10 * a + b);
				check_left_by(&pair, a, b);
				pair_end(&pair);
			}
}

static void one_subnet(void **state)
{
	(void)state;
	bed_up("");
	every_pair();
	bed_down();
}

static void vlans_of_one_subnet(void **state)
{
	(void)state;
	bed_up(".5");
	every_pair();
	bed_down();
}

/*
 * Under a connection: another netdev gets a longer prefix, its own loses its route and goes the way of the other's; it
 * gets one again, shorter than the other's.
 */
static void routes_change(void **state)
{
	static const char *const subnet[2] = { "10.78.0.0/24", "fd78::/64" };
	static const char *const wider[2] = { "10.0.0.0/8", "fd78::/32" };
	static const char *const host[2] = { "10.78.0.12", "fd78::12" };
	struct pair pair;
	int v6;

	(void)state;
	bed_up("");
	for (v6 = 0; v6 < 2; v6++) {
		pair_of(&pair, 1, 1, v6);
		forget();
		traffic(&pair, 1);
		check_left_by(&pair, 1, 1);

		shell("ip route add %s dev ownx0", host[v6]);
		traffic(&pair, 11);
		check_left_by(&pair, 1, 1);
		shell("ip route del %s dev ownx0", host[v6]);

		/* The netdev that answers there is the address's own: its neighbour is told by hand. */
		shell("mac=$(ip netns exec peer cat /sys/class/net/ownx1/address) && "
		      "ip neigh replace %s lladdr $mac nud permanent dev ownx0",
		      host[v6]);
		shell("ip route del %s dev owny0", subnet[v6]);
		traffic(&pair, 21);
		check_left_by(&pair, 0, 1);

		shell("ip route add %s dev owny0", wider[v6]);
		traffic(&pair, 31);
		check_left_by(&pair, 1, 1);
		shell("ip route del %s dev owny0", wider[v6]);
		pair_end(&pair);
	}
	bed_down();
}

/* An address on a netdev that leads nowhere is reached by another: so do its packets leave. */
static void address_on_a_dummy(void **state)
{
	struct pair pair = { .conn = CONN };
	struct rig dummy;

	(void)state;
	bed_up("");
	shell("ip link add owndummy type dummy && ip link set owndummy up && "
	      "ip addr add 10.80.0.1/32 dev owndummy && "
	      "rdma link add owndummy type rxe_odp netdev owndummy && "
	      "ip -n peer route add 10.80.0.1 via 10.78.0.1 && n=0 && "
	      "until cat /sys/class/infiniband/owndummy/ports/1/gids/? 2>/dev/null | "
	      "grep -q ffff:0a50:0001; do n=$((n + 1)); [ $n -lt 100 ] || exit; sleep 0.1; done");
	setenv("RDMA_ODP_DEVICE", "owndummy", 1);
	rig_open(&dummy);
	ends_open(&pair.a, &dummy, &pair.b, &bed.rig[0][1], &pair.conn);
	forget();
	traffic(&pair, 1);
	check_left_by(&pair, 0, 0);
	pair_end(&pair);
	rig_close(&dummy);
	bed_down();
}

/* clang-format off */
#define OWN(fn) { #fn, fn, NULL, clean, NULL }
/* clang-format on */

TEST_MAIN(OWN(one_subnet), OWN(vlans_of_one_subnet), OWN(routes_change), OWN(address_on_a_dummy))
