/* command.c - a command as it will be executed: argv, folder, environment, from the step's
 * definition and the context as it is now. */
#include "engine/engine_intern.h"

#include "base/mem.h"

static enum err_code fill_argv(struct engine *engine, uint32_t step, const struct command *command,
			       struct prepared *prepared, struct err *err)
{
	bool is_shell = command->argv_count == 0;
	uint32_t count = is_shell ? command->shell_count + 1 : command->argv_count;

	prepared->argv = arena_new(&engine->tick, count + 1, sizeof(*prepared->argv));
	if (!prepared->argv)
		return mem_err(err);
	for (uint32_t i = 0; i < count; i++) {
		struct str text;

		if (is_shell)
			text = i < command->shell_count ? command->shell[i] : command->text;
		else if (prepare_text(engine, step, &command->argv[i], &text, err) != ERR_OK)
			return err->code;
		if (str_has(text, '\0'))
			return err_set(err, ERR_INVALID, "argument %u has a NUL byte", i);
		text = arena_str(&engine->tick, text); /* NUL-ended */
		if (!text.ptr)
			return mem_err(err);
		prepared->argv[i] = (char *)(uintptr_t)text.ptr;
	}
	return ERR_OK;
}

static enum err_code name_files(struct engine *engine, uint32_t step, struct prepared *prepared,
				struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	char name[UNDO_NAME_BYTES];
	struct str kept;

	undo_name(engine, step, name);
	kept =
	    arena_str(&engine->tick, prepared->is_undo ? str_of(name) : run->model->steps[step].id);
	if (!kept.ptr)
		return mem_err(err);
	prepared->name = (char *)(uintptr_t)kept.ptr;
	prepared->attempt = prepared->is_undo ? run->undo.attempt : run->steps[step].attempt;
	return ERR_OK;
}

static enum err_code prepare(struct engine *engine, uint32_t step, const struct command *command,
			     bool is_undo, struct prepared *ret_prepared, struct err *err)
{
	static const struct tmpl here = {{".", 1}, false};
	const struct tmpl *cwd = command->cwd.text.ptr ? &command->cwd : &here;
	struct prepared prepared = {.command = command, .is_undo = is_undo};

	if (name_files(engine, step, &prepared, err) != ERR_OK)
		return err->code;
	if (fill_argv(engine, step, command, &prepared, err) != ERR_OK)
		return err->code;
	if (cwd == &here)
		prepared.cwd = (char *)(uintptr_t)engine->fold.model->folder.ptr;
	else if (prepare_path(engine, step, cwd, false, &prepared.cwd, err) != ERR_OK)
		return err->code;
	if (prepare_process(engine, step, &prepared, err) != ERR_OK ||
	    prepare_env(engine, step, &prepared, err) != ERR_OK)
		return err->code;
	*ret_prepared = prepared;
	return ERR_OK;
}

enum err_code prepare_command(struct engine *engine, uint32_t step, struct prepared *ret_prepared,
			      struct err *err)
{
	return prepare(engine, step, engine->fold.model->steps[step].command, false, ret_prepared,
		       err);
}

enum err_code prepare_undo(struct engine *engine, uint32_t step, struct prepared *ret_prepared,
			   struct err *err)
{
	return prepare(engine, step, engine->fold.model->steps[step].compensate, true, ret_prepared,
		       err);
}
