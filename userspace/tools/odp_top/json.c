// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "json.h"

#include <inttypes.h>

static const char *const rate_names[TOP_RATES] = {
	[TOP_RATE_FAULT] = "fault_pages",
	[TOP_RATE_INVALIDATE] = "invalidated_pages",
	[TOP_RATE_PREFETCH] = "prefetched_pages",
	[TOP_RATE_REFAULT] = "refault_pages",
};

/* Names, of whatever it is, are bytes; what is no ASCII goes as of Latin-1, so that it is JSON whatever it was. */
static void json_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void json_flow(FILE *f, const struct top_flow *flow, const struct top_model *m)
{
	int i;

	for (i = 0; i < TOP_RATES; i++)
		fprintf(f, ",\"%s\":%" PRIu64, rate_names[i], flow->total[i]);
	for (i = 0; m->seconds > 0 && i < TOP_RATES; i++)
		fprintf(f, ",\"%s_per_s\":%.3f", rate_names[i], flow->rate[i]);
}

static void json_device(FILE *f, const struct top_snapshot *s, const struct top_model *m, size_t i)
{
	int k;

	fputs("{\"name\":", f);
	json_string(f, s->devices[i].name);
	for (k = 0; k < TOP_DEV_FIGURES; k++)
		fprintf(f, ",\"%s\":%" PRIu64, top_device_figure_names[k], s->devices[i].value[k]);
	for (k = 0; m->seconds > 0 && i < TOP_DEVICES_MAX && k < TOP_DEV_FIGURES; k++)
		fprintf(f, ",\"%s_per_s\":%.3f", top_device_figure_names[k], m->device_rate[i][k]);
	fputc('}', f);
}

static void json_map(FILE *f, const struct top_map *map)
{
	uint32_t i;

	fprintf(f, ",\"map\":{\"start\":%" PRIu64 ",\"cell_bytes\":%" PRIu64, map->start,
		UINT64_C(1) << map->shift);
	if (map->worst)
		fprintf(f, ",\"worst_fault_address\":%" PRIu64, map->worst);
	/* Each cell: how much of it is there and how much of it in huge entries, of 255. */
	fputs(",\"cells\":[", f);
	for (i = 0; i < map->nr; i++)
		fprintf(f, "%s[%u,%u]", i ? "," : "", map->cells[i].present, map->cells[i].huge);
	fputs("]}", f);
}

static void json_region(FILE *f, const struct top_snapshot *s, const struct top_model *m,
			const struct top_row *row)
{
	const struct top_region *r = row->region;
	const struct top_map *map = snapshot_map(s, r->device, r->mrn);
	int i;

	fprintf(f, "{\"mrn\":%u", r->mrn);
	if (*r->kind) {
		fputs(",\"kind\":", f);
		json_string(f, r->kind);
	}
	if (row->implicit)
		fputs(",\"implicit\":true", f);
	else
		fprintf(f, ",\"bytes\":%" PRIu64, r->length);
	for (i = 0; r->has_figures && i < TOP_FIGURES; i++)
		if (r->value[i] != TOP_NO_PAGE)
			fprintf(f, ",\"%s\":%" PRIu64, top_figure_names[i], r->value[i]);
	if (r->has_figures)
		json_flow(f, &row->flow, m);
	if (map)
		json_map(f, map);
	fputc('}', f);
}

static void json_process(FILE *f, const struct top_row *row, const struct top_model *m)
{
	fprintf(f, "{\"pid\":%u,\"command\":", row->pid);
	json_string(f, row->comm);
	if (row->uid != TOP_NO_UID)
		fprintf(f, ",\"uid\":%u", row->uid);
	if (row->device) {
		fputs(",\"device\":", f);
		json_string(f, row->device->name);
	}
	fprintf(f, ",\"bytes\":%" PRIu64 ",\"resident_pages\":%" PRIu64 ",\"huge_pages\":%" PRIu64,
		row->bytes, row->resident, row->huge);
	fprintf(f, ",\"table_bytes\":%" PRIu64 ",\"worst_fault_ns\":%" PRIu64, row->table_bytes,
		row->worst_ns);
	json_flow(f, &row->flow, m);
	fputs(",\"regions\":[", f);
}

void json_write(FILE *f, const struct top_snapshot *s, const struct top_model *m)
{
	bool first = true;
	size_t i;

	fprintf(f, "{\"time_ns\":%" PRIu64 ",\"page_bytes\":%u", s->time_ns, s->page_bytes);
	if (m->seconds > 0)
		fprintf(f, ",\"seconds\":%.3f", m->seconds);
	fputs(",\"devices\":[", f);
	for (i = 0; i < s->nr_devices; i++) {
		if (i)
			fputc(',', f);
		json_device(f, s, m, i);
	}
	fputs("],\"processes\":[", f);
	for (i = 0; i < m->nr_rows; i++) {
		if (m->rows[i].region) {
			if (!first)
				fputc(',', f);
			json_region(f, s, m, &m->rows[i]);
			first = false;
			continue;
		}
		if (i)
			fputs("]},", f);
		json_process(f, &m->rows[i], m);
		first = true;
	}
	fputs(m->nr_rows ? "]}]}\n" : "]}\n", f);
}
