// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_top: which processes have registered memory with RDMA devices, how much of it the NIC finds present, and how fast pages come and
 * go. The layers, each of which knows only those before it:
 *
 *	snapshot	what was read at one moment
 *	netlink, source	the kernel
 *	record		a file
 *	model		rates, sums, order; pure
 *	format, json	text; pure
 *	app		where snapshots come from
 *	faults		the last faults, by a tracepoint
 *	screen, detail	curses
 */
#include "app.h"
#include "format.h"
#include "json.h"
#include "screen.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum how { HOW_SCREEN, HOW_ONCE, HOW_JSON, HOW_JSON_ONCE };

static void usage(FILE *f)
{
	fputs("usage: odp_top [OPTION]...\n"
	      "Shows what memory processes have registered with RDMA devices, how much of it the NIC finds\n"
	      "present, and how fast pages come and go. In the screen, h lists the keys.\n"
	      "\n"
	      "  -1, --once          print it once, with totals since each registration\n"
	      "  -j, --json          print a line of JSON for each reading; with --once only one\n"
	      "  -d, --delay S       seconds between readings (2)\n"
	      "  -n, --iterations N  end after N readings\n"
	      "  -r, --record FILE   write each reading to FILE as well\n"
	      "  -R, --replay FILE   show what was recorded instead; with --once its last reading\n"
	      "  -s, --sort KEY      faults, invalidations, prefetch, refaults, worst, resident, size, pid\n"
	      "  -f, --filter TEXT   only regions with TEXT in the command, device or kind, or of that PID\n"
	      "  -p, --pid PID       only that process\n"
	      "  -u, --user [USER]   only processes of USER (of the caller)\n"
	      "  -a, --all           also regions that are not on demand\n"
	      "  -P, --processes     only processes, without their regions\n"
	      "  -h, --help\n",
	      f);
}

static bool parse_ulong(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && !errno && *value <= max;
}

static bool parse_sort(const char *text, enum top_sort *sort)
{
	int i = top_find_name(top_sort_names, TOP_SORTS, text, strlen(text));

	if (i >= 0)
		*sort = i;
	return i >= 0;
}

static bool parse_user(const char *text, uint32_t *uid)
{
	const struct passwd *pw;
	unsigned long number;

	if (!text) {
		*uid = geteuid();
		return true;
	}
	pw = getpwnam(text);
	if (pw)
		*uid = pw->pw_uid;
	else if (parse_ulong(text, UINT32_MAX - 1, &number))
		*uid = number;
	else
		return false;
	return true;
}

static bool parse_delay(const char *text, double *delay_s)
{
	char *end;

	*delay_s = strtod(text, &end);
	return end != text && !*end && isfinite(*delay_s) && *delay_s >= 0.1 && *delay_s <= 86400;
}

static int bad(const char *what, const char *text)
{
	fprintf(stderr, "odp_top: %s '%s'; see odp_top --help\n", what, text);
	return 2;
}

/* 0, or an exit status. */
static int parse_option(struct top_app *app, enum how *how, int option, const char *text)
{
	unsigned long number;

	switch (option) {
	case '1':
		*how = *how == HOW_JSON ? HOW_JSON_ONCE : *how == HOW_SCREEN ? HOW_ONCE : *how;
		return 0;
	case 'j':
		*how = *how == HOW_ONCE ? HOW_JSON_ONCE : *how == HOW_SCREEN ? HOW_JSON : *how;
		return 0;
	case 'd':
		return parse_delay(text, &app->delay_s) ? 0 :
							  bad("no delay of 0.1 s or more is", text);
	case 'n':
		return parse_ulong(text, ULONG_MAX, &app->iterations) && app->iterations ?
			       0 :
			       bad("no number of readings is", text);
	case 'r':
		app->record_path = text;
		return 0;
	case 'R':
		app->replay_path = text;
		return 0;
	case 's':
		return parse_sort(text, &app->sort) ? 0 : bad("nothing to sort by is", text);
	case 'f':
		snprintf(app->text, sizeof(app->text), "%s", text);
		app->filter.text = app->text;
		return 0;
	case 'p':
		if (!parse_ulong(text, INT32_MAX, &number) || !number)
			return bad("no PID is", text);
		app->filter.pid = number;
		return 0;
	case 'u':
		return parse_user(text, &app->filter.uid) ? 0 : bad("no user is", text);
	case 'a':
		app->filter.all = true;
		return 0;
	case 'P':
		app->fold = true;
		return 0;
	}
	return 2;
}

/* -1, or an exit status. */
static int parse(struct top_app *app, enum how *how, int argc, char **argv)
{
	static const struct option options[] = {
		{ "once", no_argument, NULL, '1' },
		{ "json", no_argument, NULL, 'j' },
		{ "delay", required_argument, NULL, 'd' },
		{ "iterations", required_argument, NULL, 'n' },
		{ "record", required_argument, NULL, 'r' },
		{ "replay", required_argument, NULL, 'R' },
		{ "sort", required_argument, NULL, 's' },
		{ "filter", required_argument, NULL, 'f' },
		{ "pid", required_argument, NULL, 'p' },
		{ "user", optional_argument, NULL, 'u' },
		{ "all", no_argument, NULL, 'a' },
		{ "processes", no_argument, NULL, 'P' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, err;

	while ((option = getopt_long(argc, argv, "1jd:n:r:R:s:f:p:u::aPh", options, NULL)) != -1) {
		const char *text = optarg;

		if (option == 'h') {
			usage(stdout);
			return 0;
		}
		if (option == '?') {
			fputs("Try odp_top --help.\n", stderr);
			return 2;
		}
		/* A name may also stand apart, as with the other options. */
		if (option == 'u' && !text && optind < argc && argv[optind][0] != '-')
			text = argv[optind++];
		err = parse_option(app, how, option, text);
		if (err)
			return err;
	}
	if (optind < argc)
		return bad("nothing is known of", argv[optind]);
	if (app->record_path && app->replay_path)
		return bad("what is replayed is not recorded again to", app->record_path);
	return -1;
}

static int screen_width(void)
{
	const char *columns = getenv("COLUMNS");
	unsigned long width;
	struct winsize size;

	if (columns && parse_ulong(columns, TOP_LINE_BYTES - 1, &width) && width >= 40)
		return width;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 40)
		return size.ws_col < TOP_LINE_BYTES ? size.ws_col : TOP_LINE_BYTES - 1;
	return 120;
}

static void print_line(char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == ' ')
		len--;
	line[len] = 0;
	puts(line);
}

static void print_table(const struct top_app *app)
{
	char line[TOP_LINE_BYTES];
	struct top_layout l;
	size_t i;

	format_head(line, sizeof(line), app->now, &app->model);
	puts(line);
	for (i = 0; i < app->now->nr_devices; i++) {
		format_device(line, sizeof(line), app->now, &app->model, i, true);
		puts(line);
	}
	layout_make(&l, screen_width(), true, app->now->page_bytes);
	layout_titles(&l, line);
	print_line(line);
	for (i = 0; i < app->model.nr_rows; i++) {
		layout_row(&l, &app->model.rows[i], line);
		print_line(line);
	}
}

static int print_one(struct top_app *app, enum how how)
{
	int err;

	if (how != HOW_ONCE)
		app->fold = false;
	err = app_rows(app);
	if (err)
		return err;
	if (how == HOW_ONCE)
		print_table(app);
	else
		json_write(stdout, app->now, &app->model);
	return fflush(stdout) ? -errno : 0;
}

static void pause_for(double seconds)
{
	struct timespec ts = { .tv_sec = seconds,
			       .tv_nsec = (seconds - (time_t)seconds) * 1000000000 };

	nanosleep(&ts, NULL);
}

/* Every reading, or of a recording with "once" the last. */
static int print_all(struct top_app *app, enum how how)
{
	bool once = how != HOW_JSON;
	unsigned long nr = 0;
	int err;

	while (!(err = app_next(app))) {
		if (!once || app->live || app->next == app->rec.nr)
			err = print_one(app, how);
		if (err || (once && app->live) || ++nr == app->iterations)
			break;
		if (app->live)
			pause_for(app->delay_s);
	}
	if (!err || err == -ENODATA)
		return 0;
	fprintf(stderr, "odp_top: %s\n", strerror(-err));
	return 1;
}

int main(int argc, char **argv)
{
	struct top_app app = { .delay_s = 2, .filter.uid = TOP_NO_UID };
	enum how how = HOW_SCREEN;
	int status;

	setlocale(LC_ALL, "");
	/* Numbers as everywhere else. */
	setlocale(LC_NUMERIC, "C");
	status = parse(&app, &how, argc, argv);
	if (status >= 0)
		return status;
	if (!app_open(&app)) {
		app_close(&app);
		return 1;
	}
	if (how == HOW_SCREEN && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
		fputs("odp_top: this is no terminal: --once or --json print\n", stderr);
		status = 2;
	} else {
		status = how == HOW_SCREEN ? screen_run(&app) : print_all(&app, how);
	}
	app_close(&app);
	return status;
}
