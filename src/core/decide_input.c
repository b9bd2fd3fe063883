/* decide_input.c - what an input means for a run: a table from the kind of input to a function.
 *
 * The functions are in decide_attempt.c, decide_person.c, decide_resume.c and decide_undo.c; timers
 * and what the engine has to tell are here. */
#include "core/decide_intern.h"

#include "base/mem.h"

struct event *ask_add(const struct ask *ask, enum event_type type)
{
	BUG_IF(ask->events->count >= DECIDE_EVENTS_MAX);
	return decider_event(ask->decider, &ask->events->items[ask->events->count++], type,
			     ask->now_ms);
}

struct event *ask_add_step(const struct ask *ask, enum event_type type)
{
	BUG_IF(ask->events->count >= DECIDE_EVENTS_MAX);
	return decider_step_event(ask->decider, &ask->events->items[ask->events->count++], type,
				  ask->in->step, ask->now_ms);
}

void ask_put_some(struct event *event, enum event_field field, struct str text)
{
	if (text.len)
		event_put_text(event, field, text);
}

static enum err_code on_retry_due(const struct ask *ask, struct err *err)
{
	uint32_t step = ask->in->step;

	(void)err;
	/* not reached: a retry that is not pending, as a start and a skip clear it */
	if (!ask_state(ask)->is_retry || ask_state(ask)->state != STEP_PENDING ||
	    ask->decider->phase[step] != PHASE_IDLE)
		return ERR_OK;
	decider_set_phase(ask->decider, step, PHASE_CLEARED);
	decide_set_push(&ask->decider->look, step); /* a resume may have opened what it needs */
	return ERR_OK;
}

static enum err_code on_wait_over(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (ask_state(ask)->state != STEP_WAITING || ask_state(ask)->is_approved ||
	    ask_state(ask)->is_rejected || ask->run->undo.is_begun)
		return ERR_OK;
	event = ask_add_step(ask, EVENT_GATE_REJECTED);
	event_put_text(event, EVENT_FIELD_REASON, STR("nobody approved in time"));
	return ERR_OK;
}

static enum err_code on_run_deadline(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if ((ask->run->state != RUN_EXECUTING && ask->run->state != RUN_BLOCKED) ||
	    ask->run->undo.is_begun) /* a rollback takes the time that it needs */
		return ERR_OK;
	if (run_ends_stopped(ask->run)) { /* S3.3: it still ends in stopped, but now */
		if (ask->run->is_stop_now)
			return ERR_OK;
		event = ask_add(ask, EVENT_RUN_STOP_REQUESTED);
		event_put_flag(event, EVENT_FIELD_NOW);
		event_put_text(event, EVENT_FIELD_REASON, STR("the run's own deadline passed"));
		return ERR_OK;
	}
	event = ask_add(ask, EVENT_RUN_STATE_CHANGED);
	event_put_text(event, EVENT_FIELD_PREVIOUS_STATE, str_of(run_state_name(ask->run->state)));
	event_put_text(event, EVENT_FIELD_NEW_STATE, str_of(run_state_name(RUN_FAILED)));
	event_put_text(event, EVENT_FIELD_REASON, STR("the run's own deadline passed"));
	return ERR_OK;
}

static enum err_code on_projection_failed(const struct ask *ask, struct err *err)
{
	struct event *event = ask_add(ask, EVENT_PROJECTION_FAILED);

	(void)err;
	event_put_text(event, EVENT_FIELD_WHICH, ask->in->text);
	event_put_text(event, EVENT_FIELD_REASON, ask->in->error);
	return ERR_OK;
}

static enum err_code on_repaired(const struct ask *ask, struct err *err)
{
	struct event *event = ask_add(ask, EVENT_LOG_REPAIRED);

	(void)err;
	event_put_int(event, EVENT_FIELD_BYTES, ask->in->number);
	event_put_text(event, EVENT_FIELD_SHA256, ask->in->text);
	return ERR_OK;
}

static ask_fn *const asks[] = {
    [INPUT_ENDED] = decide_on_ended,         [INPUT_LOST] = decide_on_lost,
    [INPUT_LEFTOVERS] = decide_on_leftovers, [INPUT_WHEN] = decide_on_when,
    [INPUT_INPUTS] = decide_on_inputs,       [INPUT_RETRY_DUE] = on_retry_due,
    [INPUT_WAIT_OVER] = on_wait_over,        [INPUT_RUN_DEADLINE] = on_run_deadline,
    [INPUT_STOP] = decide_on_stop,           [INPUT_APPROVE] = decide_on_approve,
    [INPUT_REJECT] = decide_on_reject,       [INPUT_RESUME] = decide_on_resume,
    [INPUT_ROLLBACK] = decide_on_rollback,   [INPUT_UNDO_ENDED] = decide_on_undo_ended,
    [INPUT_UNDO_LOST] = decide_on_undo_lost, [INPUT_UNDO_LEFTOVERS] = decide_on_undo_leftovers,
    [INPUT_UNDO_DUE] = decide_on_undo_due,   [INPUT_PROJECTION_FAILED] = on_projection_failed,
    [INPUT_REPAIRED] = on_repaired,
};

enum err_code decide_input(struct decider *decider, const struct input *input, int64_t now_ms,
			   struct decide_events *events, struct err *err)
{
	struct ask ask = {decider, decider->run, input, now_ms, events};

	events->count = 0;
	decider->is_nameless = false;
	if (asks[input->kind](&ask, err) != ERR_OK)
		return err->code;
	if (!decider->is_nameless)
		return ERR_OK;
	events->count = 0;
	return mem_err(err);
}
