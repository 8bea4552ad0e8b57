// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * kv: a store of keys and values. Clients get a value by RDMA READs of the server's ordinary heap, at no cost for the server's CPU; they
 * set it by a SEND.
 *
 * A WARNING: the server registers an implicit region (ibv_reg_mr() of 0 to SIZE_MAX), so that a value may lie wherever malloc() puts
 * it and nothing is registered when it moves. It gives every client to read ALL memory of the process: its stack, its environment,
 * its other clients' messages. That is right between programs that trust each other, and in a process that holds no secret.
 *
 * Values are allocated, moved and freed as the server likes while clients read (kv.h says how they notice). Two things are to be seen to:
 *
 * - A client that read where a value is may come late: the memory is freed by now. As long as it is mapped the client finds other
 *   bytes there, the checksum or the sequence number is wrong, and it looks again. But if nothing is mapped there its READ ends in a
 *   remote access error, and with it the connection: the client has to connect again. So what was once heap stays mapped. malloc() is
 *   told not to use mmap() for single values nor to move the break back (heap_stays_mapped()), and free pages are given back
 *   by madvise(MADV_DONTNEED), behind which a client reads zeros. "serve --unmap" does it the other way, and shows what clients go
 *   through then.
 * - An answer to a SET is sent after the slot has changed, so who gets afterwards finds the new value or a newer one.
 */
#include "kv.h"
#include "server.h"

#include <malloc.h>
#include <stdatomic.h>

#define BUCKETS_MIN 4U
/* What peers may make us keep, also by keys that all want the same bucket. */
#define BUCKETS_MAX (1U << 16)
#define STORE_BYTES ((size_t)64 << 20)
/* Changes after which free pages are given back. */
#define TRIM_EVERY 1024

static struct root root;
static uint64_t seq;
static size_t stored_bytes;
static bool unmap;

static void heap_stays_mapped(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
}

/* The opposite: every value is a mapping of its own. */
static void heap_is_unmapped(void)
{
	mallopt(M_MMAP_THRESHOLD, 1);
	mallopt(M_MMAP_MAX, INT32_MAX);
}

/* All that could be, so that it leaves the top of the heap where it is and only hands out free pages within. */
static void heap_trim(void)
{
	static unsigned int changes;

	if (!(++changes % TRIM_EVERY) && !unmap)
		malloc_trim(SIZE_MAX);
}

static struct bucket *bucket_of(uint64_t hash)
{
	return (struct bucket *)root.buckets + (hash & (root.count - 1));
}

static struct record *record_of(const struct slot *slot)
{
	return (struct record *)slot->record;
}

/* The slot of a key, or NULL. */
static struct slot *slot_find(uint64_t hash, const char *key, size_t key_bytes)
{
	struct bucket *bucket = bucket_of(hash);
	struct slot *slot;

	for (slot = bucket->slots; slot < bucket->slots + BUCKET_SLOTS; slot++)
		if (slot->record && slot->hash == hash && record_of(slot)->key_bytes == key_bytes &&
		    !memcmp(record_of(slot)->data, key, key_bytes))
			return slot;
	return NULL;
}

static struct slot *slot_empty(struct bucket *bucket)
{
	struct slot *slot;

	for (slot = bucket->slots; slot < bucket->slots + BUCKET_SLOTS; slot++)
		if (!slot->record)
			return slot;
	return NULL;
}

/* What was written before is seen before what is written after, by who reads it from elsewhere as well. */
static void publish(void)
{
	atomic_thread_fence(memory_order_release);
}

static void root_set(struct bucket *buckets, uint32_t count)
{
	publish();
	root.buckets = (uintptr_t)buckets;
	root.count = count;
	root.seq = ++seq;
	root.crc = CRC_OF(&root, sizeof(root));
}

/* Twice as many buckets, until each slot finds a place; the records stay where they are. 0 or an errno. */
static int buckets_grow(void)
{
	struct bucket *old = (struct bucket *)root.buckets, *buckets;
	uint32_t count = root.count, i, s;
	struct slot *from, *to;

again:
	if (count >= BUCKETS_MAX)
		return ENOSPC;
	count *= 2;
	buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return ENOMEM;
	for (i = 0; i < root.count; i++) {
		for (s = 0; s < BUCKET_SLOTS; s++) {
			from = &old[i].slots[s];
			if (!from->record)
				continue;
			to = slot_empty(&buckets[from->hash & (count - 1)]);
			if (!to) {
				free(buckets);
				goto again;
			}
			*to = *from;
		}
	}
	root_set(buckets, count);
	publish();
	free(old);
	return 0;
}

/* The record is complete before a slot names it, and is freed when none does any longer. */
static int store_set(const char *key, size_t key_bytes, const char *value, size_t value_bytes)
{
	size_t bytes = sizeof(struct record) + key_bytes + value_bytes;
	uint64_t hash = hash_of(key, key_bytes);
	struct record *record, *old = NULL;
	struct slot *slot, new;
	int rc;

	if (stored_bytes + bytes > STORE_BYTES)
		return ENOSPC;
	record = malloc(bytes);
	if (!record)
		return ENOMEM;
	*record = (struct record){ ++seq, key_bytes, value_bytes, 0, 0 };
	memcpy(record->data, key, key_bytes);
	memcpy(record->data + key_bytes, value, value_bytes);
	record->crc = CRC_OF(record, bytes);

	slot = slot_find(hash, key, key_bytes);
	if (slot)
		old = record_of(slot);
	else
		while (!(slot = slot_empty(bucket_of(hash)))) {
			rc = buckets_grow();
			if (rc) {
				free(record);
				return rc;
			}
		}
	new = (struct slot){ hash, (uintptr_t)record, record->seq, bytes, 0 };
	new.crc = CRC_OF(&new, sizeof(new));
	stored_bytes += bytes;
	if (old)
		stored_bytes -= slot->bytes;
	publish();
	*slot = new;
	publish();
	free(old);
	return 0;
}

static int store_delete(const char *key, size_t key_bytes)
{
	struct slot *slot = slot_find(hash_of(key, key_bytes), key, key_bytes);
	struct record *old;

	if (!slot)
		return ENOENT;
	old = record_of(slot);
	stored_bytes -= slot->bytes;
	*slot = (struct slot){ 0 };
	free(old);
	return 0;
}

static void store_free(void)
{
	struct bucket *buckets = (struct bucket *)root.buckets;
	uint32_t i, s;

	for (i = 0; i < root.count; i++)
		for (s = 0; s < BUCKET_SLOTS; s++)
			free(record_of(&buckets[i].slots[s]));
	free(buckets);
}

/* A region for each client, in its own domain: its key is of no use to others and ends with it. It costs next to nothing. */
static int kv_welcome(struct client *c, struct rdma_conn_param *answer)
{
	static struct welcome welcome;
	struct ibv_mr *mr = ibv_reg_mr(c->peer.pd, NULL, SIZE_MAX,
				       IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_READ);

	c->state = mr;
	if (!mr)
		return complain("the device has no implicit regions: %s", strerror(errno));
	welcome = (struct welcome){ MAGIC, mr->rkey, (uintptr_t)&root };
	answer->private_data = &welcome;
	answer->private_data_len = sizeof(welcome);
	return 0;
}

static void kv_farewell(struct client *c)
{
	if (c->state)
		ibv_dereg_mr(c->state);
}

static int kv_message(struct client *c, const void *message, size_t bytes)
{
	const struct request *request = message;
	uint32_t error = EOPNOTSUPP;

	/* Each by itself first: their sum could wrap. */
	if (bytes < sizeof(*request) || !request->key_bytes || request->key_bytes > KEY_BYTES ||
	    request->value_bytes > VALUE_BYTES ||
	    bytes != sizeof(*request) + request->key_bytes + request->value_bytes)
		return complain("a peer that does not speak kv is sent away");
	if (request->op == SET)
		error = store_set(request->data, request->key_bytes,
				  request->data + request->key_bytes, request->value_bytes);
	else if (request->op == DELETE)
		error = store_delete(request->data, request->key_bytes);
	heap_trim();
	return rdma_post_send(c->peer.id, NULL, &error, sizeof(error), NULL, IBV_SEND_INLINE);
}

static const struct service kv = { PORT, REQUEST_BYTES, kv_welcome, kv_message, kv_farewell };

static int usage(FILE *to)
{
	fputs("usage: kv serve [--unmap] [ADDRESS]    --unmap: unmaps freed memory, so that\n"
	      "                                       clients may lose their connection\n"
	      "       kv set ADDRESS KEY VALUE\n"
	      "       kv get ADDRESS KEY\n"
	      "       kv delete ADDRESS KEY\n"
	      "       kv write ADDRESS COUNT          changes test keys COUNT times; one writer at a time\n"
	      "       kv read ADDRESS COUNT           gets test keys COUNT times, and checks the values\n"
	      "Every client can read all memory of the server's process.\n",
	      to);
	return to == stdout ? EXIT_SUCCESS : 2;
}

int main(int argc, char **argv)
{
	struct bucket *buckets;
	int rc;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(stdout);
	if (argc < 2 || strcmp(argv[1], "serve"))
		return argc < 4 || argc > 5 ? usage(stderr) : client(argc - 1, argv + 1);
	unmap = argc > 2 && !strcmp(argv[2], "--unmap");
	if (argc > 3 + unmap)
		return usage(stderr);
	if (unmap)
		heap_is_unmapped();
	else
		heap_stays_mapped();
	buckets = calloc(BUCKETS_MIN, sizeof(*buckets));
	if (!buckets) {
		complain("no memory");
		return EXIT_FAILURE;
	}
	root_set(buckets, BUCKETS_MIN);
	rc = serve(&kv, argv[2 + unmap]);
	store_free();
	return rc;
}
