/* rundir.c - where runs live, how one is born, how one is opened: see rundir.h */
#include "rundir/rundir.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "rundir/intern.h"
#include "sys/clock.h"
#include "sys/environment.h"
#include "sys/path.h"

#include <stdio.h>
#include <string.h>

#define TEMP_BYTES (RUN_ID_BYTES_MAX + 32)

/* ---- names ---- */

enum err_code entry_name(const char *folder, struct str step, uint32_t attempt, const char *suffix,
			 char name[ENTRY_BYTES], struct err *err)
{
	int len;

	if (step.len == 0 || step.len > 255 || step.ptr[0] == '.' || str_has(step, '/') ||
	    str_has(step, '\0'))
		return err_set(err, ERR_USAGE, "'%.*s' is no step path", STR_ARG(step));
	len = snprintf(name, ENTRY_BYTES, "%s/%.*s.%u%s", folder, STR_ARG(step), (unsigned)attempt,
		       suffix);
	BUG_IF(len < 0 || len >= ENTRY_BYTES);
	return ERR_OK;
}

static const char *env_path(const char *name)
{
	const char *value = environment_get(name);

	return value && value[0] ? value : NULL;
}

enum err_code rundir_home(const char *override, struct buf *out_path, struct err *err)
{
	const char *state;

	if (override && override[0])
		return path_absolute(override, out_path, err);
	state = env_path("SLUICE_HOME");
	if (state)
		return path_absolute(state, out_path, err);
	state = env_path("XDG_STATE_HOME"); /* a relative one is to be ignored, says its standard */
	if (state && state[0] == '/') {
		buf_text(out_path, state);
		buf_text(out_path, "/sluice");
		return buf_check(out_path, "a path", err);
	}
	state = env_path("HOME");
	if (!state || state[0] != '/') {
		(void)err_set(err, ERR_USAGE,
			      "there is no place for runs: HOME, XDG_STATE_HOME and SLUICE_HOME "
			      "are unset");
		return err_hint(err, "name one with --dir");
	}
	buf_text(out_path, state);
	buf_text(out_path, "/.local/state/sluice");
	return buf_check(out_path, "a path", err);
}

/* The second as text, the millisecond as three hex digits, then 24 random bits: ids sort by
 * time. */
enum err_code rundir_new_id(int64_t utc_ms, char id[64], struct err *err)
{
	char stamp[STAMP_BYTES + 1];
	uint8_t random[3];

	if (random_bytes(random, sizeof(random), err) != ERR_OK)
		return err->code;
	stamp_write(utc_ms, stamp);
	(void)snprintf(id, 64, "%.4s%.2s%.2sT%.2s%.2s%.2s-%03x%02x%02x%02x", stamp, stamp + 5,
		       stamp + 8, stamp + 11, stamp + 14, stamp + 17,
		       (unsigned)(((utc_ms % 1000) + 1000) % 1000), random[0], random[1],
		       random[2]);
	return ERR_OK;
}

/* ---- opening ---- */

/* NULL when memory is short. */
static struct rundir *rundir_make(const struct vfs *vfs, const char *path)
{
	struct rundir *dir = mem_new(1, sizeof(*dir));

	if (!dir)
		return NULL;
	dir->vfs = *vfs;
	dir->fd = -1;
	dir->path = mem_text(path, strlen(path));
	if (dir->path)
		return dir;
	mem_free(dir);
	return NULL;
}

struct first_line {
	char *id; /* RUN_ID_BYTES_MAX + 1 bytes */
	int64_t utc_ms;
	bool is_there;
};

/* The first event is enough: the code for "stop here" is one that reading a log never gives. */
static enum err_code first_visit(void *arg, const struct event *event, struct str line,
				 struct err *err)
{
	struct first_line *first = arg;

	(void)line;
	memcpy(first->id, event->run_id.ptr, event->run_id.len);
	first->id[event->run_id.len] = '\0';
	first->utc_ms = event->time_utc_ms;
	first->is_there = true;
	return err_set(err, ERR_CONFLICT, "enough");
}

enum err_code created_read(const struct vfs *vfs, int dir, char id[RUN_ID_BYTES_MAX + 1],
			   int64_t *ret_utc_ms, struct err *err)
{
	struct first_line first = {.id = id};
	struct log_reading reading;
	struct err problem = ERR_INIT;
	struct limits limits;
	enum err_code code;

	limits_default(&limits);
	code = log_read(vfs, dir, &limits, 0, first_visit, &first, &reading, &problem);
	if (first.is_there) {
		*ret_utc_ms = first.utc_ms;
		return ERR_OK;
	}
	*err = code == ERR_OK ? reading.problem : problem;
	BUG_IF(err->code == ERR_OK);
	return err_while(err, "%s", LOG_FILE);
}

static enum err_code hint_run(struct err *err)
{
	if (err->code != ERR_NOT_FOUND)
		return err->code;
	return err_hint(err,
			"a run is a directory with its events.jsonl; `sluice list` shows the runs");
}

/* The directory is open: is it a run? */
static enum err_code opened(struct rundir *dir, struct err *err)
{
	int64_t created_ms;

	if (created_read(&dir->vfs, dir->fd, dir->id_text, &created_ms, err) != ERR_OK) {
		(void)err_while(err, "'%s' is no run", dir->path);
		return hint_run(err);
	}
	dir->id = str_of(dir->id_text);
	return ERR_OK;
}

/* A link among the runs leads nowhere, whatever it leads to. A path to elsewhere is its owner's. */
static enum err_code dir_open(struct rundir *dir, struct err *err)
{
	AUTO(buf_fini) struct buf runs = BUF_INIT;
	const char *name = strrchr(dir->path, '/') + 1; /* it is absolute */
	enum err_code code;
	int fd = -1;

	buf_str(&runs, str_from(dir->path, (size_t)(name - 1 - dir->path)));
	if (buf_check(&runs, "a path", err) != ERR_OK)
		return err->code;
	if (!*name || !str_ends(buf_view(&runs), "/" RUNS_DIR))
		return vfs_root(&dir->vfs, dir->path, false, &dir->fd, err);
	if (vfs_root(&dir->vfs, runs.ptr, false, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_open(&dir->vfs, fd, name, VFS_DIR, &dir->fd, err);
	vfs_close(&dir->vfs, fd);
	return code;
}

enum err_code rundir_open(const struct vfs *vfs, const char *path, struct rundir **ret_dir,
			  struct err *err)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	AUTO(rundir_drop) struct rundir *dir = NULL;

	if (path_absolute(path, &whole, err) != ERR_OK)
		return err->code;
	dir = rundir_make(vfs, whole.ptr);
	if (!dir)
		return mem_err(err);
	if (dir_open(dir, err) != ERR_OK) {
		if (err->code == ERR_INVALID) /* a file of that name is no run */
			err->code = ERR_NOT_FOUND;
		return hint_run(err);
	}
	if (opened(dir, err) != ERR_OK)
		return err->code;
	*ret_dir = TAKE(dir, NULL);
	return ERR_OK;
}

enum err_code rundir_open_at(const struct vfs *vfs, int runs, const char *name,
			     struct rundir **ret_dir, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = rundir_make(vfs, name);

	if (!dir)
		return mem_err(err);
	if (vfs_open(vfs, runs, name, VFS_DIR, &dir->fd, err) != ERR_OK ||
	    opened(dir, err) != ERR_OK)
		return err->code;
	*ret_dir = TAKE(dir, NULL);
	return ERR_OK;
}

void rundir_close(struct rundir *dir)
{
	if (!dir)
		return;
	vfs_close(&dir->vfs, dir->fd);
	mem_free(dir->path);
	mem_free(dir);
}

void rundir_drop(struct rundir **dir)
{
	rundir_close(*dir);
	*dir = NULL;
}

enum err_code rundir_sync_name(const struct rundir *dir, struct err *err)
{
	AUTO(buf_fini) struct buf parent = BUF_INIT;
	enum err_code code;
	int fd = -1;

	buf_fmt(&parent, "%s/..", dir->path); /* the real one, also when the path is a link */
	if (buf_check(&parent, "a path", err) != ERR_OK ||
	    vfs_root(&dir->vfs, parent.ptr, false, &fd, err) != ERR_OK)
		return err_while(err, "sync the name of '%s'", dir->path);
	code = vfs_sync(&dir->vfs, fd, err);
	vfs_close(&dir->vfs, fd);
	return code == ERR_OK ? ERR_OK : err_while(err, "sync the name of '%s'", dir->path);
}

int rundir_fd(const struct rundir *dir)
{
	return dir->fd;
}

const struct vfs *rundir_vfs(const struct rundir *dir)
{
	return &dir->vfs;
}

const char *rundir_path(const struct rundir *dir)
{
	return dir->path;
}

struct str rundir_id(const struct rundir *dir)
{
	return dir->id;
}

/* ---- birth ---- */

struct birth {
	const struct rundir_birth *ask;
	const struct vfs *vfs;
	int runs_fd;
	char temp[TEMP_BYTES];
	char id[RUN_ID_BYTES_MAX + 1];
	const char *name; /* what the directory is called now; NULL = not made yet */
	int source_fd;
	int frozen_fd;
	char given[sizeof(BLOBS_DIR) + SHA256_HEX_BYTES + 1]; /* path of the blob; empty = none */
	struct rundir *dir;
	struct run_lock lock;
	struct log *log;
};

static enum err_code file_put(const struct birth *birth, const char *name, struct str bytes,
			      int *ret_fd, struct err *err)
{
	if (vfs_open(birth->vfs, birth->dir->fd, name, VFS_NEW, ret_fd, err) != ERR_OK)
		return err->code;
	if (vfs_write(birth->vfs, *ret_fd, bytes.ptr, bytes.len, err) != ERR_OK)
		return err_while(err, "'%s'", name);
	return ERR_OK;
}

/* The blob that run.created names: durable before its event (S11.2). */
static enum err_code given_put(struct birth *birth, struct err *err)
{
	char ref[SHA256_HEX_BYTES + 1];

	if (!birth->ask->given.ptr)
		return ERR_OK;
	if (rundir_blob_put(birth->dir, birth->ask->given, ref, err) != ERR_OK)
		return err->code;
	(void)snprintf(birth->given, sizeof(birth->given), BLOBS_DIR "/%s", ref);
	return ERR_OK;
}

/* The temporary directory with everything in it, synced. The log comes last: its sync finds most of
 * the work of the others under way. */
static enum err_code build(struct birth *birth, struct err *err)
{
	const struct vfs *vfs = birth->vfs;

	if (vfs_make_dir(vfs, birth->runs_fd, birth->temp, err) != ERR_OK)
		return err->code;
	birth->name = birth->temp;
	if (vfs_open(vfs, birth->runs_fd, birth->temp, VFS_DIR, &birth->dir->fd, err) != ERR_OK ||
	    file_put(birth, SOURCE_FILE, birth->ask->source, &birth->source_fd, err) != ERR_OK ||
	    file_put(birth, FROZEN_FILE, birth->ask->frozen, &birth->frozen_fd, err) != ERR_OK ||
	    given_put(birth, err) != ERR_OK ||
	    run_lock_take(vfs, birth->dir->fd, &birth->lock, err) != ERR_OK ||
	    log_create(vfs, birth->dir->fd, birth->ask->run_id, birth->ask->limits,
		       birth->ask->created, &birth->log, err) != ERR_OK ||
	    vfs_sync(vfs, birth->source_fd, err) != ERR_OK ||
	    vfs_sync(vfs, birth->frozen_fd, err) != ERR_OK ||
	    vfs_sync(vfs, birth->dir->fd, err) != ERR_OK)
		return err->code;
	return ERR_OK;
}

static enum err_code place(struct birth *birth, struct err *err)
{
	if (vfs_rename_new(birth->vfs, birth->runs_fd, birth->temp, birth->runs_fd, birth->id,
			   err) != ERR_OK) {
		if (err->code != ERR_EXISTS)
			return err->code;
		(void)err_set(err, ERR_EXISTS, "the run '%s' exists already", birth->id);
		return err_hint(err, "`sluice resume %s` goes on with it; or choose another id",
				birth->id);
	}
	birth->name = birth->id;
	return vfs_sync(birth->vfs, birth->runs_fd, err);
}

/* Nothing of a run that was not born stays. Best effort: `.new-*` is never taken for a run. */
static void unmake(struct birth *birth)
{
	static const char *const names[] = {SOURCE_FILE, FROZEN_FILE, RUN_LOCK_FILE, LOG_FILE};
	const struct vfs *vfs = birth->vfs;

	bool was_placed = birth->name == birth->id;

	if (!birth->name)
		return;
	/* Should this be cut short: an empty directory must not take the id. */
	if (was_placed && vfs->ops->rename_new(vfs->self, birth->runs_fd, birth->id, birth->runs_fd,
					       birth->temp) >= 0)
		birth->name = birth->temp;
	/* The log first, and durably: what has no log is no run, what has one must be whole. */
	for (size_t i = ARRAY_LEN(names); birth->dir->fd >= 0 && i-- > 0;) {
		(void)vfs->ops->unlink(vfs->self, birth->dir->fd, names[i]);
		if (was_placed && i == ARRAY_LEN(names) - 1 &&
		    vfs->ops->sync(vfs->self, birth->dir->fd) < 0)
			return;
	}
	if (birth->given[0]) {
		(void)vfs->ops->unlink(vfs->self, birth->dir->fd, birth->given);
		(void)vfs->ops->unlink(vfs->self, birth->dir->fd, BLOBS_DIR);
	}
	(void)vfs->ops->unlink(vfs->self, birth->runs_fd, birth->name);
}

static enum err_code prepare(struct birth *birth, struct buf *runs_path, struct err *err)
{
	const struct rundir_birth *ask = birth->ask;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	uint8_t random[4];

	if (!id_valid(ask->run_id))
		return err_set(err, ERR_USAGE, "'%.*s' is not a run id", STR_ARG(ask->run_id));
	(void)snprintf(birth->id, sizeof(birth->id), "%.*s", STR_ARG(ask->run_id));
	if (random_bytes(random, sizeof(random), err) != ERR_OK ||
	    path_absolute(ask->home, runs_path, err) != ERR_OK)
		return err->code;
	(void)snprintf(birth->temp, sizeof(birth->temp), BIRTH_PREFIX "%s-%02x%02x%02x%02x",
		       birth->id, random[0], random[1], random[2], random[3]);
	buf_text(runs_path, "/" RUNS_DIR);
	buf_fmt(&path, "%s/%s", buf_view(runs_path).ptr, birth->id);
	if (buf_check(runs_path, "a path", err) != ERR_OK ||
	    buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	birth->dir = rundir_make(birth->vfs, path.ptr);
	if (!birth->dir)
		return mem_err(err);
	memcpy(birth->dir->id_text, birth->id, sizeof(birth->id));
	birth->dir->id = str_of(birth->dir->id_text);
	if (vfs_root(birth->vfs, runs_path->ptr, true, &birth->runs_fd, err) == ERR_OK)
		return ERR_OK;
	if (err->code == ERR_INVALID || err->code == ERR_NOT_FOUND)
		err->code = ERR_IO; /* there is no place for runs: a storage failure (S13) */
	return err_hint(err,
			"give a state directory that can be made: --dir STATE, or SLUICE_HOME");
}

enum err_code rundir_create(const struct vfs *vfs, const struct rundir_birth *ask,
			    struct rundir **ret_dir, struct run_lock *ret_lock,
			    struct log **ret_log, struct err *err)
{
	AUTO(buf_fini) struct buf runs_path = BUF_INIT;
	struct birth birth = {
	    .ask = ask,
	    .vfs = vfs,
	    .runs_fd = -1,
	    .source_fd = -1,
	    .frozen_fd = -1,
	    .lock = {.fd = -1},
	};
	enum err_code code = prepare(&birth, &runs_path, err);

	if (code == ERR_OK)
		code = build(&birth, err);
	if (code == ERR_OK)
		code = place(&birth, err);
	if (code != ERR_OK)
		unmake(&birth);
	vfs_close(vfs, birth.source_fd);
	vfs_close(vfs, birth.frozen_fd);
	vfs_close(vfs, birth.runs_fd);
	if (code != ERR_OK) {
		log_close(birth.log);
		run_lock_release(vfs, &birth.lock);
		rundir_close(birth.dir);
		return code == ERR_EXISTS
			   ? code
			   : err_while(err, "make the run '%.*s'", STR_ARG(ask->run_id));
	}
	*ret_dir = birth.dir;
	*ret_lock = birth.lock;
	*ret_log = birth.log;
	return ERR_OK;
}
