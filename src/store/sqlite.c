/* sqlite.c - see sqlite.h */
#include "store/sqlite.h"

#include "sys/library.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>

#define LIBRARY_NAME "libsqlite3.so.0"

typedef int sqlite_row_fn(void *arg, int columns, char **texts, char **names);
typedef void sqlite_free_fn(void *bytes);

enum sqlite_code {
#define CALL(result, name, parameters)
#define CODE(name, value) CODE_##name = (value),
#include "store/sqlite.def"
};

static struct {
	bool is_bound;
#define CALL(result, name, parameters) result(*name) parameters;
#define CODE(name, value)
#include "store/sqlite.def"
} lib;

/* ---- the library */

static const struct binding {
	const char *name;
	size_t at; /* of the pointer in `lib` */
} bindings[] = {
#define CALL(result, name, parameters) {"sqlite3_" #name, offsetof(__typeof__(lib), name)},
#define CODE(name, value)
#include "store/sqlite.def"
};

static enum err_code load(struct err *err)
{
	void *library;

	if (lib.is_bound)
		return ERR_OK;
	if (library_open(LIBRARY_NAME, &library, err) != ERR_OK)
		return err_hint(err, "install SQLite 3 (the package libsqlite3-0)");
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
		void *symbol = library_symbol(library, bindings[i].name);

		if (!symbol)
			return err_set(err, ERR_UNSUPPORTED, "%s has no '%s'", LIBRARY_NAME,
				       bindings[i].name);
		*(void **)(void *)((char *)&lib + bindings[i].at) = symbol;
	}
	lib.is_bound = true; /* and stays loaded */
	return ERR_OK;
}

/* Threads with handles of their own meet here. What fails is tried again by the next one. */
enum err_code sqlite_load(struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	enum err_code code;

	(void)pthread_mutex_lock(&lock);
	code = load(err);
	(void)pthread_mutex_unlock(&lock);
	return code;
}

/* ---- errors */

static const struct {
	enum sqlite_code code;
	enum err_code is;
} meanings[] = {
    {CODE_BUSY, ERR_LOCKED},   {CODE_LOCKED, ERR_LOCKED},      {CODE_NOMEM, ERR_MEMORY},
    {CODE_FULL, ERR_FULL},     {CODE_CORRUPT, ERR_CORRUPT},    {CODE_NOTADB, ERR_CORRUPT},
    {CODE_ERROR, ERR_CORRUPT}, {CODE_CONSTRAINT, ERR_CORRUPT}, {CODE_MISMATCH, ERR_CORRUPT},
    {CODE_PERM, ERR_IO},       {CODE_READONLY, ERR_IO},        {CODE_IOERR, ERR_IO},
    {CODE_CANTOPEN, ERR_IO},   {CODE_TOOBIG, ERR_LIMIT},
};

static enum err_code failed(const struct sqlite *sqlite, int code, struct err *err)
{
	enum err_code is = ERR_IO;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if ((int)meanings[i].code == (code & 0xff))
			is = meanings[i].is;
	}
	return err_set(err, is, "history database: %s",
		       sqlite->db ? lib.errmsg(sqlite->db) : "cannot be opened");
}

/* ---- databases */

enum err_code sqlite_open(struct sqlite *sqlite, const char *path, bool read_only, int busy_ms,
			  struct err *err)
{
	int code;

	sqlite->db = NULL;
	if (sqlite_load(err) != ERR_OK)
		return err->code;
	code = lib.open_v2(path, &sqlite->db, read_only ? CODE_OPEN_READONLY : CODE_OPEN_READWRITE,
			   NULL);
	if (code == CODE_OK)
		code = lib.busy_timeout(sqlite->db, busy_ms);
	if (code != CODE_OK) {
		(void)failed(sqlite, code, err);
		sqlite_close(sqlite);
		return err_while(err, "open '%s'", path);
	}
	return ERR_OK;
}

void sqlite_close(struct sqlite *sqlite)
{
	if (sqlite->db)
		(void)lib.close_v2(sqlite->db); /* what was committed is in the file */
	sqlite->db = NULL;
}

enum err_code sqlite_exec(struct sqlite *sqlite, const char *sql, struct err *err)
{
	int code = lib.exec(sqlite->db, sql, NULL, NULL, NULL);

	return code == CODE_OK ? ERR_OK : failed(sqlite, code, err);
}

enum err_code sqlite_number(struct sqlite *sqlite, const char *sql, int64_t otherwise,
			    int64_t *ret_number, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	int64_t number = otherwise;
	enum err_code code;
	bool is_row = false;

	if (sqlite_prepare(sqlite, sql, &query, err) != ERR_OK)
		return err->code;
	code = sqlite_next(&query, &is_row, err);
	if (is_row)
		number = sqlite_i64(&query, 0);
	sqlite_finish(&query);
	if (code == ERR_OK)
		*ret_number = number;
	return code;
}

/* ---- statements */

enum err_code sqlite_prepare(struct sqlite *sqlite, const char *sql, struct sqlite_query *ret_query,
			     struct err *err)
{
	struct sqlite3_stmt *stmt = NULL;
	int code = lib.prepare_v2(sqlite->db, sql, -1, &stmt, NULL);

	if (code != CODE_OK)
		return failed(sqlite, code, err);
	*ret_query = (struct sqlite_query){.sqlite = sqlite, .stmt = stmt};
	return ERR_OK;
}

void sqlite_finish(struct sqlite_query *query)
{
	if (query->stmt)
		(void)lib.finalize(query->stmt); /* repeats the error of the last step */
	query->stmt = NULL;
}

void sqlite_put_str(struct sqlite_query *query, struct str text)
{
	int at = ++query->bound;

	/* A text that is too long stays unbound: null, which the tables refuse where it matters. */
	if (text.ptr && text.len <= INT_MAX)
		(void)lib.bind_text(query->stmt, at, text.ptr, (int)text.len, NULL);
	else
		(void)lib.bind_null(query->stmt, at);
}

void sqlite_put_i64(struct sqlite_query *query, int64_t value)
{
	(void)lib.bind_int64(query->stmt, ++query->bound, value);
}

enum err_code sqlite_next(struct sqlite_query *query, bool *ret_row, struct err *err)
{
	int code = lib.step(query->stmt);

	if (code != CODE_ROW && code != CODE_DONE)
		return failed(query->sqlite, code, err);
	*ret_row = code == CODE_ROW;
	return ERR_OK;
}

struct str sqlite_str(const struct sqlite_query *query, int column)
{
	const unsigned char *text;

	if (lib.column_type(query->stmt, column) == CODE_TYPE_NULL)
		return STR_NONE;
	text = lib.column_text(query->stmt, column);
	if (!text)
		return STR_NONE;
	return str_from((const char *)text, (size_t)lib.column_bytes(query->stmt, column));
}

int64_t sqlite_i64(const struct sqlite_query *query, int column)
{
	return lib.column_int64(query->stmt, column);
}

void sqlite_rewind(struct sqlite_query *query)
{
	(void)lib.reset(query->stmt); /* repeats the error of the last step */
	(void)lib.clear_bindings(query->stmt);
	query->bound = 0;
}

enum err_code sqlite_do(struct sqlite_query *query, struct err *err)
{
	bool is_row;
	enum err_code code = sqlite_next(query, &is_row, err);

	sqlite_rewind(query);
	return code;
}
