/* run_facts.c - see run_facts.h */
#include "store/run_facts.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

#define CONTEXT_BYTES_MAX ((size_t)65536)

struct str result_of_outcome(enum run_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_NONE:
		break;
	case OUTCOME_SUCCESS:
		return STR("success");
	case OUTCOME_STOPPED:
		return STR("stopped");
	case OUTCOME_PARTIAL:
	case OUTCOME_FAILED:
	case OUTCOME_ROLLED_BACK:
		return STR("failed");
	}
	return STR_NONE;
}

struct str run_event_class(const struct event *event)
{
	struct str class = event_text(event, EVENT_FIELD_ERROR_CLASS);

	if (event->type == EVENT_STEP_LOST)
		return class.ptr ? class : STR("lost");
	return event->type == EVENT_STEP_FAILED || event->type == EVENT_STEP_RETRIED ? class
										     : STR_NONE;
}

void run_facts_fini(struct run_facts *facts)
{
	arena_fini(&facts->arena);
	*facts = (struct run_facts){.steps = NULL};
}

/* A copy in the arena; absent stays absent. */
static bool keep(struct run_facts *facts, struct str text, struct str *ret_kept)
{
	*ret_kept = STR_NONE;
	if (!text.ptr)
		return true;
	*ret_kept = arena_str(&facts->arena, text);
	return ret_kept->ptr != NULL;
}

/* ---- what only the events say */

struct noting {
	struct run_facts *facts;
	const struct model *model; /* that facts->steps is of; only compared */
	run_event_fn *visit;
	void *arg;
	struct err refusal; /* what `visit` answered: no property of the run */
};

static struct str trigger_of(struct str actor)
{
	if (str_is(actor, "schedule"))
		return STR("schedule");
	return str_starts(actor, "api:") ? STR("api") : STR("manual");
}

/* The definition that the run goes on with: at its birth, and when it was changed. */
static enum err_code note_model(struct noting *noting, const struct model *model, struct err *err)
{
	struct run_facts *facts = noting->facts;
	struct step_row *steps = arena_new(&facts->arena, model->steps_count, sizeof(*steps));

	if (!steps)
		return mem_err(err);
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (!keep(facts, model->steps[i].id, &steps[i].step_id))
			return mem_err(err);
	}
	for (size_t i = 0; i < facts->steps_count; i++) {
		uint32_t at = model_find(model, facts->steps[i].step_id);

		if (at == STEP_NONE)
			continue;
		steps[at].outputs_hash = facts->steps[i].outputs_hash;
		steps[at].cached_from = facts->steps[i].cached_from;
	}
	facts->steps = steps;
	facts->steps_count = model->steps_count;
	noting->model = model;
	return ERR_OK;
}

/* Values that a later success replaces stay in the arena: they are short, and few. */
static enum err_code note_success(struct run_facts *facts, const struct run_state *state,
				  const struct event *event, struct err *err)
{
	uint32_t at = model_find(state->model, event_text(event, EVENT_FIELD_STEP_ID));
	struct step_row *step;

	BUG_IF(at >= facts->steps_count); /* apply took the event */
	step = &facts->steps[at];
	if (!keep(facts, event_text(event, EVENT_FIELD_OUTPUTS_HASH), &step->outputs_hash) ||
	    !keep(facts, event_text(event, EVENT_FIELD_CACHED_FROM), &step->cached_from))
		return mem_err(err);
	facts->last_step = step->step_id;
	facts->last_step_ms = event->time_utc_ms;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *state, const struct event *event,
			      struct str line, struct err *err)
{
	struct noting *noting = arg;
	struct run_facts *facts = noting->facts;

	(void)line;
	if (state->model != noting->model && note_model(noting, state->model, err) != ERR_OK)
		return err->code;
	if (event->type == EVENT_RUN_CREATED) {
		facts->run.trigger = trigger_of(event->actor);
		if (!keep(facts, event_text(event, EVENT_FIELD_PARTITION), &facts->run.partition))
			return mem_err(err);
	}
	if (event->type == EVENT_STEP_SUCCEEDED && note_success(facts, state, event, err) != ERR_OK)
		return err->code;
	if (event->type == EVENT_GATE_FAILED)
		facts->run.gate_failures++;
	if (!noting->visit || noting->visit(noting->arg, event, &noting->refusal) == ERR_OK)
		return ERR_OK;
	*err = noting->refusal;
	return err->code;
}

/* ---- what the state says */

static void name_put(struct buf *out, struct str name)
{
	if (out->len > 1)
		buf_byte(out, ',');
	json_put_str(out, name);
}

static void member_put(struct buf *out, struct str name, struct str json)
{
	if (out->len > 0 && out->ptr[out->len - 1] != '{')
		buf_byte(out, ',');
	json_put_str(out, name);
	buf_byte(out, ':');
	buf_str(out, json);
}

static bool keep_lists(struct run_facts *facts, const struct run_state *run)
{
	AUTO(buf_fini) struct buf executed = BUF_INIT;
	AUTO(buf_fini) struct buf failed = BUF_INIT;

	buf_byte(&executed, '[');
	buf_byte(&failed, '[');
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (run->steps[i].attempts > 0)
			name_put(&executed, run->model->steps[i].id);
		if (run->steps[i].state == STEP_FAILED)
			name_put(&failed, run->model->steps[i].id);
		facts->run.retries += run->steps[i].retries;
	}
	buf_byte(&executed, ']');
	buf_byte(&failed, ']');
	return executed.failed == ERR_OK && failed.failed == ERR_OK &&
	       keep(facts, buf_view(&executed), &facts->run.executed) &&
	       keep(facts, buf_view(&failed), &facts->run.failed);
}

static void params_put(struct buf *out, const struct run_state *run)
{
	buf_byte(out, '{');
	for (uint32_t i = 0; i < run->model->params_count; i++) {
		if (run->params[i].ptr)
			member_put(out, run->model->params[i].name, run->params[i]);
	}
	buf_byte(out, '}');
}

/* Parameters and outputs, as a checkpoint of the last success shows them; outputs that are too many
 * are left out and named. */
static bool keep_context(struct run_facts *facts, const struct run_state *run)
{
	AUTO(buf_fini) struct buf params = BUF_INIT;
	AUTO(buf_fini) struct buf context = BUF_INIT;
	AUTO(buf_fini) struct buf omitted = BUF_INIT;

	params_put(&params, run);
	buf_text(&context, "{\"params\":");
	buf_str(&context, buf_view(&params));
	buf_text(&context, ",\"outputs\":{");
	buf_byte(&omitted, '[');
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		struct str outputs = run->steps[i].outputs;

		if (run->steps[i].state != STEP_SUCCEEDED || !outputs.ptr)
			continue;
		if (context.len + outputs.len <= CONTEXT_BYTES_MAX)
			member_put(&context, run->model->steps[i].id, outputs);
		else if (omitted.len <= CONTEXT_BYTES_MAX)
			name_put(&omitted, run->model->steps[i].id);
	}
	buf_text(&context, "},\"omitted\":");
	buf_str(&context, buf_view(&omitted));
	buf_text(&context, "]}");
	return params.failed == ERR_OK && context.failed == ERR_OK && omitted.failed == ERR_OK &&
	       keep(facts, buf_view(&params), &facts->run.params) &&
	       keep(facts, buf_view(&context), &facts->context);
}

static bool keep_steps(struct run_facts *facts, const struct run_state *run)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *from = &run->steps[i];
		struct step_row *step = &facts->steps[i];

		step->state = str_of(step_state_name(from->state));
		step->position = i;
		step->attempts = from->attempts;
		step->retries = from->retries;
		step->started_ms = from->started_ms;
		step->ended_ms = from->ended_ms;
		step->duration_ms = from->duration_ms;
		if (from->state == STEP_FAILED)
			step->error_class = step_class_text(from);
		if (from->state == STEP_SKIPPED)
			step->skip_reason = str_of(skip_reason_name(from->skip));
		if (from->state != STEP_SUCCEEDED) {
			step->outputs_hash = STR_NONE;
			step->cached_from = STR_NONE;
		}
		if (from->state != STEP_SUCCEEDED && from->reason.len > 0 &&
		    !keep(facts, from->reason, &step->reason))
			return false;
	}
	return true;
}

static bool keep_run(struct run_facts *facts, const struct fold_run *fold)
{
	const struct run_state *run = &fold->state;
	struct run_row *row = &facts->run;

	row->started_ms = run->created_ms;
	row->warnings = run->warnings;
	row->duration_ms = -1;
	row->is_live = !run->is_completed && run->state != RUN_BLOCKED;
	row->is_settled =
	    run->is_completed && (run->state == RUN_SUCCEEDED || run->state == RUN_ROLLED_BACK);
	row->state = str_of(run_state_name(run->state));
	if (!run_state_is_end(run->state) && run->state != RUN_BLOCKED && !facts->is_owned)
		row->state = STR("interrupted");
	if (run->is_completed) {
		row->ended_ms = run->changed_ms;
		row->duration_ms = run->duration_ms;
		row->outcome = str_of(outcome_name(run->outcome));
		row->result = result_of_outcome(run->outcome);
	}
	if (run->reason.len > 0 && !str_is(row->result, "success") &&
	    !keep(facts, run->reason, &row->failure_reason))
		return false;
	return keep(facts, run->model->pipeline, &row->pipeline) &&
	       keep(facts, run->model->version, &row->version) &&
	       keep(facts, run->definition_hash, &row->definition_hash) &&
	       keep(facts, str_of(fold->reading.head.h), &row->receipt);
}

/* A run that cannot be trusted has no result, whatever its good part says. */
static enum err_code spoil(struct run_facts *facts, const struct err *problem, struct err *err)
{
	struct run_row *row = &facts->run;

	facts->problem = *problem;
	facts->problem.code = ERR_CORRUPT;
	row->state = STR("corrupt");
	row->result = STR_NONE;
	row->outcome = STR_NONE;
	row->is_live = false;
	row->is_settled = false;
	if (!row->executed.ptr)
		row->executed = row->failed = STR("[]");
	if (!row->params.ptr)
		row->params = STR("{}");
	row->duration_ms = -1;
	row->ended_ms = 0;
	return keep(facts, str_of(problem->text), &row->failure_reason) ? ERR_OK : mem_err(err);
}

static enum err_code read_dir(const struct vfs *vfs, const char *path, const struct limits *limits,
			      struct noting *noting, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct run_facts *facts = noting->facts;
	struct run_lock_info owner;

	if (rundir_open(vfs, path, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), &owner, err) != ERR_OK)
		return err->code;
	facts->is_owned = owner.is_held;
	if (fold_read(dir, limits, on_event, noting, &fold, err) != ERR_OK)
		return err->code;
	if (noting->refusal.code != ERR_OK) { /* CORRUPT ends the reading, and fails nothing */
		*err = noting->refusal;
		return err->code;
	}
	if (!keep_run(facts, &fold) || !keep_lists(facts, &fold.state) ||
	    !keep_context(facts, &fold.state) || !keep_steps(facts, &fold.state))
		return mem_err(err);
	if (fold.reading.end == LOG_END_DAMAGED)
		return spoil(facts, &fold.reading.problem, err);
	return ERR_OK;
}

enum err_code run_facts_read(const struct vfs *vfs, const char *path, const struct limits *limits,
			     run_event_fn *visit, void *arg, struct run_facts *ret_facts,
			     struct err *err)
{
	struct run_facts facts = {.steps = NULL};
	struct noting noting = {.facts = &facts, .visit = visit, .arg = arg, .refusal = ERR_INIT};
	const char *slash = strrchr(path, '/');
	struct err problem = ERR_INIT;
	enum err_code code = ERR_OK;

	if (!keep(&facts, str_of(slash ? slash + 1 : path), &facts.run.run_id))
		code = mem_err(err);
	if (code == ERR_OK && read_dir(vfs, path, limits, &noting, &problem) != ERR_OK) {
		facts.steps_count = 0; /* half read, if at all */
		if (noting.refusal.code != ERR_OK)
			problem = noting.refusal;
		if (noting.refusal.code != ERR_OK || problem.code == ERR_NOT_FOUND ||
		    problem.code == ERR_MEMORY) {
			*err = problem;
			code = problem.code;
		} else {
			code = spoil(&facts, &problem, err);
		}
	}
	if (code != ERR_OK) {
		run_facts_fini(&facts);
		return code;
	}
	*ret_facts = facts;
	return ERR_OK;
}
