/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two queue pairs of one process, connected with one another: over one device, or, where wire is set (or RDMA_ODP_PEER=1
 * for every test), end a on the device and end b on its peer in the other namespace, so that every packet crosses
 * the veth pair.
 *
 * Completions are polled, with a bound of BOUND_S seconds (TEST_BOUND_S) that only a hang reaches; what notification does is the
 * business of the tests named cq_notify*.
 */
#ifndef TESTS_GUEST_PAIR_H
#define TESTS_GUEST_PAIR_H

#include "mem.h"
#include "pattern.h"

#define BOUND_S ((int)env_number("TEST_BOUND_S", 60))

/* How to connect; start from CONN and change what matters. */
struct conn {
	enum ibv_qp_type type;
	enum ibv_mtu mtu;
	uint8_t timeout;
	uint8_t retry_cnt;
	uint8_t rnr_retry;
	uint8_t min_rnr_timer;
	uint8_t rd_atomic;
	bool ipv6;
	uint32_t flow_label;
	bool wire;
	bool sq_sig_all;
	int access;
	uint32_t send_wr, recv_wr, sge, inline_bytes;
	int cqe;
	bool srq_a, srq_b;
	bool one_cq;	   /* for what an end sends and receives */
	uint64_t send_ops; /* IBV_QP_EX_WITH_*: then requests can be posted the extended way too */
};

/* timeout 17 is half a second: an emulated guest under load must not run into it. */
#define CONN                                                                                       \
	((struct conn){ .type = IBV_QPT_RC,                                                        \
			.mtu = IBV_MTU_1024,                                                       \
			.timeout = 17,                                                             \
			.retry_cnt = 7,                                                            \
			.rnr_retry = 7,                                                            \
			.min_rnr_timer = 12,                                                       \
			.rd_atomic = 4,                                                            \
			.access = ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE,                            \
			.send_wr = 64,                                                             \
			.recv_wr = 64,                                                             \
			.sge = 4,                                                                  \
			.inline_bytes = 64,                                                        \
			.cqe = 256 })

struct end {
	struct rig *rig;
	struct ibv_comp_channel *channel;
	struct ibv_cq *scq, *rcq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_ah *ah; /* UD: to the other end */
	uint32_t srq_num;  /* XRC initiator: that its requests name */
	uint32_t psn;
	int gid_index;
	union ibv_gid gid;
};

struct pair {
	struct conn conn;
	struct rig rig, peer;
	struct end a, b;
};

#define UD_QKEY 0x11223344

/* Opens the device (or two) and connects. */
void pair_open(struct pair *pair, const struct conn *conn);
void pair_close(struct pair *pair);

/* More connected ends over devices that are open; the caller's rigs stay open. */
void ends_open(struct end *a, struct rig *rig_a, struct end *b, struct rig *rig_b,
	       const struct conn *conn);
void end_close(struct end *end);

/* The steps, for tests of the state machine. The first three return ibv_modify_qp()'s answer. */
void end_create(struct end *end, struct rig *rig, const struct conn *conn);
/* All of it but the queue pair and its SRQ. */
void end_prepare(struct end *end, struct rig *rig, const struct conn *conn);
int end_to_init(struct end *end, const struct conn *conn);
int end_to_rtr(struct end *end, const struct end *other, const struct conn *conn);
int end_to_rts(struct end *end, const struct conn *conn);
void ends_connect(struct end *a, struct end *b, const struct conn *conn);
/* Through RESET. Somebody hostile may make the last step fail meanwhile: returns its answer. */
int ends_reconnect(struct end *a, struct end *b, const struct conn *conn);
int end_set_state(struct end *end, enum ibv_qp_state state);
enum ibv_qp_state end_state(struct end *end);
/* Both ends afresh, after an error; what was flushed is taken off the queues. */
void pair_reconnect(struct pair *pair);
/* Waits until the QP is there. */
void end_await_state(struct end *end, enum ibv_qp_state state);

/* Waits for one completion. */
struct ibv_wc cq_wait_at(const char *file, int line, struct ibv_cq *cq);
/* The same, and its status must be the one named. */
struct ibv_wc cq_expect_at(const char *file, int line, struct ibv_cq *cq,
			   enum ibv_wc_status status);
#define cq_wait(cq)	      cq_wait_at(__FILE__, __LINE__, cq)
#define cq_expect(cq, status) cq_expect_at(__FILE__, __LINE__, cq, status)
#define cq_success(cq)	      cq_expect(cq, IBV_WC_SUCCESS)
/* For threads: 1 with *wc filled, or 0 after the bound. */
int cq_poll_bounded(struct ibv_cq *cq, struct ibv_wc *wc, double bound_s);
/* The queue is empty now. */
void cq_assert_empty(struct ibv_cq *cq);

/* Work requests: local memory, remote memory. Signalled. */
struct ibv_send_wr wr_make(enum ibv_wr_opcode opcode, struct ibv_sge *sge, int num_sge);
struct ibv_send_wr wr_rdma(enum ibv_wr_opcode opcode, struct ibv_sge *sge, int num_sge,
			   const struct buf *remote, size_t offset);
struct ibv_send_wr wr_atomic(enum ibv_wr_opcode opcode, struct ibv_sge *sge,
			     const struct buf *remote, size_t offset, uint64_t compare_add,
			     uint64_t swap);
void end_post_at(const char *file, int line, struct end *end, struct ibv_send_wr *wr);
#define end_post(end, wr) end_post_at(__FILE__, __LINE__, end, wr)
/* What only the extended way can say; the queue pair was made for it. Signalled. */
void end_post_atomic_write_at(const char *file, int line, struct end *end, const struct buf *remote,
			      size_t offset, uint64_t value);
#define end_post_atomic_write(...) end_post_atomic_write_at(__FILE__, __LINE__, __VA_ARGS__)
void end_post_flush_at(const char *file, int line, struct end *end, uint32_t rkey,
		       uint64_t remote_addr, size_t bytes, uint8_t type, uint8_t level);
#define end_post_flush(...) end_post_flush_at(__FILE__, __LINE__, __VA_ARGS__)
void end_post_recv_at(const char *file, int line, struct end *end, uint64_t wr_id,
		      struct ibv_sge *sge, int num_sge);
#define end_post_recv(end, wr_id, sge, num)                                                        \
	end_post_recv_at(__FILE__, __LINE__, end, wr_id, sge, num)

/*
 * One message with data from end a's buffer into end b's, by any operation; a READ is posted by b. Of XRC a is the initiator and
 * b the target, so there is no READ.
 */
enum op { OP_WRITE, OP_WRITE_IMM, OP_READ, OP_SEND, OP_SEND_IMM, OP_KINDS };

const char *op_name(enum op op);
/* Leaves when both sides completed it with success. */
void pair_move_at(const char *file, int line, struct pair *pair, enum op op, const struct buf *from,
		  size_t from_at, const struct buf *to, size_t to_at, size_t bytes);
#define pair_move(...) pair_move_at(__FILE__, __LINE__, __VA_ARGS__)
/* From whole to whole buffer, with patterns and comparison. */
void pair_move_checked_at(const char *file, int line, struct pair *pair, enum op op,
			  struct buf *from, struct buf *to, uint32_t seed);
#define pair_move_checked(...) pair_move_checked_at(__FILE__, __LINE__, __VA_ARGS__)
/* By every operation, between buffers of its own; with @access of IBV_ACCESS_ON_DEMAND. */
void pair_move_every_at(const char *file, int line, struct pair *pair, size_t bytes, int access,
			uint32_t seed);
#define pair_move_every(...) pair_move_every_at(__FILE__, __LINE__, __VA_ARGS__)

/* Adds to the first word of a buffer of b's, which is sum: done once, and a is told so in the first word of its own. */
void pair_add_checked_at(const char *file, int line, struct pair *pair, const struct buf *result,
			 const struct buf *target, uint64_t *sum);
#define pair_add_checked(...) pair_add_checked_at(__FILE__, __LINE__, __VA_ARGS__)

/* A write of a few bytes from a to b goes through: the pair still works. */
void pair_assert_works_at(const char *file, int line, struct pair *pair);
#define pair_assert_works(pair) pair_assert_works_at(__FILE__, __LINE__, pair)

#endif
