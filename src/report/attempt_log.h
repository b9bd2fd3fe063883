/* attempt_log.h - where the output of an attempt lies, and which attempts a reader means. */
#ifndef REPORT_ATTEMPT_LOG_H
#define REPORT_ATTEMPT_LOG_H

#include "base/buf.h"
#include "core/run_state.h"
#include "rundir/rundir.h"

struct attempt_choice {
	struct str step; /* ptr NULL = all */
	int64_t attempt; /* -1 = the last one of each */
	bool failed;     /* only steps that failed */
};

/* Does the choice mean this step? *ret_attempt is then which attempt. Steps that never started and
 * attempts that were not made are not meant. */
bool attempt_chosen(const struct run_state *run, uint32_t step, const struct attempt_choice *choice,
		    uint32_t *ret_attempt);

/* Append the path of an output of an attempt below the run directory: `logs/<step>.<attempt>.out`
 * for file 0,
 * `.err` for file 1 (both with `streams: split`), `.log` for file 2. Which of them are there the
 * definition said by which the attempt ran. */
#define ATTEMPT_LOGS 3
void attempt_log_path(struct buf *out, const struct step *step, uint32_t attempt, unsigned file);
/* Did no step that failed write anything in its last attempt? False when that cannot be known, and
 * when there may be output of compensations. */
bool attempt_log_is_mute(const struct rundir *dir, const struct run_state *run);
/* Append `==> <step> (attempt n, <state>) <==` and a newline. */
void attempt_log_heading(struct buf *out, const struct run_state *run, uint32_t step,
			 uint32_t attempt);

/* What the log tells of the compensation of a step (S10). */
struct attempt_undo {
	uint32_t count; /* attempts that were started */
	bool is_running;
	bool is_failed; /* the last one that ended */
};

/* Note an event that was just applied; `undos` has one for each step, zeroed before the first
 * event. */
void attempt_undo_note(struct attempt_undo *undos, const struct run_state *run,
		       const struct event *event);
/* As attempt_chosen, of the compensation: those that failed are meant by `failed`. */
bool attempt_undo_chosen(const struct run_state *run, uint32_t step,
			 const struct attempt_undo *undo, const struct attempt_choice *choice,
			 uint32_t *ret_attempt);
/* Append `logs/<step>.comp.<attempt>.log`. */
void attempt_undo_path(struct buf *out, const struct step *step, uint32_t attempt);
/* Append `==> <step>, compensation (attempt n, <running, succeeded or failed>) <==` and a
 * newline. */
void attempt_undo_heading(struct buf *out, const struct step *step, const struct attempt_undo *undo,
			  uint32_t attempt);

#endif
