/* decide_change.c - may a run go on by another definition (S9.3)? */
#include "core/decide_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/graph.h"

enum err_code decide_change_marks(const struct run_state *run, const struct model *next,
				  struct str changes, uint8_t *marks, struct err *err)
{
	AUTO(mem_drop) uint32_t *queue = mem_new(next->steps_count, sizeof(*queue));
	struct str item;
	struct str id;
	size_t at = 0;

	if (!queue)
		return mem_err(err);
	for (uint32_t i = 0; i < next->steps_count; i++) {
		if (model_find(run->model, next->steps[i].id) == STEP_NONE)
			graph_mark_downstream(next, i, marks, queue);
	}
	while (json_item(json_get(changes, "changed"), &at, &item)) {
		if (json_plain(item, &id) && model_find(next, id) != STEP_NONE)
			graph_mark_downstream(next, model_find(next, id), marks, queue);
	}
	return ERR_OK;
}

/* How the decision on a step comes about, so that the definition can be changed after it. */
static enum err_code hint_decision(const struct run_state *run, uint32_t step, bool is_decided,
				   struct err *err)
{
	struct str id = run->model->steps[step].id;

	if (is_decided)
		return err_hint(err,
				"sluice resume %.*s without --file carries out what was decided",
				STR_ARG(run->run_id));
	if (run->state == RUN_FAILED || run->state == RUN_STOPPED)
		return err_hint(err, "sluice resume %.*s without --file asks again; then reject it",
				STR_ARG(run->run_id));
	if (run->steps[step].is_held)
		return err_hint(err, "decide first: sluice approve or sluice reject %.*s %.*s",
				STR_ARG(run->run_id), STR_ARG(id));
	return err_hint(
	    err, "reject it first: sluice reject %.*s %.*s --reason TEXT; then --override %.*s",
	    STR_ARG(run->run_id), STR_ARG(id), STR_ARG(id));
}

/* A person is asked for something that the change takes away, or puts below what runs again. */
static enum err_code check_waiting(const struct run_state *run, const struct decide_resume *resume,
				   struct err *err)
{
	const struct model *next = resume->next;
	AUTO(mem_drop) uint8_t *marks = mem_new(next->steps_count, 1);

	if (!marks)
		return mem_err(err);
	if (decide_change_marks(run, next, resume->changes, marks, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		struct str id = run->model->steps[i].id;
		uint32_t to = model_find(next, id);
		const struct step_state *at = &run->steps[i];
		bool is_decided = at->is_approved || at->is_rejected;
		const char *why = "what became of its attempt is not known";

		if (!at->is_held) {
			if (at->state != STEP_WAITING || (to != STEP_NONE && !marks[to]))
				continue;
			why = to == STEP_NONE ? "the new definition does not have it"
					      : "it would have to be asked again";
		}
		(void)err_set(err, ERR_REFUSED, "'%.*s' %s: %s", STR_ARG(id),
			      is_decided ? "was decided on, and nothing followed yet"
					 : "waits for a decision",
			      why);
		return hint_decision(run, i, is_decided, err);
	}
	return ERR_OK;
}

enum err_code decide_check_change(const struct run_state *run, const struct decide_resume *resume,
				  struct err *err)
{
	bool is_at_rest = run->state == RUN_FAILED || run->state == RUN_STOPPED;

	if (run->selection.ptr) {
		(void)err_set(err, ERR_REFUSED,
			      "the run is of a part of its pipeline: its definition "
			      "cannot be changed");
		return err_hint(err, "start another run: run FILE");
	}
	/* not reached: the end of the list, as the step that is counted is found */
	for (uint32_t i = 0; run->count[STEP_RUNNING] && i < run->model->steps_count; i++) {
		if (run->steps[i].state != STEP_RUNNING)
			continue;
		(void)err_set(
		    err, ERR_REFUSED,
		    "what became of attempt %u of '%.*s' is not known yet: the definition "
		    "can be changed when nothing is under way",
		    run->steps[i].attempt, STR_ARG(run->model->steps[i].id));
		return err_hint(err, "resume %.*s without --file finds out", STR_ARG(run->run_id));
	}
	if (is_at_rest ? !run->is_completed && !run->is_resuming : run_starts_nothing(run)) {
		(void)err_set(err, ERR_REFUSED,
			      "the run is about to end: its definition can be changed when it has");
		return err_hint(err, "resume %.*s without --file ends it", STR_ARG(run->run_id));
	}
	return check_waiting(run, resume, err);
}

/* Has a step of the new definition succeeded, and stays so? */
static bool stays_succeeded(const struct run_state *run, const struct decide_resume *resume,
			    const uint8_t *marks, uint32_t step)
{
	uint32_t old = model_find(run->model, resume->next->steps[step].id);

	return old != STEP_NONE && run->steps[old].state == STEP_SUCCEEDED && !marks[step];
}

enum err_code decide_check_from(const struct run_state *run, const struct decide_resume *resume,
				struct err *err)
{
	const struct model *next = resume->next;
	AUTO(mem_drop) uint8_t *marks = mem_new(next->steps_count, 1);
	uint32_t step = model_find(next, resume->from);
	const struct step *def;
	bool has_any = false;

	if (!marks)
		return mem_err(err);
	if (step == STEP_NONE) {
		(void)err_set(err, ERR_NOT_FOUND, "there is no step '%.*s'", STR_ARG(resume->from));
		return err_hint(err, "`sluice status RUN` lists the steps");
	}
	if (decide_change_marks(run, next, resume->changes, marks, err) != ERR_OK)
		return err->code;
	def = &next->steps[step];
	for (uint32_t i = 0; i < def->needs_any_count; i++)
		has_any = has_any || stays_succeeded(run, resume, marks, def->needs_any[i]);
	if (def->needs_any_count && !has_any)
		return err_set(err, ERR_REFUSED,
			       "nothing that '%.*s' needs has succeeded and stays so",
			       STR_ARG(resume->from));
	for (uint32_t i = 0; i < def->needs_count; i++) {
		if (stays_succeeded(run, resume, marks, def->needs[i]))
			continue;
		return err_set(err, ERR_REFUSED,
			       "'%.*s' needs '%.*s', which has not succeeded or runs again",
			       STR_ARG(resume->from), STR_ARG(next->steps[def->needs[i]].id));
	}
	return ERR_OK;
}
