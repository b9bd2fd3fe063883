/* runs.c - all runs below a home: their list, and a run by what a person calls it. See rundir.h */
#include "base/arena.h"
#include "base/mem.h"
#include "rundir/intern.h"
#include "sys/path.h"

#include <stdlib.h>
#include <string.h>

#define MATCHES_SHOWN 5

static enum err_code runs_open(const struct vfs *vfs, const char *home, struct buf *path,
			       int *ret_fd, struct err *err)
{
	if (path_absolute(home, path, err) != ERR_OK)
		return err->code;
	buf_text(path, "/" RUNS_DIR);
	if (buf_check(path, "a path", err) != ERR_OK)
		return err->code;
	return vfs_home(vfs, path->ptr, ret_fd, err);
}

struct listing {
	struct arena *arena;
	struct str *ids;
	size_t count;
	size_t capacity;
};

/* Births that were cut short (`.new-*`) have no valid id. */
static enum err_code list_visit(void *arg, const char *name, struct err *err)
{
	struct listing *list = arg;
	struct str id = str_of(name);
	void *ids = list->ids;

	if (!id_valid(id))
		return ERR_OK;
	if (mem_grow(&ids, &list->capacity, list->count + 1, sizeof(*list->ids), err) != ERR_OK)
		return err->code;
	list->ids = ids;
	id = arena_str(list->arena, id);
	if (!id.ptr)
		return mem_err(err);
	list->ids[list->count++] = id;
	return ERR_OK;
}

static int newest_first(const void *a, const void *b)
{
	return -str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum err_code rundir_list(const struct vfs *vfs, const char *home, struct arena *arena,
			  struct str **ret_ids, size_t *ret_count, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct listing list = {.arena = arena};
	struct str *ids;
	enum err_code code;
	int fd = -1;

	code = runs_open(vfs, home, &path, &fd, err);
	if (code == ERR_NOT_FOUND) { /* nothing was run yet */
		err_reset(err);
		*ret_ids = NULL;
		*ret_count = 0;
		return ERR_OK;
	}
	if (code != ERR_OK)
		return code;
	code = vfs_list(vfs, fd, list_visit, &list, err);
	vfs_close(vfs, fd);
	ids = code == ERR_OK ? arena_new(arena, list.count, sizeof(*ids)) : NULL;
	if (ids && list.count) {
		memcpy(ids, list.ids, list.count * sizeof(*ids));
		qsort(ids, list.count, sizeof(*ids), newest_first);
	}
	mem_free(list.ids);
	if (code != ERR_OK)
		return code;
	if (!ids)
		return mem_err(err);
	*ret_ids = ids;
	*ret_count = list.count;
	return ERR_OK;
}

/* ---- finding ---- */

struct finding {
	const char *home;
	const struct vfs *vfs;
	int runs_fd;
	struct str *ids;
	size_t count;
};

/* A directory in runs/: NOT_FOUND when it is none. */
static enum err_code run_open(const struct finding *find, struct str id, int *ret_fd,
			      struct err *err)
{
	/* The ids are copies in an arena and end in NUL. */
	if (vfs_open(find->vfs, find->runs_fd, id.ptr, VFS_DIR, ret_fd, err) != ERR_OK) {
		if (err->code == ERR_INVALID)
			err->code = ERR_NOT_FOUND;
		return err->code;
	}
	return ERR_OK;
}

struct dated {
	struct str id;
	int64_t utc_ms;
};

static int latest_first(const void *a, const void *b)
{
	const struct dated *left = a;
	const struct dated *right = b;

	if (left->utc_ms != right->utc_ms)
		return left->utc_ms < right->utc_ms ? 1 : -1;
	return -str_cmp(left->id, right->id);
}

/* The runs by time of creation. What is no run, or a damaged one, has none and is left out. */
static enum err_code dated_list(const struct finding *find, struct dated *runs, size_t *ret_count,
				struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < find->count; i++) {
		char id[RUN_ID_BYTES_MAX + 1];
		struct err problem = ERR_INIT;
		int64_t utc_ms = 0;
		int fd = -1;
		enum err_code code = run_open(find, find->ids[i], &fd, &problem);

		if (code == ERR_OK)
			code = created_read(find->vfs, fd, id, &utc_ms, &problem);
		vfs_close(find->vfs, fd);
		if (code == ERR_OK) {
			runs[count++] = (struct dated){find->ids[i], utc_ms};
		} else if (code != ERR_NOT_FOUND && code != ERR_CORRUPT) {
			*err = problem;
			return code;
		}
	}
	if (count)
		qsort(runs, count, sizeof(*runs), latest_first);
	*ret_count = count;
	return ERR_OK;
}

/* The newest state that the run's own events name. */
static enum err_code state_visit(void *arg, const struct event *event, struct str line,
				 struct err *err)
{
	bool *is_failed = arg;

	(void)line;
	(void)err;
	if (event->type == EVENT_RUN_STATE_CHANGED || event->type == EVENT_RUN_COMPLETED)
		*is_failed = str_is(event_text(event, EVENT_FIELD_NEW_STATE), "failed");
	return ERR_OK;
}

static enum err_code run_is_failed(const struct finding *find, struct str id, bool *ret_failed,
				   struct err *err)
{
	struct log_reading reading;
	struct limits limits;
	bool failed = false;
	enum err_code code;
	int fd = -1;

	limits_default(&limits);
	if (run_open(find, id, &fd, err) != ERR_OK)
		return err->code;
	code = log_read(find->vfs, fd, &limits, 0, state_visit, &failed, &reading, err);
	vfs_close(find->vfs, fd);
	if (code == ERR_OK)
		*ret_failed = failed;
	return code;
}

static enum err_code find_by_time(const struct finding *find, bool failed_only, struct str *ret_id,
				  struct err *err)
{
	AUTO(mem_drop) struct dated *runs = mem_new(find->count, sizeof(*runs));
	size_t count = 0;

	if (!runs)
		return mem_err(err);
	if (dated_list(find, runs, &count, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		bool failed = true;

		if (failed_only && run_is_failed(find, runs[i].id, &failed, err) != ERR_OK)
			return err->code;
		if (failed) {
			*ret_id = runs[i].id;
			return ERR_OK;
		}
	}
	return err_set(err, ERR_NOT_FOUND, failed_only ? "no run has failed" : "there is no run");
}

static enum err_code unknown(const struct finding *find, struct str name, struct err *err)
{
	AUTO(mem_drop) const char **names = mem_new(find->count, sizeof(*names));
	const char *nearest = NULL;

	for (size_t i = 0; names && i < find->count; i++)
		names[i] = find->ids[i].ptr;
	if (names)
		nearest = str_nearest(name, names, find->count);
	(void)err_set(err, ERR_NOT_FOUND, "there is no run '%.*s'", STR_ARG(name));
	return nearest ? err_hint(err, "did you mean '%s'?", nearest)
		       : err_hint(err, "`sluice list` shows the runs of '%s'", find->home);
}

static enum err_code find_by_id(const struct finding *find, struct str name, struct str *ret_id,
				struct err *err)
{
	AUTO(buf_fini) struct buf shown = BUF_INIT;
	struct str match = STR_NONE;
	size_t matches = 0;

	for (size_t i = 0; i < find->count; i++) {
		struct str id = find->ids[i];

		if (str_eq(id, name)) {
			*ret_id = id;
			return ERR_OK;
		}
		if (id.len < name.len || !str_eq(str_cut(id, 0, name.len), name))
			continue;
		if (matches++ < MATCHES_SHOWN)
			buf_fmt(&shown, "%s%.*s", matches > 1 ? ", " : "", STR_ARG(id));
		match = id;
	}
	if (matches == 0 || name.len == 0)
		return unknown(find, name, err);
	if (matches > 1) {
		(void)err_set(err, ERR_REFUSED, "'%.*s' is the beginning of %zu runs: %.*s%s",
			      STR_ARG(name), matches, STR_ARG(buf_view(&shown)),
			      matches > MATCHES_SHOWN ? ", ..." : "");
		return err_hint(err, "give more of the id");
	}
	*ret_id = match;
	return ERR_OK;
}

static enum err_code find_in_home(const struct vfs *vfs, const char *home, struct str name,
				  struct arena *arena, struct buf *path, struct err *err)
{
	struct finding find = {.vfs = vfs, .home = home, .runs_fd = -1};
	struct str id = STR_NONE;
	enum err_code code;

	if (rundir_list(vfs, home, arena, &find.ids, &find.count, err) != ERR_OK)
		return err->code;
	if (find.count == 0) {
		(void)err_set(err, ERR_NOT_FOUND,
			      "there is no run '%.*s', nor any other below '%s'", STR_ARG(name),
			      home);
		return err_hint(
		    err, "`sluice run FILE` starts one; --dir names another state directory");
	}
	if (runs_open(vfs, home, path, &find.runs_fd, err) != ERR_OK)
		return err->code;
	if (str_is(name, "@latest") || str_is(name, "@failed"))
		code = find_by_time(&find, str_is(name, "@failed"), &id, err);
	else
		code = find_by_id(&find, name, &id, err);
	vfs_close(vfs, find.runs_fd);
	if (code != ERR_OK)
		return code;
	buf_byte(path, '/');
	buf_str(path, id);
	return buf_check(path, "a path", err);
}

enum err_code rundir_find(const struct vfs *vfs, const char *home, struct str name,
			  struct buf *out_path, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(buf_fini) struct buf given = BUF_INIT;
	struct arena arena = ARENA_INIT;
	enum err_code code;

	if (str_has(name, '\0'))
		return err_set(err, ERR_NOT_FOUND, "there is no run of that name");
	if (str_has(name, '/')) {
		buf_str(&given, name);
		if (buf_check(&given, "a path", err) != ERR_OK)
			return err->code;
		return path_absolute(given.ptr, out_path, err);
	}
	code = find_in_home(vfs, home, name, &arena, &path, err);
	arena_fini(&arena);
	if (code != ERR_OK)
		return code;
	buf_str(out_path, buf_view(&path));
	return buf_check(out_path, "a path", err);
}
