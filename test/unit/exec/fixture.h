/* fixture.h - a run directory, a real keeper, and the executor of commands, for the tests. */
#ifndef TEST_EXEC_FIXTURE_H
#define TEST_EXEC_FIXTURE_H

#include "exec/command.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define RUN_ID      "test-run"
#define PATIENCE_MS 60000 /* for what happens at once on a machine that is not busy */

extern const char *keeper_path; /* set by main */
extern char *start_argv[4];     /* of the last start_of */

struct place {
	char path[64]; /* the run directory */
	int dir;
	struct exec exec;
	bool is_open;
	struct err err;
};

int place_make(void **state);
int place_remove(void **state);

void engine_open(struct place *place, uint64_t epoch);
void engine_close(struct place *place);

/* A start of `sh -c script` with role run, attempt 0, log "<path>.0.log" and 1 s of grace. */
struct exec_start start_of(const char *path, const char *script);
void start(struct place *place, const struct exec_start *start);
void cancel(struct place *place, const char *path, bool now);
/* The next report that is not STARTED; fails the test after PATIENCE_MS. */
struct exec_report wait_end(struct place *place);
/* The next report, of any kind. */
struct exec_report wait_report(struct place *place);
bool has_report(struct place *place, int timeout_ms);
struct exec_report run(struct place *place, const char *path, const char *script);
/* Content of a log, NUL-ended; static. */
const char *log_text(struct place *place, const char *path);
/* Until the log of a command that was started has this content. */
void log_await(struct place *place, const char *path, const char *text);
/* The number that a command writes into a file of the run directory, once it is there. */
int pid_await(struct place *place, const char *name);
void file_make(struct place *place, const char *name);
/* pid of the living keeper, 0 if none lives. */
int keeper_pid(struct place *place);
/* Does it execute anything, or may it yet? Neither a zombie nor one that is about to be one. */
bool is_alive(int pid);
bool wait_gone(int pid);
int64_t now_ms(void);
void nap(int ms);
struct exec_token token_of(const char *path);

#endif
