/* decide_undo.c - the rollback of a run (S10): one step after the other is undone, in reverse
 * topological order. Nothing runs forward any more, and the first compensation that fails for good
 * ends it. */
#include "core/decide_intern.h"

#include "core/retry.h"

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

/* --------------------------------------------------------------------------------- inputs */

/* Does the input speak of the compensation that runs? Of one whose leftovers ended the rollback
 * nothing is recorded until somebody asks for the rollback again. */
static bool is_current_undo(const struct ask *ask)
{
	const struct undo_state *undo = &ask->run->undo;

	return undo->is_active && undo->is_running && undo->attempt == ask->in->attempt;
}

static struct event *add_undo(const struct ask *ask, enum event_type type)
{
	struct input in = {.step = ask->run->undo.step};
	struct ask about = *ask;
	struct event *event;

	about.in = &in;
	event = ask_add_step(&about, type);
	event->attempt = ask->run->undo.attempt;
	return event;
}

enum err_code decide_on_undo_ended(const struct ask *ask, struct err *err)
{
	const struct decide_result *result = ask->in->result;
	const struct undo_state *undo = &ask->run->undo;
	struct str class = ask_class_shown(result->class, result->class_text);
	struct event *event;

	(void)err;
	if (!is_current_undo(ask))
		return ERR_OK;
	event = add_undo(ask, result->is_ok ? EVENT_STEP_COMPENSATED : EVENT_COMPENSATION_FAILED);
	ask_put_exit(ask, event);
	if (result->is_ok && result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
	if (result->is_ok)
		return ERR_OK;
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, class);
	event_put_text(event, EVENT_FIELD_REASON,
		       result->reason.len ? result->reason : STR("the compensation failed"));
	if (!ask->run->is_stopping &&
	    run_may_retry_undo(ask->run, undo->step, result->class, undo->failures))
		event_put_int(event, EVENT_FIELD_DELAY_MS,
			      retry_delay_ms(ask->run->model->steps[undo->step].compensate_retry,
					     undo->failures, ask->run->seed, undo->step));
	return ERR_OK;
}

/* Whether it took effect cannot be known: a person looks, and asks for the rollback again
 * (S8.2). */
enum err_code decide_on_undo_lost(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (!is_current_undo(ask))
		return ERR_OK;
	event = add_undo(ask, EVENT_COMPENSATION_FAILED);
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, str_of(error_class_name(CLASS_LOST)));
	event_put_text(event, EVENT_FIELD_REASON, STR("the outcome cannot be known"));
	return ERR_OK;
}

enum err_code decide_on_undo_leftovers(const struct ask *ask, struct err *err)
{
	(void)err;
	if (is_current_undo(ask))
		ask->decider->is_undo_stuck = true;
	return ERR_OK;
}

enum err_code decide_on_undo_due(const struct ask *ask, struct err *err)
{
	(void)err;
	if (ask->run->undo.is_retry)
		ask->decider->is_undo_due = true;
	return ERR_OK;
}

enum err_code decide_rollback_check(const struct run_state *run, struct err *err)
{
	if (run->state == RUN_ROLLED_BACK)
		return err_set(err, ERR_REFUSED, "the run is rolled_back already");
	if (run->state == RUN_FAILED || run->state == RUN_STOPPED || run->state == RUN_BLOCKED)
		return ERR_OK;
	(void)err_set(
	    err, ERR_REFUSED,
	    "the run is %s: only what failed, was stopped or is blocked can be rolled back",
	    run_state_name(run->state));
	if (run->state == RUN_SUCCEEDED)
		return err->code;
	return err_hint(err, "bring it to rest first: sluice resume %.*s, or sluice stop %.*s",
			STR_ARG(run->run_id), STR_ARG(run->run_id));
}

enum err_code decide_on_rollback(const struct ask *ask, struct err *err)
{
	struct event *event;

	if (decide_rollback_check(ask->run, err) != ERR_OK)
		return err->code;
	event = ask_add(ask, EVENT_RUN_ROLLBACK_STARTED);
	event_put_text(event, EVENT_FIELD_BOOT_ID, ask->in->text);
	ask_put_person(ask, event);
	return ERR_OK;
}
