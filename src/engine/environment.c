/* environment.c - the environment of a command: what is inherited, what the file says, values of
 * parameters and outputs, and what Sluice tells it (S8.6). Nothing else gets in. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "core/trace.h"
#include "base/mem.h"
#include "lang/template.h"

#include <stdio.h>
#include <string.h>

/* Of the engine's own environment commands inherit these and `LC_*`. */
static const char *const inherited_names[] = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR",
};

static bool is_inherited(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(inherited_names); i++) {
		if (str_is(name, inherited_names[i]))
			return true;
	}
	return str_starts(name, "LC_");
}

enum err_code prepare_inherited(struct engine *engine, struct err *err)
{
	char *const *env = engine->ports.env;
	size_t count = 0;
	size_t kept = 0;

	while (env && env[count])
		count++;
	engine->inherited = arena_new(&engine->life, count + 1, sizeof(*engine->inherited));
	if (!engine->inherited)
		return mem_err(err);
	for (size_t i = 0; i < count; i++) {
		struct str entry = str_of(env[i]);
		struct str copy;

		if (!is_inherited(str_cut(entry, 0, str_find(entry, "=", 0))))
			continue;
		copy = arena_str(&engine->life, entry);
		if (!copy.ptr)
			return mem_err(err);
		engine->inherited[kept++] = (char *)(uintptr_t)copy.ptr;
	}
	return ERR_OK;
}

/* An environment being built: later entries of a name replace earlier ones. */
struct building {
	struct engine *engine;
	uint32_t step;
	const struct command *command;
	bool is_undo; /* the command is the step's compensation */
	struct map names;
	char **entries;
	size_t count, capacity;
	size_t bytes;
	struct str *masks; /* secrets that this command receives */
	size_t masks_count;
};

static enum err_code put(struct building *b, struct str name, struct str value, struct err *err)
{
	void *list = b->entries;
	size_t len = name.len + 1 + value.len;
	char *entry;
	uint32_t at;

	if (str_has(value, '\0'))
		return err_set(err, ERR_INVALID, "the value of '%.*s' has a NUL byte",
			       STR_ARG(name));
	b->bytes += len + 1;
	if (b->bytes > b->engine->ports.limits->command_bytes)
		return err_set(err, ERR_INVALID, "the environment is over the limit command_bytes");
	entry = arena_new(&b->engine->tick, len + 1, 1);
	if (!entry)
		return mem_err(err);
	memcpy(entry, name.ptr, name.len);
	entry[name.len] = '=';
	if (value.len)
		memcpy(entry + name.len + 1, value.ptr, value.len);
	at = map_get(&b->names, name);
	if (at != MAP_NONE) {
		b->entries[at] = entry;
		return ERR_OK;
	}
	if (mem_grow(&list, &b->capacity, b->count + 2, sizeof(*b->entries), err) != ERR_OK)
		return err->code;
	b->entries = list;
	if (map_add(&b->names, str_from(entry, name.len), (uint32_t)b->count, err) != ERR_OK)
		return err->code;
	b->entries[b->count++] = entry;
	b->entries[b->count] = NULL;
	return ERR_OK;
}

static enum err_code put_entry(struct building *b, const char *entry, struct err *err)
{
	struct str text = str_of(entry);
	size_t equals = str_find(text, "=", 0);

	if (equals == SIZE_MAX)
		return ERR_OK;
	return put(b, str_cut(text, 0, equals), str_cut(text, equals + 1, text.len), err);
}

static enum err_code put_secret(struct building *b, struct str name, uint32_t param,
				struct err *err)
{
	struct str value = b->engine->secrets.values[param];

	b->masks[b->masks_count++] = value;
	return put(b, name, value, err);
}

/* ------------------------------------------------------------------ entries of the file */

static enum err_code put_from_engine(struct building *b, struct str name, struct err *err)
{
	for (char *const *env = b->engine->ports.env; env && *env; env++) {
		struct str entry = str_of(*env);

		if (str_eq(str_cut(entry, 0, str_find(entry, "=", 0)), name))
			return put_entry(b, *env, err);
	}
	return ERR_OK; /* absent there, absent here */
}

static enum err_code put_listed(struct building *b, const struct env_entry *list, uint32_t count,
				struct err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t secret = template_secret(b->engine->fold.model, &list[i].value);
		struct str value;
		enum err_code code;

		if (list[i].from_env)
			code = put_from_engine(b, list[i].name, err);
		else if (secret != UINT32_MAX)
			code = put_secret(b, list[i].name, secret, err);
		else if ((code = prepare_text(b->engine, b->step, &list[i].value, &value, err)) ==
			 ERR_OK)
			code = put(b, list[i].name, value, err);
		if (code != ERR_OK)
			return err_while(err, "environment variable '%.*s'", STR_ARG(list[i].name));
	}
	return ERR_OK;
}

/* ---------------------------------------------------------------------- values: PARAM_x */

static bool mentions(const struct building *b, const char *name)
{
	return str_find(b->command->text, name, 0) != SIZE_MAX;
}

static enum err_code put_json(struct building *b, const char *name, struct str json,
			      struct err *err)
{
	struct str text;

	if (prepare_value(b->engine, json, &text, err) != ERR_OK)
		return err->code;
	return put(b, str_of(name), text, err);
}

static enum err_code put_params(struct building *b, struct err *err)
{
	const struct run_state *run = &b->engine->fold.state;
	char name[80];

	for (uint32_t i = 0; i < run->model->params_count; i++) {
		const struct param *param = &run->model->params[i];
		enum err_code code = ERR_OK;

		(void)snprintf(name, sizeof(name), "PARAM_%.*s", STR_ARG(param->name));
		if (param->type != VALUE_SECRET && run->params[i].ptr)
			code = put_json(b, name, run->params[i], err);
		else if (param->type == VALUE_SECRET && mentions(b, name))
			code = put_secret(b, str_of(name), i, err);
		if (code != ERR_OK)
			return code;
	}
	for (size_t i = 0; i < run->updates_count; i++) {
		(void)snprintf(name, sizeof(name), "PARAM_%.*s", STR_ARG(run->updates[i].name));
		if (put_json(b, name, run->updates[i].value, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code put_outputs_of(struct building *b, uint32_t need, bool only_mentioned,
				    struct err *err)
{
	const struct run_state *run = &b->engine->fold.state;
	struct str key;
	struct str value;
	size_t at = 0;

	while (run->steps[need].outputs.ptr &&
	       json_member(run->steps[need].outputs, &at, &key, &value)) {
		char name[160];

		(void)snprintf(name, sizeof(name), "OUTPUT_%.*s_%.*s",
			       STR_ARG(run->model->steps[need].id), STR_ARG(key));
		if ((!only_mentioned || mentions(b, name)) &&
		    put_json(b, name, value, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* Outputs of the steps that it needs, and of any other whose variable its text names. */
static enum err_code put_outputs(struct building *b, struct err *err)
{
	const struct run_state *run = &b->engine->fold.state;
	const struct step *def = &run->model->steps[b->step];

	if (mentions(b, "OUTPUT_")) {
		for (uint32_t i = 0; i < run->model->steps_count; i++) {
			if (run->steps[i].outputs.ptr && put_outputs_of(b, i, true, err) != ERR_OK)
				return err->code;
		}
	}
	for (uint32_t i = 0; i < def->needs_count + def->needs_any_count; i++) {
		uint32_t need =
		    i < def->needs_count ? def->needs[i] : def->needs_any[i - def->needs_count];

		if (put_outputs_of(b, need, false, err) != ERR_OK)
			return err->code;
	}
	return b->is_undo ? put_outputs_of(b, b->step, false, err) : ERR_OK;
}

/* ---------------------------------------------------------------- what Sluice tells: SLUICE_x */

static enum err_code put_number(struct building *b, const char *name, uint32_t value,
				struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	buf_u64(&text, value);
	if (buf_check(&text, "an environment variable", err) != ERR_OK)
		return err->code;
	return put(b, str_of(name), buf_view(&text), err);
}

/* The same for each attempt of a step (S8.6). */
static enum err_code put_key(struct building *b, const char *step, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	buf_str(&text, b->engine->fold.state.run_id);
	buf_byte(&text, '/');
	buf_text(&text, step);
	if (buf_check(&text, "an environment variable", err) != ERR_OK)
		return err->code;
	return put(b, STR("SLUICE_IDEMPOTENCY_KEY"), buf_view(&text), err);
}

static enum err_code put_path(struct building *b, const char *name, const char *path,
			      struct err *err)
{
	return path ? put(b, str_of(name), str_of(path), err) : ERR_OK;
}

/* Who it runs as: what the engine's own environment says of that is of somebody else. */
static enum err_code put_user(struct building *b, const struct user *user, struct err *err)
{
	if (!user)
		return ERR_OK;
	if (put(b, STR("USER"), str_of(user->name), err) != ERR_OK ||
	    put(b, STR("LOGNAME"), str_of(user->name), err) != ERR_OK ||
	    put(b, STR("HOME"), str_of(user->home), err) != ERR_OK)
		return err->code;
	return put(b, STR("SHELL"), str_of(user->shell), err);
}

/* The attempt is a span of the run's trace; the exporter gives it the same id
 * (report/export_trace.c). */
static enum err_code put_trace(struct building *b, const struct prepared *prepared, struct err *err)
{
	const struct run_state *run = &b->engine->fold.state;
	struct trace_parent parent = {.is_sampled = true};
	char text[TRACE_PARENT_BYTES + 1];

	if (!run->trace_id.ptr)
		return ERR_OK;
	if (run->traceparent.ptr)
		BUG_IF(!trace_parent_read(run->traceparent, &parent));
	trace_parent_write(run->trace_id, hash_text(prepared->attempt, str_of(prepared->name)) | 1,
			   parent.is_sampled, text);
	return put(b, STR("TRACEPARENT"), str_of(text), err);
}

static enum err_code put_sluice(struct building *b, const struct prepared *prepared,
				struct err *err)
{
	const struct engine *engine = b->engine;
	const struct run_state *run = &engine->fold.state;
	struct str id = run->model->steps[b->step].id;
	uint32_t attempt = prepared->attempt;

	if (put(b, STR("SLUICE_RUN_ID"), run->run_id, err) != ERR_OK ||
	    put(b, STR("SLUICE_STEP"), id, err) != ERR_OK ||
	    put_number(b, "SLUICE_ATTEMPT", attempt, err) != ERR_OK ||
	    put_key(b, prepared->name, err) != ERR_OK ||
	    put_number(b, "SLUICE_FENCE", attempt + 1, err) != ERR_OK ||
	    put_path(b, "SLUICE_OUTPUT", prepared->output_path, err) != ERR_OK ||
	    put_path(b, "SLUICE_CONTEXT", prepared->context_path, err) != ERR_OK ||
	    put_path(b, "SLUICE_ARTIFACTS", prepared->artifacts_path, err) != ERR_OK)
		return err->code;
	return put_trace(b, prepared, err);
}

/* The environment of a compensation is that of its step, and what it says itself. */
static enum err_code put_own(struct building *b, const struct command *step, struct err *err)
{
	if (b->is_undo && step && put_listed(b, step->env, step->env_count, err) != ERR_OK)
		return err->code;
	return put_listed(b, b->command->env, b->command->env_count, err);
}

enum err_code prepare_env(struct engine *engine, uint32_t step, struct prepared *prepared,
			  struct err *err)
{
	const struct model *model = engine->fold.model;
	const struct command *of_step = model->steps[step].command;
	const struct command *command = prepared->command;
	struct building b = {
	    .engine = engine, .step = step, .command = command, .is_undo = prepared->is_undo};
	enum err_code code = ERR_OK;
	char **entries;

	map_init(&b.names, engine->fold.state.seed);
	b.masks = arena_new(&engine->tick,
			    4 * (model->params_count + 1) + model->env_count + command->env_count +
				(of_step ? of_step->env_count : 0),
			    sizeof(*b.masks));
	if (!b.masks)
		code = mem_err(err);
	for (char **entry = engine->inherited; code == ERR_OK && *entry; entry++)
		code = put_entry(&b, *entry, err);
	if (code == ERR_OK)
		code = put_user(&b, prepared->user, err);
	if (code == ERR_OK)
		code = put_listed(&b, model->env, model->env_count, err);
	if (code == ERR_OK)
		code = put_params(&b, err);
	if (code == ERR_OK)
		code = put_outputs(&b, err);
	if (code == ERR_OK)
		code = put_own(&b, of_step, err);
	if (code == ERR_OK)
		code = put_sluice(&b, prepared, err);
	entries = code == ERR_OK ? arena_new(&engine->tick, b.count + 1, sizeof(*entries)) : NULL;
	if (entries) {
		memcpy(entries, b.entries, b.count * sizeof(*entries));
		prepared->envp = entries;
		prepared->masks = b.masks;
		prepared->masks_count = b.masks_count;
	} else if (code == ERR_OK) {
		code = mem_err(err);
	}
	map_fini(&b.names);
	mem_free(b.entries);
	return code;
}
