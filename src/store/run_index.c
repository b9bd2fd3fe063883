/* run_index.c - the history database: opened, made, put aside, brought up to date. See
 * run_index.h */
#include "store/run_index_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <stdio.h>

#define SCHEMA_VERSION 1
#define BUSY_MS        30000
#define BATCH_RUNS     2000               /* read in one transaction */
#define SMALL_BYTES    (INT64_C(8) << 20) /* a check of all pages takes no time */
#define RACY_NS        (2 * NS_PER_S)     /* see run_index_write.c */
#define DAMAGED_FILE   RUN_INDEX_FILE ".damaged"

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE runs(run_id TEXT PRIMARY KEY, pipeline TEXT, version TEXT, partition_key TEXT,"
    " state TEXT NOT NULL, result TEXT, outcome TEXT, failure_reason TEXT, triggered_by TEXT,"
    " executed TEXT, failed TEXT, params TEXT, definition_hash TEXT, receipt TEXT,"
    " started_ms INTEGER, ended_ms INTEGER, duration_ms INTEGER, retries INTEGER,"
    " warnings INTEGER, gate_failures INTEGER, is_live INTEGER, is_settled INTEGER,"
    " dir_inode INTEGER, log_inode INTEGER, log_bytes INTEGER, log_changed_ns INTEGER);"
    /* Each holds all that its questions need: rows are wide, and far apart. */
    "CREATE INDEX runs_by_start ON runs(started_ms DESC, run_id DESC, pipeline, result, outcome,"
    " state, is_live);"
    "CREATE INDEX runs_open ON runs(run_id, dir_inode, log_inode, log_bytes, log_changed_ns,"
    " is_live) WHERE is_settled = 0;"
    "CREATE INDEX runs_dirs ON runs(run_id, dir_inode);"
    "CREATE TABLE steps(run_id TEXT NOT NULL, step_id TEXT NOT NULL, position INTEGER,"
    " state TEXT NOT NULL, error_class TEXT, skip_reason TEXT, reason TEXT, outputs_hash TEXT,"
    " cached_from TEXT, attempts INTEGER, retries INTEGER, started_ms INTEGER,"
    " ended_ms INTEGER, duration_ms INTEGER, PRIMARY KEY(run_id, step_id)) WITHOUT ROWID;"
    "CREATE TABLE core_workflow_checkpoints(id INTEGER PRIMARY KEY, run_id TEXT NOT NULL,"
    " workflow_name TEXT, step_name TEXT NOT NULL, context_snapshot TEXT, created_at TEXT,"
    " UNIQUE(run_id, step_name));"
    "CREATE TABLE core_workflow_events(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " run_id TEXT NOT NULL, step_id TEXT, event_type TEXT NOT NULL, timestamp TEXT,"
    " payload TEXT, idempotency_key TEXT UNIQUE, error_class TEXT);"
    "CREATE INDEX events_by_run ON core_workflow_events(run_id);"
    "CREATE INDEX events_by_class ON core_workflow_events(run_id, event_type, error_class)"
    " WHERE error_class IS NOT NULL;";

static const char *const queries[QUERY_COUNT] = {
    [QUERY_RUN_PUT] =
	"INSERT INTO runs VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [QUERY_STEP_PUT] = "INSERT INTO steps VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [QUERY_EVENT_PUT] = "INSERT INTO core_workflow_events(run_id, step_id, event_type, timestamp,"
			" payload, idempotency_key, error_class) VALUES(?,?,?,?,?,?,?)",
    [QUERY_CHECKPOINT_PUT] = "INSERT INTO core_workflow_checkpoints(run_id, workflow_name,"
			     " step_name, context_snapshot, created_at) VALUES(?,?,?,?,?)",
    [QUERY_RUN_REMOVE] = "DELETE FROM runs WHERE run_id = ?",
    [QUERY_STEPS_REMOVE] = "DELETE FROM steps WHERE run_id = ?",
    [QUERY_EVENTS_REMOVE] = "DELETE FROM core_workflow_events WHERE run_id = ?",
    [QUERY_CHECKPOINTS_REMOVE] = "DELETE FROM core_workflow_checkpoints WHERE run_id = ?",
    [QUERY_META_PUT] = "INSERT OR REPLACE INTO meta VALUES(?,?)",
};

enum err_code index_query(struct run_index *index, enum index_query which,
			  struct sqlite_query **ret_query, struct err *err)
{
	struct sqlite_query *query = &index->query[which];

	if (!query->stmt && sqlite_prepare(&index->sqlite, queries[which], query, err) != ERR_OK)
		return err->code;
	*ret_query = query;
	return ERR_OK;
}

enum err_code index_begin(struct run_index *index, struct err *err)
{
	return sqlite_exec(&index->sqlite, "BEGIN IMMEDIATE", err);
}

enum err_code index_end(struct run_index *index, enum err_code code, struct err *err)
{
	struct err again = ERR_INIT;

	if (code == ERR_OK)
		code = sqlite_exec(&index->sqlite, "COMMIT", err);
	if (code != ERR_OK && sqlite_exec(&index->sqlite, "ROLLBACK", &again) != ERR_OK)
		return code; /* SQLite has undone it by itself */
	return code;
}

bool index_log_mark(const struct run_index *index, struct str run_id, struct mark *ret_mark)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;

	buf_str(&path, run_id);
	buf_text(&path, "/" LOG_FILE);
	return path.failed == ERR_OK && mark_at(index->runs, path.ptr, ret_mark);
}

/* ---- the file */

static enum err_code put_meta(struct run_index *index, const char *key, struct str text,
			      struct err *err)
{
	struct sqlite_query *query = NULL;

	if (index_query(index, QUERY_META_PUT, &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(query, str_of(key));
	sqlite_put_str(query, text);
	return sqlite_do(query, err);
}

/* The number in a row of meta. */
static enum err_code get_meta(struct run_index *index, const char *key, int64_t *ret_number,
			      struct err *err)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'", key);
	return sqlite_number(&index->sqlite, sql, 0, ret_number, err);
}

static enum err_code check_pages(struct run_index *index, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	bool is_row = false;
	bool is_good;

	if (sqlite_prepare(&index->sqlite, "PRAGMA quick_check(1)", &query, err) != ERR_OK)
		return err->code;
	if (sqlite_next(&query, &is_row, err) != ERR_OK) {
		sqlite_finish(&query);
		return err->code;
	}
	is_good = is_row && str_is(sqlite_str(&query, 0), "ok");
	sqlite_finish(&query);
	return is_good ? ERR_OK : err_set(err, ERR_CORRUPT, "history database: it is damaged");
}

/* All pages are checked when that is cheap, and once after each start of the machine: a power cut
 * is what damages databases. Else the page at hand is checked as it is read. */
static enum err_code check_integrity(struct run_index *index, bool read_only, struct err *err)
{
	char boot[BOOT_ID_BYTES + 1];
	struct sqlite_query query = {.stmt = NULL};
	bool is_row = false;
	bool is_known;
	int64_t bytes;

	if (sqlite_number(&index->sqlite,
			  "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
			  0, &bytes, err) != ERR_OK ||
	    boot_id_read(boot, err) != ERR_OK ||
	    sqlite_prepare(&index->sqlite, "SELECT value FROM meta WHERE key = 'boot_id'", &query,
			   err) != ERR_OK)
		return err->code;
	if (sqlite_next(&query, &is_row, err) != ERR_OK) {
		sqlite_finish(&query);
		return err->code;
	}
	is_known = is_row && str_is(sqlite_str(&query, 0), boot);
	sqlite_finish(&query);
	if (read_only)
		return ERR_OK; /* for estimates, at the start of runs: cheap counts for more */
	if ((!is_known || bytes <= SMALL_BYTES) && check_pages(index, err) != ERR_OK)
		return err->code;
	if (is_known)
		return ERR_OK;
	return put_meta(index, "boot_id", str_of(boot), err);
}

static enum err_code make_tables(struct run_index *index, struct err *err)
{
	char version[64];
	int64_t tables;
	enum err_code code;

	if (index_begin(index, err) != ERR_OK)
		return err->code;
	code = sqlite_number(&index->sqlite, "SELECT count(*) FROM sqlite_master", 0, &tables, err);
	if (code == ERR_OK && tables == 0) { /* else another process was faster */
		(void)snprintf(version, sizeof(version), "PRAGMA user_version = %d",
			       SCHEMA_VERSION);
		code = sqlite_exec(&index->sqlite, schema, err);
		if (code == ERR_OK)
			code = sqlite_exec(&index->sqlite, version, err);
	}
	return index_end(index, code, err);
}

/* Tables, indexes and triggers that somebody changed: rows would be written, and read, as what they
 * are not. SQLite keeps the text that made each. */
static enum err_code check_schema(struct run_index *index, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	bool is_row = false;
	bool is_ours;
	enum err_code code = sqlite_prepare(
	    &index->sqlite,
	    "SELECT group_concat(sql, ';') || ';' FROM (SELECT sql FROM sqlite_master"
	    " WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' ORDER BY rowid)",
	    &query, err);

	if (code != ERR_OK)
		return code;
	code = sqlite_next(&query, &is_row, err);
	is_ours = code == ERR_OK && is_row && str_is(sqlite_str(&query, 0), schema);
	sqlite_finish(&query);
	if (code == ERR_OK && !is_ours)
		code = err_set(err, ERR_CORRUPT,
			       "history database: its tables are not as we make them");
	return code;
}

static enum err_code check_version(struct run_index *index, bool read_only, struct err *err)
{
	int64_t version;
	int64_t tables;

	if (sqlite_number(&index->sqlite, "SELECT count(*) FROM sqlite_master", 0, &tables, err) !=
	    ERR_OK)
		return err->code;
	if (tables == 0) {
		if (read_only)
			return err_set(err, ERR_NOT_FOUND, "history database: it is empty");
		if (make_tables(index, err) != ERR_OK)
			return err->code;
	}
	if (sqlite_number(&index->sqlite, "PRAGMA user_version", 0, &version, err) != ERR_OK)
		return err->code;
	if (version != SCHEMA_VERSION)
		return err_set(err, ERR_CORRUPT, "history database: its version is %lld, not %d",
			       (long long)version, SCHEMA_VERSION);
	if (check_schema(index, err) != ERR_OK)
		return err->code;
	return check_integrity(index, read_only, err);
}

/* Make the file with our mode: SQLite would make it with the umask's. */
static enum err_code touch_file(const char *home, bool read_only, struct err *err)
{
	struct err exists = ERR_INIT;
	int dir = -1;
	int fd = -1;
	enum err_code code;

	if (vfs_home(&vfs_os, home, &dir, err) != ERR_OK)
		return err->code;
	code = sqlite_load(&exists); /* before anything is made that could then not be used */
	if (code == ERR_OK)
		code = vfs_open(&vfs_os, dir, RUN_INDEX_FILE, read_only ? VFS_READ : VFS_NEW, &fd,
				&exists);
	vfs_close(&vfs_os, fd);
	vfs_close(&vfs_os, dir);
	if (code == ERR_OK || code == ERR_EXISTS)
		return ERR_OK;
	*err = exists;
	return code;
}

static enum err_code open_file(struct run_index *index, bool read_only, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;

	buf_fmt(&path, "%s/" RUN_INDEX_FILE, index->home.ptr);
	if (buf_check(&path, "path", err) != ERR_OK ||
	    sqlite_open(&index->sqlite, path.ptr, read_only, BUSY_MS, err) != ERR_OK)
		return err->code;
	if (sqlite_exec(&index->sqlite,
			read_only ? "PRAGMA trusted_schema = OFF"
				  : "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
				    "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
				    "PRAGMA cache_size = -65536", /* KiB at most */
			err) != ERR_OK)
		return err->code;
	return check_version(index, read_only, err);
}

static enum err_code open_runs(struct run_index *index, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err absent = ERR_INIT;

	buf_fmt(&path, "%s/runs", index->home.ptr);
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	if (vfs_root(&vfs_os, path.ptr, false, &index->runs, &absent) != ERR_OK &&
	    absent.code != ERR_NOT_FOUND) {
		*err = absent;
		return err->code;
	}
	return ERR_OK;
}

enum err_code run_index_open(const char *home, const struct limits *limits,
			     const struct clock *clock, bool read_only,
			     struct run_index **ret_index, struct err *err)
{
	AUTO(run_index_drop) struct run_index *index = NULL;

	if (touch_file(home, read_only, err) != ERR_OK)
		return err->code;
	index = mem_new(1, sizeof(*index));
	if (!index)
		return mem_err(err);
	index->runs = -1;
	index->limits = limits;
	index->clock = clock;
	buf_text(&index->home, home);
	if (buf_check(&index->home, "path", err) != ERR_OK || open_runs(index, err) != ERR_OK ||
	    open_file(index, read_only, err) != ERR_OK)
		return err->code;
	*ret_index = TAKE(index, NULL);
	return ERR_OK;
}

void run_index_close(struct run_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < QUERY_COUNT; i++)
		sqlite_finish(&index->query[i]);
	sqlite_close(&index->sqlite);
	vfs_close(&vfs_os, index->runs);
	buf_fini(&index->home);
	mem_free(index);
}

void run_index_drop(struct run_index **index)
{
	run_index_close(*index);
}

/* Gone already is as good. */
static enum err_code unlink_part(int dir, const char *name, struct err *err)
{
	struct err gone = ERR_INIT;

	if (vfs_unlink(&vfs_os, dir, name, &gone) == ERR_OK || gone.code == ERR_NOT_FOUND)
		return ERR_OK;
	*err = gone;
	return err->code;
}

enum err_code run_index_discard(const char *home, struct err *err)
{
	struct err gone = ERR_INIT;
	enum err_code code;
	int dir = -1;

	if (vfs_home(&vfs_os, home, &dir, err) != ERR_OK)
		return err->code;
	code = vfs_rename(&vfs_os, dir, RUN_INDEX_FILE, dir, DAMAGED_FILE, &gone);
	if (code == ERR_OK || code == ERR_NOT_FOUND) {
		/* They belong to the old file: a new one must not find them. */
		code = unlink_part(dir, RUN_INDEX_FILE "-wal", err);
		if (code == ERR_OK)
			code = unlink_part(dir, RUN_INDEX_FILE "-shm", err);
	} else {
		*err = gone;
	}
	vfs_close(&vfs_os, dir);
	return code;
}

size_t run_index_reads(const struct run_index *index)
{
	return index->reads;
}

/* ---- what is new */

struct known_run {
	struct str run_id;
	uint64_t dir_inode;
	bool is_there;
};

/* What an update has to do. */
struct survey {
	struct run_index *index;
	struct arena arena;
	struct map by_id;        /* run id -> known */
	struct known_run *known; /* when the directory was listed */
	size_t known_count, known_capacity;
	struct known_run *changed; /* to be read */
	size_t changed_count, changed_capacity;
	struct mark runs; /* of the directory, before it was listed */
	bool is_listed;
};

static void survey_init(struct survey *survey, struct run_index *index)
{
	*survey = (struct survey){.index = index};
	map_init(&survey->by_id,
		 (uint64_t)(uintptr_t)survey ^ (uint64_t)clock_boot_ns(index->clock));
}

static void survey_fini(struct survey *survey)
{
	map_fini(&survey->by_id);
	mem_free(survey->known);
	mem_free(survey->changed);
	arena_fini(&survey->arena);
}

static enum err_code add_changed(struct survey *survey, struct str run_id, uint64_t dir_inode,
				 struct err *err)
{
	void *changed = survey->changed;

	if (mem_grow(&changed, &survey->changed_capacity, survey->changed_count + 1,
		     sizeof(*survey->changed), err) != ERR_OK)
		return err->code;
	survey->changed = changed;
	run_id = arena_str(&survey->arena, run_id);
	if (!run_id.ptr)
		return mem_err(err);
	survey->changed[survey->changed_count++] =
	    (struct known_run){.run_id = run_id, .dir_inode = dir_inode};
	return ERR_OK;
}

enum err_code index_check_id(const struct sqlite_query *row, struct err *err)
{
	if (id_valid(sqlite_str(row, 0)))
		return ERR_OK;
	return err_set(err, ERR_CORRUPT, "history database: it has a row with no run's id");
}

static enum err_code add_known(struct survey *survey, const struct sqlite_query *row,
			       struct err *err)
{
	void *known = survey->known;
	struct str run_id;

	if (map_get(&survey->by_id, sqlite_str(row, 0)) != MAP_NONE)
		return err_set(err, ERR_CORRUPT, "history database: it has a run twice");
	if (mem_grow(&known, &survey->known_capacity, survey->known_count + 1,
		     sizeof(*survey->known), err) != ERR_OK)
		return err->code;
	survey->known = known;
	run_id = arena_str(&survey->arena, sqlite_str(row, 0));
	if (!run_id.ptr)
		return mem_err(err);
	survey->known[survey->known_count] =
	    (struct known_run){.run_id = run_id, .dir_inode = (uint64_t)sqlite_i64(row, 1)};
	return map_add(&survey->by_id, run_id, (uint32_t)survey->known_count++, err);
}

static enum err_code load_known(struct survey *survey, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	code = sqlite_prepare(&survey->index->sqlite, "SELECT run_id, dir_inode FROM runs", &query,
			      err);
	if (code != ERR_OK)
		return code;
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		code = index_check_id(&query, err);
		if (code == ERR_OK)
			code = add_known(survey, &query, err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

static enum err_code visit_name(void *arg, const char *name, uint64_t inode, struct err *err)
{
	struct survey *survey = arg;
	struct str run_id = str_of(name);
	uint32_t at;

	if (!id_valid(run_id))
		return ERR_OK; /* births that were cut short */
	at = map_get(&survey->by_id, run_id);
	if (at != MAP_NONE)
		survey->known[at].is_there = true;
	if (at != MAP_NONE && survey->known[at].dir_inode == inode)
		return ERR_OK;
	return add_changed(survey, run_id, inode, err);
}

/* Has the directory changed since it was last listed? Then list it. */
static enum err_code survey_names(struct survey *survey, bool only_ask, bool *ret_changed,
				  struct err *err)
{
	struct run_index *index = survey->index;
	int64_t inode;
	int64_t changed_ns;

	*ret_changed = false;
	if (index->runs >= 0 && mark_of(index->runs, &survey->runs, err) != ERR_OK)
		return err->code;
	if (get_meta(index, "runs_inode", &inode, err) != ERR_OK ||
	    get_meta(index, "runs_changed_ns", &changed_ns, err) != ERR_OK)
		return err->code;
	if (changed_ns != 0 && changed_ns == survey->runs.changed_ns &&
	    inode == (int64_t)survey->runs.inode)
		return ERR_OK;
	*ret_changed = true;
	if (only_ask)
		return ERR_OK;
	survey->is_listed = true;
	if (load_known(survey, err) != ERR_OK)
		return err->code;
	return index->runs < 0 ? ERR_OK : mark_names(index->runs, visit_name, survey, err);
}

bool index_has_changed(struct run_index *index, const struct sqlite_query *row)
{
	struct str run_id = sqlite_str(row, 0);
	struct mark then = {.inode = (uint64_t)sqlite_i64(row, 2),
			    .size_bytes = (uint64_t)sqlite_i64(row, 3),
			    .changed_ns = sqlite_i64(row, 4)};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct run_lock_info owner = {.is_held = false};
	struct err problem = ERR_INIT;
	struct mark now;
	int dir = -1;

	if (then.changed_ns == 0 || !index_log_mark(index, run_id, &now) || !mark_eq(&then, &now))
		return true;
	if (!sqlite_i64(row, 5))
		return false;
	buf_str(&path, run_id);
	if (path.failed == ERR_OK &&
	    vfs_open(&vfs_os, index->runs, path.ptr, VFS_DIR, &dir, &problem) == ERR_OK &&
	    run_lock_look(&vfs_os, dir, &owner, &problem) != ERR_OK)
		owner.is_held = true; /* reading it will tell */
	vfs_close(&vfs_os, dir);
	return owner.is_held || problem.code != ERR_OK;
}

static enum err_code survey_logs(struct survey *survey, enum index_scope scope, bool only_ask,
				 bool *ret_changed, struct err *err)
{
	static const char *const rows[] = {
	    [INDEX_NEW] = "SELECT " MARK_COLUMNS " FROM runs WHERE started_ms IS NULL",
	    [INDEX_OPEN] = "SELECT " MARK_COLUMNS " FROM runs WHERE is_settled = 0",
	    [INDEX_ALL] = "SELECT " MARK_COLUMNS " FROM runs",
	};
	struct run_index *index = survey->index;
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	*ret_changed = false;
	code = sqlite_prepare(&index->sqlite, rows[scope], &query, err);
	if (code != ERR_OK)
		return code;
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		code = index_check_id(&query, err);
		if (code != ERR_OK)
			break;
		if (!index_has_changed(index, &query))
			continue;
		*ret_changed = true;
		if (only_ask)
			break;
		code = add_changed(survey, sqlite_str(&query, 0), (uint64_t)sqlite_i64(&query, 1),
				   err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

/* ---- the update */

static enum err_code needs_update(struct run_index *index, enum index_scope scope, bool *ret_needed,
				  struct err *err)
{
	struct survey survey;
	enum err_code code;

	survey_init(&survey, index);
	code = survey_names(&survey, true, ret_needed, err);
	if (code == ERR_OK && !*ret_needed)
		code = survey_logs(&survey, scope, true, ret_needed, err);
	survey_fini(&survey);
	return code;
}

/* Remember how the directory was when it was listed; not when it may change again unseen, or has a
 * folder that is no run yet. */
static enum err_code put_runs_mark(struct survey *survey, bool is_trusted, struct err *err)
{
	struct run_index *index = survey->index;
	int64_t age_ns = clock_utc_ms(index->clock) * NS_PER_MS - survey->runs.changed_ns;
	char number[24];

	(void)snprintf(number, sizeof(number), "%lld", (long long)survey->runs.inode);
	if (put_meta(index, "runs_inode", str_of(number), err) != ERR_OK)
		return err->code;
	if (age_ns < RACY_NS)
		is_trusted = false;
	(void)snprintf(number, sizeof(number), "%lld",
		       is_trusted ? (long long)survey->runs.changed_ns : 0LL);
	return put_meta(index, "runs_changed_ns", str_of(number), err);
}

static enum err_code remove_vanished(struct survey *survey, struct err *err)
{
	for (size_t i = 0; i < survey->known_count; i++) {
		if (!survey->known[i].is_there &&
		    index_remove_run(survey->index, survey->known[i].run_id, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Read the changed runs from *at on, a batch of them at most. A run that changes or vanishes after
 * the survey is found as it is then. */
static enum err_code read_batch(struct survey *survey, size_t *at, bool *ret_all_runs,
				struct err *err)
{
	size_t end = *at + BATCH_RUNS;

	for (; *at < survey->changed_count && *at < end; ++*at) {
		const struct known_run *run = &survey->changed[*at];
		bool is_run;

		if (index_read_run(survey->index, run->run_id, run->dir_inode, &is_run, err) !=
		    ERR_OK)
			return err->code;
		if (!is_run)
			*ret_all_runs = false;
	}
	return ERR_OK;
}

/* In the first transaction: what is new, what is gone, and the first batch. The directory's time is
 * remembered only when that was all: else somebody may have come between two transactions. */
static enum err_code update_first(struct survey *survey, enum index_scope scope, size_t *at,
				  struct err *err)
{
	bool is_changed;
	bool are_runs = true;

	if (survey_logs(survey, scope, false, &is_changed, err) != ERR_OK ||
	    survey_names(survey, false, &is_changed, err) != ERR_OK ||
	    remove_vanished(survey, err) != ERR_OK ||
	    read_batch(survey, at, &are_runs, err) != ERR_OK)
		return err->code;
	if (!survey->is_listed)
		return ERR_OK;
	return put_runs_mark(survey, are_runs && *at == survey->changed_count, err);
}

static enum err_code update(struct survey *survey, enum index_scope scope, struct err *err)
{
	struct run_index *index = survey->index;
	bool ignored;
	size_t at = 0;

	if (index_begin(index, err) != ERR_OK ||
	    index_end(index, update_first(survey, scope, &at, err), err) != ERR_OK)
		return err->code;
	while (at < survey->changed_count) {
		if (index_begin(index, err) != ERR_OK ||
		    index_end(index, read_batch(survey, &at, &ignored, err), err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code run_index_update(struct run_index *index, enum index_scope scope, struct err *err)
{
	bool is_needed = false;
	struct survey survey;
	enum err_code code;

	index->scope = scope;
	if (scope == INDEX_NONE)
		return ERR_OK;
	if (needs_update(index, scope, &is_needed, err) != ERR_OK)
		return err->code;
	if (!is_needed)
		return ERR_OK;
	survey_init(&survey, index);
	code = update(&survey, scope, err);
	survey_fini(&survey);
	return code;
}

enum err_code run_index_clear(struct run_index *index, struct err *err)
{
	enum err_code code;

	if (index_begin(index, err) != ERR_OK)
		return err->code;
	code = sqlite_exec(&index->sqlite,
			   "DELETE FROM runs; DELETE FROM steps; DELETE FROM core_workflow_events;"
			   "DELETE FROM core_workflow_checkpoints;"
			   "DELETE FROM meta WHERE key != 'boot_id'",
			   err);
	return index_end(index, code, err);
}
