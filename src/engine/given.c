/* given.c - see given.h */
#include "engine/given.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/result.h"

static enum err_code unknown_step(const struct model *model, struct str name, struct err *err)
{
	AUTO(mem_drop) const char **ids = mem_new(model->steps_count, sizeof(*ids));
	const char *nearest = NULL;

	for (uint32_t i = 0; ids && i < model->steps_count; i++)
		ids[i] = model->steps[i].id.ptr;
	(void)err_set(err, ERR_USAGE, "the context has outputs of '%.*s', which is no step",
		      STR_ARG(str_cut(name, 0, 80)));
	if (ids)
		nearest = str_nearest(name, ids, model->steps_count);
	return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
}

/* One step's outputs: by the rules of its result file. */
static enum err_code put_outputs(const struct step *step, struct str outputs, struct buf *out,
				 struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(result_fini) struct result_file file;

	result_init(&file);
	buf_text(&text, "{\"outputs\":");
	buf_str(&text, outputs);
	buf_byte(&text, '}');
	if (buf_check(&text, "a context", err) != ERR_OK)
		return err->code;
	if (result_parse(buf_view(&text), step, &file, err) != ERR_OK ||
	    result_check_required(&file, step, err) != ERR_OK) {
		if (err->code == ERR_INVALID)
			err->code = ERR_USAGE;
		return err_while(err, "the context's outputs of '%.*s'", STR_ARG(step->id));
	}
	buf_byte(out, out->len ? ',' : '{');
	json_put_str(out, step->id);
	buf_byte(out, ':');
	if (file.outputs.len)
		buf_str(out, buf_view(&file.outputs));
	else
		buf_text(out, "{}");
	return buf_check(out, "a context", err);
}

static enum err_code take_outputs(const struct model *model, const uint8_t *marks,
				  struct str object, struct buf *out, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_type_of(object) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "'outputs' of the context is not an object");
	while (json_member(object, &at, &key, &value)) {
		uint32_t step = model_find(model, key);

		if (step == STEP_NONE)
			return unknown_step(model, key, err);
		if (marks[step])
			return err_set(err, ERR_USAGE,
				       "the context has outputs of '%.*s', which this run executes",
				       STR_ARG(key));
		if (put_outputs(&model->steps[step], value, out, err) != ERR_OK)
			return err->code;
	}
	if (out->len)
		buf_byte(out, '}');
	return buf_check(out, "a context", err);
}

enum err_code given_read(const struct model *model, const struct selection *selection,
			 struct str context, struct buf *out, struct str *ret_params,
			 struct err *err)
{
	AUTO(mem_drop) uint8_t *marks = mem_new(model->steps_count, 1);
	struct err own = ERR_INIT;
	struct str params = STR_NONE;
	struct str key;
	struct str value;
	size_t at = 0;

	if (!marks)
		return mem_err(err);
	if (selection_mark(model, selection, marks, err) != ERR_OK)
		return err->code;
	if (json_check(context, JSON_DEPTH_MAX, &own) != ERR_OK)
		return err_set(err, own.code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE,
			       "the context file is not JSON: %s", own.text);
	context = str_trim(context);
	if (json_type_of(context) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "the context file must hold a JSON object");
	while (json_member(context, &at, &key, &value)) {
		if (str_is(key, "params")) {
			params = value;
		} else if (str_is(key, "outputs")) {
			if (take_outputs(model, marks, value, out, err) != ERR_OK)
				return err->code;
		} else {
			(void)err_set(err, ERR_USAGE, "the context has an unknown member '%.*s'",
				      STR_ARG(str_cut(key, 0, 80)));
			return err_hint(err, "it has `outputs` by step, and `params`");
		}
	}
	if (params.ptr && json_type_of(params) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "'params' of the context is not an object");
	*ret_params = params;
	return ERR_OK;
}

enum err_code given_check(const struct model *model, const struct selection *selection,
			  struct str given, struct err *err)
{
	AUTO(mem_drop) uint8_t *marks = mem_new(model->steps_count, 1);
	AUTO(mem_drop) uint8_t *is_given = mem_new(model->steps_count, 1);
	struct str key;
	struct str value;
	size_t at = 0;

	if (!marks || !is_given)
		return mem_err(err);
	if (selection_mark(model, selection, marks, err) != ERR_OK)
		return err->code;
	while (given.len && json_member(given, &at, &key, &value))
		is_given[model_find(model, key)] = 1; /* given_read has found it */
	return selection_check(model, marks, is_given, err);
}
