/* mocked.c - what a dry run puts in the place of results (S14): successes that are marked as
 * mocked. Only functions and kinds of step that the program calls safe are really called. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "lang/template.h"
#include "lang/token.h"

#include <stdio.h>

bool mocked_is_step(const struct engine *engine, uint32_t step)
{
	const struct engine_ports *ports = &engine->ports;

	return !engine->fold.model->steps[step].call || !ports->is_dry_run_safe ||
	       !ports->is_dry_run_safe(ports->arg, step);
}

/* Is what the step of this name made really there: was it given with the start, or called? */
static bool is_known(const struct engine *engine, struct str name)
{
	uint32_t step = model_find(engine->fold.model, name);

	return step != STEP_NONE &&
	       (engine->fold.state.steps[step].is_given || !mocked_is_step(engine, step));
}

/* Behind `outputs` or `quality`, at *at: `.name` or `["name"]` of a step of which all is known?
 * Whatever else stands there may be about any step. */
static bool is_of_known(const struct engine *engine, struct str source, size_t *at)
{
	struct token token = token_next(source, at);

	if (token.kind != TOKEN_SYMBOL)
		return false;
	if (str_is(token.text, ".")) {
		token = token_next(source, at);
		return token.kind == TOKEN_NAME && is_known(engine, token.text);
	}
	if (!str_is(token.text, "["))
		return false;
	token = token_next(source, at);
	return token.kind == TOKEN_STRING && token.text.len > 2 && token.text.ptr[0] != '[' &&
	       is_known(engine, str_cut(token.text, 1, token.text.len - 1));
}

bool mocked_is_open(const struct engine *engine, uint32_t step, struct str source)
{
	struct token token;
	size_t at = 0;

	do {
		token = token_next(source, &at);
		if (token.kind != TOKEN_NAME)
			continue;
		if (str_is(token.text, "output") && mocked_is_step(engine, step))
			return true;
		if ((str_is(token.text, "outputs") || str_is(token.text, "quality")) &&
		    !is_of_known(engine, source, &at))
			return true;
	} while (token.kind != TOKEN_END && token.kind != TOKEN_BAD);
	return false;
}

bool mocked_is_text_open(const struct engine *engine, uint32_t step, struct str text)
{
	struct template_part part;
	size_t at = 0;

	while (template_next(text, &at, &part)) {
		if (part.expression.ptr && mocked_is_open(engine, step, part.expression))
			return true;
	}
	return false;
}

static const char *value_of(enum value_type type)
{
	switch (type) {
	case VALUE_INT:
	case VALUE_NUMBER:
		return "0";
	case VALUE_BOOL:
		return "true";
	case VALUE_DURATION:
		return "\"0s\"";
	case VALUE_SIZE:
		return "\"0B\"";
	case VALUE_LIST:
		return "[]";
	case VALUE_OBJECT:
		return "{}";
	case VALUE_STRING:
	case VALUE_ENUM:
	case VALUE_PATH:
	case VALUE_SECRET:
		break;
	}
	return "\"mocked\"";
}

static enum err_code put_outputs(struct engine *engine, const struct step *step,
				 struct decide_result *result, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (!step->outputs_count)
		return ERR_OK;
	for (uint32_t i = 0; i < step->outputs_count; i++)
		buf_fmt(&text, "%c\"%.*s\":%s", i ? ',' : '{', STR_ARG(step->outputs[i].name),
			value_of(step->outputs[i].type));
	buf_byte(&text, '}');
	if (buf_check(&text, "outputs", err) != ERR_OK)
		return err->code;
	result->outputs = arena_str(&engine->tick, buf_view(&text));
	return result->outputs.ptr ? ERR_OK : mem_err(err);
}

/* The paths are those that the step would be asked for, as far as they are known now. */
enum err_code mocked_artifacts(struct engine *engine, uint32_t index, struct decide_result *result,
			       struct err *err)
{
	const struct step *step = &engine->fold.model->steps[index];
	struct decide_artifact *artifacts =
	    arena_new(&engine->tick, step->artifacts_count + 1, sizeof(*artifacts));

	if (!artifacts)
		return mem_err(err);
	for (uint32_t i = 0; i < step->artifacts_count; i++) {
		const struct tmpl *path = &step->artifacts[i].path;
		struct err own = ERR_INIT;
		char *whole = NULL;

		artifacts[i].name = step->artifacts[i].name;
		artifacts[i].path = path->text;
		artifacts[i].sha256 = STR("mocked");
		artifacts[i].is_mocked = true;
		if (mocked_is_text_open(engine, index, path->text))
			continue;
		if (prepare_path(engine, index, path, true, &whole, &own) == ERR_OK)
			artifacts[i].path = str_of(whole);
		else if (own.code == ERR_MEMORY)
			return mem_err(err);
	}
	result->artifacts = artifacts;
	result->artifacts_count = step->artifacts_count;
	return ERR_OK;
}

void mocked_verdict(struct decide_result *result)
{
	result->verdict = VERDICT_PASSED;
	result->evidence = STR("{\"mocked\":true}");
	result->is_verdict_mocked = true;
}

enum err_code mocked_result(struct engine *engine, uint32_t step, struct decide_result *ret_result,
			    struct err *err)
{
	const struct step *def = &engine->fold.model->steps[step];
	struct decide_result result = {.is_ok = true, .duration_ms = 0};

	result.is_mocked = def->kind != STEP_KIND_NOOP || def->pass.ptr; /* a noop is what it is */
	if (put_outputs(engine, def, &result, err) != ERR_OK ||
	    mocked_artifacts(engine, step, &result, err) != ERR_OK)
		return err->code;
	if (def->quality)
		result.quality = STR("{}"); /* its thresholds count as met */
	if (def->pass.ptr)
		mocked_verdict(&result);
	*ret_result = result;
	return ERR_OK;
}

/* ------------------------------------------------------------------------------- approvals */

static enum err_code approve(struct engine *engine, uint32_t step, struct str name, struct err *err)
{
	struct decide_person person = {
	    .name = name,
	    .reason = STR("dry run: approvals count as given"),
	    .uid = -1,
	    .pid = -1,
	};
	struct input input = {.kind = INPUT_APPROVE, .step = step, .person = &person};

	return engine_feed(engine, &input, err);
}

static enum err_code approve_all(struct engine *engine, uint32_t step, struct err *err)
{
	const struct approval *approval = engine->fold.model->steps[step].approval;
	uint32_t count = approval ? approval->count : 1;

	for (uint32_t i = 0; i < count && !engine->fold.state.steps[step].is_approved; i++) {
		char name[32];
		struct str who;

		(void)snprintf(name, sizeof(name), "dry-run-%u", i + 1);
		who = approval && i < approval->by_count ? approval->by[i] : str_of(name);
		if (approve(engine, step, who, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code mocked_approve(struct engine *engine, struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	for (uint32_t i = 0; run->count[STEP_WAITING] && i < run->model->steps_count; i++) {
		if (run->steps[i].state != STEP_WAITING || run->steps[i].is_approved)
			continue;
		if (approve_all(engine, i, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}
