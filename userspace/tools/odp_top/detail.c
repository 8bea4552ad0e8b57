// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One region: its figures, how long its faults took, its map, its last faults. */
#include "format.h"
#include "screen.h"
#include "source.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FIGURE_LINES 7
#define RIGHT	     41
#define CELL_PART    '-'
#define CELL_WORST   '*'

static void detail_title(const struct top_row *row, const struct top_map *map, int y)
{
	char text[256], size[TOP_TEXT_BYTES], where[64] = "";

	format_bytes(size, row->bytes);
	if (map)
		snprintf(where, sizeof(where), " at 0x%" PRIx64, map->start);
	snprintf(text, sizeof(text), "mr %u of %s (pid %u) on %s: %s, %s%s", row->region->mrn,
		 row->comm, row->pid, row->device ? row->device->name : "?",
		 *row->region->kind ? row->region->kind : "?",
		 row->implicit ? "all memory of the process" : size, where);
	format_clean(text);
	screen_put(y, 0, screen_attr(LOOK_HEAD), text);
}

static void detail_figure(int y, int x, const char *name, const char *value)
{
	char text[64];

	snprintf(text, sizeof(text), "%-20s %8s", name, value);
	screen_put(y, x, 0, text);
}

/* What was counted, and how much of it a second. */
static void detail_rate(int y, const char *name, const struct top_row *row, enum top_rate rate)
{
	char total[TOP_TEXT_BYTES], per[TOP_TEXT_BYTES], text[80];

	format_count(total, row->flow.total[rate]);
	format_count(per, row->flow.rate[rate]);
	snprintf(text, sizeof(text), "%-20s %8s %6s/s", name, total, per);
	screen_put(y, 0, 0, text);
}

static void detail_figures(const struct top_row *row, uint32_t page_bytes, int y)
{
	const uint64_t *value = row->region->value;
	char text[TOP_TEXT_BYTES];

	detail_rate(y, "pages faulted in", row, TOP_RATE_FAULT);
	detail_rate(y + 1, "pages taken", row, TOP_RATE_INVALIDATE);
	detail_rate(y + 2, "pages prefetched", row, TOP_RATE_PREFETCH);
	detail_rate(y + 3, "refaults, at most", row, TOP_RATE_REFAULT);
	format_bytes(text, row->resident * page_bytes);
	detail_figure(y + 4, 0, "resident", text);
	format_bytes(text, row->huge * page_bytes);
	detail_figure(y + 5, 0, "of that huge", text);
	format_count(text, value[TOP_FAILED]);
	detail_figure(y + 6, 0, "failed faults", text);
}

static void detail_times(const struct top_row *row, int y)
{
	static const char *const names[] = { "< 10us",	"< 100us", "< 1ms", "< 10ms",
					     "< 100ms", "< 1s",	   "longer" };
	const uint64_t *count = row->region->value + TOP_BELOW_10US;
	int room = COLS - RIGHT - 16, i, len;
	char text[64], bar[48];
	uint64_t most = 1;

	if (room > 40)
		room = 40;
	for (i = 0; i < FIGURE_LINES; i++)
		if (count[i] > most)
			most = count[i];
	for (i = 0; i < FIGURE_LINES; i++) {
		format_count(text, count[i]);
		screen_put(y + i, RIGHT, 0, names[i]);
		screen_put(y + i, RIGHT + 14 - (int)strlen(text), 0, text);
		len = room > 0 ? (double)count[i] / most * room + 0.999 : 0;
		memset(bar, '|', len);
		bar[len] = 0;
		screen_put(y + i, RIGHT + 15, screen_attr(LOOK_SMALL), bar);
	}
}

static void detail_worst(const struct top_row *row, const struct top_map *map, int y)
{
	char text[128], time[TOP_TEXT_BYTES], where[64] = "";

	if (!row->worst)
		return;
	format_time(time, row->worst_ns);
	if (map && map->worst)
		snprintf(where, sizeof(where), ", address 0x%" PRIx64, map->worst);
	if (row->region->value[TOP_WORST_PAGE] == TOP_NO_PAGE)
		snprintf(text, sizeof(text), "The longest fault took %s%s.", time, where);
	else
		snprintf(text, sizeof(text), "The longest fault took %s: page %" PRIu64 "%s.", time,
			 row->region->value[TOP_WORST_PAGE], where);
	screen_put(y, 0, 0, text);
}

/* Cells [first, end) as one character. */
static char map_char(const struct top_map *map, uint32_t first, uint32_t end)
{
	unsigned int present = 0, huge = 0, i;
	uint64_t worst = (map->worst >> map->shift) - (map->start >> map->shift);

	if (map->worst && map->worst >= map->start && worst >= first && worst < end)
		return CELL_WORST;
	for (i = first; i < end; i++) {
		present += map->cells[i].present;
		huge += map->cells[i].huge;
	}
	if (!present)
		return TOP_BAR_ABSENT;
	if (present < 255 * (end - first))
		return CELL_PART;
	return huge * 2 >= present ? TOP_BAR_HUGE : TOP_BAR_SMALL;
}

/* Returns how many lines it took. */
static int detail_map(const struct top_map *map, int y, int lines)
{
	uint32_t width = COLS < 256 ? COLS : 256, per = 1, at = 0, end;
	char line[257], text[160], each[TOP_TEXT_BYTES];
	int used = 0;

	while (lines > 0 && (map->nr + per - 1) / per > width * lines)
		per++;
	format_bytes(each, ((uint64_t)per << map->shift));
	snprintf(text, sizeof(text),
		 "Map, %s a character: # huge  = small  - in part  . absent  * longest fault",
		 each);
	screen_put(y, 0, screen_attr(LOOK_TITLES), text);
	for (; used < lines && at < map->nr; used++) {
		uint32_t i;

		for (i = 0; i < width && at < map->nr; i++, at = end) {
			end = at + per < map->nr ? at + per : map->nr;
			line[i] = map_char(map, at, end);
		}
		line[i] = 0;
		screen_put_cells(y + 1 + used, 0, line);
	}
	return used + 1;
}

static int detail_no_map(const struct top_row *row, int err, int y)
{
	const char *why = "The driver has no map of it. How many pages are there:";
	int width = COLS < 200 ? COLS : 200;
	char bar[256];

	if (err == -EPERM)
		why = "Which pages are there only root is told (CAP_NET_ADMIN). How many are:";
	else if (err == -ENODATA)
		why = "The recording has no map of it; one made by root has. How many are there:";
	screen_put(y, 0, screen_attr(LOOK_TITLES), why);
	if (width < 3 || !row->pages)
		return 1;
	bar[0] = '[';
	format_bar(bar + 1, width - 2, row->pages, row->resident, row->huge);
	memcpy(bar + width - 1, "]", 2);
	screen_put_cells(y + 1, 0, bar);
	return 2;
}

/* As many as it has counted at most: those before were of another region, of which this one has the addresses. */
static void detail_faults(const struct top_row *row, const struct top_faults *faults,
			  const struct top_map *map, uint32_t page_bytes, int y, int lines)
{
	uint64_t counted = row->region->value[TOP_FAULTS], back;
	char text[160], time[TOP_TEXT_BYTES];
	const struct top_fault *fault;
	uint32_t pid;
	int used = 1;

	if (lines < 2 || !map || faults->pipe < 0)
		return;
	screen_put(y, 0, screen_attr(LOOK_TITLES), "Its last faults");
	pid = source_process(row->pid);
	for (back = 0; used < lines && back < counted; back++) {
		fault = faults_of(faults, pid, map->start, map->start + map->length - 1, back);
		if (!fault)
			break;
		format_time(time, fault->ns);
		snprintf(text, sizeof(text), "%8s  page %-10" PRIu64 " 0x%" PRIx64 " %s%s", time,
			 fault->va / page_bytes - map->start / page_bytes, fault->va,
			 fault->write ? "to be written" : "to be read",
			 fault->err ? ", failed" : "");
		screen_put(y + used++, 0, 0, text);
	}
}

void detail_draw(struct top_app *app, const struct top_row *row, const struct top_faults *faults,
		 int y, int lines)
{
	const struct top_map *map = NULL;
	int err = 0, at = y + 1, map_lines;

	if (row->on_demand)
		map = app_map(app, row->region->device, row->region->mrn, &err);
	detail_title(row, map, y);
	if (!row->on_demand) {
		screen_put(
			y + 2, 0, 0,
			"It is not on demand: all of its pages are there until it is deregistered.");
		return;
	}
	detail_figures(row, app->now->page_bytes, at);
	detail_times(row, at);
	at += FIGURE_LINES;
	detail_worst(row, map, at++);
	map_lines = y + lines - at - 1;
	/* Half of what is left is for the faults, where there is room. */
	if (faults->pipe >= 0 && map && map_lines > 8)
		map_lines /= 2;
	at += map ? detail_map(map, at, map_lines) : detail_no_map(row, err, at);
	detail_faults(row, faults, map, app->now->page_bytes, at, y + lines - at);
}
