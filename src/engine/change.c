/* change.c - a resume with another definition (S9.3): checked against the run, made durable, taken
 * over at its event. See rundir/change.h for what differs. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/graph.h"
#include "lang/lang.h"

enum err_code change_prepare(const struct engine *engine, const struct engine_resume *resume,
			     struct change *ret_change, struct err *err)
{
	AUTO(change_fini) struct change change = {.next = NULL};

	if (!resume->definition)
		return ERR_OK;
	if (change_make(&engine->fold.state, resume->definition, &change, err) != ERR_OK)
		return err->code;
	if (change.next && !resume->accept_changes) {
		(void)err_set(err, ERR_REFUSED, "the definition is not the one that the run has");
		return err_hint(err, "--accept-changes takes it");
	}
	*ret_change = change;
	change = (struct change){.next = NULL};
	return ERR_OK;
}

/* ------------------------------------------------------------------------------ parameters */

static void put_member(struct buf *object, struct str name, struct str value)
{
	if (object->len > 1)
		buf_byte(object, ',');
	json_put_str(object, name);
	buf_byte(object, ':');
	buf_str(object, value);
}

static uint32_t find_param(const struct model *model, struct str name)
{
	uint32_t i = 0;

	while (i < model->params_count && !str_eq(model->params[i].name, name))
		i++;
	return i;
}

/* What the run has of the parameters of `next`. Secrets are named by the definition itself. */
static enum err_code put_known(const struct run_state *run, const struct model *next,
			       struct buf *out, struct err *err)
{
	buf_byte(out, '{');
	for (uint32_t i = 0; i < next->params_count; i++) {
		uint32_t at = find_param(run->model, next->params[i].name);

		if (at < run->model->params_count && run->params[at].ptr &&
		    run->model->params[at].type != VALUE_SECRET &&
		    next->params[i].type != VALUE_SECRET)
			put_member(out, next->params[i].name, run->params[at]);
	}
	buf_byte(out, '}');
	return buf_check(out, "the parameters", err);
}

enum err_code change_params(struct engine *engine, const struct engine_resume *resume,
			    const struct model *next, struct str *ret_params, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	struct str *values = arena_new(&engine->life, next->params_count + 1, sizeof(*values));
	AUTO(buf_fini) struct buf known = BUF_INIT;
	AUTO(buf_fini) struct buf changed = BUF_INIT;

	if (!values)
		return mem_err(err);
	if (put_known(run, next, &known, err) != ERR_OK ||
	    lang_params(next, resume->params, resume->params_count, buf_view(&known),
			engine->ports.limits, &engine->life, values, err) != ERR_OK)
		return err->code;
	buf_byte(&changed, '{');
	for (uint32_t i = 0; i < next->params_count; i++) {
		uint32_t at = find_param(run->model, next->params[i].name);
		bool is_same = at < run->model->params_count && run->params[at].ptr &&
			       values[i].ptr && str_eq(run->params[at], values[i]);

		if (values[i].ptr && !is_same)
			put_member(&changed, next->params[i].name, values[i]);
	}
	buf_byte(&changed, '}');
	if (buf_check(&changed, "the parameters", err) != ERR_OK)
		return err->code;
	if (changed.len == 2)
		return ERR_OK;
	*ret_params = arena_str(&engine->life, buf_view(&changed));
	return ret_params->ptr ? ERR_OK : mem_err(err);
}

/* ---------------------------------------------------------------------------------- guards */

/* Mark the steps of the new definition that run again: by the change, and by --from. */
static enum err_code mark_again(const struct run_state *run, const struct change *change,
				struct str from, uint8_t *marks, struct err *err)
{
	const struct model *next = change->next;
	AUTO(mem_drop) uint32_t *queue = mem_new(next->steps_count, sizeof(*queue));

	if (!queue)
		return mem_err(err);
	if (from.ptr && model_find(next, from) != STEP_NONE)
		graph_mark_downstream(next, model_find(next, from), marks, queue);
	return decide_change_marks(run, next, buf_view(&change->changes), marks, err);
}

enum err_code change_check(struct engine *engine, const struct change *change, struct str from,
			   struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	const struct model *next = change->next;
	AUTO(mem_drop) uint8_t *marks = mem_new(next->steps_count, 1);
	AUTO(mem_drop) uint8_t *gone = mem_new(run->model->steps_count, 1);

	if (!marks || !gone)
		return mem_err(err);
	if (mark_again(run, change, from, marks, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		uint32_t to = model_find(next, run->model->steps[i].id);

		gone[i] = to == STEP_NONE || marks[to];
		if (to != STEP_NONE && run->steps[i].state != STEP_SUCCEEDED)
			marks[to] = 1; /* from here on: what may run */
	}
	if (hosted_accept_next(engine, next, marks, err) != ERR_OK)
		return err->code;
	return recover_check_artifacts(engine, gone, err);
}

/* --------------------------------------------------------------------------------- taken over */

enum err_code change_store(struct engine *engine, const struct engine_resume *resume,
			   struct change *change, struct decide_resume *decided, struct err *err)
{
	char frozen_ref[SHA256_HEX_BYTES + 1];
	char source_ref[SHA256_HEX_BYTES + 1];

	if (rundir_blob_put(engine->dir, buf_view(&change->frozen), frozen_ref, err) != ERR_OK ||
	    rundir_blob_put(engine->dir, resume->source, source_ref, err) != ERR_OK) {
		/* What is in its place is nothing that a run makes. */
		if (err->code == ERR_USAGE || err->code == ERR_INVALID)
			err->code = ERR_CORRUPT;
		return err_while(err, "store the definition");
	}
	decided->definition_hash = arena_str(&engine->life, str_of(frozen_ref));
	decided->source_ref = arena_str(&engine->life, str_of(source_ref));
	decided->changes = arena_str(&engine->life, buf_view(&change->changes));
	decided->file = resume->file;
	if (!decided->definition_hash.ptr || !decided->source_ref.ptr || !decided->changes.ptr)
		return mem_err(err);
	engine->next = TAKE(change->next, NULL);
	return ERR_OK;
}

enum err_code change_apply(struct engine *engine, const struct event *event, struct err *err)
{
	struct run_state *run = &engine->fold.state;
	enum attempt_state *attempts;
	struct model *next = engine->next;

	if (!next || event->type != EVENT_RUN_RESUMED)
		return apply(run, event, ERR_CONFLICT, err);
	attempts = mem_new(next->steps_count, sizeof(*attempts));
	if (!attempts)
		return mem_err(err);
	mem_free(engine->attempts); /* nothing is under way: the guard has seen to it */
	engine->attempts = attempts;
	if (apply_next(run, event, next, ERR_CONFLICT, err) != ERR_OK)
		return err->code;
	model_replace(next, engine->fold.model);
	engine->fold.model = TAKE(engine->next, NULL);
	return decider_renew(&engine->decider, err);
}
