/* explain_step.h - why a step, or a run, is as it is: the chain of causes, with the events that
 * prove it.
 *
 * Made from the log alone (explain_trail.h); the only fact from outside is who owns the run. The
 * texts are for people at night and for programs: short, one fact a line, most important first. */
#ifndef REPORT_EXPLAIN_STEP_H
#define REPORT_EXPLAIN_STEP_H

#include "report/explain_fact.h"
#include "report/explain_trail.h"

struct explaining {
	const struct trail *trail;
	const struct run_lock_info *owner;
	struct facts *facts;
};

/* Say why the step is as it is, and what a resume would do with it. */
void explain_step(const struct explaining *x, uint32_t step);
/* The same as a cause of something else: its state with the chain of causes below, no more. */
void explain_cause(const struct explaining *x, uint32_t step, unsigned depth);
/* Say how the run came to where it is. */
void explain_run(const struct explaining *x);

/* `run/step/attempt` of a cached success, taken apart; false when it is not of that form. */
bool cached_place(struct str from, struct str *ret_run_id, struct str *ret_step_id);

/* Read the run in `dir` and explain `step` (ptr NULL = the run), as text, or as one JSON object. */
MUST_CHECK enum err_code explain_text(const struct trail *trail, const struct run_lock_info *owner,
				      struct buf *out, struct err *err);
MUST_CHECK enum err_code explain_json(const struct trail *trail, const struct run_lock_info *owner,
				      struct buf *out, struct err *err);

#endif
