// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The client of kv. A get reads the key's bucket, then the record that a slot of it names. In between, and while the bytes are
 * under way, the server may change, move or free all of it:
 *
 *	bucket, then the root	If the root is still the one that we know, the bucket was in use when it was read, and not freed
 *				memory with an old state of it. The second READ has a fence: answers come in order, but a NIC
 *				may fetch the bytes of two READs in any.
 *	a slot with a wrong CRC	was read while it changed: read again. Its address is followed only if the CRC is right, since
 *				half an address may be one where nothing is mapped.
 *	a record whose CRC,	was freed after its slot was read, and its memory used again: read again from the bucket on.
 *	number or key is wrong
 *	a right record		was the key's value when the bucket was read, even if it was freed by now.
 *	remote access error	nothing is mapped there any longer. The queue pair is in error for good: connect again.
 */
#include "client.h"
#include "kv.h"

#include <time.h>

/* More tries than a busy writer can spoil. */
#define TRIES 1000
/* Keys of "write" and "read". */
#define KEYS 64

/* Of one try. */
enum outcome { FOUND, NONE, CHANGED, CUT_OFF, FAILED };

struct landing {
	struct root root;
	struct bucket bucket;
	union {
		struct record record;
		struct request request;
		char room[RECORD_BYTES];
	};
};

struct store {
	const char *address;
	struct peer peer;
	struct welcome welcome;
	struct root root; /* as it was last, count 0: not known */
	struct landing *landing;
	struct ibv_mr *mr;
	unsigned long changed, cut_off;
};

static void store_close(struct store *s)
{
	rdma_disconnect(s->peer.id);
	rdma_destroy_qp(s->peer.id);
	if (s->mr)
		ibv_dereg_mr(s->mr);
	peer_close(&s->peer);
	free(s->landing);
}

static int store_open(struct store *s)
{
	const struct welcome *welcome;

	if (peer_connect(&s->peer, s->address, PORT, sizeof(uint32_t)))
		return -1;
	welcome = peer_told(&s->peer, sizeof(*welcome));
	s->root.count = 0;
	s->landing = calloc(1, sizeof(*s->landing));
	s->mr = NULL;
	if (s->landing)
		s->mr = ibv_reg_mr(s->peer.pd, s->landing, sizeof(*s->landing),
				   IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE);
	if (welcome && welcome->magic == MAGIC && s->mr) {
		s->welcome = *welcome;
		return 0;
	}
	complain("%s",
		 s->mr ? "the server does not speak kv" : "the device registers nothing on demand");
	store_close(s);
	return -1;
}

/* flags: IBV_SEND_FENCE, after the READs before it. */
static int store_read(struct store *s, uint64_t address, void *to, size_t bytes, int flags)
{
	return rdma_post_read(s->peer.id, NULL, to, bytes, s->mr, flags, address, s->welcome.rkey);
}

/* Waits for the end of count requests, and of all that were posted before them: FOUND if all is well. */
static enum outcome store_wait(struct store *s, unsigned int count)
{
	struct ibv_wc wc;

	while (count) {
		if (peer_wait(&s->peer, &wc, 1) < 0)
			return FAILED;
		if (wc.status == IBV_WC_REM_ACCESS_ERR)
			return CUT_OFF;
		if (wc.status) {
			complain("a request failed: %s", ibv_wc_status_str(wc.status));
			return FAILED;
		}
		if (wc.opcode == IBV_WC_RDMA_READ)
			count--;
	}
	return FOUND;
}

/* The root as it is now. */
static enum outcome root_take(struct store *s)
{
	const struct root *root = &s->landing->root;

	if (root->crc == CRC_OF(root, sizeof(*root)) && root->count &&
	    !(root->count & (root->count - 1)))
		s->root = *root;
	return CHANGED;
}

static enum outcome root_read(struct store *s)
{
	enum outcome rc = FAILED;

	if (!store_read(s, s->welcome.root, &s->landing->root, sizeof(struct root), 0))
		rc = store_wait(s, 1);
	return rc == FOUND ? root_take(s) : rc;
}

static enum outcome record_read(struct store *s, const struct slot *slot, const char *key,
				size_t key_bytes)
{
	struct record *r = &s->landing->record;
	enum outcome rc = FAILED;

	if (slot->bytes < sizeof(*r) || slot->bytes > RECORD_BYTES)
		return CHANGED;
	if (!store_read(s, slot->record, r, slot->bytes, 0))
		rc = store_wait(s, 1);
	if (rc != FOUND)
		return rc;
	if (r->crc != CRC_OF(r, slot->bytes) || r->seq != slot->seq ||
	    (uint64_t)r->key_bytes + r->value_bytes != slot->bytes - sizeof(*r))
		return CHANGED;
	/* Another key may have the same hash. */
	return r->key_bytes == key_bytes && !memcmp(r->data, key, key_bytes) ? FOUND : NONE;
}

static enum outcome get_once(struct store *s, const char *key, size_t key_bytes)
{
	struct landing *l = s->landing;
	uint64_t hash = hash_of(key, key_bytes);
	static const struct slot empty;
	enum outcome rc = FAILED;
	struct slot slot;
	unsigned int i;

	if (!s->root.count)
		return root_read(s);
	if (!store_read(s, s->root.buckets + (hash & (s->root.count - 1)) * sizeof(l->bucket),
			&l->bucket, sizeof(l->bucket), 0) &&
	    !store_read(s, s->welcome.root, &l->root, sizeof(l->root), IBV_SEND_FENCE))
		rc = store_wait(s, 2);
	if (rc != FOUND)
		return rc;
	if (memcmp(&l->root, &s->root, sizeof(s->root)))
		return root_take(s);
	for (i = 0; i < BUCKET_SLOTS; i++) {
		slot = l->bucket.slots[i];
		if (!memcmp(&slot, &empty, sizeof(slot)))
			continue;
		if (slot.crc != CRC_OF(&slot, sizeof(slot)))
			return CHANGED;
		rc = slot.hash == hash ? record_read(s, &slot, key, key_bytes) : NONE;
		if (rc != NONE)
			return rc;
	}
	return NONE;
}

/* FOUND (the value is in the landing), NONE or FAILED. */
static enum outcome store_get(struct store *s, const char *key)
{
	size_t key_bytes = strlen(key);
	unsigned int tries;
	enum outcome rc;

	for (tries = 0; tries < TRIES; tries++) {
		rc = get_once(s, key, key_bytes);
		if (rc == CHANGED) {
			s->changed++;
		} else if (rc == CUT_OFF) {
			s->cut_off++;
			store_close(s);
			if (store_open(s)) {
				s->peer.id = NULL;
				return FAILED;
			}
		} else {
			return rc;
		}
	}
	complain("'%s' changed %u times while it was read", key, tries);
	return FAILED;
}

/* SET or DELETE: what the server answers, an errno or 0; -1 if it does not. */
static int store_change(struct store *s, uint32_t op, const char *key, const char *value,
			size_t value_bytes)
{
	struct request *request = &s->landing->request;
	size_t key_bytes = strlen(key);
	bool sent = false, answered = false;
	uint32_t error = 0;
	struct ibv_wc wc;

	*request = (struct request){ op, key_bytes, value_bytes, 0 };
	memcpy(request->data, key, key_bytes);
	memcpy(request->data + key_bytes, value, value_bytes);
	if (rdma_post_send(s->peer.id, NULL, request, sizeof(*request) + key_bytes + value_bytes,
			   s->mr, 0))
		return complain("the request cannot be sent: %s", strerror(errno));
	/* The request lies where the next one will be: it has to be on its way as well. */
	while (!sent || !answered) {
		if (peer_wait(&s->peer, &wc, 1) < 0)
			return -1;
		if (wc.status)
			return complain("the server is gone: %s", ibv_wc_status_str(wc.status));
		if (!(wc.opcode & IBV_WC_RECV)) {
			sent = true;
			continue;
		}
		answered = true;
		memcpy(&error, s->peer.inbox + wc.wr_id * s->peer.message_bytes, sizeof(error));
		if (wc.byte_len != sizeof(error) || error > INT32_MAX ||
		    peer_receive(&s->peer, wc.wr_id))
			return complain("the answer is not one of kv");
	}
	return error;
}

/* "write" and "read": a value is a number that grows from write to write, and bytes that follow from it. */

static char byte_of(uint64_t number, size_t i)
{
	return (number ^ number >> 7) * 31 + i * 7;
}

static int write_many(struct store *s, unsigned long count)
{
	static char value[VALUE_BYTES];
	struct timespec now;
	uint64_t number;
	char key[KEY_BYTES];
	unsigned long left;
	size_t bytes, i;
	int rc;

	/* No writer that comes later begins with a smaller one. */
	clock_gettime(CLOCK_REALTIME, &now);
	number = now.tv_sec * 1000000000ULL + now.tv_nsec;
	for (left = count; left; left--, number++) {
		snprintf(key, sizeof(key), "written %ld", random() % KEYS);
		if (!(random() % 16)) {
			rc = store_change(s, DELETE, key, NULL, 0);
		} else {
			bytes = sizeof(number) + random() % (VALUE_BYTES - sizeof(number) + 1);
			memcpy(value, &number, sizeof(number));
			for (i = sizeof(number); i < bytes; i++)
				value[i] = byte_of(number, i);
			rc = store_change(s, SET, key, value, bytes);
		}
		if (rc && rc != ENOENT)
			return rc < 0 ? rc : complain("the server says: %s", strerror(rc));
	}
	printf("write: %lu changes\n", count);
	return 0;
}

static int read_many(struct store *s, unsigned long count)
{
	static uint64_t newest[KEYS];
	const struct record *r;
	unsigned long left, found = 0;
	enum outcome rc;
	char key[KEY_BYTES];
	const char *value;
	uint64_t number;
	size_t k, i;

	for (left = count; left; left--) {
		k = random() % KEYS;
		snprintf(key, sizeof(key), "written %zu", k);
		rc = store_get(s, key);
		if (rc == FAILED)
			return -1;
		if (rc == NONE)
			continue;
		found++;
		r = &s->landing->record;
		value = r->data + r->key_bytes;
		if (r->value_bytes < sizeof(number))
			return complain("'%s' was not set by kv write", key);
		memcpy(&number, value, sizeof(number));
		for (i = sizeof(number); i < r->value_bytes; i++)
			if (value[i] != byte_of(number, i))
				return complain("'%s' has a wrong byte", key);
		if (number < newest[k])
			return complain("'%s' has gone back to an older value", key);
		newest[k] = number;
	}
	printf("read: %lu gets, %lu found; looked again %lu times, connected again %lu times\n",
	       count, found, s->changed, s->cut_off);
	return 0;
}

static int get(struct store *s, const char *key)
{
	const struct record *r;

	switch (store_get(s, key)) {
	case FOUND:
		r = &s->landing->record;
		fwrite(r->data + r->key_bytes, 1, r->value_bytes, stdout);
		putchar('\n');
		return 0;
	case NONE:
		return complain("there is no '%s'", key);
	default:
		return -1;
	}
}

static int change(struct store *s, uint32_t op, const char *key, const char *value)
{
	int rc = store_change(s, op, key, value, strlen(value));

	return rc > 0 ? complain("the server says of '%s': %s", key, strerror(rc)) : rc;
}

int client(int argc, char **argv)
{
	const char *what = argv[0], *key = argv[2], *value = argc > 3 ? argv[3] : "";
	struct store s = { .address = argv[1] };
	int rc;

	if (!*key || strlen(key) > KEY_BYTES || strlen(value) > VALUE_BYTES) {
		complain("a key has 1 to %d bytes, a value at most %d", KEY_BYTES, VALUE_BYTES);
		return EXIT_FAILURE;
	}
	srandom(time(NULL));
	if (store_open(&s))
		return EXIT_FAILURE;
	if (!strcmp(what, "set"))
		rc = change(&s, SET, key, value);
	else if (!strcmp(what, "delete"))
		rc = change(&s, DELETE, key, "");
	else if (!strcmp(what, "get"))
		rc = get(&s, key);
	else if (!strcmp(what, "write"))
		rc = write_many(&s, strtoul(key, NULL, 0));
	else if (!strcmp(what, "read"))
		rc = read_many(&s, strtoul(key, NULL, 0));
	else
		rc = complain("there is no '%s'; kv --help tells what there is", what);
	if (s.peer.id)
		store_close(&s);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
