/* fixture.h - a run directory made from events, for the tests of reports.
 *
 * The pipeline: `first`; `gate`, a hard gate; `last`; each needs the one before. Event n has the
 * time 2026-01-31T12:00:00Z + n seconds. */
#ifndef TEST_REPORT_FIXTURE_H
#define TEST_REPORT_FIXTURE_H

#include "support/temp_dir.h"
#include "support/unit.h"

#include "rundir/fold.h"

struct made {
	struct temp_dir home;
	struct limits limits;
	struct rundir *dir;
	struct run_lock lock;
	struct log *log;
	struct err err;
};

void made_open(struct made *made);
void made_close(struct made *made);
/* Let go of the log and the lock, as an owner that ended. */
void made_release(struct made *made);

/* Add one event and make it durable. */
void made_add(struct made *made, struct event *event);
void made_state(struct made *made, const char *from, const char *to);
void made_start(struct made *made, const char *step, uint32_t attempt);
void made_succeed(struct made *made, const char *step, uint32_t attempt);
void made_fail(struct made *made, const char *step, uint32_t attempt, const char *class,
	       const char *reason);
void made_retry(struct made *made, const char *step, uint32_t attempt);
void made_skip(struct made *made, const char *step, const char *reason);
void made_complete(struct made *made, const char *state, const char *outcome);
/* created to executing. */
void made_begin(struct made *made);
/* first retried once and succeeded, the gate failed, last skipped, the run failed. */
void made_failed_run(struct made *made);

/* The path of the log, and of any file, below the run directory. */
void made_read(struct made *made, const char *name, struct buf *out);
void made_write(struct made *made, const char *name, struct str bytes);

#endif
