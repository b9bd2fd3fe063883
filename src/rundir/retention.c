/* retention.c - see retention.h */
#include "rundir/retention.h"

#include "base/arena.h"
#include "base/mem.h"
#include "rundir/fold.h"
#include "rundir/intern.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPER_LOCK  "keeper.lock" /* held by a keeper for as long as it lives (S8.1) */
#define BIRTH_AGE_MS INT64_C(3600000)
#define PATIENCE_MS  2000 /* with keepers, in all: one without a command goes in milliseconds */
#define NAP_MS       5
#define TRASH_BYTES  (VFS_NAME_BYTES + 16)

/* What commands write into: anything may lie there, and goes by its name. */
static const char *const free_folders[] = {"artifacts", "quarantine", "out", NULL};

struct candidate {
	struct str name; /* NUL-ended */
	struct str pipeline;
	struct str outcome;
	struct str partition, key; /* ptr NULL = none */
	int64_t ended_ms;
	struct vfs_stat log;            /* as it was judged */
	bool is_end;                    /* ended, and whole: it may go */
	const char *why;                /* it stays */
	enum retention_verdict verdict; /* with `why` */
};

struct retention {
	const struct vfs *vfs;
	const struct retention_ask *ask;
	retention_visit_fn *visit;
	void *arg;
	int home, runs, trash, lock; /* descriptors; -1 = none */
	int patience_ms;             /* left of PATIENCE_MS */
	struct arena arena;
	struct str *births;
	size_t births_count, births_capacity;
	struct candidate *items;
	size_t count, capacity;
};

static void retention_fini(struct retention *r)
{
	vfs_close(r->vfs, r->home);
	vfs_close(r->vfs, r->runs);
	vfs_close(r->vfs, r->trash);
	vfs_close(r->vfs, r->lock);
	arena_fini(&r->arena);
	mem_free(r->births);
	mem_free(r->items);
}

/* ------------------------------------------------------------------------------- judging */

static enum err_code keep_text(struct retention *r, struct str text, struct str *ret_kept,
			       struct err *err)
{
	*ret_kept = arena_str(&r->arena, text);
	return ret_kept->ptr ? ERR_OK : mem_err(err);
}

static enum err_code why_of(struct retention *r, struct candidate *run,
			    enum retention_verdict verdict, const struct err *problem,
			    struct err *err)
{
	struct str kept;

	if (keep_text(r, str_of(problem->text), &kept, err) != ERR_OK)
		return err->code;
	run->why = kept.ptr;
	run->verdict = verdict;
	return ERR_OK;
}

static const char *why_alive(const struct fold_run *fold)
{
	if (fold->state.state == RUN_BLOCKED)
		return "it is blocked: a person has to decide, or stop it";
	return "it is not at its end: resume it, or stop it";
}

static enum err_code take_fold(struct retention *r, struct candidate *run,
			       const struct fold_run *fold, struct err *err)
{
	const struct run_state *state = &fold->state;
	const char *outcome =
	    state->is_completed ? outcome_name(state->outcome) : run_state_name(state->state);

	run->ended_ms = state->last_ms;
	if (keep_text(r, fold->model->pipeline, &run->pipeline, err) != ERR_OK ||
	    keep_text(r, str_of(outcome), &run->outcome, err) != ERR_OK ||
	    (state->partition.ptr &&
	     keep_text(r, state->partition, &run->partition, err) != ERR_OK) ||
	    (state->key.ptr && keep_text(r, state->key, &run->key, err) != ERR_OK))
		return err->code;
	if (fold->reading.end == LOG_END_NEWER || fold->reading.end == LOG_END_DAMAGED) {
		run->is_end = fold->reading.end == LOG_END_DAMAGED && r->ask->takes_damaged;
		return run->is_end ? ERR_OK
				   : why_of(r, run, RETENTION_KEPT, &fold->reading.problem, err);
	}
	run->is_end = run_state_is_end(state->state);
	if (!run->is_end)
		run->why = why_alive(fold);
	return ERR_OK;
}

/* What cannot be folded: its age is that of its files. */
static enum err_code take_broken(struct retention *r, struct candidate *run, int dir,
				 const struct err *problem, struct err *err)
{
	struct vfs_stat stat;

	if (vfs_stat(r->vfs, dir, &stat, err) != ERR_OK)
		return err->code;
	run->ended_ms =
	    run->log.modified_ms > stat.modified_ms ? run->log.modified_ms : stat.modified_ms;
	run->is_end = r->ask->takes_damaged &&
		      (problem->code == ERR_CORRUPT || problem->code == ERR_NOT_FOUND);
	return run->is_end ? ERR_OK : why_of(r, run, RETENTION_KEPT, problem, err);
}

static void log_look(const struct retention *r, int dir, struct vfs_stat *ret_stat)
{
	struct err ignored = ERR_INIT; /* then there is none, which is what the zeros say */
	int fd = -1;

	*ret_stat = (struct vfs_stat){.size_bytes = 0};
	if (vfs_open(r->vfs, dir, LOG_FILE, VFS_READ, &fd, &ignored) == ERR_OK &&
	    vfs_stat(r->vfs, fd, ret_stat, &ignored) != ERR_OK)
		*ret_stat = (struct vfs_stat){.size_bytes = 0};
	vfs_close(r->vfs, fd);
}

/* Open and fold the run; its candidate says what is known. */
static enum err_code judge(struct retention *r, struct candidate *run, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct err problem = ERR_INIT;
	enum err_code code;
	int fd = -1;

	if (vfs_open(r->vfs, r->runs, run->name.ptr, VFS_DIR, &fd, &problem) != ERR_OK) {
		if (problem.code == ERR_NOT_FOUND) { /* somebody removed it */
			run->why = "";
			return ERR_OK;
		}
		return why_of(r, run, RETENTION_REFUSED, &problem, err);
	}
	log_look(r, fd, &run->log);
	code = rundir_open_at(r->vfs, r->runs, run->name.ptr, &dir, &problem);
	if (code == ERR_OK)
		code = fold_read(dir, r->ask->limits, NULL, NULL, &fold, &problem);
	if (code == ERR_MEMORY)
		*err = problem;
	else if (code == ERR_OK)
		code = take_fold(r, run, &fold, err);
	else
		code = take_broken(r, run, fd, &problem, err);
	vfs_close(r->vfs, fd);
	return code;
}

static bool is_asked(const struct retention *r, const struct candidate *run)
{
	const struct retention_ask *ask = r->ask;

	if (run->why && !run->why[0])
		return false;
	if (run->verdict == RETENTION_REFUSED)
		return true;
	if ((ask->outcome.ptr && !str_eq(ask->outcome, run->outcome)) ||
	    (ask->pipeline.ptr && !str_eq(ask->pipeline, run->pipeline)))
		return false;
	return ask->older_than_ms < 0 || ask->now_ms - run->ended_ms > ask->older_than_ms;
}

/* ------------------------------------------------------------------------------ gathering */

static enum err_code gather_name(void *arg, const char *name, struct err *err)
{
	struct retention *r = arg;
	bool is_birth = str_starts(str_of(name), BIRTH_PREFIX);
	void *births = r->births;
	void *items = r->items;
	struct str kept;

	if (!is_birth && !id_valid(str_of(name)))
		return ERR_OK; /* nothing of ours */
	if (keep_text(r, str_of(name), &kept, err) != ERR_OK)
		return err->code;
	if (is_birth) {
		if (mem_grow(&births, &r->births_capacity, r->births_count + 1, sizeof(kept),
			     err) != ERR_OK)
			return err->code;
		r->births = births;
		r->births[r->births_count++] = kept;
		return ERR_OK;
	}
	if (mem_grow(&items, &r->capacity, r->count + 1, sizeof(*r->items), err) != ERR_OK)
		return err->code;
	r->items = items;
	r->items[r->count++] = (struct candidate){.name = kept, .verdict = RETENTION_KEPT};
	return ERR_OK;
}

/* By pipeline, and in it the newest first. */
static int by_pipeline(const void *a, const void *b)
{
	const struct candidate *left = a;
	const struct candidate *right = b;
	int order = str_cmp(left->pipeline, right->pipeline);

	if (order)
		return order;
	if (left->ended_ms != right->ended_ms)
		return left->ended_ms < right->ended_ms ? 1 : -1;
	return -str_cmp(left->name, right->name);
}

static int oldest_first(const void *a, const void *b)
{
	const struct candidate *left = a;
	const struct candidate *right = b;

	if (left->ended_ms != right->ended_ms)
		return left->ended_ms < right->ended_ms ? -1 : 1;
	return str_cmp(left->name, right->name);
}

/* The newest `keep` of each pipeline stay, of those that ended as asked for. */
static void keep_newest(struct retention *r)
{
	uint64_t seen = 0;
	size_t kept = 0;

	qsort(r->items, r->count, sizeof(*r->items), by_pipeline);
	for (size_t i = 0; i < r->count; i++) {
		struct candidate *run = &r->items[i];
		bool counts =
		    run->is_end && (!r->ask->outcome.ptr || str_eq(r->ask->outcome, run->outcome));

		if (i == 0 || !str_eq(run->pipeline, r->items[i - 1].pipeline))
			seen = 0;
		if (counts && seen++ < r->ask->keep)
			run->why = ""; /* as if it were not there */
	}
	for (size_t i = 0; i < r->count; i++) {
		if (is_asked(r, &r->items[i]))
			r->items[kept++] = r->items[i];
	}
	r->count = kept;
	qsort(r->items, r->count, sizeof(*r->items), oldest_first);
}

/* ------------------------------------------------------------------------------- removing */

static enum err_code tell(struct retention *r, const struct retention_row *row, struct err *err)
{
	return r->visit(r->arg, row, err);
}

/* The locks of a run: whoever owns it or its children has them. */
struct locks {
	const struct vfs *vfs;
	struct run_lock run;
	int keeper;
};

static void locks_fini(struct locks *locks)
{
	run_lock_release(locks->vfs, &locks->run);
	vfs_close(locks->vfs, locks->keeper);
}

/* Once: LOCKED while a keeper lives. */
static enum err_code try_keeper_lock(const struct retention *r, int fd, struct err *err)
{
	bool is_held = false;
	enum err_code code =
	    r->ask->is_dry ? vfs_lock_held(r->vfs, fd, &is_held, err) : vfs_lock(r->vfs, fd, err);

	if (code == ERR_LOCKED || is_held)
		return err_set(err, ERR_LOCKED, "its keeper lives: a command still runs");
	return code;
}

/* NOT_FOUND is no trouble: then there was never a keeper. */
static enum err_code keeper_lock(struct retention *r, int dir, int *ret_fd, struct err *err)
{
	struct err problem = ERR_INIT;
	int fd = -1;
	enum err_code code = vfs_open(r->vfs, dir, KEEPER_LOCK, VFS_READ_WRITE, &fd, &problem);

	if (code == ERR_NOT_FOUND)
		return ERR_OK;
	if (code == ERR_OK)
		code = try_keeper_lock(r, fd, &problem);
	for (; code == ERR_LOCKED && r->patience_ms > 0; r->patience_ms -= NAP_MS) {
		nap_ms(NAP_MS);
		err_reset(&problem);
		code = try_keeper_lock(r, fd, &problem);
	}
	if (code == ERR_OK && !r->ask->is_dry)
		*ret_fd = TAKE(fd, -1);
	vfs_close(r->vfs, fd);
	if (code != ERR_OK)
		*err = problem;
	return code;
}

static enum err_code locks_take(struct retention *r, int dir, struct locks *locks, struct err *err)
{
	struct run_lock_info owner = {.is_held = false};

	if (!r->ask->is_dry) {
		if (run_lock_take(r->vfs, dir, &locks->run, err) != ERR_OK)
			return err->code;
	} else {
		if (run_lock_look(r->vfs, dir, &owner, err) != ERR_OK)
			return err->code;
		if (owner.is_held)
			return err_set(err, ERR_LOCKED, "the run is owned by process %d",
				       owner.pid);
	}
	return keeper_lock(r, dir, &locks->keeper, err);
}

/* Out of the runs, into the trash; what was moved must be what was looked at. */
static enum err_code discard(const struct retention *r, const char *name, int dir,
			     char trash_name[TRASH_BYTES], struct err *err)
{
	struct vfs_stat looked;
	struct vfs_stat moved;
	uint8_t random[4];
	enum err_code code;
	int fd = -1;

	if (random_bytes(random, sizeof(random), err) != ERR_OK ||
	    vfs_stat(r->vfs, dir, &looked, err) != ERR_OK)
		return err->code;
	(void)snprintf(trash_name, TRASH_BYTES, "%.*s.%02x%02x%02x%02x", VFS_NAME_BYTES - 12, name,
		       random[0], random[1], random[2], random[3]);
	if (vfs_rename_new(r->vfs, r->runs, name, r->trash, trash_name, err) != ERR_OK)
		return err->code;
	code = vfs_open(r->vfs, r->trash, trash_name, VFS_DIR, &fd, err);
	if (code == ERR_OK)
		code = vfs_stat(r->vfs, fd, &moved, err);
	vfs_close(r->vfs, fd);
	if (code == ERR_OK && (looked.inode != moved.inode || looked.device != moved.device))
		code = err_set(err, ERR_REFUSED, "it was put in the place of the run just now");
	if (code != ERR_OK) {
		struct err back = ERR_INIT;

		if (vfs_rename_new(r->vfs, r->trash, trash_name, r->runs, name, &back) != ERR_OK)
			return err_while(err, "it stays in '" RETENTION_TRASH "/%s', as %s",
					 trash_name, back.text);
		return code;
	}
	/* Gone from the runs for good before the first file of it is. */
	if (vfs_sync(r->vfs, r->trash, err) != ERR_OK)
		return err->code;
	return vfs_sync(r->vfs, r->runs, err);
}

/* Look through the directory, take its locks, remove it. The row says what came of it. */
static enum err_code remove_dir(struct retention *r, const char *name,
				const struct vfs_stat *judged, struct removal_sum *ret_sum,
				struct err *err)
{
	AUTO(locks_fini) struct locks locks = {.vfs = r->vfs, .run = {.fd = -1}, .keeper = -1};
	char trash_name[TRASH_BYTES];
	struct vfs_stat now;
	enum err_code code;
	int dir = -1;

	if (vfs_open(r->vfs, r->runs, name, VFS_DIR, &dir, err) != ERR_OK)
		return err->code;
	code = removal_look(dir, free_folders, ret_sum, err);
	if (code == ERR_OK)
		code = locks_take(r, dir, &locks, err);
	log_look(r, dir, &now);
	if (code == ERR_OK && judged &&
	    (now.inode != judged->inode || now.size_bytes != judged->size_bytes))
		code = err_set(err, ERR_LOCKED, "it went on just now");
	if (code == ERR_OK && !r->ask->is_dry) {
		code = discard(r, name, dir, trash_name, err);
		if (code == ERR_OK && removal_delete(r->trash, trash_name, err) != ERR_OK)
			code = err_while(err, "what is left of it in '" RETENTION_TRASH "/%s'",
					 trash_name);
	}
	vfs_close(r->vfs, dir);
	return code;
}

/* An owner that lives is a reason to keep; everything else is a refusal. */
static enum err_code tell_outcome(struct retention *r, struct retention_row *row,
				  enum err_code code, const struct err *problem, struct err *err)
{
	if (code == ERR_MEMORY) {
		*err = *problem;
		return code;
	}
	if (code != ERR_OK) {
		row->verdict = code == ERR_LOCKED ? RETENTION_KEPT : RETENTION_REFUSED;
		row->why = problem->text;
		row->sum = (struct removal_sum){0, 0};
	}
	return tell(r, row, err);
}

static enum err_code remove_run(struct retention *r, const struct candidate *run, struct err *err)
{
	struct err problem = ERR_INIT;
	struct retention_row row = {.kind = RETENTION_RUN,
				    .verdict = run->is_end ? RETENTION_REMOVED : run->verdict,
				    .name = run->name,
				    .pipeline = run->pipeline,
				    .outcome = run->outcome,
				    .partition = run->partition,
				    .key = run->key,
				    .ended_ms = run->ended_ms,
				    .why = run->is_end ? NULL : run->why};
	enum err_code code = ERR_OK;

	if (run->is_end)
		code = remove_dir(r, run->name.ptr, &run->log, &row.sum, &problem);
	return tell_outcome(r, &row, code, &problem, err);
}

/* A start that was cut short; one that is under way holds its lock, or is young. */
static enum err_code remove_birth(struct retention *r, struct str name, struct err *err)
{
	struct retention_row row = {.kind = RETENTION_BIRTH, .name = name};
	struct err problem = ERR_INIT;
	struct vfs_stat stat = {0};
	enum err_code code;
	int dir = -1;

	code = vfs_open(r->vfs, r->runs, name.ptr, VFS_DIR, &dir, &problem);
	if (code == ERR_OK)
		code = vfs_stat(r->vfs, dir, &stat, &problem);
	vfs_close(r->vfs, dir);
	if (code == ERR_NOT_FOUND ||
	    (code == ERR_OK && r->ask->now_ms - stat.modified_ms <= BIRTH_AGE_MS))
		return ERR_OK;
	if (code == ERR_OK)
		code = remove_dir(r, name.ptr, NULL, &row.sum, &problem);
	return tell_outcome(r, &row, code, &problem, err);
}

static enum err_code remove_rest(void *arg, const char *name, struct err *err)
{
	struct retention *r = arg;
	struct retention_row row = {.kind = RETENTION_REST, .name = str_of(name)};
	struct err problem = ERR_INIT;
	enum err_code code;
	int dir = -1;

	code = vfs_open(r->vfs, r->trash, name, VFS_DIR, &dir, &problem);
	if (code == ERR_OK)
		code = removal_look(dir, NULL, &row.sum, &problem);
	if (code == ERR_OK && !r->ask->is_dry)
		code = removal_delete(r->trash, name, &problem);
	vfs_close(r->vfs, dir);
	return tell_outcome(r, &row, code, &problem, err);
}

/* ---------------------------------------------------------------------------- as a whole */

static enum err_code owned_open(const struct retention *r, int parent, const char *name,
				int *ret_fd, struct err *err)
{
	if (vfs_open(r->vfs, parent, name, VFS_DIR, ret_fd, err) != ERR_OK)
		return err->code;
	return removal_owned(*ret_fd, err) == ERR_OK ? ERR_OK : err_while(err, "'%s'", name);
}

/* Open what there is; ret_empty: there is nothing to remove. */
static enum err_code retention_open(struct retention *r, bool *ret_empty, struct err *err)
{
	struct err problem = ERR_INIT;
	enum err_code code = vfs_home(r->vfs, r->ask->home, &r->home, &problem);

	if (code == ERR_OK)
		code = owned_open(r, r->home, RUNS_DIR, &r->runs, &problem);
	*ret_empty = code == ERR_NOT_FOUND;
	if (code == ERR_NOT_FOUND)
		return ERR_OK;
	if (code == ERR_OK && !r->ask->is_dry) {
		code = vfs_open(r->vfs, r->home, RETENTION_LOCK, VFS_CREATE, &r->lock, &problem);
		if (code == ERR_OK)
			code = vfs_lock(r->vfs, r->lock, &problem);
		if (code == ERR_LOCKED)
			(void)err_set(&problem, ERR_LOCKED, "another removal is under way");
		if (code == ERR_OK)
			code = vfs_make_dir(r->vfs, r->home, RETENTION_TRASH, &problem);
	}
	if (code == ERR_OK) {
		code = owned_open(r, r->home, RETENTION_TRASH, &r->trash, &problem);
		if (code == ERR_NOT_FOUND) /* dry, and nothing was ever removed */
			code = ERR_OK;
	}
	if (code != ERR_OK) {
		*err = problem;
		return err_while(err, "'%s'", r->ask->home);
	}
	return ERR_OK;
}

enum err_code retention_apply(const struct vfs *vfs, const struct retention_ask *ask,
			      retention_visit_fn *visit, void *arg, struct err *err)
{
	AUTO(retention_fini)
	struct retention r = {.vfs = vfs,
			      .ask = ask,
			      .visit = visit,
			      .arg = arg,
			      .home = -1,
			      .runs = -1,
			      .trash = -1,
			      .lock = -1,
			      .patience_ms = PATIENCE_MS,
			      .arena = ARENA_INIT};
	bool is_empty = false;

	if (retention_open(&r, &is_empty, err) != ERR_OK)
		return err->code;
	if (is_empty)
		return ERR_OK;
	if (r.trash >= 0 && vfs_list(vfs, r.trash, remove_rest, &r, err) != ERR_OK)
		return err->code;
	if (vfs_list(vfs, r.runs, gather_name, &r, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < r.births_count; i++) {
		if (remove_birth(&r, r.births[i], err) != ERR_OK)
			return err->code;
	}
	for (size_t i = 0; i < r.count; i++) {
		if (judge(&r, &r.items[i], err) != ERR_OK)
			return err->code;
	}
	if (r.count > 0)
		keep_newest(&r);
	for (size_t i = 0; i < r.count; i++) {
		if (remove_run(&r, &r.items[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}
