// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "burst.h"

#include "tally.h"

#include <sys/mman.h>
#include <unistd.h>

#define OLD_SEED    4711
#define UD_BYTES    1000
#define GRH_BYTES   40
#define SMALL_BYTES 64

static const char *const sides[2] = { "the first side", "the second side" };

/* What comes: to the second side that of the first, and the other way round. */
static uint32_t seed_to(const struct link *link, int i)
{
	return link->seed + (i ? 0 : 1U << 16);
}

void burst_begin(struct zoo *z, struct link *link)
{
	int i;

	/* What UC has sent may come when it is long complete. */
	if (link->sort != UC)
		link->seed = rnd_next(&z->rnd);
	for (i = 0; i < 2; i++) {
		struct memory *m = link->memory[i];

		pattern_fill(m->from, AREA_BYTES, seed_to(link, !i), 0);
		/* Pages that are not there yet, where no page is pinned. */
		link->was_zero[i] = link->region[i] != PINNED && rnd_one_in(&z->rnd, 2);
		if (link->was_zero[i])
			assert_zero(madvise(m->to, AREA_BYTES, MADV_DONTNEED));
		else
			pattern_fill(m->to, AREA_BYTES, OLD_SEED, 0);
		memset(m->words, 0, sizeof(m->words));
	}
}

static void post_receive(struct link *link)
{
	unsigned int i;

	for (i = 0; i < RQ_RECEIVES; i++) {
		struct ibv_sge sge = { (uintptr_t)link->memory[1]->receives[i], SLOT_BYTES,
				       link->mr[1]->lkey };

		if (link->received & 1U << i)
			continue;
		end_post_recv(&link->end[1], wr_id_of(WR_RECEIVE, link->nr, i, link->generation),
			      &sge, 1);
		link->received |= 1U << i;
		return;
	}
}

/* How many bytes, and where, of an area. */
static struct request some_request(struct zoo *z, enum ibv_wr_opcode opcode, size_t most)
{
	struct request request = { .opcode = opcode };

	if (rnd_one_in(&z->rnd, 3))
		most = SMALL_BYTES;
	request.bytes = 1 + rnd_below(&z->rnd, most);
	request.at = rnd_below(&z->rnd, AREA_BYTES - request.bytes + 1);
	return request;
}

/* Where a request's bytes are on its own side. */
static uint8_t *local_bytes(struct link *link, const struct request *request)
{
	struct memory *m = link->memory[0];

	switch (request->opcode) {
	case IBV_WR_RDMA_READ:
		return m->to + request->at;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return (uint8_t *)&m->words[1 + link->posted];
	default:
		return m->from + request->at;
	}
}

static void fill_remote(struct link *link, struct ibv_send_wr *wr, const struct request *request,
			uint32_t rkey)
{
	struct memory *m = link->memory[1];

	if (request->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr->wr.atomic.remote_addr = (uintptr_t)&m->words[0];
		wr->wr.atomic.compare_add = 1;
		wr->wr.atomic.rkey = rkey;
	} else if (request->opcode == IBV_WR_SEND_WITH_IMM) {
		wr->imm_data = (uint32_t)link->seed << 16 | request->at;
	} else if (request->opcode == IBV_WR_SEND_WITH_INV) {
		wr->invalidate_rkey = rkey;
	} else {
		wr->wr.rdma.remote_addr =
			(uintptr_t)(request->opcode == IBV_WR_RDMA_READ ? m->from : m->to) +
			request->at;
		wr->wr.rdma.rkey = rkey;
	}
}

static struct ibv_send_wr begin_post(struct link *link, const struct request *request,
				     struct ibv_sge *sge, uint32_t rkey)
{
	struct ibv_send_wr wr = wr_make(request->opcode, sge, request->bytes ? 1 : 0);

	*sge = (struct ibv_sge){ (uintptr_t)local_bytes(link, request), request->bytes,
				 link->mr[0]->lkey };
	wr.wr_id = wr_id_of(WR_REQUEST, link->nr, link->posted, link->generation);
	fill_remote(link, &wr, request, rkey);
	link->requests[link->posted++] = *request;
	link->left++;
	return wr;
}

static void post(struct link *link, struct request request, uint32_t rkey)
{
	bool sends = request.opcode == IBV_WR_SEND_WITH_IMM ||
		     request.opcode == IBV_WR_SEND_WITH_INV;
	bool may_inline = sends || request.opcode == IBV_WR_RDMA_WRITE;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	if (sends && !link->srq)
		post_receive(link);
	wr = begin_post(link, &request, &sge, rkey);
	if (may_inline && request.bytes && request.bytes <= link->conn.inline_bytes &&
	    request.at & 1)
		wr.send_flags |= IBV_SEND_INLINE;
	end_post(&link->end[0], &wr);
}

void burst_write(struct zoo *z, struct link *link, uint32_t rkey)
{
	post(link, some_request(z, IBV_WR_RDMA_WRITE, AREA_BYTES), rkey);
}

void burst_send_to(struct zoo *z, struct link *link, struct ibv_ah *ah, uint32_t qp_num)
{
	struct request request = some_request(z, IBV_WR_SEND_WITH_IMM, UD_BYTES);
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;

	wr = begin_post(link, &request, &sge, 0);
	wr.wr.ud.ah = ah;
	wr.wr.ud.remote_qpn = qp_num;
	wr.wr.ud.remote_qkey = UD_QKEY;
	assert_zero(ibv_post_send(link->end[0].qp, &wr, &bad));
}

static void post_some(struct zoo *z, struct link *link, uint32_t rkey)
{
	unsigned int sorts = link->sort == UD ? 1 : link->sort == UC ? 2 : 4;
	struct request add = { IBV_WR_ATOMIC_FETCH_AND_ADD, 0, sizeof(uint64_t), false };

	switch (rnd_below(&z->rnd, sorts)) {
	case 0:
		post(link,
		     some_request(z, IBV_WR_SEND_WITH_IMM,
				  link->sort == UD ? UD_BYTES : SLOT_BYTES),
		     0);
		break;
	case 1:
		burst_write(z, link, rkey);
		break;
	case 2:
		post(link, some_request(z, IBV_WR_RDMA_READ, AREA_BYTES), rkey);
		break;
	default:
		post(link, add, rkey);
	}
}

void burst_post(struct zoo *z, struct link *link)
{
	unsigned int num = 1 + rnd_below(&z->rnd, MAX_BURST - 1);
	struct request invalidation = { .opcode = IBV_WR_SEND_WITH_INV };

	link->by_window = link->mw && link->bound && !rnd_one_in(&z->rnd, 4);
	while (num--)
		post_some(z, link, link->by_window ? link->mw->rkey : link->mr[1]->rkey);
	if (!link->by_window || link->mw->type != IBV_MW_TYPE_2 || !rnd_one_in(&z->rnd, 4))
		return;
	post(link, invalidation, link->mw->rkey);
	link->invalidates = true;
}

void burst_lost(struct link *link, int i)
{
	link->gone[i] = true;
	link->frozen[i] = malloc(AREA_BYTES);
	assert_non_null(link->frozen[i]);
	memcpy(link->frozen[i], link->memory[i]->to, AREA_BYTES);
}

static bool is_owed(const struct link *link, enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_WR_FLUSH_ERR:
		return link->failed;
	case IBV_WC_LOC_PROT_ERR:
		return link->gone[0];
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_REM_OP_ERR:
		return link->gone[1];
	default:
		return false;
	}
}

void burst_complete(struct link *link, unsigned int slot, const struct ibv_wc *wc)
{
	struct request *request = &link->requests[slot];

	assert_true(slot < link->posted && link->left && !request->ok);
	link->left--;
	tally_count(REQUESTS);
	request->ok = wc->status == IBV_WC_SUCCESS;
	if (request->ok && !link->failed)
		return;
	if (request->ok || !is_owed(link, wc->status))
		fail_because("request %u of %u, opcode %d of sort %d: %s (gone: %d, %d)", slot,
			     link->posted, request->opcode, link->sort,
			     ibv_wc_status_str(wc->status), link->gone[0], link->gone[1]);
	link->failed++;
	tally_count(REQUESTS_FAILED);
}

static bool is_foreign(struct zoo *z, const struct ibv_wc *wc)
{
	unsigned int i;

	for (i = 0; i < LINKS; i++)
		if (z->links[i].end[0].qp && z->links[i].end[0].qp->qp_num == wc->src_qp)
			return false;
	return true;
}

void burst_received(struct zoo *z, const struct ibv_wc *wc, const uint8_t *at, bool lost)
{
	size_t header = wc->wc_flags & IBV_WC_GRH ? GRH_BYTES : 0;

	if (wc->status == IBV_WC_WR_FLUSH_ERR || (lost && wc->status == IBV_WC_LOC_PROT_ERR))
		return;
	if (wc->status != IBV_WC_SUCCESS)
		fail_because("a receive: %s", ibv_wc_status_str(wc->status));
	tally_count(MESSAGES);
	if (header && is_foreign(z, wc))
		tally_count(FOREIGN_MESSAGES);
	if (wc->wc_flags & IBV_WC_WITH_INV)
		return;
	assert_true(wc->wc_flags & IBV_WC_WITH_IMM && wc->byte_len > header);
	pattern_check(at + header, wc->byte_len - header, wc->imm_data >> 16, wc->imm_data & 0xffff,
		      "a message");
}

/* Where the bytes that are there are from, as far as it can be told. */
static void tell(const struct link *link, int i, size_t at)
{
	const uint8_t *to = link->memory[i]->to;
	uint8_t eight[8];
	unsigned int k;
	size_t pos, j;

	printf("sort %d, region %d, lost %d, was zero %d, %u requests, %u left, %u failed\n",
	       link->sort, link->region[i], link->gone[i], link->was_zero[i], link->posted,
	       link->left, link->failed);
	for (k = 0; k < link->posted; k++)
		printf("opcode %d, bytes %u to %u: %s\n", link->requests[k].opcode,
		       link->requests[k].at, link->requests[k].at + link->requests[k].bytes,
		       link->requests[k].ok ? "ok" : "failed or under way");
	for (pos = 0; pos < AREA_BYTES && at + sizeof(eight) <= AREA_BYTES; pos++) {
		for (j = 0; j < sizeof(eight); j++)
			eight[j] = pattern_byte(seed_to(link, i), pos + j);
		if (!memcmp(eight, to + at, sizeof(eight)))
			printf("they belong to byte %zu\n", pos);
	}
}

static void check_side(const struct link *link, int i)
{
	const uint8_t *to = link->memory[i]->to;
	size_t at;

	/*
	 * User Mode Linux does not tell a process that runs on another CPU of its new page tables until its next system call
	 * (docs/testing.md).
	 */
	getppid();

	for (at = 0; at < AREA_BYTES; at++) {
		/* One look: what UC has sent may come between two. */
		uint8_t byte = *(const volatile uint8_t *)&to[at];

		if (byte == pattern_byte(seed_to(link, i), at) ||
		    byte == (link->was_zero[i] ? 0 : pattern_byte(OLD_SEED, at)))
			continue;
		tell(link, i, at);
		fail_because("byte %zu of %s is %#x", at, sides[i], byte);
	}
	if (link->frozen[i] && memcmp(link->frozen[i], to, AREA_BYTES))
		fail_because("%s, sort %d, was changed by a key that is gone", sides[i],
			     link->sort);
	if (pattern_differs(link->memory[i]->from, AREA_BYTES, seed_to(link, !i), 0, "a source"))
		fail_because("a source was changed");
}

void burst_check_bytes(const struct link *link)
{
	check_side(link, 0);
	check_side(link, 1);
}

/* What succeeded is there, where success says so. */
void burst_check(const struct link *link)
{
	uint64_t added = 0, asked = 0, sum = link->memory[1]->words[0];
	bool told = link->sort == RC || link->sort == XRC;
	unsigned int i;

	burst_check_bytes(link);
	if (link->must_fail && !link->failed)
		fail_because("a key that was gone was good");
	for (i = 0; told && i < link->posted; i++) {
		const struct request *q = &link->requests[i];
		int side = q->opcode != IBV_WR_RDMA_READ;

		if (q->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
			asked++;
			/* In the order in which they were asked for. */
			if (q->ok && link->memory[0]->words[1 + i] != added++)
				fail_because("an addition returned another's value");
		} else if (q->ok && (!side || q->opcode == IBV_WR_RDMA_WRITE)) {
			pattern_check(link->memory[side]->to + q->at, q->bytes, seed_to(link, side),
				      q->at, "what was moved");
		}
	}
	if (told && (sum < added || sum > asked))
		fail_because("%llu additions of %llu, %llu of them successful",
			     (unsigned long long)sum, (unsigned long long)asked,
			     (unsigned long long)added);
}

void burst_forget(struct link *link)
{
	int i;

	for (i = 0; i < 2; i++) {
		free(link->frozen[i]);
		link->frozen[i] = NULL;
		link->gone[i] = false;
		link->was_zero[i] = false;
	}
	link->posted = 0;
	link->left = 0;
	link->failed = 0;
	link->by_window = false;
	link->invalidates = false;
	link->must_fail = false;
}
