/* decide_undo.c - the rollback of a run (S10): one step after the other is undone, in reverse
 * topological order. Nothing runs forward any more, and the first compensation that fails for good
 * ends it. */
#include "core/decide.h"
#include "core/decide_intern.h"

/* Processes live that nobody can end: to undo something beside them would be a race. */
static bool has_leftovers(const struct decider *decider)
{
	return decider->stuck || decider->is_undo_stuck;
}

enum run_outcome decide_undo_outcome(const struct decider *decider)
{
	const struct run_state *run = decider->run;
	const struct undo_state *undo = &run->undo;

	if (!undo->is_active || run->count[STEP_RUNNING] > decider->stuck ||
	    (undo->is_running && !decider->is_undo_stuck))
		return OUTCOME_NONE;
	if (run->state == RUN_ROLLED_BACK)
		return OUTCOME_ROLLED_BACK;
	if (undo->is_failed || has_leftovers(decider))
		return OUTCOME_FAILED;
	if (!run->is_stopping)
		return OUTCOME_NONE;
	return run->state == RUN_FAILED ? OUTCOME_FAILED : OUTCOME_STOPPED;
}

struct str decide_undo_reason(struct decider *decider)
{
	const struct run_state *run = decider->run;

	if (run->state == RUN_ROLLED_BACK)
		return run->reason;
	if (has_leftovers(decider))
		return STR("Rollback not possible: processes of a lost attempt still live");
	if (run->undo.is_failed)
		return decider_say(decider, "Compensation failed: %.*s",
				   STR_ARG(run->model->steps[run->undo.step].id));
	return STR("Rollback stopped on request");
}

static void start_compensation(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	uint32_t step = run_undo_next(run);

	decider_step_event(decider, event, EVENT_COMPENSATION_STARTED, step, now_ms);
	event->attempt = step == run->undo.step ? run->undo.attempt + 1 : 0;
}

static struct str undone_reason(struct decider *decider)
{
	uint32_t count = decider->run->count[STEP_COMPENSATED];

	return count ? decider_say(decider, "Rolled back: %u %s undone", count,
				   count == 1 ? "step" : "steps")
		     : STR("Rolled back: there was nothing to undo");
}

/* A blocked run comes to rest by a change of its state; the others rest already. */
static enum decide_answer end_undo(struct decider *decider, enum run_outcome outcome,
				   struct event *event, int64_t now_ms)
{
	if (decider->run->state != RUN_BLOCKED)
		return DECIDE_NOTHING; /* run.completed is next */
	decide_change_state(decider, event, outcome == OUTCOME_STOPPED ? RUN_STOPPED : RUN_FAILED,
			    decide_undo_reason(decider), now_ms);
	return DECIDE_EVENT;
}

enum decide_answer decide_next_undo(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	const struct undo_state *undo = &run->undo;
	enum run_outcome outcome = decide_undo_outcome(decider);

	if (!undo->is_active) { /* on_failure: compensate */
		decider_event(decider, event, EVENT_RUN_ROLLBACK_STARTED, now_ms);
		event_put_text(event, EVENT_FIELD_REASON, STR("on_failure: compensate"));
		return DECIDE_EVENT;
	}
	if (outcome != OUTCOME_NONE)
		return end_undo(decider, outcome, event, now_ms);
	if (undo->is_running || run->count[STEP_RUNNING] ||
	    (undo->is_retry && !decider->is_undo_due))
		return DECIDE_NOTHING;
	if (run_undo_next(run) == STEP_NONE)
		decide_change_state(decider, event, RUN_ROLLED_BACK, undone_reason(decider),
				    now_ms);
	else
		start_compensation(decider, event, now_ms);
	return DECIDE_EVENT;
}
