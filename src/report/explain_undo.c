/* explain_undo.c - what a rollback did, or will do, to a step (S10) */
#include "report/explain_intern.h"

#include "base/timefmt.h"

void tell_rollback(const struct explaining *x)
{
	const struct trail *trail = x->trail;
	bool is_own = str_is(trail->rollback_by, "runner");

	if (trail->rollback > 0)
		facts_add(x->facts, 1, "rollback", STR_NONE, trail->rollback,
			  "a rollback began%s%.*s%s%.*s", is_own ? "" : ", asked for by ",
			  STR_ARG(is_own ? STR_NONE : person_of(trail->rollback_by)),
			  trail->rollback_reason.len > 0 ? ": " : "",
			  STR_ARG(trail->rollback_reason));
}

static void tell_turn(const struct explaining *x, uint32_t step)
{
	const struct undo_state *undo = &run_of(x)->undo;
	uint32_t next = run_undo_next(run_of(x));

	if (!undo->is_active)
		ADD(x, 1, "not_undone", step, 0,
		    "it is not undone: the rollback ended before its turn");
	else if (next == step)
		ADD(x, 1, "not_undone", step, 0, "it is undone next");
	else
		ADD(x, 1, "not_undone", step, 0, "it is not undone yet: %.*s comes first",
		    STR_ARG(next == STEP_NONE ? STR("another step") : id_of(x, next)));
}

/* The last word on its compensation; `step` is the one whose compensation began last. */
static void tell_last(const struct explaining *x, uint32_t step)
{
	const struct undo_state *undo = &run_of(x)->undo;
	uint64_t event = x->trail->steps[step].undo_failed;
	char stamp[STAMP_BYTES + 1];

	if (undo->is_running) {
		stamp_write(undo->started_ms, stamp);
		ADD(x, 1, "compensation_running", step, 0,
		    "its compensation runs since %s, attempt %u", stamp, undo->attempt);
	} else if (undo->is_retry) {
		stamp_write(undo->due_ms, stamp);
		ADD(x, 1, "compensation_retry", step, event,
		    "its compensation is tried again at %s: %s may be retried", stamp,
		    error_class_name(undo->class));
	} else if (undo->is_failed) {
		ADD(x, 1, "compensation_failed", step, event, "its compensation failed (%s): %.*s",
		    error_class_name(undo->class),
		    STR_ARG(undo->reason.len > 0 ? undo->reason : STR("no reason given")));
		ADD(x, 2, "rollback_ended", step, 0,
		    "the rollback ended there; `sluice rollback` goes on from it");
	} else {
		tell_turn(x, step);
	}
}

void tell_undo(const struct explaining *x, uint32_t step)
{
	const struct run_state *run = run_of(x);
	enum step_state_id state = state_of(x, step)->state;

	if (!run->undo.is_begun || (state != STEP_SUCCEEDED && state != STEP_COMPENSATED))
		return;
	tell_rollback(x);
	if (state == STEP_SUCCEEDED && !def_of(x, step)->compensate)
		ADD(x, 1, "no_compensation", step, 0,
		    "it has no compensation: a rollback leaves it as it is");
	else if (state == STEP_SUCCEEDED && run->undo.step == step)
		tell_last(x, step);
	else if (state == STEP_SUCCEEDED)
		tell_turn(x, step);
	tell_ends(x, &x->trail->undos, "compensation_attempt", "compensation attempt");
}
