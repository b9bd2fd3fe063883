/*
 * tell [undo]: what a step of the tests does. It leaves two traces of its execution and exits 0:
 *
 * - a line "RUN STEP[.comp] ATTEMPT" at the end of the file $WITNESS, in one write;
 * - in the SQLite database $LEDGER a row of `ledger` for the token, which is unique, and one of
 * `effects` for the run and step, with the highest $SLUICE_FENCE that was seen.
 *
 * It exits 99 when it finds what must not be: the token is there already (S8.2), or a later attempt
 * of the step has been here before it (a fence that is not higher than the last).
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOUND 99

static const char *need(const char *name)
{
	const char *value = getenv(name);
	if (!value) {
		fprintf(stderr, "tell: no %s\n", name);
		exit(2);
	}
	return value;
}

static void witness(const char *path, const char *token)
{
	char line[512];
	const int n = snprintf(line, sizeof line, "%s\n", token);
	const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (n < 0 || (size_t)n >= sizeof line || fd < 0 || write(fd, line, (size_t)n) != n) {
		fprintf(stderr, "tell: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	close(fd);
}

/* One statement with up to three texts. Returns its SQLite result; other errors than a broken rule
 * end the step. */
static int execute(sqlite3 *db, const char *sql, const char *const *texts, int count)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	for (int i = 0; rc == SQLITE_OK && i < count; i++) {
		rc = sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	if (rc == SQLITE_ROW) {
		rc = SQLITE_DONE;
	}
	if (rc != SQLITE_DONE && rc != SQLITE_CONSTRAINT) {
		fprintf(stderr, "tell: %s: %s\n", sql, sqlite3_errmsg(db));
		exit(2);
	}
	return rc;
}

static int ledger(const char *path, const char *token, const char *key, const char *fence)
{
	static const char *const BEGIN[] = {"PRAGMA synchronous=OFF", "BEGIN IMMEDIATE"};
	sqlite3 *db = NULL;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 20000) != SQLITE_OK) {
		fprintf(stderr, "tell: %s: %s\n", path, sqlite3_errmsg(db));
		exit(2);
	}
	for (size_t i = 0; i < sizeof BEGIN / sizeof *BEGIN; i++) {
		if (execute(db, BEGIN[i], NULL, 0) != SQLITE_DONE) {
			exit(2);
		}
	}
	int status = 0;
	if (execute(db, "INSERT INTO ledger VALUES (?)", (const char *const[]){token}, 1) !=
	    SQLITE_DONE) {
		fprintf(stderr, "tell: '%s' was executed before\n", token);
		status = FOUND;
	}
	if (execute(db, "INSERT INTO effects VALUES (?, CAST(? AS INTEGER))",
		    (const char *const[]){key, fence}, 2) != SQLITE_DONE) {
		(void)execute(db,
			      "UPDATE effects SET fence = CAST(?2 AS INTEGER) WHERE key = ?1 AND "
			      "fence < CAST(?2 AS INTEGER)",
			      (const char *const[]){key, fence}, 2);
		if (sqlite3_changes(db) != 1) {
			fprintf(stderr, "tell: '%s' after a later attempt\n", token);
			(void)execute(db, "INSERT INTO late VALUES (?)",
				      (const char *const[]){token}, 1);
			status = FOUND;
		}
	}
	if (execute(db, "COMMIT", NULL, 0) != SQLITE_DONE) {
		exit(2);
	}
	sqlite3_close(db);
	return status;
}

int main(int argc, char **argv)
{
	char token[400], key[400];
	const char *comp = argc > 1 && strcmp(argv[1], "undo") == 0 ? ".comp" : "";
	const char *run = need("SLUICE_RUN_ID"), *step = need("SLUICE_STEP"),
		   *attempt = need("SLUICE_ATTEMPT");
	const int n = snprintf(token, sizeof token, "%s %s%s %s", run, step, comp, attempt);
	const int m = snprintf(key, sizeof key, "%s %s%s", run, step, comp);
	if (n < 0 || (size_t)n >= sizeof token || m < 0 || (size_t)m >= sizeof key) {
		return 2;
	}
	witness(need("WITNESS"), token);
	return ledger(need("LEDGER"), token, key, need("SLUICE_FENCE"));
}
