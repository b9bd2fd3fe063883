/* decide_resume.c - may a run be resumed, and what does it record then (S9)? With another
 * definition: decide_change.c. */
#include "core/decide_intern.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/json.h"

/* Is the id among the first `count` overrides? */
static bool is_overridden(const struct decide_resume *resume, size_t count, struct str id)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(resume->overrides[i], id))
			return true;
	}
	return false;
}

static enum err_code check_overrides(const struct run_state *run,
				     const struct decide_resume *resume, struct err *err)
{
	if (resume->overrides_count > DECIDE_EVENTS_MAX / 2)
		return err_set(err, ERR_LIMIT, "more than %d overrides", DECIDE_EVENTS_MAX / 2);
	for (size_t i = 0; i < resume->overrides_count; i++) {
		uint32_t step = model_find(run->model, resume->overrides[i]);

		if (step == STEP_NONE) {
			(void)err_set(err, ERR_NOT_FOUND, "there is no step '%.*s' to override",
				      STR_ARG(resume->overrides[i]));
			return err_hint(err, "`sluice status RUN` lists the steps");
		}
		if (!run->steps[step].is_gate_failed && !run->steps[step].is_waived)
			return err_set(err, ERR_REFUSED,
				       "'%.*s' is not a failed gate: nothing to override",
				       STR_ARG(resume->overrides[i]));
	}
	if (resume->overrides_count && !resume->person.reason.len)
		return err_set(err, ERR_REFUSED, "an override needs a reason (--reason TEXT)");
	if (resume->overrides_count && !resume->person.name.len)
		return err_set(err, ERR_REFUSED, "an override needs a name (--as NAME)");
	return ERR_OK;
}

static enum err_code check_gates(const struct run_state *run, const struct decide_resume *resume,
				 struct err *err)
{
	AUTO(buf_fini) struct buf names = BUF_INIT;
	AUTO(buf_fini) struct buf options = BUF_INIT;
	struct str all; /* as it would be typed; a hint that was cut would name too few */

	for (uint32_t i = 0; run->gates_barred && i < run->model->steps_count; i++) {
		struct str id = run->model->steps[i].id;

		if (!run->steps[i].is_gate_failed)
			continue;
		buf_fmt(&options, " --override %.*s", STR_ARG(id));
		if (!is_overridden(resume, resume->overrides_count, id))
			buf_fmt(&names, "%s%.*s", names.len ? ", " : "", STR_ARG(id));
	}
	if (!names.len)
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "Hard gate failures: %.*s", STR_ARG(buf_view(&names)));
	all = options.len <= 64 ? buf_view(&options) : STR(" --override GATE (for each)");
	return err_hint(err, "look at the evidence, then: sluice resume %.*s%.*s --reason TEXT",
			STR_ARG(run->run_id), STR_ARG(all));
}

static enum err_code check_from(const struct run_state *run, struct str from, struct err *err)
{
	uint32_t step = model_find(run->model, from);
	const struct step *def;
	bool has_any = false;

	if (step == STEP_NONE) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no step '%.*s'", STR_ARG(from));
		return err_hint(err, "`sluice status RUN` lists the steps");
	}
	if (run->steps[step].is_excluded || run->steps[step].is_given) {
		(void)err_set(err, ERR_REFUSED, "'%.*s' is not among the steps of this run",
			      STR_ARG(from));
		return err_hint(err,
				"it was started for a part of its pipeline; start another run for "
				"the rest");
	}
	if (run->count[STEP_RUNNING] > 0)
		return err_set(err, ERR_REFUSED,
			       "--from needs a run without running steps: resume it first");
	def = &run->model->steps[step];
	for (uint32_t i = 0; i < def->needs_any_count; i++)
		has_any = has_any || run->steps[def->needs_any[i]].state == STEP_SUCCEEDED;
	if (def->needs_any_count && !has_any)
		return err_set(err, ERR_REFUSED, "none of what '%.*s' needs succeeded",
			       STR_ARG(from));
	for (uint32_t i = 0; i < def->needs_count; i++) {
		uint32_t need = def->needs[i];

		if (run->steps[need].state != STEP_SUCCEEDED)
			return err_set(err, ERR_REFUSED, "'%.*s' needs '%.*s', which is %s",
				       STR_ARG(from), STR_ARG(run->model->steps[need].id),
				       step_state_name(run->steps[need].state));
	}
	return ERR_OK;
}

/* A rollback that is under way goes on with a resume, one that rests with another rollback: nothing
 * runs forward any more (S10). */
static enum err_code check_undo(const struct run_state *run, const struct decide_resume *resume,
				struct err *err)
{
	if (!run_is_undoing(run)) {
		(void)err_set(err, ERR_REFUSED,
			      "the run was rolled back in part: it cannot go forward again");
		return err_hint(err, "go on with it: sluice rollback %.*s", STR_ARG(run->run_id));
	}
	if (resume->from.ptr || resume->params.ptr || resume->overrides_count || resume->next)
		return err_set(
		    err, ERR_REFUSED,
		    "the run is being rolled back: --from, --file, --override and -p mean nothing "
		    "now");
	return ERR_OK;
}

static enum err_code check_params(const struct model *model, struct str params, struct err *err)
{
	struct str name;
	struct str value;
	size_t at = 0;

	while (params.ptr && json_member(params, &at, &name, &value)) {
		uint32_t i = 0;

		while (i < model->params_count && !str_eq(model->params[i].name, name))
			i++;
		if (i == model->params_count)
			return err_set(err, ERR_USAGE, "the pipeline has no parameter '%.*s'",
				       STR_ARG(name));
	}
	return ERR_OK;
}

enum err_code decide_resume_check(const struct run_state *run, const struct decide_resume *resume,
				  struct err *err)
{
	if (run->state == RUN_SUCCEEDED || run->state == RUN_ROLLED_BACK)
		return err_set(err, ERR_REFUSED, "the run is in the terminal state %s",
			       run_state_name(run->state));
	if (run->undo.is_begun || run_is_undoing(run))
		return check_undo(run, resume, err);
	if (resume->next && decide_check_change(run, resume, err) != ERR_OK)
		return err->code;
	if (run->is_stopping && run->state != RUN_FAILED && run->state != RUN_STOPPED &&
	    resume->from.ptr)
		return err_set(
		    err, ERR_REFUSED,
		    "the run is being stopped: let a resume without --from end that first");
	if (check_params(resume->next ? resume->next : run->model, resume->params, err) != ERR_OK ||
	    check_overrides(run, resume, err) != ERR_OK)
		return err->code;
	/* A run that fails at this moment may be taken over: it goes on failing. But --from would
	 * open the gate again. (not reached: `next` alone, as it changes no run that fails.) */
	if ((run->state == RUN_FAILED || run->state == RUN_STOPPED || resume->from.ptr ||
	     resume->next) &&
	    check_gates(run, resume, err) != ERR_OK)
		return err->code;
	if (!resume->from.ptr)
		return ERR_OK;
	return resume->next ? decide_check_from(run, resume, err)
			    : check_from(run, resume->from, err);
}

/* The log was cut between the two lines of a step that could not begin: the second one comes before
 * anybody asks for what runs. There is one at most, as the two are made together. */
static void add_stillborn(const struct ask *ask)
{
	uint32_t running = ask->run->count[STEP_RUNNING];

	for (uint32_t i = 0; running && i < ask->run->model->steps_count; i++) {
		if (!ask->run->steps[i].is_stillborn)
			continue;
		decider_stillborn_event(ask->decider, &ask->events->items[ask->events->count++], i,
					ask->now_ms);
		return;
	}
}

enum err_code decide_on_resume(const struct ask *ask, struct err *err)
{
	const struct decide_resume *resume = ask->in->resume;
	struct event *event;

	if (decide_resume_check(ask->run, resume, err) != ERR_OK)
		return err->code;
	add_stillborn(ask);
	for (size_t i = 0; i < resume->overrides_count; i++) {
		uint32_t step = model_find(ask->run->model, resume->overrides[i]);

		if (ask->run->steps[step].is_waived ||
		    is_overridden(resume, i, resume->overrides[i]))
			continue; /* recorded already */
		event = ask_add(ask, EVENT_RUN_OVERRIDE_APPLIED);
		ask_put_actor(ask, event, resume->person.name);
		event_put_text(event, EVENT_FIELD_GATE, resume->overrides[i]);
		event_put_text(event, EVENT_FIELD_OVERRIDE_REASON, resume->person.reason);
		if (resume->next) /* nothing is waived for the definition that the run has */
			event_put_text(event, EVENT_FIELD_DEFINITION_HASH, resume->definition_hash);
	}
	event = ask_add(ask, EVENT_RUN_RESUMED);
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, resume->definition_hash);
	event_put_text(event, EVENT_FIELD_BOOT_ID, resume->boot_id);
	ask_put_some(event, EVENT_FIELD_FROM, resume->from);
	ask_put_some(event, EVENT_FIELD_PARAMS, resume->params);
	ask_put_some(event, EVENT_FIELD_REASON, resume->reason);
	if (resume->next) {
		event_put_text(event, EVENT_FIELD_CHANGES, resume->changes);
		ask_put_some(event, EVENT_FIELD_SOURCE_REF, resume->source_ref);
		ask_put_some(event, EVENT_FIELD_FILE, resume->file);
	}
	return ERR_OK;
}

uint32_t decide_resume_point(const struct run_state *run)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];

		if (at->state == STEP_SUCCEEDED || at->state == STEP_COMPENSATED)
			continue;
		if (at->state == STEP_SKIPPED &&
		    (at->skip == SKIP_CONDITION || at->skip == SKIP_CHOICE_NOT_TAKEN))
			continue;
		if (at->state == STEP_FAILED && at->is_waived &&
		    run->model->steps[i].gate != GATE_MANUAL)
			continue;
		return i;
	}
	return STEP_NONE;
}
