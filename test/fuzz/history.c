/* history.c - any bytes as the database of the history, any values in its rows, and all that the
 * library asks it.
 *
 * An input: which damage, what is asked and in which form, then the bytes of the whole file, or
 * bytes that are put over a good one, or how much of it is left, or changes by SQL: values of every
 * type in any column, rows that no run has, tables without their constraints, tables and columns
 * that are gone, another version.
 *
 * The database is a cache of logs that are good. So, judged: every question is answered, whatever
 * is in it, and never with what lies outside of the runs; what should be JSON is JSON to jansson;
 * nothing stays open; nothing is left in the state directory that does not belong there; the logs
 * are as they were; after a reindex the list and the figures are those from before the damage. */
#include "base/hash.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "lang/lang.h"
#include "mend.h"
#include "sluice/sluice.h"
#include "store/sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RUNS       4
#define OUTSIDE    5 /* a run that is in another directory: no row may lead there */
#define SECRET     "what is outside is nobody's business"
#define CHANGES    8       /* by SQL, at most */
#define RACY_US    2200000 /* a log that is younger is read again, whatever its row says */
#define BUSY_MS    1000
#define MEMORY_MIN (256ULL << 20) /* bytes that are free */
#define VALUE_MAX  24
#define COLUMN_MAX 26

/* What every input begins with: runs in a directory, and the database of them. */
static struct {
	char home[128];
	char path[160]; /* of the database */
	struct buf database;
	struct buf logs[OUTSIDE + 1];
	char *list;
	char *stats;
} base;

/* ---- files */

static void file_read(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "rb");
	size_t len;

	BUG_IF(!file);
	while ((len = fread(buf_room(out, 4096), 1, 4096, file)) > 0)
		buf_added(out, len);
	(void)fclose(file); /* only read from */
}

static void file_write(const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	BUG_IF(fd < 0);
	for (size_t at = 0; at < text.len;) {
		ssize_t len = write(fd, text.ptr + at, text.len - at);

		BUG_IF(len <= 0);
		at += (size_t)len;
	}
	BUG_IF(close(fd) != 0);
}

static int file_remove(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat;
	(void)kind;
	(void)walk;
	(void)!remove(path); /* it is a temporary one */
	return 0;
}

static void home_remove(void)
{
	(void)!nftw(base.home, file_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* In memory where there is room: a small one would be full beside other fuzzers. */
static const char *base_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	struct statvfs memory;

	if (access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &memory) == 0 &&
	    (uint64_t)memory.f_bavail * memory.f_frsize > MEMORY_MIN)
		return "/dev/shm";
	return tmp ? tmp : "/tmp";
}

static void home_make(void)
{
	(void)snprintf(base.home, sizeof(base.home), "%.80s/sluice-fuzz-XXXXXX", base_folder());
	BUG_IF(!mkdtemp(base.home));
	(void)snprintf(base.path, sizeof(base.path), "%s/sluice.db", base.home);
	BUG_IF(atexit(home_remove) != 0);
}

/* ---- the runs */

static void put_text(struct buf *out, struct str text, const char *old, const char *new)
{
	for (size_t at = 0;;) {
		size_t next = str_find(text, old, at);

		buf_str(out, str_cut(text, at, next));
		if (next >= text.len)
			return;
		buf_text(out, new);
		at = next + strlen(old);
	}
}

static struct str lines_cut(struct str text, size_t count)
{
	size_t at = 0;

	while (count-- > 0)
		at = str_find(text, "\n", at) + 1;
	return str_cut(text, 0, at);
}

/* One that was rolled back, one that waits for a person, one whose owner is gone, one that
 * succeeded. */
static void log_lines(unsigned run, struct str all, struct buf *out)
{
	static const size_t lines[OUTSIDE + 1] = {0, 41, 18, 8, 8, 18};

	buf_str(out, lines_cut(all, lines[run]));
	if (run != 4)
		return;
	buf_text(
	    out,
	    "{\"event_id\":\"evt_9\",\"event_type\":\"run.state_changed\",\"run_id\":\"run_1\","
	    "\"timestamp_utc\":\"2026-01-31T14:02:19.885Z\",\"actor\":\"runner\",\"attempt\":0,"
	    "\"previous_state\":\"executing\",\"new_state\":\"succeeded\"}\n"
	    "{\"event_id\":\"evt_10\",\"event_type\":\"run.completed\",\"run_id\":\"run_1\","
	    "\"timestamp_utc\":\"2026-01-31T14:02:19.885Z\",\"actor\":\"runner\",\"attempt\":0,"
	    "\"new_state\":\"succeeded\",\"outcome\":\"success\",\"duration_ms\":237,"
	    "\"warnings\":0}\n");
}

static void run_make(unsigned run, struct str source, struct str frozen, struct str all)
{
	AUTO(buf_fini) struct buf lines = BUF_INIT;
	AUTO(buf_fini) struct buf hashed = BUF_INIT;
	AUTO(buf_fini) struct buf marked = BUF_INIT;
	AUTO(buf_fini) struct buf named = BUF_INIT;
	char h[MEND_H_BYTES + 1];
	char hash[SHA256_HEX_BYTES + 1];
	uint8_t digest[SHA256_BYTES];
	char dir[192];
	char text[256];

	sha256_of(frozen.ptr, frozen.len, digest);
	sha256_hex(digest, hash);
	(void)snprintf(text, sizeof(text), "\"definition_hash\":\"%s\"", hash);
	log_lines(run, all, &lines);
	put_text(&hashed, buf_view(&lines), "\"definition_hash\":\"@\"", text);
	if (run == OUTSIDE)
		put_text(&marked, buf_view(&hashed), "waiting for approval", SECRET);
	else
		buf_str(&marked, buf_view(&hashed));
	(void)snprintf(text, sizeof(text), "\"run_id\":\"run_%u\"", run);
	put_text(&named, buf_view(&marked), "\"run_id\":\"run_1\"", text);
	(void)snprintf(text, sizeof(text), "run_%u", run);
	mend(buf_view(&named), str_of(text), &base.logs[run], h);

	(void)snprintf(dir, sizeof(dir), "%s/%s/run_%u", base.home,
		       run == OUTSIDE ? "other" : "runs", run);
	BUG_IF(mkdir(dir, 0700) != 0);
	(void)snprintf(text, sizeof(text), "%s/events.jsonl", dir);
	file_write(text, buf_view(&base.logs[run]));
	(void)snprintf(text, sizeof(text), "%s/pipeline.json", dir);
	file_write(text, frozen);
	(void)snprintf(text, sizeof(text), "%s/pipeline.yaml", dir);
	file_write(text, source);
}

static void runs_make(void)
{
	AUTO(buf_fini) struct buf source = BUF_INIT;
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	AUTO(buf_fini) struct buf lines = BUF_INIT;
	AUTO(diags_fini) struct diags diags;
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;
	struct limits limits;
	char path[192];

	limits_default(&limits);
	diags_init(&diags, 10);
	file_read(FUZZ_FOLDER "/base_pipeline.yaml", &source);
	file_read(FUZZ_FOLDER "/base_log.jsonl", &lines);
	BUG_IF(lang_load(buf_view(&source), STR("/srv"), &limits, &diags, &model, &err) != ERR_OK);
	BUG_IF(lang_freeze(model, &frozen, &err) != ERR_OK);
	(void)snprintf(path, sizeof(path), "%s/runs", base.home);
	BUG_IF(mkdir(path, 0700) != 0);
	(void)snprintf(path, sizeof(path), "%s/other", base.home);
	BUG_IF(mkdir(path, 0700) != 0);
	for (unsigned run = 1; run <= OUTSIDE; run++)
		run_make(run, buf_view(&source), buf_view(&frozen), buf_view(&lines));
}

/* ---- questions */

struct world {
	struct sluice *sluice;
	struct sluice_error err;
};

static char *list_all(struct world *world)
{
	struct sluice_list_opts options = {.format = SLUICE_JSON};
	char *text = NULL;

	BUG_IF(sluice_list(world->sluice, &options, &text, &world->err) != SLUICE_OK);
	return text;
}

static char *stats_all(struct world *world)
{
	struct sluice_stats_opts options = {.format = SLUICE_JSON};
	char *text = NULL;

	BUG_IF(sluice_stats(world->sluice, &options, &text, &world->err) != SLUICE_OK);
	return text;
}

/* An answer. The logs can give each, so there is no other error than those that are meant. */
static void check(const struct world *world, enum sluice_code code, char *text,
		  enum sluice_format format)
{
	struct bytes bytes = {(const uint8_t *)text, text ? strlen(text) : 0};

	if (code == SLUICE_NOT_FOUND) { /* figures of a pipeline that no row names */
		BUG_IF(!world->err.text[0]);
		return;
	}
	BUG_IF(code != SLUICE_OK);
	BUG_IF(!text || strstr(text, SECRET));
	BUG_IF(format == SLUICE_JSON && !jansson_takes(text, strlen(text)));
	while (format == SLUICE_JSONL && bytes.left > 0) {
		struct str line = line_next(&bytes);

		BUG_IF(!jansson_takes(line.ptr, line.len));
	}
	sluice_free(text);
}

static void ask_list(struct world *world, uint8_t how, uint8_t form)
{
	static const struct sluice_list_opts filters[] = {
	    {.limit = 0},
	    {.limit = 2},
	    {.result = "success"},
	    {.result = "active"},
	    {.result = "blocked"},
	    {.result = "partial"},
	    {.state = "interrupted"},
	    {.state = "corrupt"},
	    {.state = "removed"},
	    {.pipeline = "run"},
	    {.since_ms = 1},
	    {.removed = true},
	    {.columns = 80},
	    {.columns = 20, .limit = 3},
	};
	struct sluice_list_opts options = filters[how % ARRAY_LEN(filters)];
	enum sluice_code code;
	char *text = NULL;

	options.format = (enum sluice_format)(form % (SLUICE_CSV + 1U));
	code = sluice_list(world->sluice, &options, &text, &world->err);
	BUG_IF(code == SLUICE_NOT_FOUND);
	check(world, code, text, options.format);
}

static void ask_stats(struct world *world, uint8_t how, uint8_t form)
{
	static const enum sluice_format formats[] = {SLUICE_JSON, SLUICE_TEXT, SLUICE_CSV};
	struct sluice_stats_opts options = {.pipeline = how & 1 ? "run" : NULL,
					    .since_ms = how & 2 ? 1 : 0};
	enum sluice_code code;
	char *text = NULL;

	options.prometheus = form % 4 == 3;
	if (!options.prometheus)
		options.format = formats[form % 4];
	code = sluice_stats(world->sluice, &options, &text, &world->err);
	BUG_IF(code == SLUICE_NOT_FOUND && !options.pipeline);
	check(world, code, text, options.prometheus ? SLUICE_TEXT : options.format);
}

static void ask_times(struct world *world)
{
	struct sluice_step_times times = {.count = 0};

	BUG_IF(sluice_step_history(world->sluice, "run", &times, &world->err) != SLUICE_OK);
	for (size_t i = 0; i < times.count; i++)
		BUG_IF(times.items[i].samples == 0 || times.items[i].median_ms < 0);
	sluice_step_history_free(&times);
}

static void ask(struct world *world, uint8_t which, uint8_t form)
{
	switch (which % 4) {
	case 0:
		ask_list(world, which / 4, form);
		break;
	case 1:
		ask_stats(world, which / 4, form);
		break;
	case 2:
		ask_times(world);
		break;
	default: /* nobody has looked at it before the reindex */
		break;
	}
}

static void reindex(struct world *world, uint8_t how)
{
	enum sluice_format format = how & 1 ? SLUICE_JSON : SLUICE_TEXT;
	char *text = NULL;
	enum sluice_code code = sluice_reindex(world->sluice, format, &text, &world->err);

	BUG_IF(code == SLUICE_NOT_FOUND);
	check(world, code, text, format);
}

/* All is as it was before the damage. */
static void check_made_anew(struct world *world)
{
	char *list = list_all(world);
	char *stats = stats_all(world);

	BUG_IF(strcmp(list, base.list) != 0);
	BUG_IF(strcmp(stats, base.stats) != 0);
	sluice_free(list);
	sluice_free(stats);
}

static size_t open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	BUG_IF(!dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

/* What lies in the state directory once nobody has it open. */
static void check_home(void)
{
	static const char *const names[] = {
	    ".", "..", "runs", "other", "sluice.db", "sluice.db.damaged", "runs.jsonl"};
	DIR *dir = opendir(base.home);
	const struct dirent *entry;

	BUG_IF(!dir);
	while ((entry = readdir(dir))) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && strcmp(names[i], entry->d_name) != 0)
			i++;
		BUG_IF(i == ARRAY_LEN(names));
	}
	(void)closedir(dir);
}

static void check_logs(void)
{
	for (unsigned run = 1; run <= RUNS; run++) {
		AUTO(buf_fini) struct buf log = BUF_INIT;
		char path[192];

		(void)snprintf(path, sizeof(path), "%s/runs/run_%u/events.jsonl", base.home, run);
		file_read(path, &log);
		BUG_IF(!str_eq(buf_view(&log), buf_view(&base.logs[run])));
	}
}

/* ---- damage */

static void database_put(struct str bytes)
{
	static const char *const others[] = {"-wal", "-shm", "-journal", ".damaged"};
	char path[192];

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", base.path, others[i]);
		(void)!remove(path); /* most often there is none */
	}
	(void)!remove(base.path); /* a folder, perhaps */
	file_write(base.path, bytes);
}

static uint32_t number_next(struct bytes *bytes, unsigned width)
{
	uint32_t number = 0;

	while (width-- > 0)
		number = number << 8 | byte_next(bytes);
	return number;
}

/* Over the good one: where, how many bytes, the bytes. */
static void put_over(struct bytes *bytes)
{
	AUTO(buf_fini) struct buf database = BUF_INIT;

	buf_str(&database, buf_view(&base.database));
	while (bytes->left > 0) {
		size_t at = number_next(bytes, 3) % database.len;
		struct str text = text_next(bytes, byte_next(bytes));

		if (text.len > database.len - at)
			text.len = database.len - at;
		memcpy(database.ptr + at, text.ptr, text.len);
	}
	database_put(buf_view(&database));
}

/* What is no good file, but has something of one. */
static void put_part(struct bytes *bytes)
{
	size_t len = number_next(bytes, 3) % (base.database.len + 1);

	if (len == 1) {
		(void)!remove(base.path);
		BUG_IF(mkdir(base.path, 0700) != 0);
		return;
	}
	database_put(str_cut(buf_view(&base.database), 0, len));
}

/* ---- damage by SQL */

static const struct table {
	const char *name;
	const char *columns[COLUMN_MAX + 1];
} tables[] = {
    {"runs", {"run_id",        "pipeline",    "version",         "partition_key", "state",
	      "result",        "outcome",     "failure_reason",  "triggered_by",  "executed",
	      "failed",        "params",      "definition_hash", "receipt",       "started_ms",
	      "ended_ms",      "duration_ms", "retries",         "warnings",      "gate_failures",
	      "is_live",       "is_settled",  "dir_inode",       "log_inode",     "log_bytes",
	      "log_changed_ns"}},
    {"steps",
     {"run_id", "step_id", "position", "state", "error_class", "skip_reason", "reason",
      "outputs_hash", "cached_from", "attempts", "retries", "started_ms", "ended_ms",
      "duration_ms"}},
    {"core_workflow_events",
     {"id", "run_id", "step_id", "event_type", "timestamp", "payload", "idempotency_key",
      "error_class"}},
    {"core_workflow_checkpoints",
     {"id", "run_id", "workflow_name", "step_name", "context_snapshot", "created_at"}},
    {"meta", {"key", "value"}},
};

static size_t columns_of(const struct table *table)
{
	size_t count = 0;

	while (table->columns[count])
		count++;
	return count;
}

static void put_hex(struct buf *sql, struct str text)
{
	buf_text(sql, "x'");
	for (size_t i = 0; i < text.len; i++)
		buf_fmt(sql, "%02x", (unsigned char)text.ptr[i]);
	buf_byte(sql, '\'');
}

static void put_value(struct buf *sql, struct bytes *bytes)
{
	static const char *const known[] = {
	    "0",
	    "1",
	    "-1",
	    "9223372036854775807",
	    "-9223372036854775808",
	    "253402300800000",
	    "4294967296",
	    "1e300",
	    "-9e999",
	    "9e999",
	    "0.5",
	    "''",
	    "'[]'",
	    "'[1]'",
	    "'{}'",
	    "'[\"a\"'",
	    "'success'",
	    "'failed'",
	    "'corrupt'",
	    "'run_1'",
	    "'run_9'",
	    "'..'",
	    "'../runs/run_1'",
	    "'../other/run_5'",
	    "'RUN_1'",
	    "hex(zeroblob(3000))",
	    "zeroblob(300)",
	    "CAST(x'ff00fe' AS TEXT)",
	};
	uint8_t kind = byte_next(bytes);

	switch (kind % 5) {
	case 0:
		buf_text(sql, "NULL");
		break;
	case 1:
		buf_text(sql, known[byte_next(bytes) % ARRAY_LEN(known)]);
		break;
	case 2:
		buf_i64(sql,
			(int64_t)((uint64_t)number_next(bytes, 4) << 32 | number_next(bytes, 4)));
		break;
	case 3:
		buf_text(sql, "CAST(");
		put_hex(sql, text_next(bytes, byte_next(bytes) % VALUE_MAX));
		buf_text(sql, " AS TEXT)");
		break;
	default:
		put_hex(sql, text_next(bytes, byte_next(bytes) % VALUE_MAX));
		break;
	}
}

/* The rows of one run, or of all. */
static void put_rows(struct buf *sql, const struct table *table, uint8_t which)
{
	static const char *const keys[] = {"boot_id", "runs_inode", "runs_changed_ns"};
	bool is_meta = strcmp(table->name, "meta") == 0;

	if (is_meta)
		buf_fmt(sql, " WHERE key = '%s'", keys[which % ARRAY_LEN(keys)]);
	else if (which % (RUNS + 1) > 0)
		buf_fmt(sql, " WHERE run_id = 'run_%u'", which % (RUNS + 1U));
}

/* A row like another, but for one column. */
static void put_copy(struct buf *sql, const struct table *table, size_t column, struct bytes *bytes)
{
	uint8_t which = byte_next(bytes);

	buf_fmt(sql, "INSERT OR IGNORE INTO %s SELECT ", table->name);
	for (size_t i = 0; table->columns[i]; i++) {
		if (i > 0)
			buf_text(sql, ", ");
		if (i == column)
			put_value(sql, bytes);
		else
			buf_text(sql, table->columns[i]);
	}
	buf_fmt(sql, " FROM %s", table->name);
	put_rows(sql, table, which);
}

static void put_change(struct buf *sql, struct bytes *bytes)
{
	static const char *const indexes[] = {"runs_by_start", "runs_open", "runs_dirs",
					      "events_by_run", "events_by_class"};
	uint8_t kind = byte_next(bytes);
	uint8_t place = byte_next(bytes);
	const struct table *table = &tables[kind / 16 % ARRAY_LEN(tables)];
	size_t at = place % columns_of(table);
	const char *column = table->columns[at];

	switch (kind % 16) {
	case 0:
		buf_fmt(sql, "DROP TABLE %s", table->name);
		break;
	case 1:
		buf_fmt(sql, "DROP INDEX %s", indexes[place % ARRAY_LEN(indexes)]);
		break;
	case 2:
		buf_fmt(sql, "PRAGMA user_version = %d", (int)(int8_t)place);
		break;
	case 3:
		buf_fmt(sql, "ALTER TABLE %s DROP COLUMN %s", table->name, column);
		break;
	case 4:
		buf_fmt(sql, "ALTER TABLE %s RENAME COLUMN %s TO other", table->name, column);
		break;
	case 5:
		buf_fmt(sql, "ALTER TABLE %s ADD COLUMN other", table->name);
		break;
	case 6: /* the same columns, no constraints: nulls, and rows that are there twice */
	case 7:
		buf_fmt(sql,
			"CREATE TABLE other AS SELECT * FROM %s; DROP TABLE %s;"
			"ALTER TABLE other RENAME TO %s",
			table->name, table->name, table->name);
		break;
	case 8:
		buf_fmt(sql, "DELETE FROM %s", table->name);
		put_rows(sql, table, place);
		break;
	case 9:
	case 10:
	case 11:
		put_copy(sql, table, at, bytes);
		break;
	default:
		buf_fmt(sql, "UPDATE OR IGNORE %s SET %s = ", table->name, column);
		place = byte_next(bytes);
		put_value(sql, bytes);
		put_rows(sql, table, place);
		break;
	}
}

static void put_by_sql(struct bytes *bytes)
{
	struct sqlite sqlite = {.db = NULL};
	struct err err = ERR_INIT;

	BUG_IF(sqlite_open(&sqlite, base.path, false, BUSY_MS, &err) != ERR_OK);
	BUG_IF(sqlite_exec(&sqlite, "PRAGMA synchronous = OFF", &err) != ERR_OK);
	for (int i = 0; i < CHANGES && bytes->left > 0; i++) {
		AUTO(buf_fini) struct buf sql = BUF_INIT;

		put_change(&sql, bytes);
		BUG_IF(buf_check(&sql, "change", &err) != ERR_OK);
		(void)!sqlite_exec(&sqlite, sql.ptr, &err); /* not each can be done */
		err_reset(&err);
	}
	sqlite_close(&sqlite);
}

/* ---- an input */

static void world_open(struct world *world)
{
	struct sluice_state_opts options = {.state_dir = base.home};

	BUG_IF(sluice_open(&options, &world->sluice, &world->err) != SLUICE_OK);
}

static void base_make(void)
{
	struct world world = {.sluice = NULL};
	struct sqlite sqlite = {.db = NULL};
	struct err err = ERR_INIT;
	int64_t doubtful = 1;

	home_make();
	runs_make();
	BUG_IF(usleep(RACY_US) != 0);
	world_open(&world);
	reindex(&world, 0);
	base.list = list_all(&world);
	base.stats = stats_all(&world);
	sluice_close(world.sluice);
	/* Else logs were read instead of rows. */
	BUG_IF(sqlite_open(&sqlite, base.path, true, BUSY_MS, &err) != ERR_OK);
	BUG_IF(sqlite_number(&sqlite,
			     "SELECT count(*) != 4 OR sum(log_changed_ns = 0) > 0 FROM runs", 1,
			     &doubtful, &err) != ERR_OK);
	sqlite_close(&sqlite);
	BUG_IF(doubtful);
	file_read(base.path, &base.database);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	uint8_t damage = byte_next(&bytes);
	uint8_t which = byte_next(&bytes);
	uint8_t form = byte_next(&bytes);
	struct world world = {.sluice = NULL};
	size_t files;

	if (base.database.len == 0)
		base_make();
	if (damage % 8 > 2)
		database_put(buf_view(&base.database));
	switch (damage % 8) {
	case 0:
		database_put(text_next(&bytes, bytes.left));
		break;
	case 1:
	case 2:
		put_over(&bytes);
		break;
	case 3:
		put_part(&bytes);
		break;
	default:
		put_by_sql(&bytes);
		break;
	}
	files = open_files();
	world_open(&world);
	ask(&world, which, form);
	reindex(&world, form);
	check_made_anew(&world);
	sluice_close(world.sluice);
	BUG_IF(open_files() != files);
	check_home();
	check_logs();
	return 0;
}
