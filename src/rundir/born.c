/* born.c - the first lines of all runs below a home: see rundir.h */
#include "base/arena.h"
#include "base/mem.h"
#include "rundir/intern.h"
#include "sys/path.h"

#include <stdio.h>
#include <string.h>

#define PIECE_BYTES ((size_t)8192)

struct births {
	const struct vfs *vfs;
	int runs_fd;
	const char *needle;
	struct limits limits;
	struct buf text; /* of the line at hand */
	struct buf scratch;
	rundir_born_fn *visit;
	void *arg;
};

static void births_fini(struct births *births)
{
	vfs_close(births->vfs, births->runs_fd);
	buf_fini(&births->text);
	buf_fini(&births->scratch);
}

/* The first line, without its newline; ptr NULL when there is no whole one. */
static enum err_code first_line(struct births *births, int fd, struct str *ret_line,
				struct err *err)
{
	struct buf *text = &births->text;
	const char *end = NULL;
	size_t got = 1;

	buf_clear(text);
	while (!end && got > 0 && text->len < births->limits.line_bytes) {
		size_t before = text->len;
		char *room = buf_room(text, PIECE_BYTES);

		if (!room)
			return buf_check(text, "an event", err);
		if (vfs_read(births->vfs, fd, room, PIECE_BYTES, before, &got, err) != ERR_OK)
			return err->code;
		buf_added(text, got);
		end = memchr(text->ptr + before, '\n', got);
	}
	*ret_line = end ? str_from(text->ptr, (size_t)(end - text->ptr)) : STR_NONE;
	return ERR_OK;
}

static enum err_code visit_run(struct births *births, struct str id, int fd, struct err *err)
{
	struct err ignored = ERR_INIT; /* what is no line of ours is no run */
	struct event created;
	struct str line;

	if (first_line(births, fd, &line, err) != ERR_OK)
		return err->code;
	if (!line.ptr || str_find(line, births->needle, 0) == SIZE_MAX)
		return ERR_OK;
	buf_clear(&births->scratch);
	if (log_decode(line, &births->scratch, &created, &ignored) != ERR_OK ||
	    created.type != EVENT_RUN_CREATED)
		return ERR_OK;
	return births->visit(births->arg, id, &created, err);
}

enum err_code rundir_born(const struct rundir *dir, rundir_born_fn *visit, void *arg,
			  struct err *err)
{
	AUTO(births_fini)
	struct births births = {
	    .vfs = &dir->vfs, .runs_fd = -1, .needle = "", .visit = visit, .arg = arg};
	enum err_code code;
	int fd = -1;

	limits_default(&births.limits);
	if (vfs_open(births.vfs, dir->fd, LOG_FILE, VFS_READ, &fd, err) != ERR_OK)
		return err->code;
	code = visit_run(&births, dir->id, fd, err);
	vfs_close(births.vfs, fd);
	return code;
}

/* Is it only that there is no such file: no run, or one that was removed meanwhile? */
static bool is_absence(const struct err *err)
{
	return err->code == ERR_NOT_FOUND || err->code == ERR_INVALID;
}

static enum err_code open_and_visit(struct births *births, struct str id, struct err *err)
{
	char path[RUN_ID_BYTES_MAX + sizeof(LOG_FILE) + 2];
	struct err problem = ERR_INIT;
	enum err_code code;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%.*s/" LOG_FILE, STR_ARG(id));
	if (vfs_open(births->vfs, births->runs_fd, path, VFS_READ, &fd, &problem) != ERR_OK) {
		if (is_absence(&problem))
			return ERR_OK;
		*err = problem;
		return err->code;
	}
	code = visit_run(births, id, fd, err);
	vfs_close(births->vfs, fd);
	return code;
}

enum err_code rundir_each_born(const struct vfs *vfs, const char *home, const char *needle,
			       rundir_born_fn *visit, void *arg, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(births_fini)
	struct births births = {
	    .vfs = vfs, .runs_fd = -1, .needle = needle, .visit = visit, .arg = arg};
	struct str *ids = NULL;
	size_t count = 0;

	limits_default(&births.limits);
	if (rundir_list(vfs, home, &arena, &ids, &count, err) != ERR_OK)
		return err->code;
	if (count == 0)
		return ERR_OK;
	if (path_absolute(home, &path, err) != ERR_OK)
		return err->code;
	buf_text(&path, "/" RUNS_DIR);
	if (buf_check(&path, "a path", err) != ERR_OK ||
	    vfs_root(vfs, path.ptr, false, &births.runs_fd, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		if (open_and_visit(&births, ids[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}
