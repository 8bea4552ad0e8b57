// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_top without a kernel: rates and refaults from readings, sums by process in every order, filters, texts and columns of any width, names
 * of any bytes, lines of the tracepoint and whose they are, and recordings that come back as they went.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/odp_top/faults.h"
#include "tools/odp_top/format.h"
#include "tools/odp_top/json.h"
#include "tools/odp_top/record.h"

#define SECOND 1000000000ULL

static const struct top_filter all = { .uid = TOP_NO_UID };

static void add(struct top_snapshot *s, uint32_t pid, uint32_t mrn, uint64_t faulted,
		uint64_t taken)
{
	struct top_region *r = snapshot_add_region(s);

	assert_non_null(r);
	r->device = 1;
	r->mrn = mrn;
	r->pid = pid;
	r->uid = pid < 100 ? 0 : 1000;
	r->length = 1 << 20;
	r->has_figures = true;
	snprintf(r->comm, sizeof(r->comm), "program %u", pid);
	memcpy(r->kind, "odp", 4);
	r->value[TOP_FAULT_PAGES] = faulted;
	r->value[TOP_INVALIDATED_PAGES] = taken;
	r->value[TOP_RESIDENT] = faulted > taken ? faulted - taken : 0;
	r->value[TOP_WORST_NS] = faulted;
}

static struct top_snapshot reading(uint64_t clock_ns)
{
	struct top_snapshot s = { .clock_ns = clock_ns, .page_bytes = 4096 };
	struct top_device *dev = snapshot_add_device(&s);

	assert_non_null(dev);
	dev->index = 1;
	memcpy(dev->name, "rxe_odp0", 9);
	return s;
}

static void feed(struct top_model *m, struct top_snapshot *s)
{
	snapshot_sort(s);
	assert_int_equal(model_feed(m, s), 0);
	assert_int_equal(model_rows(m, s, &all, TOP_BY_FAULTS, false, false), 0);
}

/* 10 pages came, 4 went, 7 came: 4 of these were there before at most. Then 1 goes and comes, beside a new one. */
static void rates_and_refaults(void **state)
{
	static const struct {
		uint64_t faulted, taken, refaults;
		double rate, again;
	} steps[] = {
		{ 10, 0, 0, 0, 0 },   { 10, 4, 0, 0, 0 }, { 17, 4, 4, 3.5, 2 },
		{ 19, 5, 5, 1, 0.5 }, { 19, 5, 5, 0, 0 }, { 3, 0, 5, 0, 0 },
	};
	struct top_model m = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct top_snapshot s = reading((1 + 2 * i) * SECOND);

		add(&s, 100, 7, steps[i].faulted, steps[i].taken);
		feed(&m, &s);
		assert_int_equal(m.nr_rows, 2);
		assert_null(m.rows[0].region);
		assert_int_equal(m.rows[1].region->mrn, 7);
		assert_int_equal(m.rows[1].flow.total[TOP_RATE_REFAULT], steps[i].refaults);
		assert_true(m.rows[1].flow.rate[TOP_RATE_FAULT] == steps[i].rate);
		assert_true(m.rows[1].flow.rate[TOP_RATE_REFAULT] == steps[i].again);
		snapshot_free(&s);
	}
	model_free(&m);
}

/* Another process's region with the same number has not that one's past. */
static void numbers_come_again(void **state)
{
	struct top_snapshot a = reading(SECOND), b = reading(2 * SECOND);
	struct top_model m = { 0 };

	(void)state;
	add(&a, 100, 7, 1000, 1000);
	feed(&m, &a);
	add(&b, 101, 7, 5, 0);
	feed(&m, &b);
	assert_true(m.rows[1].flow.rate[TOP_RATE_FAULT] == 5);
	assert_int_equal(m.rows[1].flow.total[TOP_RATE_REFAULT], 0);
	snapshot_free(&a);
	snapshot_free(&b);
	model_free(&m);
}

/* Whatever the order: a process, then its own regions, no other's; the sums are theirs. */
static void rows_in_every_order(void **state)
{
	struct top_snapshot s = reading(SECOND);
	uint64_t random = 1, sum, nr;
	struct top_model m = { 0 };
	size_t i, regions;
	int sort, variant;

	(void)state;
	for (i = 0; i < 300; i++)
		add(&s, 90 + unit_random(&random) % 20, i, unit_random(&random) % 50,
		    unit_random(&random) % 10);
	feed(&m, &s);
	for (sort = 0; sort < TOP_SORTS; sort++) {
		for (variant = 0; variant < 4; variant++) {
			assert_int_equal(model_rows(&m, &s, &all, sort, variant & 1, variant & 2),
					 0);
			sum = 0;
			nr = 0;
			regions = 0;
			for (i = m.nr_rows; i--;) {
				const struct top_row *row = &m.rows[i];

				if (row->region) {
					assert_int_equal(row->pid, row->region->pid);
					sum += row->flow.total[TOP_RATE_FAULT];
					nr++;
					continue;
				}
				regions += row->nr_regions;
				if (!(variant & 2)) {
					assert_int_equal(row->flow.total[TOP_RATE_FAULT], sum);
					assert_int_equal(row->nr_regions, nr);
				}
				sum = 0;
				nr = 0;
			}
			assert_int_equal(regions, 300);
		}
	}
	assert_int_equal(model_rows(&m, &s, &all, TOP_BY_PID, false, true), 0);
	for (i = 1; i < m.nr_rows; i++)
		assert_true(m.rows[i - 1].pid < m.rows[i].pid);
	snapshot_free(&s);
	model_free(&m);
}

/* What a region and a device count, a second, and as text: each by itself, and what began again from zero is none. */
static void each_rate(void **state)
{
	static const enum top_figure figures[] = { TOP_FAULT_PAGES, TOP_INVALIDATED_PAGES,
						   TOP_PREFETCHED_PAGES };
	static const enum top_rate rates[] = { TOP_RATE_FAULT, TOP_RATE_INVALIDATE,
					       TOP_RATE_PREFETCH };
	struct top_snapshot a = reading(SECOND), b = reading(3 * SECOND), c = reading(4 * SECOND);
	struct top_snapshot *readings[] = { &a, &b, &c };
	struct top_model m = { 0 };
	char line[TOP_LINE_BYTES];
	size_t i;
	int f;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(readings); i++) {
		struct top_snapshot *s = readings[i];

		add(s, 100, 7, 0, 0);
		for (f = 0; f < (int)ARRAY_SIZE(figures); f++)
			s->regions[0].value[figures[f]] = i < 2 ? i * (10 + 20 * f) : 0;
		for (f = 0; f < TOP_DEV_FIGURES; f++)
			s->devices[0].value[f] = i < 2 ? 100 + i * (2 + 4 * f) : 0;
		feed(&m, s);
		for (f = 0; f < (int)ARRAY_SIZE(figures); f++)
			assert_true(m.rows[1].flow.rate[rates[f]] == (i == 1 ? 5 + 10 * f : 0));
		for (f = 0; f < TOP_DEV_FIGURES; f++)
			assert_true(m.device_rate[0][f] == (i == 1 ? 1 + 2 * f : 0));
		if (i != 1)
			continue;
		format_device(line, sizeof(line), s, &m, 0, false);
		assert_string_equal(
			line,
			"rxe_odp0   faults 1/s  held packets 9/s  RNR sent 5/s, for faults 3, got 7");
		format_device(line, sizeof(line), s, &m, 0, true);
		assert_string_equal(
			line,
			"rxe_odp0   faults 102  held packets 118  RNR sent 110, for faults 106, got 114");
	}
	for (i = 0; i < ARRAY_SIZE(readings); i++)
		snapshot_free(readings[i]);
	model_free(&m);
}

static double sort_key(const struct top_row *row, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_WORST:
		return row->worst_ns;
	case TOP_BY_RESIDENT:
		return row->resident;
	case TOP_BY_SIZE:
		return row->bytes;
	case TOP_BY_PID:
		return -(double)row->pid;
	default:
		return row->flow.rate[(int)sort - TOP_BY_FAULTS + TOP_RATE_FAULT];
	}
}

/* Processes, and the regions of each, from the greatest of what is asked for to the least, or the other way round. */
static void sorted_by_each(void **state)
{
	struct top_snapshot a = reading(SECOND), b = reading(2 * SECOND);
	struct top_model m = { 0 };
	uint64_t random = 3;
	int sort, reverse, fold;
	size_t i, at, sum;

	(void)state;
	for (i = 0; i < 200; i++) {
		add(&a, 90 + i % 20, i, 0, 0);
		add(&b, 90 + i % 20, i, 0, 0);
		b.regions[i].length = 4096 * (1 + unit_random(&random) % 1000);
		b.regions[i].value[TOP_FAULT_PAGES] = unit_random(&random) % 1000;
		b.regions[i].value[TOP_INVALIDATED_PAGES] = unit_random(&random) % 1000;
		b.regions[i].value[TOP_PREFETCHED_PAGES] = unit_random(&random) % 1000;
		b.regions[i].value[TOP_RESIDENT] = unit_random(&random) % 1000;
		b.regions[i].value[TOP_WORST_NS] = 1 + unit_random(&random) % 1000;
	}
	feed(&m, &a);
	feed(&m, &b);
	for (sort = 0; sort < TOP_SORTS; sort++) {
		for (reverse = 0; reverse < 2; reverse++) {
			for (fold = 0; fold < 2; fold++) {
				assert_int_equal(model_rows(&m, &b, &all, sort, reverse, fold), 0);
				assert_int_equal(m.nr_rows, fold ? 20 : 220);
				/* Before each line the last one of its sort. */
				for (i = 0, at = SIZE_MAX, sum = SIZE_MAX; i < m.nr_rows; i++) {
					size_t before = m.rows[i].region ? at : sum;
					double p, q = sort_key(&m.rows[i], sort);

					at = m.rows[i].region ? i : SIZE_MAX;
					sum = m.rows[i].region ? sum : i;
					if (before == SIZE_MAX)
						continue;
					p = sort_key(&m.rows[before], sort);
					assert_true(reverse ? p <= q : p >= q);
				}
			}
		}
	}
	snapshot_free(&a);
	snapshot_free(&b);
	model_free(&m);
}

static size_t rows_of(struct top_model *m, const struct top_snapshot *s, struct top_filter filter)
{
	assert_int_equal(model_rows(m, s, &filter, TOP_BY_PID, false, true), 0);
	return m->nr_rows;
}

static void filters(void **state)
{
	struct top_snapshot s = reading(SECOND);
	struct top_model m = { 0 };

	(void)state;
	add(&s, 50, 1, 0, 0);
	add(&s, 100, 2, 0, 0);
	add(&s, 200, 3, 0, 0);
	s.regions[2].has_figures = false;
	feed(&m, &s);
	assert_int_equal(rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID }), 2);
	assert_int_equal(rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID, .all = true }), 3);
	assert_int_equal(rows_of(&m, &s, (struct top_filter){ .uid = 0 }), 1);
	assert_int_equal(rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID, .pid = 100 }), 1);
	assert_int_equal(
		rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID, .text = "PROGRAM 5" }), 1);
	assert_int_equal(
		rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID, .text = "rxe_odp0" }), 2);
	assert_int_equal(
		rows_of(&m, &s, (struct top_filter){ .uid = TOP_NO_UID, .text = "nonesuch" }), 0);
	snapshot_free(&s);
	model_free(&m);
}

static void texts(void **state)
{
	static const struct {
		uint64_t value;
		const char *count, *bytes, *time;
	} all_of[] = {
		{ 0, "0", "0", "0ns" },
		{ 999, "999", "999B", "999ns" },
		{ 1024, "1024", "1.0K", "1.0us" },
		{ 9999, "9999", "9.8K", "10.0us" },
		{ 123456, "123k", "121K", "123us" },
		{ 9999999, "10M", "9.5M", "10.0ms" },
		{ 1UL << 40, "1.1T", "1.0T", "18m" },
		{ UINT64_MAX, "18E", "16E", "307445734m" },
	};
	char text[TOP_TEXT_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(all_of); i++) {
		format_count(text, all_of[i].value);
		assert_string_equal(text, all_of[i].count);
		format_bytes(text, all_of[i].value);
		assert_string_equal(text, all_of[i].bytes);
		format_time(text, all_of[i].value);
		assert_string_equal(text, all_of[i].time);
	}
	format_count(text, 0.25);
	assert_string_equal(text, "0.2");
}

/* As long as was asked for, and what there is something of is seen. */
static void bars(void **state)
{
	uint64_t random = 2, pages, resident, huge;
	char bar[256];
	int i, width, nr[3];
	size_t at;

	(void)state;
	for (i = 0; i < 100000; i++) {
		width = 1 + unit_random(&random) % 200;
		pages = unit_random(&random) >> unit_random(&random) % 64;
		resident = pages ? unit_random(&random) % (pages + pages / 8 + 1) : 1;
		huge = unit_random(&random) % 3 ? 0 : resident;
		format_bar(bar, width, pages, resident, huge);
		assert_int_equal(strlen(bar), width);
		memset(nr, 0, sizeof(nr));
		for (at = 0; bar[at]; at++)
			nr[bar[at] == TOP_BAR_HUGE ? 0 : bar[at] == TOP_BAR_SMALL ? 1 : 2]++;
		if (width < 2 || !pages)
			continue;
		assert_int_equal(nr[0] + nr[1] > 0, resident > 0);
		if (resident < pages)
			assert_true(nr[2] > 0);
		if (huge)
			assert_true(nr[0] > 0);
	}
}

static void columns_of_any_width(void **state)
{
	char line[TOP_LINE_BYTES + 1];
	struct top_snapshot s = reading(SECOND);
	struct top_model m = { 0 };
	struct top_layout l;
	int width;
	size_t i;

	(void)state;
	add(&s, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX / 2);
	add(&s, 1, 1, 1, 0);
	s.regions[1].length = TOP_IMPLICIT;
	memset(s.regions[1].comm, 0xff, sizeof(s.regions[1].comm) - 1);
	s.regions[0].value[TOP_WORST_PAGE] = UINT64_MAX - 1;
	feed(&m, &s);
	for (width = 1; width < TOP_LINE_BYTES; width++) {
		layout_make(&l, width, width % 2, 4096);
		if (width >= 62)
			assert_int_equal(l.all, width);
		layout_titles(&l, line);
		assert_int_equal(strlen(line), l.all);
		for (i = 0; i < m.nr_rows; i++) {
			layout_row(&l, &m.rows[i], line);
			assert_int_equal(strlen(line), l.all);
		}
	}
	format_head(line, 20, &s, &m);
	assert_true(strlen(line) < 20);
	format_device(line, 20, &s, &m, 0, true);
	assert_true(strlen(line) < 20);
	snapshot_free(&s);
	model_free(&m);
}

static void assert_clean(const char *line)
{
	for (; *line; line++)
		assert_in_range(*line, ' ', '~');
}

/* Whatever names of programs, devices and kinds are, a terminal and a reader of JSON get ASCII of them. */
static void names_of_all_bytes(void **state)
{
	struct top_snapshot s = reading(SECOND);
	char line[TOP_LINE_BYTES], *json;
	struct top_model m = { 0 };
	struct top_layout l;
	size_t i, k, bytes;
	int c = 1, width;
	FILE *f;

	(void)state;
	for (i = 0; i < 24; i++) {
		add(&s, 100 + i, i, 1, 0);
		s.regions[i].has_figures = i % 2;
		for (k = 0; k < sizeof(s.regions[i].kind) - 1; k++, c = c % 255 + 1)
			s.regions[i].kind[k] = c;
	}
	for (k = 0; k < sizeof(s.devices[0].name) - 1; k++)
		s.devices[0].name[k] = "\033]0;\n\t\"\\\x7f\x9b"[k % 10];
	memcpy(s.regions[0].comm, s.devices[0].name, sizeof(s.regions[0].comm));
	snapshot_sort(&s);
	assert_int_equal(model_feed(&m, &s), 0);
	assert_int_equal(model_rows(&m, &s, &(struct top_filter){ .uid = TOP_NO_UID, .all = true },
				    TOP_BY_PID, false, false),
			 0);
	for (width = 40; width < 200; width += 20) {
		layout_make(&l, width, true, 4096);
		for (i = 0; i < m.nr_rows; i++) {
			layout_row(&l, &m.rows[i], line);
			assert_int_equal(strlen(line), l.all);
			assert_clean(line);
		}
	}
	format_device(line, sizeof(line), &s, &m, 0, true);
	assert_clean(line);
	assert_non_null(strstr(line, "?]0;??\"\\??"));
	f = open_memstream(&json, &bytes);
	json_write(f, &s, &m);
	fclose(f);
	assert_non_null(strstr(json, "\"name\":\"\\u001b]0;\\u000a\\u0009\\\"\\\\\\u007f\\u009b"));
	json[bytes - 1] = 0;
	assert_clean(json);
	free(json);
	snapshot_free(&s);
	model_free(&m);
}

static void lines_of_the_tracepoint(void **state)
{
	struct top_fault f;

	(void)state;
	assert_true(faults_parse(
		"  umem_odp_fault-71  [001] .....  12.3: umem_odp_wake: pid=9 va=0x7f0000001000 err=-14 fault_ns=1500 len=4096 write=1 prefetch=0 region=0x7f0000000000 last=0x7f0000001fff",
		&f));
	assert_int_equal(f.pid, 9);
	assert_int_equal(f.va, 0x7f0000001000);
	assert_int_equal(f.err, -14);
	assert_int_equal(f.ns, 1500);
	assert_int_equal(f.region, 0x7f0000000000);
	assert_int_equal(f.last, 0x7f0000001fff);
	assert_true(f.write);
	assert_false(faults_parse(
		"umem_odp_wake: pid=9 va=0x1000 err=0 fault_ns=1 len=1 write=1 prefetch=1 region=0x0 last=0x1",
		&f));
	/* Of a longer line. */
	assert_false(faults_parse(
		"umem_odp_wake: pid=9 va=0x1000 err=0 fault_ns=1 len=1 write=1 prefetch=0 region=0x0",
		&f));
	assert_false(faults_parse("umem_odp_wake: pid=9", &f));
	assert_false(faults_parse("CPU:0 [LOST 12 EVENTS]", &f));
}

/* Regions of other processes, or longer ones, may begin at the same address. */
static void faults_of_a_region(void **state)
{
	static const struct {
		uint32_t pid;
		uint64_t last;
		size_t nr;
	} regions[] = { { 1, 0x1fff, 7 }, { 1, 0x2fff, 5 }, { 2, 0x1fff, 3 } };
	struct top_faults f = { 0 };
	const struct top_fault *fault;
	size_t i, back;

	(void)state;
	assert_null(faults_of(&f, 1, 0x1000, 0x1fff, 0));
	for (back = 7; back--;)
		for (i = 0; i < ARRAY_SIZE(regions); i++)
			if (back < regions[i].nr)
				f.kept[f.nr++] = (struct top_fault){ .pid = regions[i].pid,
								     .region = 0x1000,
								     .last = regions[i].last,
								     .va = back };
	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		for (back = 0; back < regions[i].nr; back++) {
			fault = faults_of(&f, regions[i].pid, 0x1000, regions[i].last, back);
			assert_non_null(fault);
			assert_int_equal(fault->pid, regions[i].pid);
			assert_int_equal(fault->last, regions[i].last);
			assert_int_equal(fault->va, back);
		}
		assert_null(faults_of(&f, regions[i].pid, 0x1000, regions[i].last, back));
	}
	assert_null(faults_of(&f, 1, 0, 0x1fff, 0));
	/* More than are kept. */
	for (i = 0; i < TOP_FAULTS_KEPT; i++)
		f.kept[f.nr++ % TOP_FAULTS_KEPT] = (struct top_fault){ .pid = 3, .last = 1 };
	assert_null(faults_of(&f, 1, 0x1000, 0x1fff, 0));
	assert_non_null(faults_of(&f, 3, 0, 1, TOP_FAULTS_KEPT - 1));
	assert_null(faults_of(&f, 3, 0, 1, TOP_FAULTS_KEPT));
}

static void recordings(void **state)
{
	struct top_snapshot s = reading(5 * SECOND);
	char *text, *again;
	struct recording rec;
	size_t bytes, more, i;
	struct top_map *map;
	FILE *f;

	(void)state;
	add(&s, 100, 7, 10, 4);
	add(&s, 100, 2, 0, 0);
	add(&s, 4, 9, 0, 0);
	s.regions[0].value[TOP_WORST_PAGE] = 0;
	s.regions[2].has_figures = false;
	memset(s.regions[2].value, 0, sizeof(s.regions[2].value));
	s.regions[2].value[TOP_WORST_PAGE] = TOP_NO_PAGE;
	memset(s.regions[2].comm, 0, sizeof(s.regions[2].comm));
	memset(s.regions[1].comm, 0, sizeof(s.regions[1].comm));
	memcpy(s.regions[1].comm, "a %b\n-\xff", 8);
	map = snapshot_add_map(&s);
	map->device = 1;
	map->mrn = 7;
	map->start = 0x7f0000000000;
	map->shift = 12;
	for (map->nr = 0; map->nr < TOP_MAP_CELLS; map->nr++)
		map->cells[map->nr] = (struct top_cell){ .present = map->nr, .huge = map->nr / 2 };
	snapshot_sort(&s);

	f = open_memstream(&text, &bytes);
	assert_int_equal(record_begin(f), 0);
	assert_int_equal(record_write(f, &s), 0);
	fclose(f);
	f = fmemopen(text, bytes, "r");
	assert_int_equal(record_load(f, &rec), 0);
	fclose(f);
	assert_int_equal(rec.nr, 1);
	assert_int_equal(rec.snapshots[0].nr_regions, 3);
	assert_memory_equal(rec.snapshots[0].regions, s.regions, 3 * sizeof(*s.regions));
	assert_memory_equal(rec.snapshots[0].maps, s.maps, sizeof(*s.maps));

	f = open_memstream(&again, &more);
	assert_int_equal(record_begin(f), 0);
	assert_int_equal(record_write(f, &rec.snapshots[0]), 0);
	fclose(f);
	assert_string_equal(text, again);
	free(again);
	record_free(&rec);

	/* Cut short anywhere: the whole, nothing of it, or no recording, and never half of one. */
	for (i = 1; i < bytes; i++) {
		int err;

		f = fmemopen(text, i, "r");
		err = record_load(f, &rec);
		fclose(f);
		assert_true(!err || err == -EPROTO);
		assert_int_equal(rec.nr, 0);
		record_free(&rec);
	}
	free(text);
	snapshot_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_and_refaults),
		cmocka_unit_test(numbers_come_again),
		cmocka_unit_test(rows_in_every_order),
		cmocka_unit_test(each_rate),
		cmocka_unit_test(sorted_by_each),
		cmocka_unit_test(filters),
		cmocka_unit_test(texts),
		cmocka_unit_test(bars),
		cmocka_unit_test(columns_of_any_width),
		cmocka_unit_test(names_of_all_bytes),
		cmocka_unit_test(lines_of_the_tracepoint),
		cmocka_unit_test(faults_of_a_region),
		cmocka_unit_test(recordings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
