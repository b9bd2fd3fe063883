/* run_report.h - how one run stands: status and summary, as text and as JSON.
 *
 * The texts are those of system A (its tools read them): the lines that it has come first, in its
 * order and form; what is ours comes after them. All are made from the fold alone; the only fact
 * from outside is who holds run.lock. Nothing here prints. */
#ifndef REPORT_RUN_REPORT_H
#define REPORT_RUN_REPORT_H

#include "report/at.h"
#include "rundir/fold.h"

/* `Run ID:`, `State:`, `Steps:` by id, `Completed:`, `Failed hard gates:`; then reason, owner, what
 * it waits for and the next commands to type. */
MUST_CHECK enum err_code status_text(const struct fold_run *fold, const struct run_lock_info *owner,
				     struct buf *out, struct err *err);
/* The same facts and all that the fold knows of each step, indented; `next` has the commands. */
MUST_CHECK enum err_code status_json(const struct fold_run *fold, const struct run_lock_info *owner,
				     struct buf *out, struct err *err);

/* The same of a point of the log (at_fold): no owner and no next commands, for these are of now;
 * last, which point it is. */
MUST_CHECK enum err_code status_at_text(const struct fold_run *fold, const struct at_view *view,
					struct buf *out, struct err *err);
MUST_CHECK enum err_code status_at_json(const struct fold_run *fold, const struct at_view *view,
					struct buf *out, struct err *err);

/* Every step is listed, skipped ones too; durations are filled; nulls are written. */
MUST_CHECK enum err_code summary_text(const struct fold_run *fold, struct buf *out,
				      struct err *err);
MUST_CHECK enum err_code summary_json(const struct fold_run *fold, struct buf *out,
				      struct err *err);

/* How the log ends, if not whole: "torn tail: ..." or "damaged: ...". Nothing for a whole one. */
void reading_note(const struct log_reading *reading, struct buf *out);
/* The same as the member "note"; no member for a whole one. */
void reading_note_member(struct buf *out, const struct log_reading *reading);

/* The commands that move the run on, one a line, most likely first; none when it is over. */
void next_commands(const struct fold_run *fold, const struct run_lock_info *owner, struct buf *out);

/* The name in an actor: `manual:anna` is anna to a person; others as they are. Borrowed. */
struct str person_of(struct str actor);

/* Indexes of the steps in the order of their ids (byte order); model->steps_count of them. */
MUST_CHECK enum err_code steps_by_id(const struct model *model, uint32_t **ret_order,
				     struct err *err);
/* `<title>a, b` and a newline: the gates that bar a resume, in `order`; nothing when there is
 * none. */
void failed_gates_line(struct buf *out, const char *title, const struct run_state *run,
		       const uint32_t *order);
/* The same as the member "failed_hard_gates", a list. */
void failed_gates_member(struct buf *out, const struct run_state *run, const uint32_t *order);
/* Milliseconds from the first event to the last change of state; -1 when there was none. */
int64_t run_duration_ms(const struct run_state *run);
/* What the attempts of a step took, in milliseconds; -1 when it never began, or its last one still
 * runs. */
int64_t step_took_ms(const struct step_state *step);
/* ` (cached from run/step/attempt)`: it was not executed; nothing when it was. */
void cached_note(struct buf *out, const struct step_state *step);
/* ` (quality: 1000 records, 98% valid)`: what the last attempt recorded; nothing when that is
 * nothing. */
void quality_note(struct buf *out, const struct step_state *step);
/* Does the failure class of the step still say something: it failed, or waits for a retry? */
bool step_shows_error(const struct step_state *step);

#endif
