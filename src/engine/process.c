/* process.c - what a command is given beside its words: what it reads, its files, its user. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "sys/path.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 224 /* out/<step>.<attempt>.context.json */

/* A text in the tick's arena. */
static char *say(struct engine *engine, struct err *err, const char *format, ...) PRINTF_LIKE(3, 4);
static char *say(struct engine *engine, struct err *err, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct str kept;
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	if (buf_check(&text, "a path", err) != ERR_OK)
		return NULL;
	kept = arena_str(&engine->tick, buf_view(&text));
	if (!kept.ptr)
		(void)mem_err(err);
	return (char *)(uintptr_t)kept.ptr;
}

/* --------------------------------------------------------------------------------- stdin */

static enum err_code take_stdin(struct engine *engine, uint32_t step, struct prepared *prepared,
				struct err *err)
{
	const struct command *command = prepared->command;
	struct err own = ERR_INIT;
	int fd = -1;

	if (command->stdin_text.text.ptr &&
	    prepare_text(engine, step, &command->stdin_text, &prepared->stdin_text, err) != ERR_OK)
		return err_while(err, "stdin");
	if (prepared->stdin_text.len > engine->ports.limits->command_bytes)
		return err_set(err, ERR_INVALID, "stdin: the text is over the limit command_bytes");
	if (!command->stdin_path.text.ptr)
		return ERR_OK;
	if (prepare_path(engine, step, &command->stdin_path, true, &prepared->stdin_path, err) !=
	    ERR_OK)
		return err_while(err, "stdin");
	/* For the reason's sake: the file is opened by the command's own process. */
	if (path_open(prepared->stdin_path, &fd, &own) != ERR_OK)
		return err_set(err, own.code == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID, "stdin: %s",
			       own.text);
	vfs_close(&vfs_os, fd);
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- user */

struct owned_user {
	struct user user;
	struct exec_user as;
};

static enum err_code find_user(const char *name, struct user *ret_user, struct err *err)
{
	struct err own = ERR_INIT;

	if (user_find(name, ret_user, &own) == ERR_OK)
		return ERR_OK;
	return err_set(err, own.code == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID, "user: %s",
		       own.text);
}

/* Copied into the tick's arena, so that nobody has to free it. */
static enum err_code keep_user(struct engine *engine, const struct user *found,
			       struct owned_user **ret_user, struct err *err)
{
	struct owned_user *kept = arena_new(&engine->tick, 1, sizeof(*kept));
	uint32_t *groups = arena_new(&engine->tick, found->groups_count + 1, sizeof(*groups));

	if (!kept || !groups)
		return mem_err(err);
	memcpy(groups, found->groups, found->groups_count * sizeof(*groups));
	kept->as = (struct exec_user){found->uid, found->gid, groups, found->groups_count};
	kept->user = *found;
	kept->user.groups = NULL;
	kept->user.name = say(engine, err, "%s", found->name);
	kept->user.home = say(engine, err, "%s", found->home);
	kept->user.shell = say(engine, err, "%s", found->shell);
	if (!kept->user.name || !kept->user.home || !kept->user.shell)
		return err->code;
	*ret_user = kept;
	return ERR_OK;
}

static enum err_code take_user(struct engine *engine, struct prepared *prepared, struct err *err)
{
	const char *name = prepared->command->user.ptr;
	AUTO(user_fini) struct user found = {.name = NULL};
	struct owned_user *kept = NULL;

	if (!name)
		return ERR_OK;
	if (find_user(name, &found, err) != ERR_OK)
		return err->code;
	if (user_effective_id() != 0 && found.uid != user_effective_id())
		return err_set(err, ERR_INVALID,
			       "user: only a sluice that runs as root can run a command as '%s'",
			       name);
	if (found.groups_count > EXEC_GROUPS_MAX)
		return err_set(err, ERR_INVALID, "user: '%s' is in too many groups", name);
	if (keep_user(engine, &found, &kept, err) != ERR_OK)
		return err->code;
	prepared->user = &kept->user;
	if (user_effective_id() == 0 && found.uid != 0)
		prepared->as_user = &kept->as;
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- files */

/* The path of a file or directory of the run as the command finds it. Another user cannot come
 * there by its name, as run directories are their owner's alone: it gets it as a descriptor. */
static enum err_code hand(struct engine *engine, struct prepared *prepared, const char *name,
			  char **ret_path, struct err *err)
{
	char *kept;

	if (!prepared->as_user) {
		*ret_path = say(engine, err, "%s/%s", rundir_path(engine->dir), name);
		return *ret_path ? ERR_OK : err->code;
	}
	BUG_IF(prepared->hands_count == EXEC_HANDS_MAX);
	kept = say(engine, err, "%s", name);
	*ret_path = say(engine, err, "/proc/self/fd/%zu", 3 + prepared->hands_count);
	if (!kept || !*ret_path)
		return err->code;
	prepared->hands[prepared->hands_count++] = kept;
	return ERR_OK;
}

/* A file of ours that cannot be made is no fault of the step, whatever its errno (S12). */
static enum err_code storage(struct err *err, const char *name)
{
	if (err->code != ERR_MEMORY && err->code != ERR_FULL)
		err->code = ERR_IO;
	return err_while(err, "write '%s'", name);
}

static enum err_code write_file(const struct engine *engine, const char *name, struct str text,
				struct err *err)
{
	const struct vfs *vfs = engine->ports.vfs;
	enum err_code code;
	int fd = -1;

	if (vfs_open(vfs, rundir_fd(engine->dir), name, VFS_CREATE, &fd, err) != ERR_OK)
		return storage(err, name);
	/* Not synced: until the command is armed it is made anew, after that it is read. */
	code = vfs_truncate(vfs, fd, 0, err);
	if (code == ERR_OK && text.len)
		code = vfs_write_at(vfs, fd, text.ptr, text.len, 0, err);
	if (code == ERR_OK)
		code = vfs_close_written(vfs, fd, err);
	else
		vfs_close(vfs, fd);
	return code == ERR_OK ? ERR_OK : storage(err, name);
}

static enum err_code take_output(struct engine *engine, struct prepared *prepared, struct err *err)
{
	char name[NAME_BYTES];

	(void)snprintf(name, sizeof(name), "out/%s.%u.json", prepared->name, prepared->attempt);
	if (prepared->as_user && write_file(engine, name, STR_NONE, err) != ERR_OK)
		return err->code;
	return hand(engine, prepared, name, &prepared->output_path, err);
}

static enum err_code take_artifacts(struct engine *engine, uint32_t step, struct prepared *prepared,
				    struct err *err)
{
	const struct step *def = &engine->fold.model->steps[step];
	int dir = rundir_fd(engine->dir);
	char name[NAME_BYTES];

	if (!def->artifacts_count || prepared->is_undo)
		return ERR_OK;
	(void)snprintf(name, sizeof(name), "artifacts/%.*s.%u", STR_ARG(def->id),
		       engine->fold.state.steps[step].attempt);
	if (vfs_make_dir(engine->ports.vfs, dir, "artifacts", err) != ERR_OK ||
	    vfs_make_dir(engine->ports.vfs, dir, name, err) != ERR_OK)
		return err->code;
	return hand(engine, prepared, name, &prepared->artifacts_path, err);
}

/* ------------------------------------------------------------------------------- context */

static void member(struct buf *out, struct str name)
{
	if (out->ptr[out->len - 1] != '{')
		buf_byte(out, ',');
	json_put_str(out, name);
	buf_byte(out, ':');
}

/* Values as they are now: parameters with what steps made of them, secrets as ***. */
static void context_params(const struct run_state *run, struct buf *out)
{
	for (uint32_t i = 0; i < run->model->params_count; i++) {
		const struct param *param = &run->model->params[i];
		struct str value = context_param(run, param->name);

		if (param->type != VALUE_SECRET && !value.ptr)
			continue;
		member(out, param->name);
		if (param->type == VALUE_SECRET)
			buf_text(out, "\"***\"");
		else
			buf_str(out, value);
	}
}

static void context_updates(const struct run_state *run, struct buf *out)
{
	for (size_t i = 0; i < run->updates_count; i++) {
		bool is_last = true;

		for (size_t later = i + 1; later < run->updates_count && is_last; later++)
			is_last = !str_eq(run->updates[later].name, run->updates[i].name);
		if (!is_last)
			continue;
		member(out, run->updates[i].name);
		buf_str(out, run->updates[i].value);
	}
}

static void context_steps(const struct run_state *run, struct buf *out, bool quality)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		struct str value = quality ? run->steps[i].quality : run->steps[i].outputs;

		if (!value.ptr || !step_is_resolved(&run->steps[i]))
			continue;
		member(out, run->model->steps[i].id);
		buf_str(out, value);
	}
}

static void context_put(const struct run_state *run, uint32_t step, uint32_t attempt,
			struct buf *out)
{
	buf_text(out, "{\"run_id\":");
	json_put_str(out, run->run_id);
	buf_text(out, ",\"pipeline\":");
	json_put_str(out, run->model->pipeline);
	buf_text(out, ",\"step\":");
	json_put_str(out, run->model->steps[step].id);
	buf_fmt(out, ",\"attempt\":%u,", attempt);
	process_context(run, out);
	buf_text(out, "}\n");
}

void process_context(const struct run_state *run, struct buf *out)
{
	buf_text(out, "\"params\":{");
	context_params(run, out);
	buf_text(out, "},\"outputs\":{");
	context_steps(run, out, false);
	buf_text(out, "},\"context_updates\":{");
	context_updates(run, out);
	buf_text(out, "},\"quality\":{");
	context_steps(run, out, true);
	buf_byte(out, '}');
}

static enum err_code take_context(struct engine *engine, uint32_t step, struct prepared *prepared,
				  struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	char name[NAME_BYTES];

	if (!prepared->command->has_context)
		return ERR_OK;
	context_put(&engine->fold.state, step, prepared->attempt, &text);
	(void)snprintf(name, sizeof(name), "out/%s.%u.context.json", prepared->name,
		       prepared->attempt);
	if (buf_check(&text, "the context", err) != ERR_OK ||
	    write_file(engine, name, buf_view(&text), err) != ERR_OK)
		return err->code;
	return hand(engine, prepared, name, &prepared->context_path, err);
}

enum err_code prepare_process(struct engine *engine, uint32_t step, struct prepared *prepared,
			      struct err *err)
{
	if (take_stdin(engine, step, prepared, err) != ERR_OK ||
	    take_user(engine, prepared, err) != ERR_OK ||
	    take_output(engine, prepared, err) != ERR_OK ||
	    take_context(engine, step, prepared, err) != ERR_OK)
		return err->code;
	return take_artifacts(engine, step, prepared, err);
}
