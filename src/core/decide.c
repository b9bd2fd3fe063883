/* decide.c - what follows from the state of a run alone: see decide.h.
 *
 * Here by the state of the run; one step at a time: decide_step.c, the end: decide_end.c, a
 * rollback: decide_undo.c. Inputs are in decide_input.c. */
#include "core/decide_intern.h"

static enum decide_answer next_executing(struct decider *decider, struct event *event,
					 struct decide_query *query, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	enum decide_answer answer = decide_look(decider, event, query, now_ms);

	if (answer != DECIDE_NOTHING)
		return answer;
	if (run->is_failing && !run_ends_stopped(run) && decide_sweep(decider, event, now_ms))
		return DECIDE_EVENT;
	if (!run_starts_nothing(run)) {
		answer = decide_start_ready(decider, event, query, now_ms);
		if (answer != DECIDE_NOTHING)
			return answer;
	}
	return decide_end_or_block(decider, event, now_ms) ? DECIDE_EVENT : DECIDE_NOTHING;
}

static enum decide_answer next_blocked(struct decider *decider, struct event *event,
				       struct decide_query *query, int64_t now_ms)
{
	enum decide_answer answer;

	if (decider->run->undo.is_active) {
		answer = decide_look(decider, event, query, now_ms);
		return answer == DECIDE_NOTHING ? decide_next_undo(decider, event, now_ms) : answer;
	}
	if (decider->run->is_stopping) {
		if (run_ends_stopped(decider->run))
			decide_change_state(decider, event, RUN_STOPPED, STR("Stopped on request"),
					    now_ms);
		else
			decide_change_state(decider, event, RUN_FAILED,
					    decide_failure_reason(decider), now_ms);
		return DECIDE_EVENT;
	}
	if (!decider->is_unblocked)
		return DECIDE_NOTHING;
	decider->is_unblocked = false;
	decide_change_state(decider, event, RUN_EXECUTING, STR("a person decided"), now_ms);
	return DECIDE_EVENT;
}

static enum decide_answer next_at_rest(struct decider *decider, struct event *event,
				       struct decide_query *query, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	enum decide_answer answer;

	if (run->is_resuming) {
		decide_change_state(decider, event, RUN_EXECUTING, STR("resumed"), now_ms);
		return DECIDE_EVENT;
	}
	if (run->is_completed)
		return DECIDE_NOTHING;
	if (run->state == RUN_FAILED || run->undo.is_active) { /* what is open ends first */
		if (decide_look(decider, event, query, now_ms) == DECIDE_EVENT)
			return DECIDE_EVENT;
		if (!run->undo.is_active && decide_sweep(decider, event, now_ms))
			return DECIDE_EVENT;
	}
	if (run->count[STEP_RUNNING] > decider->stuck)
		return DECIDE_NOTHING;
	if (run_is_undoing(run)) {
		answer = decide_next_undo(decider, event, now_ms);
		if (answer != DECIDE_NOTHING || decide_undo_outcome(decider) == OUTCOME_NONE)
			return answer;
	}
	decide_complete(decider, event, now_ms);
	return DECIDE_EVENT;
}

enum decide_answer decide_next(struct decider *decider, int64_t now_ms, struct event *ret_event,
			       struct decide_query *ret_query)
{
	const struct run_state *run = decider->run;

	switch (run->state) {
	case RUN_CREATED:
		if (run->is_stopping)
			decide_change_state(decider, ret_event, RUN_STOPPED,
					    STR("Stopped on request"), now_ms);
		else
			decide_change_state(decider, ret_event, RUN_PREFLIGHT_VALIDATED,
					    STR("Pre-execution validation passed"), now_ms);
		return DECIDE_EVENT;
	case RUN_PREFLIGHT_VALIDATED:
		if (run->is_stopping)
			decide_change_state(decider, ret_event, RUN_STOPPED,
					    STR("Stopped on request"), now_ms);
		else
			decide_change_state(decider, ret_event, RUN_EXECUTING, STR_NONE, now_ms);
		return DECIDE_EVENT;
	case RUN_EXECUTING:
		return next_executing(decider, ret_event, ret_query, now_ms);
	case RUN_BLOCKED:
		return next_blocked(decider, ret_event, ret_query, now_ms);
	case RUN_SUCCEEDED:
	case RUN_FAILED:
	case RUN_STOPPED:
	case RUN_ROLLED_BACK:
		return next_at_rest(decider, ret_event, ret_query, now_ms);
	}
	BUG_IF(true); /* a state that is not in run.def */
	return DECIDE_NOTHING;
}
