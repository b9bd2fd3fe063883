/* params.c - values of parameters: given as text or JSON, converted, checked
 *
 * Values are data: quotes, backquotes, `$()`, line ends pass unchanged. NUL and malformed UTF-8 are
 * refused, because no environment and no log can carry them. */
#include "lang/lang.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/build.h"
#include "lang/pattern.h"

/* Copy a checked JSON text without the blanks between its words. */
static void json_compact(struct str json, struct buf *out)
{
	bool in_string = false;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (in_string) {
			buf_byte(out, c);
			if (c == '\\' && i + 1 < json.len)
				buf_byte(out, json.ptr[++i]);
			else if (c == '"')
				in_string = false;
		} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			buf_byte(out, c);
			in_string = c == '"';
		}
	}
}

/* The text of a JSON string; false when it is none, or holds NUL. */
static bool string_of(struct str json, struct buf *out)
{
	if (json.len == 0 || json_type_of(json) != JSON_STRING)
		return false;
	json_decode(json, out);
	return !str_has(buf_view(out), '\0');
}

/* NUL is in a checked JSON text only as an escape. */
static bool has_nul_escape(struct str json)
{
	for (size_t at = str_find(json, "\\u0000", 0); at != SIZE_MAX;
	     at = str_find(json, "\\u0000", at + 1)) {
		size_t slashes = 1;

		while (at >= slashes && json.ptr[at - slashes] == '\\')
			slashes++;
		if (slashes % 2 == 1)
			return true;
	}
	return false;
}

static bool is_secret_object(struct str json)
{
	return json_type_of(json) == JSON_OBJECT && json_get(json, "secret").ptr;
}

bool lang_has_type(struct str json, enum value_type type)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	enum json_type is;
	int64_t whole;
	uint64_t bytes;
	double number;

	if (json_check(json, JSON_DEPTH_MAX, &err) != ERR_OK || has_nul_escape(json))
		return false;
	json = str_trim(json);
	is = json_type_of(json);
	switch (type) {
	case VALUE_STRING:
	case VALUE_ENUM:
		return is == JSON_STRING;
	case VALUE_PATH:
		return string_of(json, &text) && text.len > 0;
	case VALUE_DURATION:
		return string_of(json, &text) && duration_read(buf_view(&text), &whole);
	case VALUE_SIZE:
		return string_of(json, &text) && size_read(buf_view(&text), &bytes);
	case VALUE_INT:
		return is == JSON_NUMBER && json_to_i64(json, &whole);
	case VALUE_NUMBER:
		return is == JSON_NUMBER && json_to_double(json, &number);
	case VALUE_BOOL:
		return is == JSON_TRUE || is == JSON_FALSE;
	case VALUE_LIST:
		return is == JSON_ARRAY;
	case VALUE_OBJECT:
		return is == JSON_OBJECT;
	case VALUE_SECRET:
		return is_secret_object(json);
	}
	return false;
}

static bool number_convert(struct str text, enum value_type type, struct buf *out)
{
	int64_t whole;
	double number;

	if (str_to_i64(text, &whole)) {
		buf_i64(out, whole);
		return true;
	}
	if (type == VALUE_INT || !str_to_double(text, &number))
		return false;
	json_put_double(out, number == 0 ? 0 : number);
	return true;
}

static bool json_convert(struct str text, enum value_type type, struct buf *out)
{
	struct err err = ERR_INIT;

	if (json_check(text, JSON_DEPTH_MAX, &err) != ERR_OK || !lang_has_type(text, type))
		return false;
	json_compact(text, out);
	return true;
}

bool lang_convert(struct str text, enum value_type type, struct buf *out_json)
{
	int64_t ns;
	uint64_t bytes;

	if (!utf8_valid(text) || str_has(text, '\0'))
		return false;
	switch (type) {
	case VALUE_STRING:
	case VALUE_ENUM:
		break;
	case VALUE_PATH:
		if (text.len == 0)
			return false;
		break;
	case VALUE_DURATION:
		if (!duration_read(text, &ns))
			return false;
		break;
	case VALUE_SIZE:
		if (!size_read(text, &bytes))
			return false;
		break;
	case VALUE_INT:
	case VALUE_NUMBER:
		return number_convert(text, type, out_json);
	case VALUE_BOOL:
		if (!str_is(text, "true") && !str_is(text, "false"))
			return false;
		buf_str(out_json, text);
		return true;
	case VALUE_LIST:
	case VALUE_OBJECT:
		return json_convert(text, type, out_json);
	case VALUE_SECRET:
		return false;
	}
	frozen_put_str(out_json, text);
	return true;
}

/* What to write instead, by type. */
static const char *expected(enum value_type type)
{
	switch (type) {
	case VALUE_STRING:
		return "a text";
	case VALUE_ENUM:
		return "one of its values";
	case VALUE_PATH:
		return "a path that is not empty";
	case VALUE_DURATION:
		return "a duration such as 30s";
	case VALUE_SIZE:
		return "a size such as 64KiB";
	case VALUE_INT:
		return "a whole number";
	case VALUE_NUMBER:
		return "a number";
	case VALUE_BOOL:
		return "true or false";
	case VALUE_LIST:
		return "a JSON list";
	case VALUE_OBJECT:
		return "a JSON object";
	case VALUE_SECRET:
		return "nothing: a secret is read from its source";
	}
	return "another type";
}

static enum err_code range_check(const struct param *param, double number, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if ((!param->has_min || number >= param->min) && (!param->has_max || number <= param->max))
		return ERR_OK;
	if (param->has_min) {
		buf_text(&text, "at least ");
		json_put_double(&text, param->min);
	}
	if (param->has_max) {
		buf_text(&text, param->has_min ? " and at most " : "at most ");
		json_put_double(&text, param->max);
	}
	return err_set(err, ERR_INVALID, "'%.*s' must be %.*s", STR_ARG(param->name),
		       STR_ARG(buf_view(&text)));
}

static enum err_code enum_check(const struct param *param, struct str value, struct err *err)
{
	AUTO(buf_fini) struct buf list = BUF_INIT;

	for (uint32_t i = 0; i < param->values_count; i++) {
		if (str_eq(param->values[i], value))
			return ERR_OK;
		buf_fmt(&list, "%s%.*s", i ? ", " : "", STR_ARG(param->values[i]));
	}
	return err_set(err, ERR_INVALID, "'%.*s' must be one of %.*s", STR_ARG(param->name),
		       STR_ARG(str_cut(buf_view(&list), 0, 200)));
}

static enum err_code pattern_match_check(const struct param *param, struct str value,
					 struct err *err)
{
	switch (pattern_whole(param->pattern, value)) {
	case PATTERN_MATCH:
		return ERR_OK;
	case PATTERN_TOO_LONG:
		return err_set(err, ERR_INVALID, "'%.*s': its pattern takes too long to match",
			       STR_ARG(param->name));
	case PATTERN_NONE:
		break;
	}
	return err_set(err, ERR_INVALID, "'%.*s' must match the pattern %.*s, not be '%.*s'",
		       STR_ARG(param->name), STR_ARG(str_cut(param->pattern, 0, 120)),
		       STR_ARG(str_cut(value, 0, 60)));
}

enum err_code lang_param_check(const struct param *param, struct str json, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	double number;

	if (!lang_has_type(json, param->type))
		return err_set(err, ERR_INVALID, "'%.*s' must be %s", STR_ARG(param->name),
			       expected(param->type));
	if ((param->type == VALUE_INT || param->type == VALUE_NUMBER) &&
	    json_to_double(str_trim(json), &number))
		return range_check(param, number, err);
	if (param->type != VALUE_ENUM && !param->pattern.ptr)
		return ERR_OK;
	json_decode(str_trim(json), &text);
	if (buf_check(&text, "parameter", err) != ERR_OK)
		return err->code;
	if (param->type == VALUE_ENUM)
		return enum_check(param, buf_view(&text), err);
	return pattern_match_check(param, buf_view(&text), err);
}

/* --- what was given */

static const struct param *param_find(const struct model *model, struct str name, size_t *ret_index)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name)) {
			*ret_index = i;
			return &model->params[i];
		}
	}
	return NULL;
}

static enum err_code unknown_param(const struct model *model, struct str name, struct err *err)
{
	const char *names[64];
	const char *nearest;
	size_t count = 0;

	(void)err_set(err, ERR_USAGE, "there is no parameter '%.*s'",
		      STR_ARG(str_cut(name, 0, 80)));
	for (uint32_t i = 0; i < model->params_count && count < ARRAY_LEN(names); i++)
		names[count++] = model->params[i].name.ptr;
	nearest = str_nearest(name, names, count);
	if (nearest)
		(void)err_hint(err, "did you mean '%s'?", nearest);
	else if (count == 0)
		(void)err_hint(err, "the pipeline has no parameters");
	return err->code;
}

static enum err_code secret_given(const struct param *param, struct err *err)
{
	static const char *const sources[] = {"", "environment variable", "file",
					      "file descriptor"};

	(void)err_set(err, ERR_USAGE, "'%.*s' is a secret: it cannot be given as a value",
		      STR_ARG(param->name));
	return err_hint(err, "it is read from the %s %.*s", sources[param->secret_from],
			STR_ARG(param->secret_name));
}

/* Keep a value that fits; whatever is wrong is the caller's mistake. */
static enum err_code value_keep(const struct param *param, struct str json,
				const struct limits *limits, struct arena *arena,
				struct str *ret_value, struct err *err)
{
	struct err why = ERR_INIT;

	if (json.len > limits->param_bytes)
		return err_set(
		    err, ERR_USAGE, "'%.*s' has %zu bytes, %llu are allowed (param_bytes)",
		    STR_ARG(param->name), json.len, (unsigned long long)limits->param_bytes);
	if (lang_param_check(param, json, &why) != ERR_OK)
		return err_set(err, why.code == ERR_INVALID ? ERR_USAGE : why.code, "%s", why.text);
	*ret_value = arena_str(arena, json);
	return ret_value->ptr ? ERR_OK : mem_err(err);
}

static enum err_code assignment_take(const struct model *model, struct str assignment,
				     const struct limits *limits, struct arena *arena,
				     struct str *params, struct err *err)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	size_t equals = str_find(assignment, "=", 0);
	struct str name = str_cut(assignment, 0, equals);
	const struct param *param;
	struct str value;
	size_t index;

	if (equals == SIZE_MAX || equals == 0)
		return err_set(err, ERR_USAGE, "'%.*s' is not name=value",
			       STR_ARG(str_cut(assignment, 0, 80)));
	param = param_find(model, name, &index);
	if (!param)
		return unknown_param(model, name, err);
	if (param->type == VALUE_SECRET)
		return secret_given(param, err);
	value = str_cut(assignment, equals + 1, assignment.len);
	if (str_has(value, '\0') || !utf8_valid(value))
		return err_set(err, ERR_USAGE, "'%.*s' holds %s", STR_ARG(name),
			       str_has(value, '\0') ? "a NUL character" : "malformed UTF-8");
	if (params[index].ptr)
		return err_set(err, ERR_USAGE, "'%.*s' is given twice", STR_ARG(name));
	if (!lang_convert(value, param->type, &json))
		return err_set(err, ERR_USAGE, "'%.*s' must be %s, not '%.*s'", STR_ARG(name),
			       expected(param->type), STR_ARG(str_cut(value, 0, 40)));
	if (buf_check(&json, "parameter", err) != ERR_OK)
		return err->code;
	return value_keep(param, buf_view(&json), limits, arena, &params[index], err);
}

static enum err_code file_take(const struct model *model, struct str file,
			       const struct limits *limits, struct arena *arena, struct str *params,
			       struct err *err)
{
	AUTO(buf_fini) struct buf name = BUF_INIT;
	AUTO(buf_fini) struct buf json = BUF_INIT;
	struct err why = ERR_INIT;
	struct str key;
	struct str value;
	size_t at = 0;

	if (json_check(file, JSON_DEPTH_MAX, &why) != ERR_OK)
		return err_set(err, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE,
			       "the params file is not JSON: %s", why.text);
	file = str_trim(file);
	if (json_type_of(file) != JSON_OBJECT)
		return err_set(err, ERR_USAGE, "the params file must hold a JSON object");
	while (json_member(file, &at, &key, &value)) {
		const struct param *param;
		size_t index;

		buf_clear(&name);
		buf_clear(&json);
		json_decode(key, &name);
		param = param_find(model, buf_view(&name), &index);
		if (!param)
			return unknown_param(model, buf_view(&name), err);
		if (param->type == VALUE_SECRET)
			return secret_given(param, err);
		if (params[index].ptr)
			continue; /* -p wins */
		if (has_nul_escape(value))
			return err_set(err, ERR_USAGE, "'%.*s' holds a NUL character",
				       STR_ARG(param->name));
		json_compact(value, &json);
		if (buf_check(&json, "parameter", err) != ERR_OK)
			return err->code;
		if (value_keep(param, buf_view(&json), limits, arena, &params[index], err) !=
		    ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Defaults and secrets; what is required must be there. */
static enum err_code rest_take(const struct model *model, struct arena *arena, struct str *params,
			       struct err *err)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		const struct param *param = &model->params[i];
		AUTO(buf_fini) struct buf json = BUF_INIT;

		if (params[i].ptr)
			continue;
		if (param->type == VALUE_SECRET) {
			buf_text(&json, "{\"secret\":");
			frozen_put_str(&json, param->name);
			buf_byte(&json, '}');
		} else if (param->fallback.ptr) {
			buf_str(&json, param->fallback);
		} else if (param->is_required) {
			(void)err_set(err, ERR_USAGE, "'%.*s' is required: %s%s%.*s",
				      STR_ARG(param->name), expected(param->type),
				      param->help.len ? ", " : "",
				      STR_ARG(str_cut(param->help, 0, 120)));
			return err_hint(err, "give it with -p %.*s=VALUE", STR_ARG(param->name));
		} else {
			continue;
		}
		if (buf_check(&json, "parameter", err) != ERR_OK)
			return err->code;
		params[i] = arena_str(arena, buf_view(&json));
		if (!params[i].ptr)
			return mem_err(err);
	}
	return ERR_OK;
}

static enum err_code assignments_take(const struct model *model, const struct str *assignments,
				      size_t count, const struct limits *limits,
				      struct arena *arena, struct str *params, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (assignment_take(model, assignments[i], limits, arena, params, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

enum err_code lang_params(const struct model *model, const struct str *assignments,
			  size_t assignments_count, struct str params_file_json,
			  const struct limits *limits, struct arena *arena, struct str *ret_params,
			  struct err *err)
{
	AUTO(mem_drop)
	struct str *params = mem_new(model->params_count + (size_t)1, sizeof(*params));

	if (!params)
		return mem_err(err);
	if (assignments_take(model, assignments, assignments_count, limits, arena, params, err) !=
	    ERR_OK)
		return err->code;
	if (params_file_json.ptr &&
	    file_take(model, params_file_json, limits, arena, params, err) != ERR_OK)
		return err->code;
	if (rest_take(model, arena, params, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < model->params_count; i++)
		ret_params[i] = params[i];
	return ERR_OK;
}

enum err_code lang_params_override(const struct model *model, const struct str *assignments,
				   size_t assignments_count, const struct limits *limits,
				   struct arena *arena, struct str *ret_params, struct err *err)
{
	AUTO(mem_drop)
	struct str *params = mem_new(model->params_count + (size_t)1, sizeof(*params));

	if (!params)
		return mem_err(err);
	if (assignments_take(model, assignments, assignments_count, limits, arena, params, err) !=
	    ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < model->params_count; i++)
		ret_params[i] = params[i];
	return ERR_OK;
}

enum err_code lang_params_check(const struct model *model, const struct str *params,
				struct err *err)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		const struct param *param = &model->params[i];

		if (params[i].ptr) {
			if (lang_param_check(param, params[i], err) != ERR_OK)
				return err->code;
		} else if (param->is_required || param->fallback.ptr) {
			return err_set(err, ERR_INVALID, "'%.*s' has no value",
				       STR_ARG(param->name));
		}
	}
	return ERR_OK;
}
