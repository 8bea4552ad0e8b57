// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "app.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Root's has addresses of other users' memory: it is for who made it alone. */
static FILE *app_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool app_open_replay(struct top_app *app)
{
	FILE *f = fopen(app->replay_path, "re");
	int err;

	if (!f) {
		fprintf(stderr, "odp_top: %s: %s\n", app->replay_path, strerror(errno));
		return false;
	}
	err = record_load(f, &app->rec);
	fclose(f);
	if (err == -EPROTO)
		fprintf(stderr,
			"odp_top: %s: line %zu is not of a recording; odp_top --record makes one\n",
			app->replay_path, app->rec.bad_line);
	else if (err)
		fprintf(stderr, "odp_top: %s: %s\n", app->replay_path, strerror(-err));
	else if (!app->rec.nr)
		fprintf(stderr, "odp_top: %s: nothing was recorded\n", app->replay_path);
	return !err && app->rec.nr;
}

bool app_open(struct top_app *app)
{
	int err;

	app->nl.fd = -1;
	app->live = !app->replay_path;
	if (!app->live)
		return app_open_replay(app);
	err = nl_open(&app->nl);
	if (err) {
		fprintf(stderr,
			"odp_top: no RDMA netlink (%s): load the modules, modprobe ib_core rxe_odp\n",
			strerror(-err));
		return false;
	}
	if (!app->record_path)
		return true;
	app->record = app_create(app->record_path);
	if (!app->record || record_begin(app->record)) {
		fprintf(stderr, "odp_top: %s cannot be written: %s\n", app->record_path,
			strerror(errno));
		return false;
	}
	return true;
}

void app_close(struct top_app *app)
{
	if (app->record)
		fclose(app->record);
	nl_close(&app->nl);
	snapshot_free(&app->own);
	record_free(&app->rec);
	model_free(&app->model);
}

static int app_next_live(struct top_app *app)
{
	struct top_snapshot s;
	int err;

	err = source_read(&app->nl, &s);
	if (err)
		return err;
	if (app->record) {
		source_read_maps(&app->nl, &s);
		err = record_write(app->record, &s);
	}
	/* Rows point into what goes. */
	model_drop_rows(&app->model);
	snapshot_free(&app->own);
	app->own = s;
	app->now = &app->own;
	return err;
}

int app_next(struct top_app *app)
{
	int err = 0;

	if (app->live)
		err = app_next_live(app);
	else if (app->next < app->rec.nr)
		app->now = &app->rec.snapshots[app->next++];
	else
		err = -ENODATA;
	return err ? err : model_feed(&app->model, app->now);
}

/* What the model knows of the past is made again: refaults are counted from the beginning. */
int app_back(struct top_app *app)
{
	size_t to = app->next > 1 ? app->next - 1 : 1;
	int err = 0;

	if (app->live)
		return 0;
	model_free(&app->model);
	app->next = 0;
	while (!err && app->next < to)
		err = app_next(app);
	return err;
}

int app_rows(struct top_app *app)
{
	return model_rows(&app->model, app->now, &app->filter, app->sort, app->reverse, app->fold);
}

const struct top_map *app_map(struct top_app *app, uint32_t device, uint32_t mrn, int *err)
{
	const struct top_map *map = snapshot_map(app->now, device, mrn);

	*err = 0;
	if (!map && app->live) {
		*err = source_read_map(&app->nl, &app->own, device, mrn);
		map = snapshot_map(app->now, device, mrn);
	}
	if (!map && !*err)
		*err = -ENODATA;
	return map;
}
