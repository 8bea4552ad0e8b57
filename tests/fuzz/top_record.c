// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A recording of odp_top under libFuzzer: whatever it has, it is refused with a line's number, or shown: as rows of any width and as
 * JSON, both of ASCII alone; and what is written of it is read again as the same.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "fuzz.h"
#include "json.h"
#include "record.h"

/* A terminal is told nothing but text. */
static void check_ascii(const char *line)
{
	for (; *line; line++)
		CHECK(*line >= ' ' && *line <= '~');
}

static void show(struct top_model *m, const struct top_snapshot *s, int width)
{
	const struct top_filter filter = { .uid = TOP_NO_UID, .all = true };
	char line[TOP_LINE_BYTES], *json;
	struct top_layout l;
	size_t i, bytes;
	FILE *f;

	CHECK(!model_feed(m, s));
	CHECK(!model_rows(m, s, &filter, TOP_BY_REFAULTS, false, false));
	layout_make(&l, width, false, s->page_bytes);
	for (i = 0; i < m->nr_rows; i++) {
		layout_row(&l, &m->rows[i], line);
		CHECK((int)strlen(line) == l.all);
		check_ascii(line);
	}
	format_head(line, sizeof(line), s, m);
	check_ascii(line);
	for (i = 0; i < s->nr_devices; i++) {
		format_device(line, sizeof(line), s, m, i, false);
		check_ascii(line);
	}
	f = open_memstream(&json, &bytes);
	CHECK(f);
	json_write(f, s, m);
	fclose(f);
	for (i = 0; i < bytes; i++)
		CHECK((json[i] >= ' ' && json[i] <= '~') || json[i] == '\n');
	free(json);
}

static char *written(const struct recording *rec, size_t *bytes)
{
	char *text;
	size_t i;
	FILE *f = open_memstream(&text, bytes);

	CHECK(f && !record_begin(f));
	for (i = 0; i < rec->nr; i++)
		CHECK(!record_write(f, &rec->snapshots[i]));
	fclose(f);
	return text;
}

static void round_trip(const struct recording *rec)
{
	struct recording again;
	size_t bytes, more;
	char *text = written(rec, &bytes), *second;
	FILE *f = fmemopen(text, bytes, "r");

	CHECK(f && !record_load(f, &again));
	fclose(f);
	second = written(&again, &more);
	CHECK(bytes == more && again.nr == rec->nr);
	free(second);
	free(text);
	record_free(&again);
}

/* What a fuzzer would have to find: bytes above ASCII stand for these. */
static const char *const tokens[] = {
	"s 1000000000 1000000000 4096\n",
	"s 2000000000 3000000000 4096\n",
	"s ",
	"d 1 rxe_odp0 odp_faults=12\n",
	"d ",
	"r 1 2 100 0 4096 odp a%20b faults=1",
	"r 1 2 100 0 18446744073709551615 odp - faults=1",
	"r ",
	" page_faults=",
	" page_invalidations=",
	" resident_pages=18446744073709551615",
	" huge_pages=",
	" worst_fault_ns=",
	" worst_fault_page=",
	"m 1 2 140000000000000 4096 0 12 ff00",
	"m ",
	"e\n",
	"18446744073709551615",
	"%ff",
};

static size_t expand(const uint8_t *data, size_t size, char *to, size_t room)
{
	size_t len = 0, i, more;

	for (i = 0; i < size && len + 64 < room; i++) {
		const char *token = tokens[data[i] % ARRAY_SIZE(tokens)];

		if (data[i] < 0x80) {
			to[len++] = data[i];
			continue;
		}
		more = strlen(token);
		memcpy(to + len, token, more);
		len += more;
	}
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char magic[] = "odp_top 1\n";
	static char text[65536];
	struct top_model m = { 0 };
	struct recording rec;
	size_t i, len = sizeof(magic) - 1;
	FILE *f;
	int err;

	if (!size)
		return 0;
	memcpy(text, magic, len);
	len += expand(data, size, text + len, sizeof(text) - len);
	f = fmemopen(text, len, "r");
	CHECK(f);
	err = record_load(f, &rec);
	fclose(f);
	if (err) {
		CHECK(err == -EPROTO && rec.bad_line);
		return 0;
	}
	for (i = 0; i < rec.nr; i++)
		show(&m, &rec.snapshots[i], 1 + data[0] * 3);
	round_trip(&rec);
	model_free(&m);
	record_free(&rec);
	return 0;
}
