/* decide.c - what follows from the state of a run alone: see decide.h. Inputs are in decide_input.c */
#include "core/decide.h"
#include "core/decide_intern.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/graph.h"
#include "core/retry.h"
#include "core/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- sets */

static enum err_code set_init(struct decide_set *set, uint32_t steps, struct err *err)
{
	uint32_t words = steps / 64 + 1;

	*set = (struct decide_set){.groups_count = words / 64 + 1};
	set->words = mem_new(words, sizeof(*set->words));
	set->groups = mem_new(set->groups_count, sizeof(*set->groups));
	return set->words && set->groups ? ERR_OK : mem_err(err);
}

static void set_fini(struct decide_set *set)
{
	mem_free(set->words);
	mem_free(set->groups);
}

void decide_set_push(struct decide_set *set, uint32_t step)
{
	uint64_t bit = UINT64_C(1) << step % 64;

	if (set->words[step / 64] & bit)
		return;
	set->words[step / 64] |= bit;
	set->groups[step / 4096] |= UINT64_C(1) << step / 64 % 64;
	set->count++;
}

/* Remove the least. */
static uint32_t set_pop(struct decide_set *set)
{
	uint32_t group = 0;
	uint32_t word;
	uint32_t step;

	BUG_IF(set->count == 0);
	while (!set->groups[group])
		group++;
	word = group * 64 + (uint32_t)__builtin_ctzll(set->groups[group]);
	step = word * 64 + (uint32_t)__builtin_ctzll(set->words[word]);
	set->words[word] &= set->words[word] - 1;
	if (!set->words[word])
		set->groups[group] &= set->groups[group] - 1;
	set->count--;
	return step;
}

static void set_clear(struct decide_set *set)
{
	while (set->count)
		(void)set_pop(set);
}

static bool set_has(const struct decide_set *set, uint32_t step)
{
	return set->words[step / 64] >> step % 64 & 1;
}

struct ranked {
	int32_t priority;
	uint32_t step;
};

static int ranked_cmp(const void *a, const void *b)
{
	const struct ranked *left = a;
	const struct ranked *right = b;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	return left->step < right->step ? -1 : left->step > right->step;
}

/* In which order ready steps get a slot: no matter when each became ready. */
static enum err_code ranks_init(struct decider *decider, const struct model *model, struct err *err)
{
	AUTO(mem_drop) struct ranked *list = mem_new(model->steps_count, sizeof(*list));

	decider->rank = mem_new(model->steps_count, sizeof(*decider->rank));
	decider->by_rank = mem_new(model->steps_count, sizeof(*decider->by_rank));
	decider->scratch = mem_new(model->steps_count, sizeof(*decider->scratch));
	if (!list || !decider->rank || !decider->by_rank || !decider->scratch)
		return mem_err(err);
	for (uint32_t i = 0; i < model->steps_count; i++)
		list[i] = (struct ranked){model->steps[i].priority, i};
	qsort(list, model->steps_count, sizeof(*list), ranked_cmp);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		decider->rank[list[i].step] = i;
		decider->by_rank[i] = list[i].step;
	}
	return ERR_OK;
}

static void ready_push(struct decider *decider, uint32_t step)
{
	decide_set_push(&decider->ready, decider->rank[step]);
}

static uint32_t ready_pop(struct decider *decider)
{
	return decider->by_rank[set_pop(&decider->ready)];
}

/* ---------------------------------------------------------------------------- life and look */

enum err_code decider_init(struct decider *decider, const struct run_state *run, struct err *err)
{
	uint32_t steps = run->model->steps_count;

	*decider = (struct decider){.run = run};
	decider->phase = mem_new(steps, 1);
	decider->marks = mem_new(steps, 1);
	if (!decider->phase || !decider->marks ||
	    set_init(&decider->look, steps, err) != ERR_OK ||
	    set_init(&decider->ready, steps, err) != ERR_OK ||
	    ranks_init(decider, run->model, err) != ERR_OK) {
		decider_fini(decider);
		return mem_err(err);
	}
	decider_rebuild(decider);
	return ERR_OK;
}

void decider_fini(struct decider *decider)
{
	mem_free(decider->phase);
	mem_free(decider->marks);
	set_fini(&decider->look);
	set_fini(&decider->ready);
	mem_free(decider->rank);
	mem_free(decider->by_rank);
	mem_free(decider->scratch);
	arena_fini(&decider->texts);
	*decider = (struct decider){.run = NULL};
}

/* Has a person decided, and nothing followed from it yet? */
static bool has_decision(const struct step_state *step)
{
	if (step->state == STEP_WAITING)
		return step->is_approved || step->is_rejected;
	return step->is_held && step->is_approved;
}

/* Can it go on without a person? Asked when a run that is blocked is taken over: what ended its block may
 * have left no other trace than what follows from it. */
static bool goes_on(const struct run_state *run, uint32_t index)
{
	const struct step_state *step = &run->steps[index];

	return has_decision(step) ||
	       (step->state == STEP_FAILED && !step->is_final && !step->is_held) ||
	       (step->state == STEP_PENDING && (step_is_doomed(run, index) || step_is_ready(step)));
}

void decider_rebuild(struct decider *decider)
{
	const struct run_state *run = decider->run;
	uint32_t steps = run->model->steps_count;

	set_clear(&decider->look);
	set_clear(&decider->ready);
	memset(decider->phase, PHASE_IDLE, steps);
	decider->asked = 0;
	decider->preparing = 0;
	decider->stuck = 0;
	decider->sweep = 0;
	decider->is_swept_marked = false;
	decider->is_undo_due = false;
	decider->is_undo_stuck = false;
	decider->is_unblocked = run->count[STEP_RUNNING] > 0 || run->is_failing ||
				run->count[STEP_WAITING] + run->held == 0;
	for (uint32_t i = 0; i < steps; i++) {
		decide_set_push(&decider->look, i);
		if (goes_on(run, i))
			decider->is_unblocked = true;
	}
}

enum err_code decider_renew(struct decider *decider, struct err *err)
{
	const struct run_state *run = decider->run;
	struct arena texts = decider->texts;

	decider->texts = (struct arena)ARENA_INIT;
	decider_fini(decider);
	if (decider_init(decider, run, err) != ERR_OK) {
		arena_fini(&texts);
		return err->code;
	}
	decider->texts = texts;
	return ERR_OK;
}

void decider_forget(struct decider *decider)
{
	arena_clear(&decider->texts);
}

void decider_set_phase(struct decider *decider, uint32_t step, enum decide_phase phase)
{
	enum decide_phase old = decider->phase[step];

	decider->asked = decider->asked - (old == PHASE_ASKED) + (phase == PHASE_ASKED);
	decider->preparing =
		decider->preparing - (old == PHASE_PREPARING) + (phase == PHASE_PREPARING);
	decider->stuck = decider->stuck - (old == PHASE_STUCK) + (phase == PHASE_STUCK);
	decider->phase[step] = (uint8_t)phase;
}

void decider_observe(struct decider *decider, const struct event *event)
{
	const struct run_state *run = decider->run;
	const struct model *model = run->model;
	uint32_t step;

	if (event->type == EVENT_COMPENSATION_STARTED)
		decider->is_undo_due = false;
	if (event->type == EVENT_COMPENSATION_FAILED || event->type == EVENT_STEP_COMPENSATED)
		decider->is_undo_stuck = false;
	if (event->type == EVENT_RUN_RESUMED) {
		decider_rebuild(decider);
		return;
	}
	if (!event_is_about_step(event->type))
		return;
	step = model_find(model, event_text(event, EVENT_FIELD_STEP_ID));
	BUG_IF(step == STEP_NONE); /* apply has found it */
	if (has_decision(&run->steps[step]) || event->type == EVENT_GATE_REJECTED)
		decider->is_unblocked = true;
	switch (run->steps[step].state) {
	case STEP_RUNNING:
	case STEP_SUCCEEDED:
	case STEP_FAILED:
	case STEP_SKIPPED:
	case STEP_COMPENSATED:
		decider_set_phase(decider, step, PHASE_IDLE);
		break;
	case STEP_PENDING:
	case STEP_WAITING:
		break;
	}
	decide_set_push(&decider->look, step);
	if (!step_is_resolved(&run->steps[step]))
		return;
	for (uint32_t d = model->dependents_at[step]; d < model->dependents_at[step + 1]; d++)
		decide_set_push(&decider->look, model->dependents[d]);
}

/* -------------------------------------------------------------------------------- events */

/* Text of an event, kept until decider_forget. A cut one when memory is short: it is only words. */
struct str decider_say(struct decider *decider, const char *format, ...)
{
	char text[512];
	va_list args;
	struct str kept;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kept = arena_str(&decider->texts, str_of(text));
	return kept.ptr ? kept : STR("(memory is short)");
}

struct event *decider_event(const struct decider *decider, struct event *event,
			    enum event_type type, int64_t now_ms)
{
	event_init(event, type);
	/* A clock that was set back never makes a negative duration (S7.6). */
	event->time_utc_ms = now_ms > decider->run->last_ms ? now_ms : decider->run->last_ms;
	return event;
}

struct event *decider_step_event(const struct decider *decider, struct event *event,
				 enum event_type type, uint32_t step, int64_t now_ms)
{
	decider_event(decider, event, type, now_ms);
	event_put_text(event, EVENT_FIELD_STEP_ID, decider->run->model->steps[step].id);
	event->attempt = decider->run->steps[step].attempt;
	return event;
}

void decider_stillborn_event(const struct decider *decider, struct event *event, uint32_t step,
			     int64_t now_ms)
{
	const struct step_state *at = &decider->run->steps[step];

	decider_step_event(decider, event, EVENT_STEP_FAILED, step, now_ms);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, step_class_text(at));
	event_put_text(event, EVENT_FIELD_REASON, at->reason.len ? at->reason : STR("Step failed"));
}

static void put_run_state(struct event *event, enum event_field field, enum run_state_id state)
{
	event_put_text(event, field, str_of(run_state_name(state)));
}

void decide_change_state(struct decider *decider, struct event *event, enum run_state_id to,
			 struct str reason, int64_t now_ms)
{
	decider_event(decider, event, EVENT_RUN_STATE_CHANGED, now_ms);
	put_run_state(event, EVENT_FIELD_PREVIOUS_STATE, decider->run->state);
	put_run_state(event, EVENT_FIELD_NEW_STATE, to);
	if (reason.len)
		event_put_text(event, EVENT_FIELD_REASON, reason);
}

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
	event_put_text(event, EVENT_FIELD_REASON,
		       at->reason.len ? at->reason : STR("rejected"));
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
static void exclude_step(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
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

static void ask_approval(struct decider *decider, uint32_t step, struct event *event, int64_t now_ms)
{
	const struct approval *approval = decider->run->model->steps[step].approval;
	char until[STAMP_BYTES + 1];

	decider_step_event(decider, event, EVENT_STEP_WAITING, step, now_ms);
	if (decider->run->steps[step].attempts && !decider->run->steps[step].is_retry)
		event->attempt++; /* the attempt that it would be */
	event_put_text(event, EVENT_FIELD_REASON, STR("approval"));
	if (approval && approval->timeout_ns > 0) {
		stamp_write(event->time_utc_ms + approval->timeout_ns / NS_PER_MS, until);
		event_put_text(event, EVENT_FIELD_UNTIL, decider_say(decider, "%s", until));
	}
}

uint32_t decider_next_attempt(const struct step_state *step)
{
	return step->attempts && !step->is_retry ? step->attempt + 1 : step->attempt;
}

/* ---------------------------------------------------------------------- one step at a time */

/* Nothing new starts any more. */
static bool is_closing(const struct run_state *run)
{
	return run->is_stopping || run->is_failing || run->undo.is_active;
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
	if (decider->phase[step] != PHASE_IDLE && decider->phase[step] != PHASE_CLEARED)
		return DECIDE_NOTHING;
	if (def->gate == GATE_MANUAL && !at->is_approved) {
		ask_approval(decider, step, event, now_ms);
		return DECIDE_EVENT;
	}
	decider_set_phase(decider, step, PHASE_READY);
	ready_push(decider, step);
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
	if (step_is_doomed(decider->run, step)) { /* what it needs was run again by --from, and failed */
		skip_step(decider, step, at->doom, at->doom_cause, event, now_ms);
		return DECIDE_EVENT;
	}
	if (at->is_approved && step_needs_met(at) &&
	    decider->phase[step] != PHASE_READY && decider->phase[step] != PHASE_PREPARING) {
		decider_set_phase(decider, step, PHASE_READY);
		ready_push(decider, step);
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
static enum decide_answer look(struct decider *decider, struct event *event,
			       struct decide_query *query, int64_t now_ms)
{
	while (decider->look.count) {
		uint32_t step = set_pop(&decider->look);
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
static bool sweep(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	uint32_t steps = run->model->steps_count;

	if (!decider->is_swept_marked) {
		set_clear(&decider->ready); /* nothing starts any more */
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

static enum decide_answer start_ready(struct decider *decider, struct event *event,
				      struct decide_query *query, int64_t now_ms)
{
	const struct run_state *run = decider->run;

	while (decider->ready.count &&
	       run->count[STEP_RUNNING] + decider->preparing < run->model->concurrency) {
		uint32_t step = ready_pop(decider);
		enum step_state_id state = run->steps[step].state;

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

/* ------------------------------------------------------------------------- the run's end */

struct tally {
	uint32_t failed;    /* not tolerated, not waived */
	uint32_t stopped;   /* of these: under on_failure: stop or a hard gate */
	uint32_t tolerated; /* on_failure: ignore */
	uint32_t succeeded;
	uint32_t skipped_by_choice; /* condition, choice_not_taken */
	uint32_t skipped;
	uint32_t first_failed;
};

static struct tally tally_of(const struct run_state *run)
{
	struct tally tally = {.first_failed = STEP_NONE};

	tally.succeeded = run->count[STEP_SUCCEEDED];
	tally.skipped = run->count[STEP_SKIPPED];
	if (run->count[STEP_SKIPPED] + run->count[STEP_FAILED] == 0)
		return tally;
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];
		enum on_failure policy = run->model->steps[i].on_failure;

		if (at->state == STEP_SKIPPED &&
		    (at->skip == SKIP_CONDITION || at->skip == SKIP_CHOICE_NOT_TAKEN))
			tally.skipped_by_choice++;
		if (at->state != STEP_FAILED || at->is_waived)
			continue;
		if (policy == ON_FAILURE_IGNORE && !step_stops_run(run, i)) {
			tally.tolerated++;
			continue;
		}
		tally.failed++;
		if (step_stops_run(run, i))
			tally.stopped++;
		if (tally.first_failed == STEP_NONE)
			tally.first_failed = i;
	}
	return tally;
}

enum run_outcome decide_outcome(const struct run_state *run)
{
	struct tally tally = tally_of(run);

	if (run->is_failing || tally.stopped)
		return OUTCOME_FAILED;
	if (tally.failed || run->waived || run->overridden)
		return OUTCOME_PARTIAL; /* S9.1: also when an overridden gate was asked again */
	if (tally.succeeded + tally.tolerated == 0 && tally.skipped_by_choice < tally.skipped)
		return OUTCOME_FAILED; /* S3.4: nothing ran, and not because nothing had to */
	return OUTCOME_SUCCESS;
}

static struct str failure_reason(struct decider *decider)
{
	const struct run_state *run = decider->run;
	struct tally tally = tally_of(run);
	uint32_t step = run->failing_step != STEP_NONE ? run->failing_step : tally.first_failed;
	struct str id;

	if (step == STEP_NONE)
		return run->waived || run->overridden ? STR("A failed gate was overridden")
						      : STR("Every step was skipped");
	id = run->model->steps[step].id;
	if (run->steps[step].is_gate_failed && run->model->steps[step].gate == GATE_MANUAL)
		return decider_say(decider, "Manual gate rejected: %.*s", STR_ARG(id));
	if (run->steps[step].is_gate_failed)
		return decider_say(decider, "Hard gate failed: %.*s", STR_ARG(id));
	if (tally.failed > 1)
		return decider_say(decider, "%u steps failed, the first is %.*s", tally.failed, STR_ARG(id));
	return decider_say(decider, "Step failed: %.*s", STR_ARG(id));
}

static struct str success_reason(const struct run_state *run)
{
	bool all = run->count[STEP_SUCCEEDED] == run->model->steps_count;

	if (run->is_resumed)
		return all ? STR("All steps succeeded (resume)")
			   : STR("All steps that had to succeed did (resume)");
	return all ? STR("All steps succeeded") : STR("All steps that had to succeed did");
}

/* Nothing runs, nothing is asked, nothing is due. */
static bool is_idle(const struct decider *decider)
{
	const struct run_state *run = decider->run;
	uint32_t retries_ready = 0;

	if (run->count[STEP_RUNNING] > decider->stuck)
		return false;
	if (run->is_stopping || run->is_failing)
		return true;
	if (decider->asked || decider->preparing)
		return false;
	if (run->count[STEP_RUNNING] < run->model->concurrency)
		return decider->ready.count == 0 && run->retries_due == 0;
	/* Leftovers hold every slot (S7.4): what is ready cannot start, only timers are to come. */
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		retries_ready += set_has(&decider->ready, decider->rank[i]) && run->steps[i].is_retry;
	return run->retries_due == retries_ready;
}

static bool end_or_block(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;

	if (!is_idle(decider))
		return false;
	decider->is_unblocked = false; /* what was decided so far has had its effect */
	if (decider->stuck) {
		decide_change_state(decider, event, RUN_BLOCKED,
			     STR("processes of a lost attempt still live"), now_ms);
		return true;
	}
	if (run_ends_stopped(run)) {
		decide_change_state(decider, event, RUN_STOPPED, STR("Stopped on request"), now_ms);
		return true;
	}
	if (!run->is_failing && (run->count[STEP_WAITING] || run->held)) {
		decide_change_state(decider, event, RUN_BLOCKED,
			     run->count[STEP_WAITING] ? STR("waiting for approval")
						      : STR("a lost attempt: a person decides"),
			     now_ms);
		return true;
	}
	if (decide_outcome(run) == OUTCOME_SUCCESS)
		decide_change_state(decider, event, RUN_SUCCEEDED, success_reason(run), now_ms);
	else
		decide_change_state(decider, event, RUN_FAILED, failure_reason(decider), now_ms);
	return true;
}

static void complete(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	enum run_outcome outcome = run->state == RUN_STOPPED ? OUTCOME_STOPPED : decide_outcome(run);
	struct str reason = run->reason;

	decider_event(decider, event, EVENT_RUN_COMPLETED, now_ms);
	put_run_state(event, EVENT_FIELD_NEW_STATE, run->state);
	if (run->undo.is_active) {
		outcome = decide_undo_outcome(decider);
		reason = decide_undo_reason(decider);
	}
	event_put_text(event, EVENT_FIELD_OUTCOME, str_of(outcome_name(outcome)));
	if (reason.len)
		event_put_text(event, EVENT_FIELD_REASON, reason);
	event_put_int(event, EVENT_FIELD_DURATION_MS, event->time_utc_ms - run->created_ms);
	event_put_int(event, EVENT_FIELD_WARNINGS, run->warnings);
}

/* --------------------------------------------------------------------------- by run state */

static enum decide_answer next_executing(struct decider *decider, struct event *event,
					 struct decide_query *query, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	enum decide_answer answer = look(decider, event, query, now_ms);

	if (answer != DECIDE_NOTHING)
		return answer;
	if (run->is_failing && !run_ends_stopped(run) && sweep(decider, event, now_ms))
		return DECIDE_EVENT;
	if (!run->is_stopping && !run->is_failing) {
		answer = start_ready(decider, event, query, now_ms);
		if (answer != DECIDE_NOTHING)
			return answer;
	}
	return end_or_block(decider, event, now_ms) ? DECIDE_EVENT : DECIDE_NOTHING;
}

static enum decide_answer next_blocked(struct decider *decider, struct event *event,
				       struct decide_query *query, int64_t now_ms)
{
	enum decide_answer answer;

	if (decider->run->undo.is_active) {
		answer = look(decider, event, query, now_ms);
		return answer == DECIDE_NOTHING ? decide_next_undo(decider, event, now_ms) : answer;
	}
	if (decider->run->is_stopping) {
		if (run_ends_stopped(decider->run))
			decide_change_state(decider, event, RUN_STOPPED, STR("Stopped on request"), now_ms);
		else
			decide_change_state(decider, event, RUN_FAILED, failure_reason(decider), now_ms);
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
		if (look(decider, event, query, now_ms) == DECIDE_EVENT)
			return DECIDE_EVENT;
		if (!run->undo.is_active && sweep(decider, event, now_ms))
			return DECIDE_EVENT;
	}
	if (run->count[STEP_RUNNING] > decider->stuck)
		return DECIDE_NOTHING;
	if (run_is_undoing(run)) {
		answer = decide_next_undo(decider, event, now_ms);
		if (answer != DECIDE_NOTHING || decide_undo_outcome(decider) == OUTCOME_NONE)
			return answer;
	}
	complete(decider, event, now_ms);
	return DECIDE_EVENT;
}

enum decide_answer decide_next(struct decider *decider, int64_t now_ms, struct event *ret_event,
			       struct decide_query *ret_query)
{
	const struct run_state *run = decider->run;

	switch (run->state) {
	case RUN_CREATED:
		if (run->is_stopping)
			decide_change_state(decider, ret_event, RUN_STOPPED, STR("Stopped on request"), now_ms);
		else
			decide_change_state(decider, ret_event, RUN_PREFLIGHT_VALIDATED,
				     STR("Pre-execution validation passed"), now_ms);
		return DECIDE_EVENT;
	case RUN_PREFLIGHT_VALIDATED:
		if (run->is_stopping)
			decide_change_state(decider, ret_event, RUN_STOPPED, STR("Stopped on request"), now_ms);
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
