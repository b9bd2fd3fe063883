/* apply_change.c - run.resumed with another definition (S9.3): what a run was is carried over by
 * the names of its steps. */
#include "core/apply_intern.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/graph.h"

/* The event's lists: what became of each step of the two definitions. */
struct lists {
	uint8_t *is_changed; /* by step of the new one */
	uint8_t *is_added;   /* by step of the new one */
	uint8_t *is_removed; /* by step of the old one */
};

static void lists_fini(struct lists *lists)
{
	mem_free(lists->is_changed);
	mem_free(lists->is_added);
	mem_free(lists->is_removed);
}

static enum err_code read_list(const struct fold *f, const char *name, const struct model *model,
			       uint8_t *marks, struct err *err)
{
	struct str list = json_get(event_text(f->event, EVENT_FIELD_CHANGES), name);
	struct str item;
	struct str id;
	size_t at = 0;

	if (!list.ptr || json_type_of(list) != JSON_ARRAY)
		return err_set(err, f->refused, "the changes have no list '%s'", name);
	while (json_item(list, &at, &item)) {
		uint32_t step = STEP_NONE;

		if (json_type_of(item) == JSON_STRING && json_plain(item, &id))
			step = model_find(model, id);
		if (step == STEP_NONE || marks[step])
			return err_set(err, f->refused, "%.*s cannot be %s",
				       (int)(item.len < 80 ? item.len : 80), item.ptr, name);
		marks[step] = 1;
	}
	return ERR_OK;
}

/* Do the lists tell of each step whether it is in both definitions? */
static enum err_code check_lists(const struct fold *f, const struct lists *lists, struct err *err)
{
	const struct model *old = f->run->model;

	for (uint32_t i = 0; i < f->next->steps_count; i++) {
		bool is_new = model_find(old, f->next->steps[i].id) == STEP_NONE;

		if ((lists->is_added[i] != 0) != is_new || (lists->is_changed[i] && is_new))
			return err_set(err, f->refused,
				       "the changes are wrong about the step '%.*s'",
				       STR_ARG(f->next->steps[i].id));
	}
	for (uint32_t i = 0; i < old->steps_count; i++) {
		bool is_gone = model_find(f->next, old->steps[i].id) == STEP_NONE;

		if ((lists->is_removed[i] != 0) != is_gone ||
		    (is_gone && f->run->steps[i].state == STEP_WAITING))
			return err_set(err, f->refused,
				       "the changes are wrong about the step '%.*s'",
				       STR_ARG(old->steps[i].id));
	}
	return ERR_OK;
}

static enum err_code read_lists(const struct fold *f, struct lists *lists, struct err *err)
{
	const struct model *old = f->run->model;

	if (json_type_of(event_text(f->event, EVENT_FIELD_CHANGES)) != JSON_OBJECT)
		return err_set(err, f->refused, "the changes are not an object");
	lists->is_changed = mem_new(f->next->steps_count, 1);
	lists->is_added = mem_new(f->next->steps_count, 1);
	lists->is_removed = mem_new(old->steps_count, 1);
	if (!lists->is_changed || !lists->is_added || !lists->is_removed)
		return mem_err(err);
	if (read_list(f, "changed", f->next, lists->is_changed, err) != ERR_OK ||
	    read_list(f, "added", f->next, lists->is_added, err) != ERR_OK ||
	    read_list(f, "removed", old, lists->is_removed, err) != ERR_OK)
		return err->code;
	return check_lists(f, lists, err);
}

/* A step that is no more takes its part of the run's sums along. But an override that somebody gave
 * stays one (S9.1: the outcome is partial at best). */
static enum err_code retire_step(struct run_state *run, uint32_t index, struct err *err)
{
	struct step_state *step = &run->steps[index];
	/* S7.1: an attempt that was announced and never started is the next one still. */
	struct retired_step retired = {STR_NONE, step->attempt - step->is_retry, step->attempts};
	void *list = run->retired;

	if (mem_grow(&list, &run->retired_capacity, run->retired_count + 1, sizeof(retired), err) !=
	    ERR_OK)
		return err->code;
	run->retired = list;
	retired.id = arena_str(&run->arena, run->model->steps[index].id);
	if (!retired.id.ptr)
		return mem_err(err);
	run->retired[run->retired_count++] = retired;
	set_flag(&step->is_held, false, &run->held);
	set_flag(&step->is_retry, false, &run->retries_due);
	set_flag(&step->is_gate_failed, false, &run->gates_barred);
	set_flag(&step->is_waived, false, &run->waived);
	run->warnings -= step->warnings;
	run->count[step->state]--;
	return ERR_OK;
}

/* A new step is pending. One that comes back goes on counting its attempts. */
static struct step_state added_step(const struct run_state *run, struct str id)
{
	struct step_state step = {.state = STEP_PENDING};

	for (size_t i = run->retired_count; i > 0; i--) {
		if (!str_eq(run->retired[i - 1].id, id))
			continue;
		step.attempt = run->retired[i - 1].attempt;
		step.attempts = run->retired[i - 1].attempts;
		break;
	}
	return step;
}

static enum err_code move_steps(const struct fold *f, const struct lists *lists, struct err *err)
{
	struct run_state *run = f->run;
	const struct model *old = run->model;
	struct step_state *steps = mem_new(f->next->steps_count, sizeof(*steps));

	if (!steps)
		return mem_err(err);
	for (uint32_t i = 0; i < old->steps_count; i++) {
		if (lists->is_removed[i] && retire_step(run, i, err) != ERR_OK) {
			mem_free(steps);
			return err->code;
		}
	}
	for (uint32_t i = 0; i < f->next->steps_count; i++) {
		uint32_t from = model_find(old, f->next->steps[i].id);

		if (from != STEP_NONE) {
			steps[i] = run->steps[from];
			continue;
		}
		steps[i] = added_step(run, f->next->steps[i].id);
		run->count[STEP_PENDING]++;
	}
	mem_free(run->steps);
	run->steps = steps;
	return ERR_OK;
}

/* What was given keeps its value; what is new has none until the event's `params` say it. */
static enum err_code move_params(struct run_state *run, const struct model *next, struct err *err)
{
	const struct model *old = run->model;
	struct str *params = mem_new(next->params_count, sizeof(*params));

	if (!params)
		return mem_err(err);
	for (uint32_t i = 0; i < next->params_count; i++) {
		for (uint32_t j = 0; j < old->params_count; j++) {
			if (str_eq(next->params[i].name, old->params[j].name))
				params[i] = run->params[j];
		}
	}
	mem_free(run->params);
	run->params = params;
	return ERR_OK;
}

static void move_artifacts(struct run_state *run, const struct model *next)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->artifacts_count; i++) {
		struct emitted_artifact artifact = run->artifacts[i];

		artifact.step = model_find(next, run->model->steps[artifact.step].id);
		if (artifact.step != STEP_NONE)
			run->artifacts[kept++] = artifact;
	}
	run->artifacts_count = kept;
}

static enum err_code reopen_changed(const struct fold *f, const struct lists *lists,
				    struct err *err)
{
	const struct model *model = f->next;
	AUTO(mem_drop) uint8_t *marks = mem_new(model->steps_count, 1);
	AUTO(mem_drop) uint32_t *queue = mem_new(model->steps_count, sizeof(*queue));

	if (!marks || !queue)
		return mem_err(err);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (lists->is_changed[i] || lists->is_added[i])
			graph_mark_downstream(model, i, marks, queue);
	}
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (marks[i] && f->run->steps[i].state == STEP_WAITING)
			return err_set(err, f->refused,
				       "'%.*s' waits for a decision and cannot run again",
				       STR_ARG(model->steps[i].id));
	}
	return apply_reopen_marked(f, marks, err);
}

/* The state of a run that runs, is being ended, or is a part of a pipeline is not carried over to
 * another definition: whoever resumes it is told so before the event is made. One that is undone or
 * was, is resumed by no definition at all (check_resumed). */
static bool may_change(const struct run_state *run)
{
	bool is_at_rest = run->state == RUN_FAILED || run->state == RUN_STOPPED;

	return run->count[STEP_RUNNING] == 0 && run->held == 0 && !run->selection.ptr &&
	       (is_at_rest || !run_starts_nothing(run));
}

static enum err_code change(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	AUTO(lists_fini) struct lists lists = {.is_changed = NULL};

	if (!event_has(f->event, EVENT_FIELD_CHANGES) || !f->next)
		return err_set(err, f->refused,
			       "a changed definition and its changes come together");
	if (!may_change(run))
		return err_set(err, f->refused, "the definition of this run cannot be changed now");
	if (read_lists(f, &lists, err) != ERR_OK || move_steps(f, &lists, err) != ERR_OK ||
	    move_params(run, f->next, err) != ERR_OK)
		return err->code;
	move_artifacts(run, f->next);
	run->failing_step = STEP_NONE;
	run->model = f->next;
	return reopen_changed(f, &lists, err);
}

enum err_code apply_change(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;

	if (!event_has(f->event, EVENT_FIELD_CHANGES) && !f->next)
		return ERR_OK;
	if (change(f, err) != ERR_OK ||
	    apply_keep(run, event_text(f->event, EVENT_FIELD_SOURCE_REF), &run->source_ref, err) !=
		ERR_OK)
		return err->code;
	return apply_keep(run, event_text(f->event, EVENT_FIELD_FILE), &run->file, err);
}
