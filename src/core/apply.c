/* apply.c - the fold: a table from event type to a function, one function for each kind of fact.
 *
 * The machines of run.def and step.def are asked before anything changes. */
#include "core/apply.h"
#include "core/apply_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "core/trace.h"
#include "core/graph.h"
#include "core/select.h"

enum step_event {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what) STEP_EVENT_##name,
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

static const char *const step_event_names[] = {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what) what,
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

struct step_row {
	enum step_state_id from;
	enum step_event event;
	enum step_state_id to;
};

static const struct step_row step_rows[] = {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) {STEP_##from, STEP_EVENT_##event, STEP_##to},
#include "core/step.def"
};

enum err_code apply_keep(struct run_state *run, struct str text, struct str *ret_kept,
			  struct err *err)
{
	struct str kept;

	if (!text.ptr) {
		*ret_kept = STR_NONE;
		return ERR_OK;
	}
	if (str_eq(*ret_kept, text) && ret_kept->ptr)
		return ERR_OK; /* the same text again needs no second copy */
	kept = arena_str(&run->arena, text);
	if (!kept.ptr)
		return mem_err(err);
	*ret_kept = kept;
	return ERR_OK;
}

static void set_state(struct run_state *run, struct step_state *step, enum step_state_id to)
{
	run->count[step->state]--;
	run->count[to]++;
	step->state = to;
}

/* Move one step by one row of step.def. */
static enum err_code move_step(const struct fold *f, uint32_t index, enum step_event event,
			       struct err *err)
{
	struct step_state *step = &f->run->steps[index];

	for (size_t i = 0; i < ARRAY_LEN(step_rows); i++) {
		if (step_rows[i].from == step->state && step_rows[i].event == event) {
			set_state(f->run, step, step_rows[i].to);
			return ERR_OK;
		}
	}
	return err_set(err, f->refused, "step '%.*s' is %s and refuses %s",
		       STR_ARG(f->run->model->steps[index].id), step_state_name(step->state),
		       step_event_names[event]);
}

/* ------------------------------------------------------------------ events about the run */

static enum err_code parse_run_state(const struct fold *f, enum event_field field,
				     enum run_state_id *ret_state, struct err *err)
{
	if (!run_state_of(event_text(f->event, field), ret_state))
		return err_set(err, f->refused, "'%.*s' is not a run state",
			       STR_ARG(event_text(f->event, field)));
	return ERR_OK;
}

static enum err_code keep_params(const struct fold *f, struct str params, struct err *err)
{
	struct run_state *run = f->run;
	struct str key;
	struct str value;
	size_t at = 0;

	while (params.ptr && json_member(params, &at, &key, &value)) {
		uint32_t i = 0;

		while (i < run->model->params_count && !str_eq(run->model->params[i].name, key))
			i++;
		if (i == run->model->params_count)
			return err_set(err, f->refused, "the definition has no parameter '%.*s'",
				       STR_ARG(key));
		if (apply_keep(run, value, &run->params[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Steps outside of the selection are excluded until they turn out to be given. */
static enum err_code keep_selection(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	AUTO(mem_drop) uint8_t *marks = NULL;
	struct selection selection;

	if (!event_has(f->event, EVENT_FIELD_SELECTION))
		return ERR_OK;
	marks = mem_new(run->model->steps_count, 1);
	if (!marks)
		return mem_err(err);
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_SELECTION), &run->selection, err) != ERR_OK)
		return err->code;
	if (selection_read(run->selection, &selection, err) != ERR_OK ||
	    selection_mark(run->model, &selection, marks, err) != ERR_OK) {
		if (err->code != ERR_MEMORY)
			err->code = f->refused;
		return err->code;
	}
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		run->steps[i].is_excluded = !marks[i];
	return ERR_OK;
}

/* What the start brought along for steps that are not executed: they have succeeded (S9.5). */
static enum err_code keep_given(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct str key;
	struct str value;
	size_t at = 0;

	if (!event_has(f->event, EVENT_FIELD_GIVEN))
		return ERR_OK;
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_GIVEN), &run->given, err) != ERR_OK)
		return err->code;
	if (json_type_of(run->given) != JSON_OBJECT)
		return err_set(err, f->refused, "what was given is not an object");
	while (json_member(run->given, &at, &key, &value)) {
		uint32_t index = model_find(run->model, key);

		if (index == STEP_NONE || !run->steps[index].is_excluded ||
		    json_type_of(value) != JSON_OBJECT)
			return err_set(err, f->refused, "'%.*s' cannot be given", STR_ARG(key));
		run->steps[index].is_excluded = false;
		run->steps[index].is_given = true;
		run->steps[index].outputs = value;
		set_state(run, &run->steps[index], STEP_SUCCEEDED);
	}
	run_state_recount(run);
	return ERR_OK;
}

/* Both are for other programs: what is malformed decides nothing, and counts as absent. */
static enum err_code keep_trace(const struct fold *f, struct err *err)
{
	struct str trace_id = event_text(f->event, EVENT_FIELD_TRACE_ID);
	struct str text = event_text(f->event, EVENT_FIELD_TRACEPARENT);
	struct trace_parent parent;

	if (trace_id_valid(trace_id) && apply_keep(f->run, trace_id, &f->run->trace_id, err) != ERR_OK)
		return err->code;
	if (trace_parent_read(text, &parent) && str_eq(parent.trace_id, trace_id))
		return apply_keep(f->run, text, &f->run->traceparent, err);
	return ERR_OK;
}

static enum err_code on_created(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	const struct event *event = f->event;

	if (run->seq != 0)
		return err_set(err, f->refused, "run.created is not the first event");
	run->state = RUN_CREATED;
	run->created_ms = event->time_utc_ms;
	run->epoch = event->seq;
	run->seed = (uint64_t)event_int(event, EVENT_FIELD_SEED, 0);
	run->is_dry = event_has(event, EVENT_FIELD_DRY_RUN);
	if (apply_keep(run, event->run_id, &run->run_id, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_SYNC), &run->sync, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_PARTITION), &run->partition, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_IDEMPOTENCY_KEY), &run->key, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_FILE), &run->file, err) != ERR_OK ||
	    keep_trace(f, err) != ERR_OK || keep_selection(f, err) != ERR_OK || keep_given(f, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_BOOT_ID), &run->boot_id, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_DEFINITION_HASH), &run->definition_hash, err) !=
		    ERR_OK)
		return err->code;
	return keep_params(f, event_text(event, EVENT_FIELD_PARAMS), err);
}

static bool has_open_steps(const struct run_state *run)
{
	return run->count[STEP_PENDING] + run->count[STEP_WAITING] + run->count[STEP_RUNNING] +
		       run->held >
	       0;
}

/* Is everything undone that has to be? */
static bool is_undone(const struct run_state *run)
{
	return run->undo.is_active && !run->undo.is_running && run_undo_next(run) == STEP_NONE;
}

static enum err_code on_state_changed(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	enum run_state_id from;
	enum run_state_id to;

	if (parse_run_state(f, EVENT_FIELD_PREVIOUS_STATE, &from, err) != ERR_OK ||
	    parse_run_state(f, EVENT_FIELD_NEW_STATE, &to, err) != ERR_OK)
		return err->code;
	if (from != run->state)
		return err_set(err, f->refused, "the run is %s, not %s", run_state_name(run->state),
			       run_state_name(from));
	if (run_state_check(from, to, run->is_resuming, f->refused, err) != ERR_OK)
		return err->code;
	if (to == RUN_ROLLED_BACK && !is_undone(run))
		return err_set(err, f->refused, "the run is not rolled back: steps are still to be undone");
	run->state = to;
	run->is_resuming = false;
	run->changed_ms = f->event->time_utc_ms;
	if (to == RUN_FAILED && !run->is_failing && has_open_steps(run)) {
		run->is_failing = true; /* by the run's own deadline */
		run->failing_step = STEP_NONE;
	}
	return apply_keep(run, event_text(f->event, EVENT_FIELD_REASON), &run->reason, err);
}

static enum err_code on_completed(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	enum run_state_id state;

	if (parse_run_state(f, EVENT_FIELD_NEW_STATE, &state, err) != ERR_OK)
		return err->code;
	if (run->is_completed)
		return err_set(err, f->refused, "the run is completed already");
	if (state != run->state || !run_state_is_end(state))
		return err_set(err, f->refused, "run.completed says %s, but the run is %s",
			       run_state_name(state), run_state_name(run->state));
	if (!outcome_of(event_text(f->event, EVENT_FIELD_OUTCOME), &run->outcome))
		return err_set(err, f->refused, "'%.*s' is not an outcome",
			       STR_ARG(event_text(f->event, EVENT_FIELD_OUTCOME)));
	run->is_completed = true;
	run->undo.is_active = false;
	run->undo.is_wanted = false;
	run->changed_ms = f->event->time_utc_ms;
	run->duration_ms = event_int(f->event, EVENT_FIELD_DURATION_MS, 0);
	return apply_keep(run, event_text(f->event, EVENT_FIELD_REASON), &run->reason, err);
}

/* Forget what belonged to the attempts before a resume (S7.3: the budget is fresh; attempt numbers go
 * on). */
static void reopen(struct run_state *run, struct step_state *step)
{
	set_flag(&step->is_held, false, &run->held);
	set_flag(&step->is_retry, false, &run->retries_due);
	set_flag(&step->is_gate_failed, false, &run->gates_barred);
	set_flag(&step->is_waived, false, &run->waived);
	run->warnings -= step->warnings;
	step->warnings = 0;
	step->skip = SKIP_NONE;
	step->failures = 0;
	step->losses = 0;
	step->due_ms = 0;
	step->is_final = false;
	step->is_approved = false;
	step->is_rejected = false;
	step->is_gate_recorded = false;
	step->is_stillborn = false;
	step->approvers = NULL;
	step->reason = STR_NONE;
	step->outputs = STR_NONE;
	step->quality = STR_NONE;
	step->cached_from = STR_NONE;
}

/* Does a plain resume open this step again (S9.2)? While a run is not at rest none: it goes on by itself,
 * with the budget that it had (S7.3). */
static bool opens_on_resume(const struct run_state *run, uint32_t index, bool was_at_rest)
{
	const struct step_state *step = &run->steps[index];

	if (!was_at_rest)
		return false;
	if (step->state == STEP_FAILED)
		return !step->is_waived || run->model->steps[index].gate == GATE_MANUAL;
	if (step->state == STEP_SKIPPED)
		return step->skip == SKIP_UPSTREAM_FAILED || step->skip == SKIP_RUN_STOPPED ||
		       step->skip == SKIP_GATE_FAILED;
	return false;
}

static enum err_code reopen_step(const struct fold *f, uint32_t index, struct err *err)
{
	struct step_state *step = &f->run->steps[index];
	enum step_event event =
		step->state == STEP_SUCCEEDED ? STEP_EVENT_RERUN : STEP_EVENT_RESET;

	if (move_step(f, index, event, err) != ERR_OK)
		return err->code;
	reopen(f->run, step);
	return ERR_OK;
}

enum err_code apply_reopen_marked(const struct fold *f, const uint8_t *marks, struct err *err)
{
	for (uint32_t i = 0; i < f->run->model->steps_count; i++) {
		enum step_state_id state = f->run->steps[i].state;

		if (marks[i]) /* a gate that is asked anew passes by itself */
			set_flag(&f->run->steps[i].is_overridden, false, &f->run->overridden);
		if (marks[i] && f->run->steps[i].is_retry) /* what it needs comes first again */
			reopen(f->run, &f->run->steps[i]);
		if (f->run->steps[i].is_given)
			continue; /* nothing made it here, nothing can make it again */
		if (marks[i] && (state == STEP_SUCCEEDED || state == STEP_FAILED ||
				 state == STEP_SKIPPED) &&
		    reopen_step(f, i, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code reopen_from(const struct fold *f, uint32_t from, struct err *err)
{
	const struct model *model = f->run->model;
	AUTO(mem_drop) uint8_t *marks = mem_new(model->steps_count, 1);
	AUTO(mem_drop) uint32_t *queue = mem_new(model->steps_count, sizeof(*queue));

	if (!marks || !queue)
		return mem_err(err);
	graph_mark_downstream(model, from, marks, queue);
	return apply_reopen_marked(f, marks, err);
}

/* A new engine owns the run: attempts that it starts are of its boot. */
static enum err_code keep_owner(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;

	run->epoch = f->event->seq;
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_BOOT_ID), &run->boot_id, err) != ERR_OK)
		return err->code;
	return apply_keep(run, event_text(f->event, EVENT_FIELD_DEFINITION_HASH), &run->definition_hash, err);
}

static enum err_code check_resumed(const struct fold *f, bool is_undoing, struct err *err)
{
	const struct run_state *run = f->run;

	if (run->state == RUN_ROLLED_BACK || run->state == RUN_SUCCEEDED)
		return err_set(err, f->refused, "a run that is %s cannot be resumed",
			       run_state_name(run->state));
	if (run->undo.is_begun && !is_undoing)
		return err_set(err, f->refused, "a run that was rolled back in part cannot be resumed");
	if (is_undoing && (event_has(f->event, EVENT_FIELD_FROM) ||
			   event_has(f->event, EVENT_FIELD_PARAMS) ||
			   event_has(f->event, EVENT_FIELD_CHANGES)))
		return err_set(err, f->refused, "a run that is being rolled back runs nothing else");
	return ERR_OK;
}

static enum err_code on_resumed(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct str from = event_text(f->event, EVENT_FIELD_FROM);
	bool was_at_rest = run->state == RUN_FAILED || run->state == RUN_STOPPED;
	bool is_undoing = run_is_undoing(run);
	uint32_t index = STEP_NONE;

	if (check_resumed(f, is_undoing, err) != ERR_OK)
		return err->code;
	if (is_undoing) /* S10: it goes on with the rollback */
		return keep_owner(f, err);
	if (apply_change(f, err) != ERR_OK)
		return err->code;
	if (from.ptr && (index = model_find(run->model, from)) == STEP_NONE)
		return err_set(err, f->refused, "there is no step '%.*s'", STR_ARG(from));
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (opens_on_resume(run, i, was_at_rest) && reopen_step(f, i, err) != ERR_OK)
			return err->code;
		if (was_at_rest) /* also of a step whose retry was still to come (S7.3) */
			run->steps[i].failures = 0;
	}
	if (index != STEP_NONE && reopen_from(f, index, err) != ERR_OK)
		return err->code;
	if (was_at_rest) {
		run->is_failing = false;
		run->failing_step = STEP_NONE;
	}
	run->is_resumed = true;
	run->is_resuming = was_at_rest;
	run->is_completed = false;
	if (was_at_rest) { /* a stop that was not carried out yet stays (S1.5) */
		run->is_stopping = false;
		run->is_stop_now = false;
		run->is_stop_late = false;
		run->undo.is_wanted = false;
	}
	run->outcome = OUTCOME_NONE;
	if (was_at_rest || index != STEP_NONE || f->next)
		run_state_recount(run);
	if (keep_owner(f, err) != ERR_OK)
		return err->code;
	return keep_params(f, event_text(f->event, EVENT_FIELD_PARAMS), err);
}

static enum err_code on_stop_requested(const struct fold *f, struct err *err)
{
	(void)err;
	if (f->run->is_failing && !f->run->is_stopping)
		f->run->is_stop_late = true;
	f->run->is_stopping = true;
	if (event_has(f->event, EVENT_FIELD_NOW))
		f->run->is_stop_now = true;
	return ERR_OK;
}

static enum err_code on_override(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct str gate = event_text(f->event, EVENT_FIELD_GATE);
	uint32_t index = model_find(run->model, gate);

	if (index == STEP_NONE || !run->steps[index].is_gate_failed)
		return err_set(err, f->refused, "'%.*s' is not a failed gate", STR_ARG(gate));
	set_flag(&run->steps[index].is_waived, true, &run->waived);
	set_flag(&run->steps[index].is_overridden, true, &run->overridden);
	set_flag(&run->steps[index].is_gate_failed, false, &run->gates_barred);
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- rollback */

/* From the end of the order on: the next step that succeeded and can be undone. */
static void find_undo(struct run_state *run, uint32_t left)
{
	const struct model *model = run->model;

	while (left && (run->steps[model->order[left - 1]].state != STEP_SUCCEEDED ||
			!model->steps[model->order[left - 1]].compensate))
		left--;
	run->undo.left = left;
}

static enum err_code on_rollback_started(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;

	if (run->state != RUN_FAILED && run->state != RUN_STOPPED && run->state != RUN_BLOCKED)
		return err_set(err, f->refused, "a run that is %s cannot be rolled back",
			       run_state_name(run->state));
	if (run->undo.is_active)
		return err_set(err, f->refused, "the run is being rolled back already");
	run->undo.is_wanted = false;
	run->undo.is_begun = true;
	run->undo.is_active = true;
	run->undo.is_retry = false;
	run->undo.is_failed = false;
	run->undo.failures = 0;
	run->is_resuming = false;
	run->is_completed = false;
	run->is_stopping = false;
	run->is_stop_now = false;
	run->is_stop_late = false;
	run->outcome = OUTCOME_NONE;
	find_undo(run, run->model->steps_count);
	if (!event_has(f->event, EVENT_FIELD_BOOT_ID)) /* by the engine that saw the failure */
		return ERR_OK;
	run->epoch = f->event->seq;
	return apply_keep(run, event_text(f->event, EVENT_FIELD_BOOT_ID), &run->boot_id, err);
}

static enum err_code on_compensation_started(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct undo_state *undo = &run->undo;
	struct str id = run->model->steps[f->index].id;
	uint32_t expected = undo->step == f->index ? undo->attempt + 1 : 0;

	if (!undo->is_active || undo->is_running || undo->is_failed || run->is_stopping ||
	    run->count[STEP_RUNNING])
		return err_set(err, f->refused, "the compensation of '%.*s' cannot start now", STR_ARG(id));
	if (f->index != run_undo_next(run))
		return err_set(err, f->refused, "'%.*s' is not the step to be undone next", STR_ARG(id));
	if (f->event->attempt != expected)
		return err_set(err, f->refused, "compensation %u of '%.*s' cannot start, %u comes next",
			       f->event->attempt, STR_ARG(id), expected);
	if (undo->step != f->index)
		undo->failures = 0;
	undo->is_running = true;
	undo->is_retry = false;
	undo->step = f->index;
	undo->attempt = f->event->attempt;
	undo->started_ms = f->event->time_utc_ms;
	undo->due_ms = 0;
	undo->boot_id = run->boot_id;
	return ERR_OK;
}

static enum err_code end_compensation(const struct fold *f, struct err *err)
{
	struct undo_state *undo = &f->run->undo;

	if (!undo->is_active || !undo->is_running || undo->step != f->index ||
	    undo->attempt != f->event->attempt)
		return err_set(err, f->refused, "compensation %u of '%.*s' does not run",
			       f->event->attempt, STR_ARG(f->run->model->steps[f->index].id));
	undo->is_running = false;
	return ERR_OK;
}

static enum err_code on_compensated(const struct fold *f, struct err *err)
{
	if (end_compensation(f, err) != ERR_OK ||
	    move_step(f, f->index, STEP_EVENT_COMPENSATE, err) != ERR_OK)
		return err->code;
	f->run->undo.reason = STR_NONE;
	find_undo(f->run, f->run->undo.left);
	return ERR_OK;
}

/* The class of a failure; one that is not known is kept as text, for people (S6). */
static enum err_code keep_class(const struct fold *f, enum error_class fallback,
				enum error_class *ret_class, struct str *ret_text, struct err *err)
{
	struct str name = event_text(f->event, EVENT_FIELD_ERROR_CLASS);

	if (error_class_of(name, ret_class)) {
		*ret_text = STR_NONE;
		return ERR_OK;
	}
	*ret_class = fallback;
	return apply_keep(f->run, name, ret_text, err);
}

static enum err_code on_compensation_failed(const struct fold *f, struct err *err)
{
	struct undo_state *undo = &f->run->undo;

	if (end_compensation(f, err) != ERR_OK)
		return err->code;
	if (keep_class(f, CLASS_UNKNOWN, &undo->class, &undo->class_text, err) != ERR_OK)
		return err->code;
	undo->failures++;
	if (event_has(f->event, EVENT_FIELD_DELAY_MS)) {
		undo->is_retry = true;
		undo->due_ms = time_after(f->event->time_utc_ms, event_int(f->event, EVENT_FIELD_DELAY_MS, 0));
	} else {
		undo->is_failed = true;
	}
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &undo->reason, err);
}

static enum err_code on_projection_failed(const struct fold *f, struct err *err)
{
	(void)err;
	f->run->warnings++;
	return ERR_OK;
}

/* ----------------------------------------------------------------- events about a step */

static enum err_code keep_failure(const struct fold *f, enum error_class fallback, struct err *err)
{
	if (keep_class(f, fallback, &f->step->class, &f->step->class_text, err) != ERR_OK)
		return err->code;
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err);
}

/* S1.3, S1.4: a log that starts what must not start is not ours. */
static enum err_code check_start(const struct fold *f, bool is_stillborn, struct err *err)
{
	const struct run_state *run = f->run;
	const struct step_state *step = f->step;
	uint32_t expected = step->is_retry ? step->attempt : step->attempts ? step->attempt + 1 : 0;
	struct str id = run->model->steps[f->index].id;

	if (f->event->attempt != expected)
		return err_set(err, f->refused, "attempt %u of '%.*s' cannot start, %u comes next",
			       f->event->attempt, STR_ARG(id), expected);
	if (run->state != RUN_EXECUTING || run->is_failing || run->is_stopping)
		return err_set(err, f->refused, "'%.*s' cannot start: the run is %s", STR_ARG(id),
			       run->is_failing    ? "failing"
			       : run->is_stopping ? "stopping"
						  : run_state_name(run->state));
	if (step->is_excluded)
		return err_set(err, f->refused, "'%.*s' cannot start: it is not selected", STR_ARG(id));
	if (!step_needs_met(step))
		return err_set(err, f->refused, "'%.*s' cannot start: what it needs is not there",
			       STR_ARG(id));
	if (run->model->steps[f->index].gate == GATE_MANUAL && !step->is_approved && !is_stillborn)
		return err_set(err, f->refused, "'%.*s' cannot start: nobody approved it", STR_ARG(id));
	return ERR_OK;
}

static enum err_code on_started(const struct fold *f, struct err *err)
{
	struct step_state *step = f->step;
	bool is_stillborn = event_has(f->event, EVENT_FIELD_ERROR_CLASS);

	if (check_start(f, is_stillborn, err) != ERR_OK)
		return err->code;
	if (move_step(f, f->index, STEP_EVENT_START, err) != ERR_OK)
		return err->code;
	set_flag(&step->is_retry, false, &f->run->retries_due);
	step->attempt = f->event->attempt;
	step->attempts++;
	step->started_ms = f->event->time_utc_ms;
	step->ended_ms = 0;
	step->due_ms = 0;
	step->is_final = false;
	step->is_stillborn = is_stillborn;
	step->is_quality_warned = false;
	step->cached_from = STR_NONE;
	step->quality = STR_NONE;
	step->boot_id = f->run->boot_id;
	return is_stillborn ? keep_failure(f, CLASS_UNKNOWN, err) : ERR_OK;
}

/* The attempt is over. One that did not start (rejected while waiting) has no duration. */
static void end_attempt(const struct fold *f)
{
	struct step_state *step = f->step;
	int64_t elapsed = f->event->time_utc_ms - step->started_ms;
	bool did_run = step->attempts && !step->ended_ms;

	step->is_stillborn = false;
	step->ended_ms = f->event->time_utc_ms;
	if (did_run)
		step->duration_ms += event_int(f->event, EVENT_FIELD_DURATION_MS,
					       elapsed > 0 ? elapsed : 0);
}

static enum err_code check_attempt(const struct fold *f, struct err *err)
{
	if (f->event->attempt == f->step->attempt || f->step->state == STEP_WAITING)
		return ERR_OK;
	return err_set(err, f->refused, "attempt %u of '%.*s' is not the one that runs (%u)",
		       f->event->attempt, STR_ARG(f->run->model->steps[f->index].id),
		       f->step->attempt);
}

static enum err_code keep_updates(struct run_state *run, struct str updates, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	while (updates.ptr && json_member(updates, &at, &key, &value)) {
		struct context_update update = {STR_NONE, STR_NONE};
		void *list = run->updates;

		if (mem_grow(&list, &run->updates_capacity, run->updates_count + 1, sizeof(update),
			     err) != ERR_OK)
			return err->code;
		run->updates = list;
		if (apply_keep(run, key, &update.name, err) != ERR_OK ||
		    apply_keep(run, value, &update.value, err) != ERR_OK)
			return err->code;
		run->updates[run->updates_count++] = update;
	}
	return ERR_OK;
}

static enum err_code on_succeeded(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    move_step(f, f->index, STEP_EVENT_SUCCEED, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->losses = 0;
	f->step->reason = STR_NONE;
	if (f->run->undo.is_active) /* it ran before the rollback began */
		find_undo(f->run, f->run->model->steps_count);
	if (apply_keep(f->run, event_text(f->event, EVENT_FIELD_CACHED_FROM), &f->step->cached_from, err) !=
		    ERR_OK ||
	    apply_keep(f->run, event_text(f->event, EVENT_FIELD_OUTPUTS), &f->step->outputs, err) != ERR_OK ||
	    keep_updates(f->run, event_text(f->event, EVENT_FIELD_CONTEXT_UPDATES), err) != ERR_OK)
		return err->code;
	run_state_resolve(f->run, f->index);
	return ERR_OK;
}

/* Cancelled and interrupted attempts do not fail a gate: it is asked again at resume (S5.5). Whoever
 * gives a lost attempt up rejects no gate: the step fails as `lost` (S8.4). */
static bool fails_gate(const struct step *def, const struct step_state *step)
{
	if (step->is_rejected && step->class != CLASS_LOST)
		return true;
	return def->gate == GATE_HARD && step->class != CLASS_CANCELLED &&
	       step->class != CLASS_INTERRUPTED;
}

static void warn(const struct fold *f)
{
	f->run->warnings++;
	f->step->warnings++;
}

/* A failure that no retry follows: what it means for the run (S5.4, S5.7). */
static void fail_for_good(const struct fold *f)
{
	struct run_state *run = f->run;
	struct step_state *step = f->step;
	const struct step *def = &run->model->steps[f->index];

	step->is_final = true;
	if (fails_gate(def, step))
		set_flag(&step->is_gate_failed, true, &run->gates_barred);
	if (!run->is_failing && step_stops_run(run, f->index) &&
	    !(run->is_stopping && step->class == CLASS_CANCELLED)) {
		run->is_failing = true;
		run->failing_step = f->index;
	}
	if (!step_stops_run(run, f->index) && def->on_failure == ON_FAILURE_IGNORE)
		warn(f);
	if (def->on_failure == ON_FAILURE_COMPENSATE && def->gate != GATE_HARD && !step->is_gate_failed &&
	    step->class != CLASS_CANCELLED && step->class != CLASS_INTERRUPTED)
		run->undo.is_wanted = true;
	run_state_resolve(run, f->index);
}

static void settle_failure(const struct fold *f)
{
	if (!step_may_retry(f->run, f->index))
		fail_for_good(f);
}

static enum err_code on_failed(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    move_step(f, f->index, STEP_EVENT_FAIL, err) != ERR_OK ||
	    keep_failure(f, CLASS_UNKNOWN, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->failures++;
	f->step->losses = 0;
	settle_failure(f);
	return ERR_OK;
}

static enum err_code on_lost(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    move_step(f, f->index, STEP_EVENT_LOSE, err) != ERR_OK ||
	    keep_failure(f, CLASS_LOST, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->class = CLASS_LOST;
	f->step->class_text = STR_NONE;
	f->step->losses++;
	if (f->run->model->steps[f->index].on_lost == ON_LOST_ASK) {
		set_flag(&f->step->is_held, true, &f->run->held);
		f->step->is_approved = false; /* what was approved was the attempt that is lost */
		f->step->approvers = NULL;
	} else
		settle_failure(f);
	return ERR_OK;
}

static enum err_code on_retried(const struct fold *f, struct err *err)
{
	struct step_state *step = f->step;

	if (f->event->attempt != step->attempt + 1)
		return err_set(err, f->refused, "the next attempt is %u, not %u", step->attempt + 1,
			       f->event->attempt);
	if (step->is_final)
		return err_set(err, f->refused, "the failure of '%.*s' is final",
			       STR_ARG(f->run->model->steps[f->index].id));
	if (step->is_held && !step->is_approved)
		return err_set(err, f->refused, "nobody decided on the lost attempt of '%.*s'",
			       STR_ARG(f->run->model->steps[f->index].id));
	if (move_step(f, f->index, STEP_EVENT_RETRY, err) != ERR_OK)
		return err->code;
	set_flag(&step->is_held, false, &f->run->held);
	set_flag(&step->is_retry, true, &f->run->retries_due);
	step->attempt = f->event->attempt;
	step->retries++;
	step->due_ms = time_after(f->event->time_utc_ms, event_int(f->event, EVENT_FIELD_DELAY_MS, 0));
	return ERR_OK;
}

static enum err_code on_waiting(const struct fold *f, struct err *err)
{
	struct str until = event_text(f->event, EVENT_FIELD_UNTIL);

	if (move_step(f, f->index, STEP_EVENT_WAIT, err) != ERR_OK)
		return err->code;
	f->step->due_ms = 0;
	if (until.ptr && !stamp_read(until, &f->step->due_ms))
		return err_set(err, f->refused, "'%.*s' is not a time", STR_ARG(until));
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err);
}

static enum err_code on_skipped(const struct fold *f, struct err *err)
{
	struct str reason = event_text(f->event, EVENT_FIELD_REASON);
	enum skip_reason skip;

	if (!skip_reason_of(reason, &skip))
		return err_set(err, f->refused, "'%.*s' is not a reason to skip", STR_ARG(reason));
	if (move_step(f, f->index, STEP_EVENT_SKIP, err) != ERR_OK)
		return err->code;
	set_flag(&f->step->is_retry, false, &f->run->retries_due);
	f->step->skip = skip;
	f->step->due_ms = 0;
	run_state_resolve(f->run, f->index);
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_CAUSE), &f->step->reason, err);
}

static enum err_code on_gate_failed(const struct fold *f, struct err *err)
{
	(void)err;
	/* Once: a log that was cut behind it has it again when the result is taken again. */
	if (event_has(f->event, EVENT_FIELD_SOFT) && !f->step->is_gate_recorded)
		warn(f);
	f->step->is_gate_recorded = true;
	return ERR_OK;
}

/* Is there something that a person is asked for? */
static enum err_code check_asked(const struct fold *f, struct err *err)
{
	const struct step_state *step = f->step;

	if ((step->state == STEP_WAITING || step->is_held) && !step->is_rejected)
		return ERR_OK;
	return err_set(err, f->refused, "step '%.*s' is %s and waits for no decision",
		       STR_ARG(f->run->model->steps[f->index].id), step_state_name(step->state));
}

static enum err_code on_approved(const struct fold *f, struct err *err)
{
	const struct approval *approval = f->run->model->steps[f->index].approval;
	struct approver *approver;
	uint32_t count = 1;

	if (check_asked(f, err) != ERR_OK)
		return err->code;
	for (const struct approver *other = f->step->approvers; other; other = other->next) {
		if (str_eq(other->name, f->event->actor)) /* S5.6: distinct names */
			return err_set(err, f->refused, "'%.*s' approved '%.*s' twice",
				       STR_ARG(other->name),
				       STR_ARG(f->run->model->steps[f->index].id));
		count++;
	}
	approver = arena_new(&f->run->arena, 1, sizeof(*approver));
	if (!approver)
		return mem_err(err);
	if (apply_keep(f->run, f->event->actor, &approver->name, err) != ERR_OK)
		return err->code;
	approver->next = f->step->approvers;
	f->step->approvers = approver;
	f->step->is_approved = !approval || count >= approval->count;
	return ERR_OK;
}

static enum err_code on_rejected(const struct fold *f, struct err *err)
{
	if (check_asked(f, err) != ERR_OK)
		return err->code;
	f->step->is_rejected = true;
	if (apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err) != ERR_OK)
		return err->code;
	if (f->step->is_held) { /* a lost attempt that a person gave up */
		set_flag(&f->step->is_held, false, &f->run->held);
		fail_for_good(f);
	}
	return ERR_OK;
}

static enum err_code on_artifact(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct emitted_artifact artifact = {.step = f->index};
	void *list = run->artifacts;

	if (mem_grow(&list, &run->artifacts_capacity, run->artifacts_count + 1, sizeof(artifact),
		     err) != ERR_OK)
		return err->code;
	run->artifacts = list;
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_ARTIFACT_PATH), &artifact.path, err) != ERR_OK ||
	    apply_keep(run, event_text(f->event, EVENT_FIELD_OUTPUTS_HASH), &artifact.sha256, err) != ERR_OK)
		return err->code;
	run->artifacts[run->artifacts_count++] = artifact;
	return ERR_OK;
}

static enum err_code on_quality(const struct fold *f, struct err *err)
{
	if (f->step->state != STEP_RUNNING || f->event->attempt != f->step->attempt)
		return err_set(err, f->refused, "attempt %u of '%.*s' does not run and has no quality",
			       f->event->attempt, STR_ARG(f->run->model->steps[f->index].id));
	/* Once an attempt: a log that was cut behind it has it again when the result is taken again. */
	if (event_has(f->event, EVENT_FIELD_SOFT) && !f->step->is_quality_warned) {
		f->step->is_quality_warned = true;
		warn(f);
	}
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_DATA), &f->step->quality, err);
}

static enum err_code on_nothing(const struct fold *f, struct err *err)
{
	(void)f;
	(void)err;
	return ERR_OK;
}

/* ------------------------------------------------------------------------------- the table */

typedef enum err_code fold_fn(const struct fold *f, struct err *err);

static fold_fn *const folds[] = {
	[EVENT_RUN_CREATED] = on_created,
	[EVENT_RUN_STATE_CHANGED] = on_state_changed,
	[EVENT_RUN_COMPLETED] = on_completed,
	[EVENT_RUN_RESUMED] = on_resumed,
	[EVENT_RUN_STOP_REQUESTED] = on_stop_requested,
	[EVENT_RUN_OVERRIDE_APPLIED] = on_override,
	[EVENT_STEP_STARTED] = on_started,
	[EVENT_STEP_SUCCEEDED] = on_succeeded,
	[EVENT_STEP_FAILED] = on_failed,
	[EVENT_STEP_RETRIED] = on_retried,
	[EVENT_STEP_WAITING] = on_waiting,
	[EVENT_STEP_SKIPPED] = on_skipped,
	[EVENT_STEP_LOST] = on_lost,
	[EVENT_RUN_ROLLBACK_STARTED] = on_rollback_started,
	[EVENT_COMPENSATION_STARTED] = on_compensation_started,
	[EVENT_STEP_COMPENSATED] = on_compensated,
	[EVENT_COMPENSATION_FAILED] = on_compensation_failed,
	[EVENT_GATE_PASSED] = on_nothing,
	[EVENT_GATE_FAILED] = on_gate_failed,
	[EVENT_GATE_APPROVED] = on_approved,
	[EVENT_GATE_REJECTED] = on_rejected,
	[EVENT_QUALITY_RECORDED] = on_quality,
	[EVENT_ARTIFACT_EMITTED] = on_artifact,
	[EVENT_ARTIFACT_QUARANTINED] = on_nothing,
	[EVENT_PROJECTION_FAILED] = on_projection_failed,
	[EVENT_LOG_REPAIRED] = on_nothing,
	[EVENT_USER] = on_nothing,
	[EVENT_UNKNOWN] = NULL,
};

enum err_code apply(struct run_state *run, const struct event *event, enum err_code refused,
		    struct err *err)
{
	return apply_next(run, event, NULL, refused, err);
}

enum err_code apply_next(struct run_state *run, const struct event *event,
			 const struct model *next, enum err_code refused, struct err *err)
{
	struct fold f = {.run = run, .event = event, .index = STEP_NONE, .refused = refused,
			 .next = next};

	if (event->seq != run->seq + 1)
		return err_set(err, refused, "event %llu comes after %llu",
			       (unsigned long long)event->seq, (unsigned long long)run->seq);
	if (run->seq == 0 && event->type != EVENT_RUN_CREATED)
		return err_set(err, refused, "the first event is '%.*s', not run.created",
			       STR_ARG(event->type_text));
	if (!folds[event->type]) /* reserved for later kinds of steps, or of a newer version */
		return err_set(err, ERR_NEWER, "'%.*s' is not in this version",
			       STR_ARG(event->type_text));
	if (event_is_about_step(event->type)) {
		f.index = model_find(run->model, event_text(event, EVENT_FIELD_STEP_ID));
		if (f.index == STEP_NONE)
			return err_set(err, refused, "the definition has no step '%.*s'",
				       STR_ARG(event_text(event, EVENT_FIELD_STEP_ID)));
		f.step = &run->steps[f.index];
	}
	if (folds[event->type](&f, err) != ERR_OK)
		return err->code;
	run->seq = event->seq;
	run->last_ms = event->time_utc_ms;
	return ERR_OK;
}
