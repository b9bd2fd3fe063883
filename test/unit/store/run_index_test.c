/* run_index_test.c - the history database: what makes it read a run again, and what it does not
 * trust */
#include "base/mem.h"
#include "base/timefmt.h"
#include "store/run_index.h"
#include "store/sqlite.h"
#include "support/temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A clock that is ahead of the machine's, or behind it. */
static int64_t ahead_ms;

static int64_t shifted_utc_ms(void *self)
{
	(void)self;
	return clock_utc_ms(&clock_os) + ahead_ms;
}

static int64_t shifted_boot_ns(void *self)
{
	(void)self;
	return clock_boot_ns(&clock_os);
}

static const struct clock_ops shifted_ops = {
    .name = "shifted", .boot_ns = shifted_boot_ns, .utc_ms = shifted_utc_ms};
static const struct clock shifted = {.ops = &shifted_ops};

/* A directory in `runs` that holds a log which is none: a damaged run, but a run. */
static void make_run(const struct temp_dir *dir, const char *id, const char *log)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/runs", dir->path);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/runs/%s", dir->path, id);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "runs/%s/events.jsonl", id);
	temp_dir_write(dir, path, log, strlen(log));
}

static struct run_index *open_index(const struct temp_dir *dir)
{
	static struct limits limits;
	struct run_index *index = NULL;
	struct err err = ERR_INIT;

	limits_default(&limits);
	if (run_index_open(dir->path, &limits, &shifted, false, &index, &err) != ERR_OK) {
		if (err.code == ERR_UNSUPPORTED)
			skip(); /* a machine without SQLite */
		fail_msg("%s", err.text);
	}
	return index;
}

static size_t reads_of_update(const struct temp_dir *dir, enum index_scope scope)
{
	AUTO(run_index_drop) struct run_index *index = open_index(dir);
	struct err err = ERR_INIT;

	if (run_index_update(index, scope, &err) != ERR_OK)
		fail_msg("%s", err.text);
	return run_index_reads(index);
}

/* The names of the directory are trusted once they are older than what a file system's clock may
 * miss. */
static void a_directory_is_listed_again_until_its_time_can_be_trusted(void **unused)
{
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	make_run(&dir, "no-run", ""); /* a folder that may become a run */
	ahead_ms = 0;
	assert_int_equal(reads_of_update(&dir, INDEX_OPEN), 1);
	ahead_ms = 60000;
	assert_int_equal(reads_of_update(&dir, INDEX_OPEN), 1); /* and stays one */
	temp_dir_remove(&dir);
}

static void a_clock_that_went_back_makes_it_look_again_and_not_miss_anything(void **unused)
{
	struct temp_dir dir;

	(void)unused;
	temp_dir_make(&dir);
	make_run(&dir, "one", "{}\n");
	ahead_ms = -3600000; /* every file is of the future */
	(void)reads_of_update(&dir, INDEX_OPEN);
	make_run(&dir, "two", "{}\n");
	assert_true(reads_of_update(&dir, INDEX_OPEN) >= 1);
	assert_true(reads_of_update(&dir, INDEX_ALL) >= 1);
	temp_dir_remove(&dir);
}

static enum err_code count_row(void *arg, const struct run_row *row, struct err *err)
{
	(void)row;
	(void)err;
	++*(size_t *)arg;
	return ERR_OK;
}

static void an_index_without_runs_answers_nothing(void **unused)
{
	const struct run_filter all = {.limit = 0};
	struct err err = ERR_INIT;
	struct run_index *index;
	struct temp_dir dir;
	size_t matched = 9;
	size_t rows = 0;

	(void)unused;
	temp_dir_make(&dir);
	ahead_ms = 0;
	index = open_index(&dir);
	assert_int_equal(run_index_update(index, INDEX_ALL, &err), ERR_OK);
	assert_int_equal(run_index_list(index, &all, count_row, &rows, &matched, &err), ERR_OK);
	assert_int_equal(rows, 0);
	assert_int_equal(matched, 0);
	assert_int_equal(run_index_clear(index, &err), ERR_OK);
	run_index_close(index);
	temp_dir_remove(&dir);
}

static void reading_only_makes_no_file(void **unused)
{
	struct run_index *index = NULL;
	struct err err = ERR_INIT;
	struct limits limits;
	struct temp_dir dir;

	(void)unused;
	limits_default(&limits);
	temp_dir_make(&dir);
	assert_int_not_equal(run_index_open(dir.path, &limits, &clock_os, true, &index, &err),
			     ERR_OK);
	assert_true(err.code == ERR_NOT_FOUND || err.code == ERR_UNSUPPORTED);
	assert_null(index);
	temp_dir_remove(&dir);
}

/* ---- rows that no run can have: the file is a cache, and may hold anything */

static void put_by_sql(const struct temp_dir *dir, const char *sql)
{
	struct sqlite sqlite = {.db = NULL};
	struct err err = ERR_INIT;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/" RUN_INDEX_FILE, dir->path);
	if (sqlite_open(&sqlite, path, false, 1000, &err) != ERR_OK ||
	    sqlite_exec(&sqlite, sql, &err) != ERR_OK)
		fail_msg("%s: %s", sql, err.text);
	sqlite_close(&sqlite);
}

/* As if the log had been read to its end, so that nobody reads it again before the row is shown. */
static void trust_row(const struct temp_dir *dir)
{
	struct stat stat;
	char sql[128];

	assert_int_equal(fstatat(dir->fd, "runs/one/events.jsonl", &stat, 0), 0);
	(void)snprintf(sql, sizeof(sql), "UPDATE runs SET started_ms = 1, log_changed_ns = %lld",
		       (long long)stat.st_ctim.tv_sec * NS_PER_S + stat.st_ctim.tv_nsec);
	put_by_sql(dir, sql);
}

/* What a list says of a database that knew one run and was changed by `sql`. */
static enum err_code list_after(const char *sql, enum index_scope scope)
{
	const struct run_filter all = {.limit = 0};
	struct run_index *index = NULL;
	struct err err = ERR_INIT;
	struct limits limits;
	struct temp_dir dir;
	size_t matched = 0;
	size_t rows = 0;

	temp_dir_make(&dir);
	make_run(&dir, "one", "{}\n");
	make_run(&dir, "../other", "{}\n"); /* no run, though a log is there */
	ahead_ms = 60000;
	(void)reads_of_update(&dir, INDEX_ALL);
	trust_row(&dir);
	put_by_sql(&dir, sql);
	limits_default(&limits);
	if (run_index_open(dir.path, &limits, &shifted, false, &index, &err) == ERR_OK &&
	    run_index_update(index, scope, &err) == ERR_OK &&
	    run_index_list(index, &all, count_row, &rows, &matched, &err) == ERR_OK)
		assert_int_equal(rows, 1);
	run_index_close(index);
	temp_dir_remove(&dir);
	return err.code;
}

static void a_row_that_is_of_no_run_is_damage(void **unused)
{
	static const char *const changes[] = {
	    "UPDATE runs SET run_id = NULL",
	    "UPDATE runs SET run_id = ''",
	    "UPDATE runs SET run_id = '../other'",
	    "UPDATE meta SET value = 0; UPDATE runs SET run_id = NULL",
	    "ALTER TABLE steps DROP COLUMN outputs_hash; ALTER TABLE steps ADD COLUMN other",
	    "DROP INDEX runs_open",
	    "DROP TABLE meta",
	    "CREATE TRIGGER made AFTER DELETE ON runs BEGIN DELETE FROM steps; END",
	    "CREATE TABLE made AS SELECT * FROM runs; DROP TABLE runs;"
	    " ALTER TABLE made RENAME TO runs; INSERT INTO runs SELECT * FROM runs;"
	    " UPDATE meta SET value = 0",
	    "UPDATE runs SET executed = '[\"a\"'",
	    "UPDATE runs SET failed = '{}'",
	    "UPDATE runs SET failed = x'00'",
	    "UPDATE runs SET failed = '[' || char(10) || ']'", /* two lines of a list as JSONL */
	    "UPDATE runs SET started_ms = -9223372036854775808",
	    "UPDATE runs SET ended_ms = 9223372036854775807",
	};

	(void)unused;
	assert_int_equal(list_after("UPDATE runs SET failure_reason = 'why'", INDEX_NEW), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		if (list_after(changes[i], INDEX_NEW) != ERR_CORRUPT)
			fail_msg("%s", changes[i]);
	}
}

static void no_row_leads_out_of_the_runs(void **unused)
{
	static const char change[] =
	    "UPDATE runs SET run_id = '../other', log_changed_ns = 0, started_ms = NULL";

	(void)unused;
	for (int scope = INDEX_NONE; scope <= INDEX_ALL; scope++)
		assert_int_equal(list_after(change, (enum index_scope)scope), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_directory_is_listed_again_until_its_time_can_be_trusted),
	    cmocka_unit_test(a_clock_that_went_back_makes_it_look_again_and_not_miss_anything),
	    cmocka_unit_test(an_index_without_runs_answers_nothing),
	    cmocka_unit_test(reading_only_makes_no_file),
	    cmocka_unit_test(a_row_that_is_of_no_run_is_damage),
	    cmocka_unit_test(no_row_leads_out_of_the_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
