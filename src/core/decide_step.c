/* decide_step.c - what follows from the state of one step: it starts, waits, is retried or
 * skipped */
#include "core/decide_intern.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/graph.h"
#include "core/retry.h"
#include "core/select.h"

#include <string.h>

static void retry_step(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	const struct step_state *at = &run->steps[step];
	const struct retry *retry = run->model->steps[step].retry;
	int64_t delay_ms = 0;

	if (at->class != CLASS_LOST)
		delay_ms = retry_delay_ms(retry, at->failures - 1, run->seed, step);
	decider_step_event(decider, event, EVENT_STEP_RETRIED, step, now_ms);
	event->attempt = at->attempt + 1;
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, step_class_text(at));
	event_put_int(event, EVENT_FIELD_DELAY_MS, delay_ms);
	event_put_text(event, EVENT_FIELD_REASON,
		       decider_say(decider, "Retrying after %.*s", STR_ARG(step_class_text(at))));
}

static void fail_gate(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
{
	const struct step_state *at = &decider->run->steps[step];

	decider_step_event(decider, event, EVENT_GATE_FAILED, step, now_ms);
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, step_class_text(at));
	if (at->reason.len)
		event_put_text(event, EVENT_FIELD_REASON, at->reason);
}

static void reject_step(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
{
	const struct step_state *at = &decider->run->steps[step];

	decider_step_event(decider, event, EVENT_STEP_FAILED, step, now_ms);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS,
		       str_of(error_class_name(CLASS_HARD_GATE_FAILED)));
	event_put_text(event, EVENT_FIELD_REASON, at->reason.len ? at->reason : STR("rejected"));
}

static void skip_step(struct decider *decider, uint32_t step, enum skip_reason skip, uint32_t cause,
		      struct event *event, int64_t now_ms)
{
	decider_step_event(decider, event, EVENT_STEP_SKIPPED, step, now_ms);
	event_put_text(event, EVENT_FIELD_REASON, str_of(skip_reason_name(skip)));
	if (cause != STEP_NONE)
		event_put_text(event, EVENT_FIELD_CAUSE, decider->run->model->steps[cause].id);
}

/* Not selected: a skip by choice, whose cause says what was asked for. */
static void exclude_step(struct decider *decider, uint32_t step, struct event *event,
			 int64_t now_ms)
{
	AUTO(buf_fini) struct buf cause = BUF_INIT;
	struct selection selection;
	struct err ignored = ERR_INIT; /* apply has read it: see keep_selection */

	buf_text(&cause, "not selected: ");
	BUG_IF(selection_read(decider->run->selection, &selection, &ignored) != ERR_OK);
	selection_say(&selection, &cause);
	decider_step_event(decider, event, EVENT_STEP_SKIPPED, step, now_ms);
	event_put_text(event, EVENT_FIELD_REASON, str_of(skip_reason_name(SKIP_CONDITION)));
	event_put_text(event, EVENT_FIELD_CAUSE,
		       decider_say(decider, "%.*s", STR_ARG(buf_view(&cause))));
}

static void ask_approval(struct decider *decider, uint32_t step, struct event *event,
			 int64_t now_ms)
{
	const struct approval *approval = decider->run->model->steps[step].approval;
	char until[STAMP_BYTES + 1];

	decider_step_event(decider, event, EVENT_STEP_WAITING, step, now_ms);
	/* not reached: a retry, as what is tried again was approved */
	if (decider->run->steps[step].attempts && !decider->run->steps[step].is_retry)
		event->attempt++; /* the attempt that it would be */
	event_put_text(event, EVENT_FIELD_REASON, STR("approval"));
	if (approval && approval->timeout_ns > 0) {
		stamp_write(event->time_utc_ms + approval->timeout_ns / NS_PER_MS, until);
		event_put_text(event, EVENT_FIELD_UNTIL, decider_say(decider, "%s", until));
	}
}

/* Nothing new starts any more. */
static bool is_closing(const struct run_state *run)
{
	return run_starts_nothing(run) || run->undo.is_active;
}

static enum decide_answer look_at_failed(struct decider *decider, uint32_t step,
					 struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	const struct step_state *at = &run->steps[step];

	if (at->is_gate_failed && !at->is_gate_recorded) {
		fail_gate(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	if (at->is_final || is_closing(run) || (at->is_held && !at->is_approved))
		return DECIDE_NOTHING;
	retry_step(decider, step, event, now_ms);
	return DECIDE_EVENT;
}

static enum decide_answer look_at_pending(struct decider *decider, uint32_t step,
					  struct event *event, struct decide_query *query,
					  int64_t now_ms)
{
	const struct run_state *run = decider->run;
	const struct step *def = &run->model->steps[step];
	const struct step_state *at = &run->steps[step];

	if (is_closing(run))
		return DECIDE_NOTHING; /* a failing run skips it in its sweep */
	if (at->is_excluded) {
		exclude_step(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	if (step_is_doomed(run, step)) {
		skip_step(decider, step, at->doom, at->doom_cause, event, now_ms);
		return DECIDE_EVENT;
	}
	if (!step_is_ready(at))
		return DECIDE_NOTHING;
	if (at->is_retry && decider->phase[step] != PHASE_CLEARED)
		return DECIDE_NOTHING; /* its delay is not over */
	if (decider->phase[step] == PHASE_IDLE && def->when.ptr) {
		decider_set_phase(decider, step, PHASE_ASKED);
		*query = (struct decide_query){QUERY_WHEN, step};
		return DECIDE_QUERY;
	}
	/* not reached: looked at again in between, as nothing happens to it or to what it needs */
	if (decider->phase[step] != PHASE_IDLE && decider->phase[step] != PHASE_CLEARED)
		return DECIDE_NOTHING;
	if (def->gate == GATE_MANUAL && !at->is_approved) {
		ask_approval(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	decider_set_phase(decider, step, PHASE_READY);
	decider_ready_push(decider, step);
	return DECIDE_NOTHING;
}

static enum decide_answer look_at_waiting(struct decider *decider, uint32_t step,
					  struct event *event, int64_t now_ms)
{
	const struct step_state *at = &decider->run->steps[step];

	if (at->is_rejected) {
		reject_step(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	if (is_closing(decider->run))
		return DECIDE_NOTHING;
	if (step_is_doomed(decider->run,
			   step)) { /* what it needs was run again by --from, and failed */
		skip_step(decider, step, at->doom, at->doom_cause, event, now_ms);
		return DECIDE_EVENT;
	}
	/* not reached: looked at again when it is queued, as nobody can decide on it any more */
	if (at->is_approved && step_needs_met(at) && decider->phase[step] != PHASE_READY &&
	    decider->phase[step] != PHASE_PREPARING) {
		decider_set_phase(decider, step, PHASE_READY);
		decider_ready_push(decider, step);
	}
	return DECIDE_NOTHING;
}

/* A step that could not even begin (DEFECT-A-A): its failure is in its step.started. */
static enum decide_answer look_at_running(struct decider *decider, uint32_t step,
					  struct event *event, int64_t now_ms)
{
	if (!decider->run->steps[step].is_stillborn)
		return DECIDE_NOTHING;
	decider_stillborn_event(decider, event, step, now_ms);
	return DECIDE_EVENT;
}

/* Look at the steps that something happened to, until one of them calls for something. */
enum decide_answer decide_look(struct decider *decider, struct event *event,
			       struct decide_query *query, int64_t now_ms)
{
	while (decider->look.count) {
		uint32_t step = decide_set_pop(&decider->look);
		enum decide_answer answer = DECIDE_NOTHING;

		switch (decider->run->steps[step].state) {
		case STEP_FAILED:
			answer = look_at_failed(decider, step, event, now_ms);
			break;
		case STEP_PENDING:
			answer = look_at_pending(decider, step, event, query, now_ms);
			break;
		case STEP_WAITING:
			answer = look_at_waiting(decider, step, event, now_ms);
			break;
		case STEP_RUNNING:
			answer = look_at_running(decider, step, event, now_ms);
			break;
		case STEP_SUCCEEDED:
		case STEP_SKIPPED:
		case STEP_COMPENSATED:
			break;
		}
		if (answer != DECIDE_NOTHING)
			return answer;
	}
	return DECIDE_NOTHING;
}

/* Everything that did not start is skipped when the run fails (S5.4, S5.7). */
bool decide_sweep(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	uint32_t steps = run->model->steps_count;

	if (!decider->is_swept_marked) {
		decide_set_clear(&decider->ready); /* nothing starts any more */
		memset(decider->marks, 0, steps);
		for (uint32_t i = 0; i < steps; i++) {
			if (run->steps[i].is_gate_failed)
				graph_mark_downstream(run->model, i, decider->marks,
						      decider->scratch);
		}
		decider->is_swept_marked = true;
		decider->sweep = 0;
	}
	for (; decider->sweep < steps; decider->sweep++) {
		const struct step_state *at = &run->steps[decider->sweep];

		if (at->state != STEP_PENDING && at->state != STEP_WAITING)
			continue;
		skip_step(decider, decider->sweep,
			  decider->marks[decider->sweep] ? SKIP_GATE_FAILED : SKIP_RUN_STOPPED,
			  run->failing_step, event, now_ms);
		decider->sweep++;
		return true;
	}
	return false;
}

static void start_step(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
{
	decider_step_event(decider, event, EVENT_STEP_STARTED, step, now_ms);
	event->attempt = decider_next_attempt(&decider->run->steps[step]);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("running"));
}

enum decide_answer decide_start_ready(struct decider *decider, struct event *event,
				      struct decide_query *query, int64_t now_ms)
{
	const struct run_state *run = decider->run;

	while (decider->ready.count &&
	       run->count[STEP_RUNNING] + decider->preparing < run->model->concurrency) {
		uint32_t step = decider_ready_pop(decider);
		enum step_state_id state = run->steps[step].state;

		/* not reached: the queue is emptied before anything else moves what is in it */
		if (state != STEP_PENDING && state != STEP_WAITING)
			continue;
		if (run->model->steps[step].inputs_count) {
			decider_set_phase(decider, step, PHASE_PREPARING);
			*query = (struct decide_query){QUERY_INPUTS, step};
			return DECIDE_QUERY;
		}
		start_step(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	return DECIDE_NOTHING;
}
