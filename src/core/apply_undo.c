/* apply_undo.c - events of a rollback (S10): it begins, and one step after the other is undone */
#include "core/apply_intern.h"

#include "base/timefmt.h"

/* From the end of the order on: the next step that succeeded and can be undone. */
void apply_find_undo(struct run_state *run, uint32_t left)
{
	const struct model *model = run->model;

	while (left && !step_is_undoable(run, model->order[left - 1]))
		left--;
	run->undo.left = left;
}

enum err_code apply_rollback_started(const struct fold *f, struct err *err)
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
	apply_find_undo(run, run->model->steps_count);
	if (!event_has(f->event, EVENT_FIELD_BOOT_ID)) /* by the engine that saw the failure */
		return ERR_OK;
	run->epoch = f->event->seq;
	return apply_keep(run, event_text(f->event, EVENT_FIELD_BOOT_ID), &run->boot_id, err);
}

enum err_code apply_compensation_started(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct undo_state *undo = &run->undo;
	struct str id = run->model->steps[f->index].id;
	uint32_t expected = undo->step == f->index ? undo->attempt + 1 : 0;

	if (!undo->is_active || undo->is_running || undo->is_failed || run->is_stopping ||
	    run->count[STEP_RUNNING])
		return err_set(err, f->refused, "the compensation of '%.*s' cannot start now",
			       STR_ARG(id));
	if (f->index != run_undo_next(run))
		return err_set(err, f->refused, "'%.*s' is not the step to be undone next",
			       STR_ARG(id));
	if (f->event->attempt != expected)
		return err_set(err, f->refused,
			       "compensation %u of '%.*s' cannot start, %u comes next",
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

enum err_code apply_compensated(const struct fold *f, struct err *err)
{
	if (end_compensation(f, err) != ERR_OK)
		return err->code;
	/* not reached: only what succeeded begins to be undone, and nothing moves it meanwhile */
	if (apply_move(f, f->index, STEP_EVENT_COMPENSATE, err) != ERR_OK)
		return err->code;
	f->run->undo.reason = STR_NONE;
	apply_find_undo(f->run, f->run->undo.left);
	return ERR_OK;
}

enum err_code apply_compensation_failed(const struct fold *f, struct err *err)
{
	struct undo_state *undo = &f->run->undo;

	if (end_compensation(f, err) != ERR_OK)
		return err->code;
	if (apply_keep_class(f, CLASS_UNKNOWN, &undo->class, &undo->class_text, err) != ERR_OK)
		return err->code;
	undo->failures++;
	if (event_has(f->event, EVENT_FIELD_DELAY_MS)) {
		undo->is_retry = true;
		undo->due_ms =
		    time_after(f->event->time_utc_ms, event_int(f->event, EVENT_FIELD_DELAY_MS, 0));
		undo->retry_due = apply_retry_due(f);
	} else {
		undo->is_failed = true;
	}
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &undo->reason, err);
}
