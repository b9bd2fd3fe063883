/* hosted.c - steps that the program itself carries out: does it have what they need, what do they
 * know, how are they asked. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/template.h"

/* --------------------------------------------------------------------------------- accepted */

static bool is_hosted(const struct step *step)
{
	return step->call || (step->command && step->command->executor.ptr);
}

static struct str needed_name(const struct step *step)
{
	return step->call ? step->call->name : step->command->executor;
}

static enum err_code accept_step(const struct engine *engine, const struct model *model,
				 uint32_t index, struct err *err)
{
	const struct engine_ports *ports = &engine->ports;
	const struct step *step = &model->steps[index];

	if (ports->accept)
		return ports->accept(ports->arg, model, index, err);
	if (!is_hosted(step))
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "step '%.*s' needs '%.*s' of the program",
		      STR_ARG(step->id), STR_ARG(needed_name(step)));
	return err_hint(err, "only the program that has it can run this");
}

static enum err_code accept_undo(const struct engine *engine, const struct model *model,
				 struct err *err)
{
	const struct engine_ports *ports = &engine->ports;
	bool is_needed = false;

	for (uint32_t i = 0; i < model->steps_count; i++)
		is_needed = is_needed || model->steps[i].compensate;
	if (!is_needed || !ports->accept)
		return ERR_OK;
	return ports->accept(ports->arg, model, STEP_NONE, err);
}

enum err_code hosted_accept(struct engine *engine, bool all, struct err *err)
{
	const struct model *model = engine->fold.model;

	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (!all && engine->fold.state.steps[i].state == STEP_SUCCEEDED)
			continue;
		if (accept_step(engine, model, i, err) != ERR_OK)
			return err->code;
	}
	return accept_undo(engine, model, err);
}

enum err_code hosted_accept_next(struct engine *engine, const struct model *next,
				 const uint8_t *marks, struct err *err)
{
	for (uint32_t i = 0; i < next->steps_count; i++) {
		if (marks[i] && accept_step(engine, next, i, err) != ERR_OK)
			return err->code;
	}
	return accept_undo(engine, next, err);
}

enum err_code hosted_accept_undo(struct engine *engine, struct err *err)
{
	return accept_undo(engine, engine->fold.model, err);
}

/* ---------------------------------------------------------------------------------- context */

static enum err_code tell_updates(struct engine *engine, uint64_t seq, struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	for (; engine->context_updates < run->updates_count; engine->context_updates++) {
		const struct context_update *update = &run->updates[engine->context_updates];

		if (exec_context_put_update(engine->context, update->name, update->value, seq,
					    err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code hosted_begin(struct engine *engine, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	struct exec_context_options options = {
	    .model = engine->fold.model,
	    .run_id = run->run_id,
	    .seed = run->seed,
	    .params = run->params,
	    .secrets = engine->secrets.values,
	    .masks = engine->secrets.masks,
	    .masks_count = engine->secrets.masks_count,
	};
	bool is_needed = false;

	for (uint32_t i = 0; i < options.model->steps_count; i++)
		is_needed = is_needed || options.model->steps[i].call;
	if (!is_needed)
		return ERR_OK;
	if (exec_context_new(&options, &engine->context, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < options.model->steps_count; i++) {
		if (run->steps[i].state == STEP_SUCCEEDED && run->steps[i].outputs.ptr)
			exec_context_put_outputs(engine->context, i, run->steps[i].outputs, 0);
	}
	return tell_updates(engine, 0, err);
}

enum err_code hosted_observe(struct engine *engine, const struct event *event, struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	if (!engine->context)
		return ERR_OK;
	if (event->type == EVENT_STEP_SUCCEEDED && event_has(event, EVENT_FIELD_OUTPUTS))
		exec_context_put_outputs(engine->context, run->last_step,
					 run->steps[run->last_step].outputs, run->seq);
	return tell_updates(engine, run->seq, err);
}

/* ----------------------------------------------------------------------------------- config */

struct filling {
	struct engine *engine;
	uint32_t step;
	struct buf *out;
	bool is_open; /* a dry run: a text asks for what a mocked step would have made */
};

/* A text that is one `${}` becomes the value itself, whatever its type; another becomes a text. */
static enum err_code fill_text(struct filling *f, struct str literal, struct err *err)
{
	struct expr_scope scope = prepare_scope(f->engine, f->step, STR_NONE);
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf filled = BUF_INIT;
	struct template_part part = {.is_open = false};
	struct expr *expr = NULL;
	struct tmpl tmpl;
	size_t at = 0;

	json_decode(literal, &text);
	if (buf_check(&text, "a text", err) != ERR_OK)
		return err->code;
	tmpl = (struct tmpl){.text = buf_view(&text), .is_dynamic = true};
	if (f->engine->ports.is_dry && mocked_is_text_open(f->engine, f->step, tmpl.text))
		f->is_open = true;
	if (str_find(tmpl.text, "${", 0) == SIZE_MAX) {
		buf_str(f->out, literal);
		return ERR_OK;
	}
	if (prepare_expr(f->engine, &expr, err) != ERR_OK)
		return err->code;
	if (template_next(tmpl.text, &at, &part) && !part.literal.len && part.expression.ptr &&
	    at == tmpl.text.len)
		return expr_eval(expr, part.expression, &scope, f->out, err);
	if (expr_fill(expr, &tmpl, &scope, &filled, err) != ERR_OK ||
	    buf_check(&filled, "a filled text", err) != ERR_OK)
		return err->code;
	json_put_str(f->out, buf_view(&filled));
	return ERR_OK;
}

static enum err_code fill_value(struct filling *f, struct str value, unsigned depth,
				struct err *err)
{
	enum json_type type = json_type_of(value);
	bool is_first = true;
	struct str key;
	struct str item;
	size_t at = 0;

	if (depth > JSON_DEPTH_MAX)
		return err_set(err, ERR_INVALID, "the config is nested too deeply");
	if (type == JSON_STRING)
		return fill_text(f, value, err);
	if (type != JSON_OBJECT && type != JSON_ARRAY) {
		buf_str(f->out, value);
		return ERR_OK;
	}
	buf_byte(f->out, type == JSON_OBJECT ? '{' : '[');
	while (type == JSON_OBJECT ? json_member(value, &at, &key, &item)
				   : json_item(value, &at, &item)) {
		if (!is_first)
			buf_byte(f->out, ',');
		is_first = false;
		if (type == JSON_OBJECT)
			buf_fmt(f->out, "\"%.*s\":", STR_ARG(key)); /* as it is: still escaped */
		if (fill_value(f, item, depth + 1, err) != ERR_OK)
			return err->code;
	}
	buf_byte(f->out, type == JSON_OBJECT ? '}' : ']');
	return ERR_OK;
}

enum err_code hosted_config(struct engine *engine, uint32_t step, struct str *ret_config,
			    bool *ret_is_open, struct err *err)
{
	const struct call_def *call = engine->fold.model->steps[step].call;
	AUTO(buf_fini) struct buf filled = BUF_INIT;
	struct filling filling = {.engine = engine, .step = step, .out = &filled};

	if (!call->is_dynamic) {
		*ret_config = call->config;
		return ERR_OK;
	}
	*ret_is_open = false;
	if (fill_value(&filling, call->config, 0, err) != ERR_OK) {
		*ret_is_open = filling.is_open;
		return err_while(err, "the config of '%.*s'", STR_ARG(call->name));
	}
	if (buf_check(&filled, "a config", err) != ERR_OK)
		return err->code;
	if (filled.len > engine->ports.limits->command_bytes)
		return err_set(err, ERR_INVALID, "the config is over the limit command_bytes");
	*ret_config = arena_str(&engine->tick, buf_view(&filled));
	return ret_config->ptr ? ERR_OK : mem_err(err);
}
