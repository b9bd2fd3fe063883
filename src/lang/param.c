/* param.c - `params:` as they are declared */
#include "lang/build.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/lang.h"
#include "lang/pattern.h"

#define PARAM_KEYS (KEY_param_help - KEY_param_type + 1)

/* One declaration while it is read: what depends on the type waits for it. */
struct declaration {
	struct param param;
	const struct node *fallback; /* `default` */
	bool has_type;
	uint32_t at[PARAM_KEYS];
};

void key_param_type(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct declaration *declaration = target;
	const char *names[VALUE_SECRET + 1];
	uint32_t index;

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
		names[i] = value_type_name((enum value_type)i);
	if (!take_word(build, key, value, names, ARRAY_LEN(names), &index))
		return;
	declaration->param.type = (enum value_type)index;
	declaration->has_type = true;
}

void key_param_required(struct build *build, void *target, const struct node *key,
			const struct node *value)
{
	struct declaration *declaration = target;

	(void)take_bool(build, key, value, &declaration->param.is_required);
}

void key_param_default(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct declaration *declaration = target;

	(void)build;
	(void)key;
	declaration->fallback = value;
}

void key_param_min(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct declaration *declaration = target;

	declaration->param.has_min = take_double(build, key, value, &declaration->param.min);
}

void key_param_max(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	struct declaration *declaration = target;

	declaration->param.has_max = take_double(build, key, value, &declaration->param.max);
}

void key_param_values(struct build *build, void *target, const struct node *key,
		      const struct node *value)
{
	struct declaration *declaration = target;

	(void)take_texts(build, key, value, 1, true, &declaration->param.values,
			 &declaration->param.values_count);
}

void key_param_pattern(struct build *build, void *target, const struct node *key,
		       const struct node *value)
{
	struct declaration *declaration = target;
	struct err err = ERR_INIT;
	struct str text;

	if (!take_text(build, key, value, 0, &text))
		return;
	if (pattern_check(text, &err) != ERR_OK) {
		build_report(build, DIAG_PATTERN, value, "the pattern is not well-formed: %s",
			     err.text);
		return;
	}
	declaration->param.pattern = build_keep(build, text);
}

void key_param_help(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct declaration *declaration = target;
	struct str text;

	if (take_text(build, key, value, TAKE_EMPTY, &text))
		declaration->param.help = build_keep(build, text);
}

static void source_set(struct build *build, struct declaration *declaration, const struct node *key,
		       const struct node *value, enum secret_from from)
{
	struct str text;

	if (!take_text(build, key, value, 0, &text))
		return;
	declaration->param.secret_from = from;
	declaration->param.secret_name = build_keep(build, text);
}

void key_secret_env(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	source_set(build, target, key, value, SECRET_FROM_ENV);
}

void key_secret_file(struct build *build, void *target, const struct node *key,
		     const struct node *value)
{
	source_set(build, target, key, value, SECRET_FROM_FILE);
}

void key_secret_fd(struct build *build, void *target, const struct node *key,
		   const struct node *value)
{
	uint32_t fd;

	/* 0, 1 and 2 are the program's own */
	if (take_u32(build, key, value, 3, 1 << 20, &fd))
		source_set(build, target, key, value, SECRET_FROM_FD);
}

void key_param_from(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	if (!build_expect(build, key, value, NODE_MAP, "one of {env: NAME}, {file: path}, {fd: n}"))
		return;
	build_map(build, SCOPE_secret, value, target, NULL, KEY_secret_env);
	if (value->count != 1)
		build_report(build, DIAG_PARAM_SECRET, value,
			     "'from' takes exactly one of env, file and fd");
}

/* A key that has no meaning for the type. */
static void key_refuse(struct build *build, const struct declaration *declaration, enum key_id id,
		       const char *types)
{
	const struct node *key;

	if (!declaration->at[id - KEY_param_type])
		return;
	key = build_node(build, declaration->at[id - KEY_param_type] - 1);
	build_report(build, DIAG_PARAM_KEY, key, "'%.*s' is for %s, not for %s", STR_ARG(key->text),
		     types, value_type_name(declaration->param.type));
}

static void type_check(struct build *build, const struct declaration *declaration,
		       const struct node *name)
{
	const struct param *param = &declaration->param;
	enum value_type type = param->type;

	if (type != VALUE_INT && type != VALUE_NUMBER) {
		key_refuse(build, declaration, KEY_param_min, "int and number");
		key_refuse(build, declaration, KEY_param_max, "int and number");
	}
	if (param->has_min && param->has_max && param->min > param->max)
		build_report(build, DIAG_RANGE,
			     build_node(build, declaration->at[KEY_param_min - KEY_param_type] - 1),
			     "'min' is larger than 'max': no value would do");
	if (type != VALUE_STRING && type != VALUE_PATH)
		key_refuse(build, declaration, KEY_param_pattern, "string and path");
	if (type != VALUE_ENUM)
		key_refuse(build, declaration, KEY_param_values, "enum");
	else if (!declaration->at[KEY_param_values - KEY_param_type])
		build_report(build, DIAG_PARAM_ENUM, name, "the enum '%.*s' has no 'values'",
			     STR_ARG(name->text));
	if (type != VALUE_SECRET)
		key_refuse(build, declaration, KEY_param_from, "secret");
	else if (!declaration->at[KEY_param_from - KEY_param_type])
		build_report(build, DIAG_PARAM_SECRET, name, "the secret '%.*s' has no 'from'",
			     STR_ARG(name->text));
}

/* A text stays the text that was written, whatever it looks like: `default: 007` of a string. */
static bool fallback_json(struct build *build, const struct declaration *declaration,
			  struct buf *json)
{
	const struct node *value = declaration->fallback;
	enum value_type type = declaration->param.type;
	bool is_text = type == VALUE_STRING || type == VALUE_ENUM || type == VALUE_PATH;

	if (!is_text || value->kind != NODE_TEXT || node_is_null(value))
		return take_json(build, value, json);
	frozen_put_str(json, value->text);
	return true;
}

static void fallback_check(struct build *build, struct declaration *declaration)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;
	const struct node *value = declaration->fallback;
	struct param *param = &declaration->param;
	struct err err = ERR_INIT;

	if (!value || value->kind == NODE_BAD)
		return;
	if (param->type == VALUE_SECRET) {
		build_report(build, DIAG_PARAM_SECRET, value, "a secret has no default");
		return;
	}
	if (param->is_required)
		build_report(build, DIAG_PARAM_DEFAULT, value,
			     "a parameter with a default is never missing: it cannot be required");
	if (!fallback_json(build, declaration, &json))
		return;
	if (buf_check(&json, "default", &build->err) != ERR_OK)
		return;
	if (json.len > build->limits->param_bytes) {
		build_report(build, DIAG_TOO_LARGE, value,
			     "the default has %zu bytes, %llu are allowed", json.len,
			     (unsigned long long)build->limits->param_bytes);
		return;
	}
	if (lang_param_check(param, buf_view(&json), &err) != ERR_OK) {
		build_report(build, DIAG_PARAM_DEFAULT, value, "the default does not fit: %s",
			     err.text);
		return;
	}
	param->fallback = build_keep(build, buf_view(&json));
}

static void declaration_read(struct build *build, const struct node *name, const struct node *value,
			     struct param *param)
{
	struct declaration declaration = {.has_type = false};

	if (!take_name(build, name, "a parameter", &declaration.param.name) ||
	    !build_expect(build, name, value, NODE_MAP, "a mapping such as {type: string}"))
		return;
	declaration.param.name = build_keep(build, name->text);
	*param = declaration.param; /* it is known, even when it is not right */
	build_map(build, SCOPE_param, value, &declaration, declaration.at, KEY_param_type);
	if (!declaration.has_type) {
		if (!declaration.at[0]) {
			build_report(build, DIAG_MISSING_KEY, name, "'type' of '%.*s' is missing",
				     STR_ARG(name->text));
			diags_hint(build->diags, "for example {type: string}");
		}
		return;
	}
	type_check(build, &declaration, name);
	fallback_check(build, &declaration);
	*param = declaration.param;
}

void key_top_params(struct build *build, void *target, const struct node *key,
		    const struct node *value)
{
	struct model *model = build->model;
	const struct node *spec;

	(void)target;
	if (!build_expect(build, key, value, NODE_MAP, "a mapping of names to {type: ...}"))
		return;
	model->params = build_new(build, value->count, sizeof(*model->params));
	if (!model->params)
		return;
	for (const struct node *name = build_child(build, value); name;
	     name = build_next(build, spec)) {
		struct param *param = &model->params[model->params_count];

		spec = build_value(build, name);
		if (name->kind != NODE_TEXT)
			continue;
		declaration_read(build, name, spec, param);
		if (param->name.ptr)
			model->params_count++;
	}
}
