// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "record.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "odp_top 1"

int record_begin(FILE *f)
{
	return fputs(MAGIC "\n", f) < 0 ? -EIO : 0;
}

static void write_name(FILE *f, const char *name)
{
	fputc(' ', f);
	if (!*name)
		fputc('-', f);
	for (; *name; name++) {
		if (isalnum((unsigned char)*name) || strchr("_.:/", *name))
			fputc(*name, f);
		else
			fprintf(f, "%%%02x", (unsigned char)*name);
	}
}

static void write_device(FILE *f, const struct top_device *dev)
{
	int i;

	fprintf(f, "d %u", dev->index);
	write_name(f, dev->name);
	for (i = 0; i < TOP_DEV_FIGURES; i++)
		if (dev->value[i])
			fprintf(f, " %s=%" PRIu64, top_device_figure_names[i], dev->value[i]);
	fputc('\n', f);
}

/* What is as a new region has it is left out, but for the first: without figures it is not on demand. */
static void write_region(FILE *f, const struct top_region *r)
{
	int i;

	fprintf(f, "r %u %u %u %u %" PRIu64, r->device, r->mrn, r->pid, r->uid, r->length);
	write_name(f, r->kind);
	write_name(f, r->comm);
	for (i = 0; r->has_figures && i < TOP_FIGURES; i++)
		if (!i || r->value[i] != (i == TOP_WORST_PAGE ? TOP_NO_PAGE : 0))
			fprintf(f, " %s=%" PRIu64, top_figure_names[i], r->value[i]);
	fputc('\n', f);
}

static void write_map(FILE *f, const struct top_map *m)
{
	uint32_t i;

	fprintf(f, "m %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %u ", m->device, m->mrn, m->start,
		m->length, m->worst, m->shift);
	for (i = 0; i < m->nr; i++)
		fprintf(f, "%02x%02x", m->cells[i].present, m->cells[i].huge);
	fputc('\n', f);
}

int record_write(FILE *f, const struct top_snapshot *s)
{
	size_t i;

	fprintf(f, "s %" PRIu64 " %" PRIu64 " %u\n", s->time_ns, s->clock_ns, s->page_bytes);
	for (i = 0; i < s->nr_devices; i++)
		write_device(f, &s->devices[i]);
	for (i = 0; i < s->nr_regions; i++)
		write_region(f, &s->regions[i]);
	for (i = 0; i < s->nr_maps; i++)
		write_map(f, &s->maps[i]);
	fputs("e\n", f);
	errno = 0;
	if (fflush(f) || ferror(f))
		return errno ? -errno : -EIO;
	return 0;
}

/* Parsing: @at walks through a line; a word that cannot be makes @bad. */
struct line {
	char *at;
	bool bad;
};

static char *take_word(struct line *line)
{
	char *word = line->at;

	line->at += strcspn(line->at, " ");
	if (line->at == word) {
		line->bad = true;
		return word;
	}
	if (*line->at)
		*line->at++ = 0;
	return word;
}

static bool parse_number(const char *word, uint64_t max, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*word))
		return false;
	errno = 0;
	*number = strtoull(word, &end, 10);
	return !errno && !*end && *number <= max;
}

static uint64_t take_number(struct line *line, uint64_t max)
{
	uint64_t number = 0;

	if (!parse_number(take_word(line), max, &number))
		line->bad = true;
	return number;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Two digits, or -1. */
static int hex_byte(const char *at)
{
	int high = hex_digit(at[0]);
	int low = high < 0 ? -1 : hex_digit(at[1]);

	return low < 0 ? -1 : high * 16 + low;
}

static void take_name(struct line *line, char *to, size_t bytes)
{
	const char *word = take_word(line);
	size_t len = 0;
	int c;

	if (!strcmp(word, "-"))
		word = "";
	while (*word && !line->bad) {
		c = (unsigned char)*word++;
		if (c == '%') {
			c = hex_byte(word);
			word += c > 0 ? 2 : 0;
		}
		if (c <= 0 || len + 1 >= bytes)
			line->bad = true;
		else
			to[len++] = c;
	}
	to[len] = 0;
}

static void take_figures(struct line *line, const char *const *names, int nr, uint64_t *value)
{
	uint64_t number;
	char *word, *is;
	int i;

	while (*line->at && !line->bad) {
		word = take_word(line);
		is = strchr(word, '=');
		if (!is || !parse_number(is + 1, UINT64_MAX, &number)) {
			line->bad = true;
			return;
		}
		i = top_find_name(names, nr, word, is - word);
		if (i >= 0)
			value[i] = number;
	}
}

static int load_device(struct line *line, struct top_snapshot *s)
{
	struct top_device *dev = snapshot_add_device(s);

	if (!dev)
		return -ENOMEM;
	dev->index = take_number(line, UINT32_MAX);
	take_name(line, dev->name, sizeof(dev->name));
	take_figures(line, top_device_figure_names, TOP_DEV_FIGURES, dev->value);
	return line->bad ? -EPROTO : 0;
}

static int load_region(struct line *line, struct top_snapshot *s)
{
	struct top_region *r = snapshot_add_region(s);

	if (!r)
		return -ENOMEM;
	r->device = take_number(line, UINT32_MAX);
	r->mrn = take_number(line, UINT32_MAX);
	r->pid = take_number(line, UINT32_MAX);
	r->uid = take_number(line, UINT32_MAX);
	r->length = take_number(line, UINT64_MAX);
	take_name(line, r->kind, sizeof(r->kind));
	take_name(line, r->comm, sizeof(r->comm));
	r->has_figures = *line->at;
	take_figures(line, top_figure_names, TOP_FIGURES, r->value);
	return line->bad ? -EPROTO : 0;
}

static void take_cells(struct line *line, struct top_map *m)
{
	const char *word = take_word(line);
	int present, huge;

	while (*word && !line->bad) {
		present = hex_byte(word);
		huge = present < 0 ? -1 : hex_byte(word + 2);
		if (huge < 0 || m->nr == TOP_MAP_CELLS) {
			line->bad = true;
			return;
		}
		m->cells[m->nr++] = (struct top_cell){ .present = present, .huge = huge };
		word += 4;
	}
}

static int load_map(struct line *line, struct top_snapshot *s)
{
	struct top_map *m = snapshot_add_map(s);

	if (!m)
		return -ENOMEM;
	m->device = take_number(line, UINT32_MAX);
	m->mrn = take_number(line, UINT32_MAX);
	m->start = take_number(line, UINT64_MAX);
	m->length = take_number(line, UINT64_MAX);
	m->worst = take_number(line, UINT64_MAX);
	m->shift = take_number(line, 63);
	take_cells(line, m);
	return line->bad ? -EPROTO : 0;
}

static int load_begin(struct line *line, struct recording *rec)
{
	struct top_snapshot *more, *s;

	more = reallocarray(rec->snapshots, rec->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	rec->snapshots = more;
	s = &rec->snapshots[rec->nr++];
	memset(s, 0, sizeof(*s));
	s->time_ns = take_number(line, UINT64_MAX);
	s->clock_ns = take_number(line, UINT64_MAX);
	s->page_bytes = take_number(line, 1 << 30);
	return line->bad || s->page_bytes < 512 ? -EPROTO : 0;
}

/* @open: a snapshot has begun that has not ended. */
static int load_line(struct line *line, struct recording *rec, bool *open)
{
	char *word = take_word(line);
	struct top_snapshot *s = *open ? &rec->snapshots[rec->nr - 1] : NULL;
	char what = word[0] && !word[1] ? word[0] : 0;

	if (line->bad)
		return -EPROTO;
	if (what == 's') {
		if (*open)
			return -EPROTO;
		*open = true;
		return load_begin(line, rec);
	}
	if (!s)
		return -EPROTO;
	switch (what) {
	case 'd':
		return load_device(line, s);
	case 'r':
		return load_region(line, s);
	case 'm':
		return load_map(line, s);
	case 'e':
		snapshot_sort(s);
		*open = false;
		return 0;
	}
	return 0;
}

int record_load(FILE *f, struct recording *rec)
{
	size_t room = 0, number = 0;
	bool begun = false, open = false;
	char *text = NULL;
	ssize_t len;
	int err = 0;

	memset(rec, 0, sizeof(*rec));
	while (!err && (len = getline(&text, &room, f)) >= 0) {
		struct line line = { .at = text };

		number++;
		/* The last one may have been cut short in the middle. */
		if (!len || text[len - 1] != '\n')
			break;
		text[len - 1] = 0;
		if (strlen(text) != (size_t)len - 1)
			err = -EPROTO;
		else if (!begun)
			err = strcmp(text, MAGIC) ? -EPROTO : 0;
		else
			err = load_line(&line, rec, &open);
		begun = true;
	}
	if (!err && ferror(f))
		err = errno ? -errno : -EIO;
	if (!err && !begun)
		err = -EPROTO;
	free(text);
	if (open && !err)
		snapshot_free(&rec->snapshots[--rec->nr]);
	if (err) {
		record_free(rec);
		rec->bad_line = number;
	}
	return err;
}

void record_free(struct recording *rec)
{
	size_t i;

	for (i = 0; i < rec->nr; i++)
		snapshot_free(&rec->snapshots[i]);
	free(rec->snapshots);
	memset(rec, 0, sizeof(*rec));
}
