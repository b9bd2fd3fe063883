/* apply_resume.c - run.resumed (S9.2, S7.3): what is opened again, and what is forgotten then */
#include "core/apply.h"
#include "core/apply_intern.h"

#include "base/mem.h"
#include "core/graph.h"

/* Forget what belonged to the attempts before a resume (S7.3: the budget is fresh; attempt numbers
 * go on). */
static void reopen(struct run_state *run, struct step_state *step)
{
	step->attempt -= step->is_retry; /* S7.1: what was announced is the next one still */
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

bool apply_opens_on_resume(const struct run_state *run, uint32_t index, bool was_at_rest)
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
	enum step_event event = step->state == STEP_SUCCEEDED ? STEP_EVENT_RERUN : STEP_EVENT_RESET;

	/* not reached: step.def has a row for each state in which it is asked */
	if (apply_move(f, index, event, err) != ERR_OK)
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
		if (!marks[i] ||
		    (state != STEP_SUCCEEDED && state != STEP_FAILED && state != STEP_SKIPPED))
			continue;
		if (reopen_step(f, i, err) != ERR_OK) /* not reached: these three can be opened */
			return err->code;
	}
	return ERR_OK;
}

/* A retry was to come when what the step needs had ended. Where that was opened, it comes first
 * again, and the step begins anew behind it. */
static void forget_early_retries(struct run_state *run)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (run->steps[i].is_retry && !step_is_ready(&run->steps[i]))
			reopen(run, &run->steps[i]);
	}
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
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_BOOT_ID), &run->boot_id, err) !=
	    ERR_OK)
		return err->code;
	return apply_keep(run, event_text(f->event, EVENT_FIELD_DEFINITION_HASH),
			  &run->definition_hash, err);
}

static enum err_code check_resumed(const struct fold *f, bool is_undoing, struct err *err)
{
	const struct run_state *run = f->run;

	if (run->state == RUN_ROLLED_BACK || run->state == RUN_SUCCEEDED)
		return err_set(err, f->refused, "a run that is %s cannot be resumed",
			       run_state_name(run->state));
	if (run->undo.is_begun && !is_undoing)
		return err_set(err, f->refused,
			       "a run that was rolled back in part cannot be resumed");
	if (is_undoing &&
	    (event_has(f->event, EVENT_FIELD_FROM) || event_has(f->event, EVENT_FIELD_PARAMS) ||
	     event_has(f->event, EVENT_FIELD_CHANGES)))
		return err_set(err, f->refused,
			       "a run that is being rolled back runs nothing else");
	return ERR_OK;
}

enum err_code apply_resumed(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct str from = event_text(f->event, EVENT_FIELD_FROM);
	bool was_at_rest = run->state == RUN_FAILED || run->state == RUN_STOPPED;
	bool is_undoing = run_is_undoing(run);
	uint32_t index = STEP_NONE;

	if (check_resumed(f, is_undoing, err) != ERR_OK)
		return err->code;
	apply_open_overrides(run, event_text(f->event, EVENT_FIELD_DEFINITION_HASH));
	if (is_undoing) /* S10: it goes on with the rollback */
		return keep_owner(f, err);
	if (apply_change(f, err) != ERR_OK)
		return err->code;
	if (from.ptr && (index = model_find(run->model, from)) == STEP_NONE)
		return err_set(err, f->refused, "there is no step '%.*s'", STR_ARG(from));
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (apply_opens_on_resume(run, i, was_at_rest)) {
			if (reopen_step(f, i, err) != ERR_OK) /* not reached: it can be opened */
				return err->code;
		}
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
	if (was_at_rest || index != STEP_NONE || f->next) {
		run_state_recount(run);
		forget_early_retries(run);
	}
	if (keep_owner(f, err) != ERR_OK)
		return err->code;
	return apply_keep_params(f, event_text(f->event, EVENT_FIELD_PARAMS), err);
}
