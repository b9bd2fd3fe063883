/* params.c - values of parameters, given as `-p name=value` and in a file: what is accepted is JSON
 * of the declared type on one line, and is accepted again when it comes from a log. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "jansson_judge.h"
#include "lang/lang.h"

#include <string.h>

#define ASSIGNMENTS_MAX 8
#define PARAMS_MAX      16

static const char definition[] = "pipeline: p\n"
				 "params:\n"
				 "  s: {type: string, default: x}\n"
				 "  i: {type: int, min: -10, max: 10}\n"
				 "  n: {type: number, default: 0.5, max: 1}\n"
				 "  b: {type: bool}\n"
				 "  e: {type: enum, values: [fast, full], default: full}\n"
				 "  p: {type: path}\n"
				 "  d: {type: duration}\n"
				 "  z: {type: size}\n"
				 "  l: {type: list}\n"
				 "  o: {type: object}\n"
				 "  t: {type: string, pattern: '%d+-%d+'}\n"
				 "  k: {type: secret, from: {env: API_TOKEN}}\n"
				 "steps: {a: {noop: true}}\n";

static const struct model *declared(void)
{
	static struct model *model;
	struct err err = ERR_INIT;
	struct limits limits;
	struct diags diags;

	if (model)
		return model;
	limits_default(&limits);
	diags_init(&diags, 10);
	BUG_IF(lang_load(str_of(definition), STR("/"), &limits, &diags, &model, &err) != ERR_OK);
	diags_fini(&diags);
	return model;
}

static void check(const struct model *model, const struct str *params)
{
	struct err err = ERR_INIT;

	for (uint32_t i = 0; i < model->params_count; i++) {
		if (!params[i].ptr)
			continue;
		BUG_IF(json_check(params[i], JSON_DEPTH_MAX, &err) != ERR_OK);
		BUG_IF(!jansson_takes(params[i].ptr, params[i].len));
		BUG_IF(memchr(params[i].ptr, '\n', params[i].len));
		BUG_IF(!lang_has_type(params[i], model->params[i].type == VALUE_ENUM
						     ? VALUE_STRING
						     : model->params[i].type));
		BUG_IF(lang_param_check(&model->params[i], params[i], &err) != ERR_OK);
	}
	BUG_IF(lang_params_check(model, params, &err) != ERR_OK);
}

/* Any JSON that a log could hold for a parameter: yes or no, with a reason. */
static void judge_any(const struct model *model, struct str json)
{
	struct err err = ERR_INIT;

	if (json_check(json, JSON_DEPTH_MAX, &err) != ERR_OK)
		return;
	for (uint32_t i = 0; i < model->params_count; i++) {
		struct err why = ERR_INIT;

		if (lang_param_check(&model->params[i], json, &why) != ERR_OK)
			BUG_IF(why.code != ERR_INVALID || !why.text[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct model *model = declared();
	struct bytes bytes = {data, size};
	size_t count = byte_next(&bytes) % (ASSIGNMENTS_MAX + 1U);
	struct str given[ASSIGNMENTS_MAX] = {STR_NONE};
	struct str params[PARAMS_MAX] = {STR_NONE};
	struct str overrides[PARAMS_MAX] = {STR_NONE};
	AUTO(arena_fini) struct arena arena = {0};
	struct err err = ERR_INIT;
	struct limits limits;
	struct str file;

	limits_default(&limits);
	for (size_t i = 0; i < count; i++)
		given[i] = line_next(&bytes);
	file = text_next(&bytes, bytes.left);
	judge_any(model, str_trim(file));
	if (lang_params(model, given, count, file.len ? file : STR_NONE, &limits, &arena, params,
			&err) == ERR_OK)
		check(model, params);
	else
		BUG_IF((err.code != ERR_USAGE && err.code != ERR_LIMIT) || !err.text[0]);
	err_reset(&err);
	if (lang_params_override(model, given, count, &limits, &arena, overrides, &err) == ERR_OK)
		for (uint32_t i = 0; i < model->params_count; i++)
			BUG_IF(overrides[i].ptr &&
			       lang_param_check(&model->params[i], overrides[i], &err) != ERR_OK);
	return 0;
}
