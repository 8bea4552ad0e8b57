// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "format.h"
#include "screen.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEY_ESC 27

enum screen_view { VIEW_TABLE, VIEW_REGION, VIEW_HELP };

struct screen {
	struct top_app *app;
	struct top_faults faults;
	enum screen_view view;
	size_t selected; /* row */
	size_t first;	 /* row that is drawn first */
	/* What is selected, so that it stays when rows move. */
	uint32_t pid, device, mrn;
	bool of_process;
	bool paused;
	bool typing; /* the filter */
	bool quit;
	int page; /* rows that were drawn */
	char message[128];
};

static volatile sig_atomic_t screen_stop;

static void screen_on_signal(int nr)
{
	screen_stop = nr;
}

static const struct {
	short colour;
	int with, without; /* attributes, on a terminal with colours and on one without */
} looks[] = {
	[LOOK_PLAIN] = { -1, A_NORMAL, A_NORMAL },
	[LOOK_HEAD] = { -1, A_BOLD, A_BOLD },
	[LOOK_TITLES] = { -1, A_REVERSE, A_REVERSE },
	[LOOK_SELECTED] = { -1, A_REVERSE | A_BOLD, A_REVERSE | A_BOLD },
	[LOOK_PROCESS] = { -1, A_BOLD, A_BOLD },
	[LOOK_HUGE] = { COLOR_GREEN, A_BOLD, A_BOLD },
	[LOOK_SMALL] = { COLOR_CYAN, A_NORMAL, A_NORMAL },
	[LOOK_PART] = { COLOR_YELLOW, A_NORMAL, A_NORMAL },
	[LOOK_ABSENT] = { COLOR_BLUE, A_NORMAL, A_DIM },
	[LOOK_WORST] = { COLOR_RED, A_BOLD, A_REVERSE },
};

static bool screen_colours;

static void looks_begin(void)
{
	short i;

	if (!has_colors() || getenv("NO_COLOR"))
		return;
	start_color();
	use_default_colors();
	for (i = 0; i < (short)ARRAY_SIZE(looks); i++)
		init_pair(i + 1, looks[i].colour, -1);
	screen_colours = true;
}

int screen_attr(enum screen_look look)
{
	if (!screen_colours)
		return looks[look].without;
	return looks[look].with | (looks[look].colour >= 0 ? COLOR_PAIR(look + 1) : 0);
}

void screen_put(int y, int x, int attr, const char *text)
{
	if (y < 0 || y >= LINES || x < 0 || x >= COLS)
		return;
	attrset(attr);
	mvaddnstr(y, x, text, COLS - x);
	attrset(A_NORMAL);
}

static int cell_attr(char c)
{
	switch (c) {
	case TOP_BAR_HUGE:
		return screen_attr(LOOK_HUGE);
	case TOP_BAR_SMALL:
		return screen_attr(LOOK_SMALL);
	case '-':
		return screen_attr(LOOK_PART);
	case TOP_BAR_ABSENT:
		return screen_attr(LOOK_ABSENT);
	case '*':
		return screen_attr(LOOK_WORST);
	}
	return A_NORMAL;
}

void screen_put_cells(int y, int x, const char *cells)
{
	for (; y >= 0 && y < LINES && *cells && x < COLS; cells++, x++)
		mvaddch(y, x, (unsigned char)cells[0] | cell_attr(cells[0]));
}

static void table_draw_row(const struct top_layout *l, const struct top_row *row, int y,
			   bool selected)
{
	char line[TOP_LINE_BYTES], bar[TOP_LINE_BYTES];
	int attr = selected	? screen_attr(LOOK_SELECTED) :
		   !row->region ? screen_attr(LOOK_PROCESS) :
				  (int)A_NORMAL;
	int at = l->at[TOP_COL_BAR], width = l->width[TOP_COL_BAR];

	layout_row(l, row, line);
	screen_put(y, 0, attr, line);
	if (selected || !width || line[at] != '[')
		return;
	memcpy(bar, line + at, width);
	bar[width] = 0;
	screen_put_cells(y, at, bar);
}

static size_t screen_clamp(size_t value, size_t max)
{
	return value > max ? max : value;
}

static bool screen_is_selected(const struct screen *sc, const struct top_row *row)
{
	if (row->pid != sc->pid || !row->region != sc->of_process)
		return false;
	if (row->region)
		return row->region->device == sc->device && row->region->mrn == sc->mrn;
	return row->device && row->device->index == sc->device;
}

/* Where the selection is now; if it has gone, where it was. */
static void screen_follow(struct screen *sc)
{
	const struct top_model *m = &sc->app->model;
	size_t i;

	for (i = 0; i < m->nr_rows; i++) {
		if (screen_is_selected(sc, &m->rows[i])) {
			sc->selected = i;
			return;
		}
	}
	sc->selected = m->nr_rows ? screen_clamp(sc->selected, m->nr_rows - 1) : 0;
}

static const struct top_row *screen_row(const struct screen *sc)
{
	const struct top_model *m = &sc->app->model;

	return sc->selected < m->nr_rows ? &m->rows[sc->selected] : NULL;
}

static void screen_select(struct screen *sc, size_t i)
{
	const struct top_model *m = &sc->app->model;
	const struct top_row *row;

	if (!m->nr_rows)
		return;
	sc->selected = screen_clamp(i, m->nr_rows - 1);
	row = screen_row(sc);
	sc->pid = row->pid;
	sc->of_process = !row->region;
	sc->device = row->region ? row->region->device : row->device ? row->device->index : 0;
	sc->mrn = row->region ? row->region->mrn : 0;
}

static int screen_draw_head(struct screen *sc)
{
	const struct top_snapshot *s = sc->app->now;
	char text[256];
	int y = 0;
	size_t i;

	format_head(text, sizeof(text), s, &sc->app->model);
	screen_put(y++, 0, screen_attr(LOOK_HEAD), text);
	for (i = 0; i < s->nr_devices && y < LINES / 4; i++) {
		format_device(text, sizeof(text), s, &sc->app->model, i, false);
		screen_put(y++, 0, 0, text);
	}
	return y;
}

static void screen_draw_table(struct screen *sc, int y, int lines)
{
	const struct top_model *m = &sc->app->model;
	char line[TOP_LINE_BYTES];
	struct top_layout l;
	int i;

	layout_make(&l, screen_clamp(COLS, TOP_LINE_BYTES - 1), false, sc->app->now->page_bytes);
	layout_titles(&l, line);
	screen_put(y++, 0, screen_attr(LOOK_TITLES), line);
	sc->page = lines > 1 ? lines - 1 : 1;
	if (sc->selected < sc->first)
		sc->first = sc->selected;
	if (sc->selected >= sc->first + sc->page)
		sc->first = sc->selected - sc->page + 1;
	sc->first =
		screen_clamp(sc->first, m->nr_rows > (size_t)sc->page ? m->nr_rows - sc->page : 0);
	for (i = 0; i < sc->page && sc->first + i < m->nr_rows; i++)
		table_draw_row(&l, &m->rows[sc->first + i], y + i, sc->first + i == sc->selected);
	if (!m->nr_rows)
		screen_put(y, 0, 0,
			   sc->app->now->nr_regions ?
				   "No region that is asked for (/ filter, a all, u mine)." :
				   "No process has registered memory with an RDMA device here.");
}

static void screen_draw_help(int y)
{
	static const char *const text[] = {
		"Pages are those that the NIC finds in its table without a fault.",
		"  #  in entries of 2 MiB    =  in small ones    .  absent",
		"FAULT/s  pages that faults brought in     TAKEN/s  pages that were invalidated",
		"PREF/s   pages that were prefetched       REF/s    at most, pages that came back",
		"WORST    the longest fault so far, and AT PAGE the page that it was for",
		"",
		"Up Down PgUp PgDn Home End  select      Enter  a region's map and last faults",
		"s S  sort by the next, the last figure  r  the other way round",
		"/    filter: command, PID, device, kind a  those too that are not on demand",
		"u    only my processes                  f  only processes",
		"space  pause      + -  slower, faster   Left Right  (recordings) step",
		"q Esc  back, quit",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		screen_put(y + i, 0, 0, text[i]);
}

static void screen_draw_foot(const struct screen *sc)
{
	const struct top_app *app = sc->app;
	char text[256], state[96];

	if (sc->typing) {
		snprintf(text, sizeof(text), "Filter: %s_", app->text);
	} else if (*sc->message) {
		snprintf(text, sizeof(text), "%s", sc->message);
	} else {
		snprintf(state, sizeof(state), "%s%s%s%s", sc->paused ? "  PAUSED" : "",
			 app->live ? "" : "  RECORDING", app->filter.text ? "  filter " : "",
			 app->filter.text ? app->filter.text : "");
		snprintf(text, sizeof(text),
			 sc->view == VIEW_TABLE ?
				 "q quit  h help  Enter map  / filter  f fold  s sort: %s%s%s" :
				 "q back  h help%.0s%.0s%s",
			 top_sort_names[app->sort], app->reverse ? " reversed" : "", state);
	}
	screen_put(LINES - 1, 0, screen_attr(LOOK_TITLES), text);
}

static void screen_draw(struct screen *sc)
{
	const struct top_row *row;
	int y;

	erase();
	y = screen_draw_head(sc);
	row = screen_row(sc);
	switch (sc->view) {
	case VIEW_TABLE:
		screen_draw_table(sc, y, LINES - y - 1);
		break;
	case VIEW_REGION:
		if (row && row->region && screen_is_selected(sc, row))
			detail_draw(sc->app, row, &sc->faults, y, LINES - y - 1);
		else
			screen_put(y + 1, 0, 0, "The region has gone.");
		break;
	case VIEW_HELP:
		screen_draw_help(y);
		break;
	}
	screen_draw_foot(sc);
	refresh();
}

static void screen_rows(struct screen *sc)
{
	int err = app_rows(sc->app);

	if (err)
		snprintf(sc->message, sizeof(sc->message), "%s", strerror(-err));
	screen_follow(sc);
}

/* Takes the next snapshot; at its end a recording stands still. */
static void screen_next(struct screen *sc)
{
	int err = app_next(sc->app);

	sc->message[0] = 0;
	if (err == -ENODATA) {
		sc->paused = true;
		snprintf(sc->message, sizeof(sc->message),
			 "The recording ends here: Left goes back, q quits.");
	} else if (err) {
		snprintf(sc->message, sizeof(sc->message), "%s", strerror(-err));
	}
	faults_read(&sc->faults);
	if (sc->app->now)
		screen_rows(sc);
}

static void screen_back(struct screen *sc)
{
	if (sc->app->live)
		return;
	sc->paused = true;
	sc->message[0] = 0;
	app_back(sc->app);
	screen_rows(sc);
}

/* Enter on a process: its first region. */
static void screen_enter(struct screen *sc)
{
	const struct top_row *row = screen_row(sc);

	if (!row)
		return;
	if (!row->region) {
		if (sc->app->fold) {
			sc->app->fold = false;
			screen_rows(sc);
		}
		screen_select(sc, sc->selected + 1);
	}
	sc->view = VIEW_REGION;
}

static void screen_key_typing(struct screen *sc, int key)
{
	struct top_app *app = sc->app;
	size_t len = strlen(app->text);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		sc->typing = false;
	} else if (key == KEY_ESC) {
		sc->typing = false;
		app->text[0] = 0;
	} else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (len)
			app->text[len - 1] = 0;
	} else if (key >= ' ' && key <= '~' && len + 1 < sizeof(app->text)) {
		app->text[len] = key;
		app->text[len + 1] = 0;
	}
	app->filter.text = *app->text ? app->text : NULL;
	screen_rows(sc);
}

static bool screen_key_move(struct screen *sc, int key)
{
	size_t at = sc->selected, page = sc->page;

	switch (key) {
	case KEY_UP:
	case 'k':
		screen_select(sc, at ? at - 1 : 0);
		return true;
	case KEY_DOWN:
	case 'j':
		screen_select(sc, at + 1);
		return true;
	case KEY_PPAGE:
		screen_select(sc, at > page ? at - page : 0);
		return true;
	case KEY_NPAGE:
		screen_select(sc, at + page);
		return true;
	case KEY_HOME:
		screen_select(sc, 0);
		return true;
	case KEY_END:
		screen_select(sc, SIZE_MAX);
		return true;
	}
	return false;
}

static bool screen_key_rows(struct screen *sc, int key)
{
	struct top_app *app = sc->app;

	switch (key) {
	case 's':
	case '>':
		app->sort = (app->sort + 1) % TOP_SORTS;
		break;
	case 'S':
	case '<':
		app->sort = (app->sort + TOP_SORTS - 1) % TOP_SORTS;
		break;
	case 'r':
		app->reverse = !app->reverse;
		break;
	case 'u':
		app->filter.uid = app->filter.uid == TOP_NO_UID ? geteuid() : TOP_NO_UID;
		break;
	case 'a':
		app->filter.all = !app->filter.all;
		break;
	case 'f':
		app->fold = !app->fold;
		break;
	default:
		return false;
	}
	screen_rows(sc);
	return true;
}

static void screen_key(struct screen *sc, int key)
{
	if (key != ('L' & 0x1f))
		sc->message[0] = 0;
	if (sc->typing) {
		screen_key_typing(sc, key);
		return;
	}
	switch (key) {
	case 'q':
	case KEY_ESC:
		if (sc->view == VIEW_TABLE)
			sc->quit = true;
		sc->view = VIEW_TABLE;
		return;
	case 'h':
	case '?':
	case KEY_F(1):
		sc->view = sc->view == VIEW_HELP ? VIEW_TABLE : VIEW_HELP;
		return;
	case ' ':
		sc->paused = !sc->paused;
		return;
	case '+':
		sc->app->delay_s *= 2;
		return;
	case '-':
		sc->app->delay_s = sc->app->delay_s > 0.2 ? sc->app->delay_s / 2 : 0.1;
		return;
	case 'L' & 0x1f:
		clearok(curscr, TRUE);
		return;
	case KEY_RIGHT:
		if (!sc->app->live)
			screen_next(sc);
		return;
	case KEY_LEFT:
		screen_back(sc);
		return;
	}
	if (sc->view == VIEW_HELP)
		return;
	if (screen_key_move(sc, key) || sc->view != VIEW_TABLE || screen_key_rows(sc, key))
		return;
	if (key == '/')
		sc->typing = true;
	else if (key == '\n' || key == '\r' || key == KEY_ENTER)
		screen_enter(sc);
}

static double screen_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void screen_loop(struct screen *sc)
{
	double due = screen_clock() + sc->app->delay_s, left;
	unsigned long shown = 1;
	int key;

	while (!sc->quit && !screen_stop) {
		screen_draw(sc);
		left = due - screen_clock();
		timeout(left <= 0 ? 0 : left > 1 ? 1000 : (int)(left * 1000) + 1);
		key = getch();
		if (key != ERR)
			screen_key(sc, key);
		else if (!isatty(STDIN_FILENO))
			/* The terminal has gone. */
			return;
		if (screen_clock() < due)
			continue;
		due = screen_clock() + sc->app->delay_s;
		if (sc->paused)
			continue;
		if (sc->app->iterations && shown++ >= sc->app->iterations)
			return;
		screen_next(sc);
	}
}

int screen_run(struct top_app *app)
{
	struct screen sc = { .app = app, .faults = { .pipe = -1 } };
	int err;

	err = app_next(app);
	if (err) {
		fprintf(stderr, "odp_top: the kernel does not tell (%s)\n", strerror(-err));
		return 1;
	}
	signal(SIGINT, screen_on_signal);
	signal(SIGTERM, screen_on_signal);
	signal(SIGHUP, screen_on_signal);
	if (!newterm(NULL, stdout, stdin)) {
		fprintf(stderr,
			"odp_top: the terminal '%s' is not known: set TERM, or take --once\n",
			getenv("TERM") ? getenv("TERM") : "");
		return 1;
	}
	if (app->live)
		faults_open(&sc.faults);
	looks_begin();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	screen_rows(&sc);
	screen_select(&sc, 0);
	screen_loop(&sc);
	endwin();
	faults_close(&sc.faults);
	return 0;
}
