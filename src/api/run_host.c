/* run_host.c - see run_host.h */
#include "api/run_host.h"

#include "exec/call.h"
#include "exec/command.h"
#include "exec/mock.h"
#include "exec/route.h"

#include <stdio.h>
#include <string.h>

void run_host_fini(struct run_host *host)
{
	mem_free(host->pins);
	mem_free(host->chain);
	mem_free(host->executors);
	host->executors = NULL;
	host->pins = NULL;
	host->chain = NULL;
}

/* ---------------------------------------------------------------------------------- accept */

static enum err_code refuse(const struct step *step, const char *what, struct str name,
			    struct err *err)
{
	(void)err_set(err, ERR_REFUSED, "step '%.*s' needs the %s '%.*s', which is not registered",
		      STR_ARG(step->id), what, STR_ARG(name));
	return err_hint(err, "only the program that has it can run this");
}

static enum err_code begin(struct run_host *host, const struct model *model, struct err *err)
{
	const struct registry *registry = host->sluice->registry;
	/* No middleware says of itself that it is safe in a dry run. */
	size_t count = registry && !host->is_dry_run ? registry->chain_count : 0;

	if (host->pins)
		return ERR_OK;
	host->pins = mem_new(model->steps_count, sizeof(*host->pins));
	host->chain = mem_new(count + 1, sizeof(*host->chain));
	if (!host->pins || !host->chain)
		return mem_err(err);
	if (count)
		memcpy(host->chain, registry->chain, count * sizeof(*host->chain));
	host->chain_count = count;
	host->pins_count = model->steps_count;
	host->threads_max = model->concurrency;
	return ERR_OK;
}

static enum err_code pin_call(struct run_host *host, const struct step *step, struct pin *pin,
			      struct err *err)
{
	struct str name = step->call->name;
	const struct pipeline_call *own =
	    host->pipeline ? api_pipeline_call(host->pipeline, name, &host->likely_call) : NULL;
	const struct sluice_call_def *def = registry_call(host->sluice->registry, name);

	if (own)
		*pin = (struct pin){
		    .call = own->call, .arg = own->arg, .dry_run_safe = own->dry_run_safe};
	else if (def)
		*pin = (struct pin){
		    .call = def->call, .arg = def->arg, .dry_run_safe = def->dry_run_safe};
	else
		return refuse(step, "function", name, err);
	return ERR_OK;
}

static enum err_code pin_kind(struct run_host *host, const struct step *step, struct pin *pin,
			      struct err *err)
{
	const struct sluice_kind_def *def = registry_kind(host->sluice->registry, step->call->name);

	if (!def)
		return refuse(step, "kind of step", step->call->name, err);
	*pin = (struct pin){.kind = def->run, .arg = def->arg, .dry_run_safe = def->dry_run_safe};
	return ERR_OK;
}

static enum err_code pin_executor(struct run_host *host, const struct step *step, struct err *err)
{
	struct str name = step->command->executor;
	const struct sluice_executor_def *def = registry_executor(host->sluice->registry, name);
	void *list = host->executors;

	if (!def)
		return refuse(step, "executor", name, err);
	for (size_t i = 0; i < host->executors_count; i++) {
		if (str_is(name, host->executors[i].name))
			return ERR_OK;
	}
	if (mem_grow(&list, &host->executors_capacity, host->executors_count + 1,
		     sizeof(*host->executors), err) != ERR_OK)
		return err->code;
	host->executors = list;
	host->executors[host->executors_count++] = *def;
	return ERR_OK;
}

/* `what` is a command of this machine. */
static enum err_code need_commands(struct run_host *host, const char *what, struct err *err)
{
	if (host->sluice->vfs != &vfs_os)
		return err_set(
		    err, ERR_REFUSED,
		    "%s is a command: its keeper needs the file system, not a storage of the "
		    "host",
		    what);
	host->has_commands = true;
	return ERR_OK;
}

enum err_code run_host_accept(void *arg, const struct model *model, uint32_t step, struct err *err)
{
	struct run_host *host = arg;
	const struct step *def;
	char what[96];

	if (begin(host, model, err) != ERR_OK)
		return err->code;
	if (step == STEP_NONE)
		return need_commands(host, "a compensation", err);
	def = &model->steps[step];
	switch (def->kind) {
	case STEP_KIND_NOOP:
		return ERR_OK;
	case STEP_KIND_RUN:
	case STEP_KIND_ARGV:
		if (def->command->executor.ptr)
			return pin_executor(host, def, err);
		(void)snprintf(what, sizeof(what), "step '%.*s'", STR_ARG(def->id));
		return need_commands(host, what, err);
	case STEP_KIND_CALL:
		host->has_calls = true;
		return pin_call(host, def, &host->pins[step], err);
	case STEP_KIND_CUSTOM:
		host->has_calls = true;
		return pin_kind(host, def, &host->pins[step], err);
	}
	BUG_IF(true);
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- open */

static enum err_code open_commands(const struct run_host *host, const struct rundir *dir,
				   uint64_t epoch, struct exec *ret_exec, struct err *err)
{
	struct exec_command_options options = {
	    .run_dir = rundir_fd(dir),
	    .run_id = rundir_id(dir),
	    .epoch = epoch,
	    .keeper_path = host->sluice->keeper_path,
	};

	return exec_command_open(&options, ret_exec, err);
}

/* A dry run keeps nothing of what is printed. */
static enum err_code open_calls(struct run_host *host, const struct rundir *dir,
				struct exec *ret_exec, struct err *err)
{
	struct exec_call_options options = {
	    .clock = host->sluice->clock,
	    .vfs = host->is_dry_run ? NULL : host->sluice->vfs,
	    .run_dir = rundir_fd(dir),
	    .threads_max = host->threads_max,
	    .run = run_host_call,
	    .arg = host,
	};

	return exec_call_open(&options, ret_exec, err);
}

static enum err_code fill_route(struct run_host *host, const struct rundir *dir, uint64_t epoch,
				struct route *route, struct err *err)
{
	struct exec exec;

	if (host->has_commands && (open_commands(host, dir, epoch, &exec, err) != ERR_OK ||
				   route_add(route, STR_NONE, exec, err) != ERR_OK))
		return err->code;
	if (host->has_calls && (open_calls(host, dir, &exec, err) != ERR_OK ||
				route_add(route, STR(EXEC_DRIVER_CALL), exec, err) != ERR_OK))
		return err->code;
	for (size_t i = 0; i < host->executors_count; i++) {
		const struct sluice_executor_def *def = &host->executors[i];

		if (executor_open(host->sluice->registry, def, dir, &exec, err) != ERR_OK ||
		    route_add(route, str_of(def->name), exec, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

bool run_host_is_dry_run_safe(void *arg, uint32_t step)
{
	const struct run_host *host = arg;

	return host->pins && step < host->pins_count && host->pins[step].dry_run_safe;
}

/* A dry run: functions that are safe in one are called, all else is mocked (S14). */
static enum err_code open_dry(struct run_host *host, const struct rundir *dir,
			      struct exec *ret_exec, struct err *err)
{
	struct route *route = NULL;
	bool has_safe = false;
	struct exec exec;

	for (size_t i = 0; i < host->pins_count; i++)
		has_safe = has_safe || host->pins[i].dry_run_safe;
	if (!has_safe)
		return exec_mock_open(ret_exec, err);
	if (route_new(&route, err) != ERR_OK)
		return err->code;
	if (exec_mock_open(&exec, err) != ERR_OK ||
	    route_add(route, STR_NONE, exec, err) != ERR_OK ||
	    open_calls(host, dir, &exec, err) != ERR_OK ||
	    route_add(route, STR(EXEC_DRIVER_CALL), exec, err) != ERR_OK) {
		route_free(route);
		return err->code;
	}
	*ret_exec = route_exec(route);
	return ERR_OK;
}

enum err_code run_host_open_exec(void *arg, const struct rundir *dir, uint64_t epoch,
				 struct exec *ret_exec, struct err *err)
{
	struct run_host *host = arg;
	struct route *route = NULL;

	if (host->is_dry_run)
		return open_dry(host, dir, ret_exec, err);
	if (host->has_commands && !host->has_calls && !host->executors_count)
		return open_commands(host, dir, epoch, ret_exec, err);
	if (route_new(&route, err) != ERR_OK)
		return err->code;
	if (fill_route(host, dir, epoch, route, err) != ERR_OK) {
		route_free(route);
		return err->code;
	}
	*ret_exec = route_exec(route);
	return ERR_OK;
}
