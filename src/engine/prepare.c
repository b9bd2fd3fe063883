/* prepare.c - what an attempt needs before it can start: its condition, its inputs, its paths. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum err_code prepare_expr(struct engine *engine, struct expr **ret_expr, struct err *err)
{
	if (!engine->expr && expr_new(engine->ports.limits, &engine->expr, err) != ERR_OK)
		return err->code;
	*ret_expr = engine->expr;
	return ERR_OK;
}

struct expr_scope prepare_scope(const struct engine *engine, uint32_t step, struct str output)
{
	return (struct expr_scope){
	    .run = &engine->fold.state,
	    .step = step,
	    .output = output,
	    .env = engine->inherited,
	};
}

enum err_code prepare_text(struct engine *engine, uint32_t step, const struct tmpl *tmpl,
			   struct str *ret_text, struct err *err)
{
	struct expr_scope scope = prepare_scope(engine, step, STR_NONE);
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct expr *expr = NULL;

	if (!tmpl->is_dynamic) {
		*ret_text = tmpl->text;
		return ERR_OK;
	}
	if (prepare_expr(engine, &expr, err) != ERR_OK ||
	    expr_fill(expr, tmpl, &scope, &text, err) != ERR_OK ||
	    buf_check(&text, "a filled text", err) != ERR_OK)
		return err->code;
	*ret_text = arena_str(&engine->tick, buf_view(&text));
	return ret_text->ptr ? ERR_OK : mem_err(err);
}

static enum err_code join(struct engine *engine, struct str folder, struct str name,
			  char **ret_path, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct str kept;

	if (!str_starts(name, "/")) {
		buf_str(&path, folder);
		buf_byte(&path, '/');
	}
	buf_str(&path, name);
	if (buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	kept = arena_str(&engine->tick, buf_view(&path));
	if (!kept.ptr)
		return mem_err(err);
	*ret_path = (char *)(uintptr_t)kept.ptr;
	return ERR_OK;
}

enum err_code prepare_path(struct engine *engine, uint32_t step, const struct tmpl *tmpl,
			   bool from_cwd, char **ret_path, struct err *err)
{
	const struct command *command = engine->fold.model->steps[step].command;
	char *folder = NULL;
	struct str name;

	if (prepare_text(engine, step, tmpl, &name, err) != ERR_OK)
		return err->code;
	if (!name.len)
		return err_set(err, ERR_INVALID, "'%.*s' is an empty path", STR_ARG(tmpl->text));
	if (!from_cwd || !command || !command->cwd.text.ptr)
		return join(engine, engine->fold.model->folder, name, ret_path, err);
	if (prepare_path(engine, step, &command->cwd, false, &folder, err) != ERR_OK)
		return err->code;
	return join(engine, str_of(folder), name, ret_path, err);
}

/* ------------------------------------------------------------------------ queries: when */

static struct str keep_text(struct engine *engine, const struct err *err)
{
	struct str text = secrets_mask(&engine->secrets, &engine->tick, str_of(err->text));
	struct str kept = text.ptr ? arena_str(&engine->tick, text) : STR_NONE;

	return kept.ptr ? kept : STR("memory is short");
}

static enum err_code answer_when(struct engine *engine, uint32_t step, struct input *input,
				 struct err *err)
{
	struct expr_scope scope = prepare_scope(engine, step, STR_NONE);
	struct err own = ERR_INIT;
	struct expr *expr = NULL;

	if (engine->ports.is_dry &&
	    mocked_is_open(engine, step, engine->fold.model->steps[step].when)) {
		input->is_true = true; /* S14: it takes its first arm */
		return ERR_OK;
	}
	if (prepare_expr(engine, &expr, err) != ERR_OK)
		return err->code;
	if (expr_eval_bool(expr, engine->fold.model->steps[step].when, &scope, &input->is_true,
			   &own) == ERR_OK)
		return ERR_OK;
	if (own.code != ERR_INVALID) {
		*err = own;
		return err->code;
	}
	input->error = keep_text(engine, &own);
	return ERR_OK;
}

/* ---------------------------------------------------------------------- queries: inputs */

static const struct emitted_artifact *artifact_of(const struct run_state *run, const char *path)
{
	for (size_t i = run->artifacts_count; i > 0; i--) {
		if (str_is(run->artifacts[i - 1].path, path))
			return &run->artifacts[i - 1];
	}
	return NULL;
}

/* Hash one declared input. INVALID: a declared artifact is not what it was; other codes:
 * missing. */
static enum err_code hash_input(struct engine *engine, uint32_t step, const struct tmpl *tmpl,
				struct sha256 *sha, struct err *err)
{
	const struct emitted_artifact *artifact;
	struct file_digest digest;
	char *path;

	if (prepare_path(engine, step, tmpl, false, &path, err) != ERR_OK)
		return err->code;
	if (rundir_digest(path, false, &digest, err) != ERR_OK)
		return err_while(err, "input '%s'", path);
	artifact = artifact_of(&engine->fold.state, path);
	if (artifact && !str_is(artifact->sha256, digest.sha256))
		return err_set(err, ERR_CORRUPT, "input '%s' is not the artifact that '%.*s' made",
			       path, STR_ARG(engine->fold.model->steps[artifact->step].id));
	sha256_add(sha, path, strlen(path) + 1);
	sha256_add(sha, digest.sha256, SHA256_HEX_BYTES + 1);
	return ERR_OK;
}

static enum error_class class_of_input(enum err_code code)
{
	if (code == ERR_INVALID)
		return CLASS_CONFIGURATION;
	return code == ERR_CORRUPT ? CLASS_VALIDATION_FAILED : CLASS_CONTRACT_INPUT_MISSING;
}

static enum err_code answer_inputs(struct engine *engine, uint32_t step, struct input *input,
				   struct err *err)
{
	const struct step *def = &engine->fold.model->steps[step];
	struct err own = ERR_INIT;
	uint8_t digest[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES + 1];
	struct sha256 sha;

	if (engine->ports.is_dry) { /* a step that would make it has made nothing */
		input->text = STR("mocked");
		return ERR_OK;
	}
	sha256_start(&sha);
	for (uint32_t i = 0; i < def->inputs_count; i++) {
		if (hash_input(engine, step, &def->inputs[i], &sha, &own) == ERR_OK)
			continue;
		if (own.code == ERR_MEMORY) {
			*err = own;
			return err->code;
		}
		input->class = class_of_input(own.code);
		input->error = keep_text(engine, &own);
		return ERR_OK;
	}
	sha256_end(&sha, digest);
	sha256_hex(digest, hex);
	input->text = arena_str(&engine->tick, str_from(hex, 16));
	return input->text.ptr ? ERR_OK : mem_err(err);
}

enum err_code prepare_answer(struct engine *engine, const struct decide_query *query,
			     struct input *ret_input, struct err *err)
{
	*ret_input = (struct input){.step = query->step};
	if (query->kind == QUERY_WHEN) {
		ret_input->kind = INPUT_WHEN;
		return answer_when(engine, query->step, ret_input, err);
	}
	ret_input->kind = INPUT_INPUTS;
	return answer_inputs(engine, query->step, ret_input, err);
}

/* ------------------------------------------------------------------------------- values */

enum err_code prepare_value(struct engine *engine, struct str json, struct str *ret_text,
			    struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (json_type_of(json) != JSON_STRING) {
		*ret_text = json;
		return ERR_OK;
	}
	json_decode(json, &text);
	if (buf_check(&text, "a value", err) != ERR_OK)
		return err->code;
	*ret_text = arena_str(&engine->tick, buf_view(&text));
	return ret_text->ptr ? ERR_OK : mem_err(err);
}
