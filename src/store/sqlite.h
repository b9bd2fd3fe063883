/* sqlite.h - an SQLite database, through a library that is loaded at first use.
 *
 * libsqlite3 is reached by dlopen(3), so that what never asks for history (`run` above all) does
 * not load it, and a machine without it has everything else. sqlite.def lists what is bound of it.
 *
 * Errors: UNSUPPORTED the library is missing or too old; LOCKED another process writes and the busy
 * timeout is over; CORRUPT the file is no database, is damaged, or has other tables than expected;
 * FULL, MEMORY; IO for the rest. One thread at a time. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

/* An open database; db NULL = none. */
struct sqlite {
	struct sqlite3 *db;
};

/* A prepared statement; stmt NULL = none. It must end before its database does. */
struct sqlite_query {
	struct sqlite *sqlite;
	struct sqlite3_stmt *stmt;
	int bound; /* parameters bound since the last rewind */
};

/* Load the library, if that has not happened yet. UNSUPPORTED. */
MUST_CHECK enum err_code sqlite_load(struct err *err);

/* Open the file at `path` (absolute), which must exist (an empty one is an empty database). Other
 * writers are waited for up to `busy_ms`. */
MUST_CHECK enum err_code sqlite_open(struct sqlite *sqlite, const char *path, bool read_only,
				     int busy_ms, struct err *err);
void sqlite_close(struct sqlite *sqlite); /* accepts one that is not open */

/* Execute statements that answer nothing. */
MUST_CHECK enum err_code sqlite_exec(struct sqlite *sqlite, const char *sql, struct err *err);
/* The first column of the first row as a number; `otherwise` when there is no row. */
MUST_CHECK enum err_code sqlite_number(struct sqlite *sqlite, const char *sql, int64_t otherwise,
				       int64_t *ret_number, struct err *err);

/* One statement. CORRUPT when the database has no such tables or columns. */
MUST_CHECK enum err_code sqlite_prepare(struct sqlite *sqlite, const char *sql,
					struct sqlite_query *ret_query, struct err *err);
void sqlite_finish(struct sqlite_query *query); /* accepts one that is not prepared */

/* Bind the next parameter, from the left: a text (ptr NULL = null; borrowed until the rewind), or a
 * number. A failure to bind shows in the next step. */
void sqlite_put_str(struct sqlite_query *query, struct str text);
void sqlite_put_i64(struct sqlite_query *query, int64_t value);

/* The next row; *ret_row false at the end. */
MUST_CHECK enum err_code sqlite_next(struct sqlite_query *query, bool *ret_row, struct err *err);
/* Of the row at hand; texts are borrowed until the next call of sqlite_next. */
struct str sqlite_str(const struct sqlite_query *query, int column); /* ptr NULL = null */
int64_t sqlite_i64(const struct sqlite_query *query, int column);    /* null = 0 */
/* Back to the start, with nothing bound. */
void sqlite_rewind(struct sqlite_query *query);
/* Execute a statement whose parameters are bound and that answers nothing, and rewind it. */
MUST_CHECK enum err_code sqlite_do(struct sqlite_query *query, struct err *err);

#endif
