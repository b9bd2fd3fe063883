/* apply_run.c - events about the run: how it began, its states, a stop, an override, its end */
#include "core/apply_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/select.h"
#include "core/trace.h"

static enum err_code parse_run_state(const struct fold *f, enum event_field field,
				     enum run_state_id *ret_state, struct err *err)
{
	if (!run_state_of(event_text(f->event, field), ret_state))
		return err_set(err, f->refused, "'%.*s' is not a run state",
			       STR_ARG(event_text(f->event, field)));
	return ERR_OK;
}

enum err_code apply_keep_params(const struct fold *f, struct str params, struct err *err)
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
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_SELECTION), &run->selection, err) !=
	    ERR_OK)
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
		apply_set_state(run, &run->steps[index], STEP_SUCCEEDED);
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

	if (trace_id_valid(trace_id) &&
	    apply_keep(f->run, trace_id, &f->run->trace_id, err) != ERR_OK)
		return err->code;
	if (trace_parent_read(text, &parent) && str_eq(parent.trace_id, trace_id))
		return apply_keep(f->run, text, &f->run->traceparent, err);
	return ERR_OK;
}

enum err_code apply_created(const struct fold *f, struct err *err)
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
	    apply_keep(run, event_text(event, EVENT_FIELD_PARTITION), &run->partition, err) !=
		ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_IDEMPOTENCY_KEY), &run->key, err) !=
		ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_FILE), &run->file, err) != ERR_OK ||
	    keep_trace(f, err) != ERR_OK || keep_selection(f, err) != ERR_OK ||
	    keep_given(f, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_BOOT_ID), &run->boot_id, err) != ERR_OK ||
	    apply_keep(run, event_text(event, EVENT_FIELD_DEFINITION_HASH), &run->definition_hash,
		       err) != ERR_OK)
		return err->code;
	return apply_keep_params(f, event_text(event, EVENT_FIELD_PARAMS), err);
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

enum err_code apply_state_changed(const struct fold *f, struct err *err)
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
		return err_set(err, f->refused,
			       "the run is not rolled back: steps are still to be undone");
	run->state = to;
	run->is_resuming = false;
	run->changed_ms = f->event->time_utc_ms;
	if (to == RUN_FAILED && !run->is_failing && has_open_steps(run)) {
		run->is_failing = true; /* by the run's own deadline */
		run->failing_step = STEP_NONE;
	}
	return apply_keep(run, event_text(f->event, EVENT_FIELD_REASON), &run->reason, err);
}

enum err_code apply_completed(const struct fold *f, struct err *err)
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

enum err_code apply_stop_requested(const struct fold *f, struct err *err)
{
	(void)err;
	if (f->run->is_failing && !f->run->is_stopping)
		f->run->is_stop_late = true;
	f->run->is_stopping = true;
	if (event_has(f->event, EVENT_FIELD_NOW))
		f->run->is_stop_now = true;
	return ERR_OK;
}

static void waive(struct run_state *run, struct step_state *step)
{
	set_flag(&step->is_waived, true, &run->waived);
	set_flag(&step->is_overridden, true, &run->overridden);
	set_flag(&step->is_gate_failed, false, &run->gates_barred);
}

void apply_open_overrides(struct run_state *run, struct str definition_hash)
{
	bool counts = str_eq(definition_hash, run->override_hash);

	/* not reached: the last step with one open behind it, as each is of a step */
	for (uint32_t i = 0; run->overrides_open && i < run->model->steps_count; i++) {
		struct step_state *step = &run->steps[i];

		if (step->is_override_open && counts)
			waive(run, step);
		set_flag(&step->is_override_open, false, &run->overrides_open);
	}
}

enum err_code apply_override(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct str gate = event_text(f->event, EVENT_FIELD_GATE);
	struct str hash = event_text(f->event, EVENT_FIELD_DEFINITION_HASH);
	uint32_t index = model_find(run->model, gate);

	if (index == STEP_NONE || !run->steps[index].is_gate_failed)
		return err_set(err, f->refused, "'%.*s' is not a failed gate", STR_ARG(gate));
	if (!hash.ptr || str_eq(hash, run->definition_hash)) {
		waive(run, &run->steps[index]);
		return ERR_OK;
	}
	if (!str_eq(hash, run->override_hash))
		apply_open_overrides(run, STR_NONE); /* their run.resumed never came */
	if (apply_keep(run, hash, &run->override_hash, err) != ERR_OK)
		return err->code;
	set_flag(&run->steps[index].is_override_open, true, &run->overrides_open);
	return ERR_OK;
}

enum err_code apply_projection_failed(const struct fold *f, struct err *err)
{
	(void)err;
	f->run->warnings++;
	return ERR_OK;
}
