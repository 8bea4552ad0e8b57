// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A netdev with a transmit queue for each CPU (XPS), of which the first is slow, and acknowledgments that come in on the second CPU
 * (RPS): a queue pair whose process posts on the first keeps to its queue while packets are on their way, so that its peer
 * never sees one overtake another.
 */
#include "pair.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 20
#define DEPTH  16
#define BYTES  20000

static const char up[] =
	"ip link add stick0 numtxqueues 2 numrxqueues 2 type veth peer name stick1 &&\n"
	"ip link set stick1 netns peer && ip link set stick0 up && ip -n peer link set stick1 up || exit 1\n"
	"[ -e /sys/class/net/stick0/queues/tx-1/xps_cpus ] || exit 77\n"
	"echo 1 >/sys/class/net/stick0/queues/tx-0/xps_cpus || exit 77\n"
	"echo 2 >/sys/class/net/stick0/queues/tx-1/xps_cpus || exit 77\n"
	"for rx in /sys/class/net/stick0/queues/rx-*; do echo 2 >$rx/rps_cpus || exit 77; done\n"
	"modprobe -q sch_netem\n"
	"tc qdisc replace dev stick0 root handle 1: mq || exit 77\n"
	"tc qdisc add dev stick0 parent 1:1 netem delay 3ms limit 1000 || exit 1\n"
	"ip addr add 10.79.0.1/24 dev stick0 && ip addr add fd79::1/64 dev stick0 nodad || exit 1\n"
	"ip -n peer addr add 10.79.0.2/24 dev stick1 && ip -n peer addr add fd79::2/64 dev stick1 nodad || exit 1\n"
	"rdma link add stick0 type rxe_odp netdev stick0 || exit 1\n"
	"ip netns exec peer rdma link add stick1 type rxe_odp netdev stick1 || exit 1\n"
	"! rdma dev show stick1 >/dev/null 2>&1 || rdma dev set stick1 netns peer || exit 1\n"
	"for n in $(seq 100); do\n"
	"	grep -rqsx --include='?' fd79:0000:0000:0000:0000:0000:0000:0001 /sys/class/infiniband/stick0/ports/1/gids &&\n"
	"		ip netns exec peer grep -rqsx --include='?' fd79:0000:0000:0000:0000:0000:0000:0002 \\\n"
	"			/sys/class/infiniband/stick1/ports/1/gids && exit 0\n"
	"	sleep 0.1\n"
	"done\n"
	"exit 1\n";

static const char down[] =
	"{ rdma link delete stick0; ip netns exec peer rdma link delete stick1; ip link del stick0; } 2>/dev/null\n"
	"true\n";

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_zero(sched_setaffinity(0, sizeof(set), &set));
}

static int clean(void **state)
{
	cpu_set_t all;
	int cpu;

	(void)state;
	CPU_ZERO(&all);
	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++)
		CPU_SET(cpu, &all);
	sched_setaffinity(0, sizeof(all), &all);
	unsetenv("RDMA_ODP_DEVICE");
	return system(down);
}

static void keeps_to_one_queue(void **state)
{
	struct conn conn = CONN;
	struct pair pair;
	struct buf from, to;
	long before;
	int status, round, i;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("one CPU");
	status = system(up);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_because("no transmit queue for each CPU");
	assert_zero(status);
	setenv("RDMA_ODP_DEVICE", "stick0", 1);
	conn.wire = true;
	/* 8.6 s: what is sent again after the machine has stood still may come out of order. */
	conn.timeout = 21;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	before = rig_counter("out_of_seq_request");
	run_on(0);
	/* Each round begins with nothing on its way, and has more packets than may be sent without an answer. */
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < DEPTH; i++) {
			struct ibv_sge sge = buf_sge(&from, 0, BYTES);
			struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

			end_post(&pair.a, &wr);
		}
		for (i = 0; i < DEPTH; i++)
			cq_success(pair.a.scq);
	}
	printf("%ld ACK timeouts\n", rig_counter("ack_timeout"));
	assert_int_equal(rig_counter("out_of_seq_request") - before, 0);
	assert_int_equal(rig_counter("rcvd_seq_err"), 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(cmocka_unit_test_teardown(keeps_to_one_queue, clean))
