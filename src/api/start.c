/* start.c - a run begins, or turns out to have begun already. */
#include "api/partition.h"
#include "api/request.h"
#include "api/starting.h"

#include "rundir/rundir.h"

/* Said before the run is born: without a keeper its commands would never start. */
static enum err_code check_keeper(const struct sluice *sluice, const struct model *model,
				  struct err *err)
{
	if (sluice->keeper_path)
		return ERR_OK;
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (!model->steps[i].command || model->steps[i].command->executor.ptr)
			continue;
		(void)err_set(err, ERR_NOT_FOUND,
			      "step '%.*s' is a command, and no sluice-keeper was found to run it",
			      STR_ARG(model->steps[i].id));
		return err_hint(err, "give `keeper_path` to sluice_open, or install sluice-keeper");
	}
	return ERR_OK;
}

/* Everything is checked; what is in the way is found out, then the run is born. */
static enum err_code begin(struct starting *starting, struct sluice_run *run, struct err *err)
{
	bool is_dry = starting->options->dry_run;
	AUTO(partition_unlock) struct partition_lock lock = PARTITION_LOCK_INIT;
	struct engine_ports ports;

	if (is_dry) {
		if (vfs_mem_new(&run->memory, err) != ERR_OK)
			return err->code;
		run->vfs = vfs_mem_vfs(run->memory);
		run->host.is_dry_run = true;
	}
	ports = run_ports(run);
	starting->start.observer = run_observer(run);
	if (is_dry)
		return engine_start(&ports, &starting->start, &run->engine, err) == ERR_OK
			   ? drive_open(run->engine, &run->drive, err)
			   : err->code;
	if (check_keeper(starting->sluice, &starting->model, err) != ERR_OK ||
	    (starting->start.key.ptr && request_is_new(starting, err) != ERR_OK) ||
	    (starting->start.partition.len &&
	     partition_claim(starting->sluice, starting->model.pipeline, starting->start.partition,
			     STR_NONE, starting->is_again, &lock, err) != ERR_OK) ||
	    engine_start(&ports, &starting->start, &run->engine, err) != ERR_OK)
		return err->code;
	return drive_open(run->engine, &run->drive, err);
}

static enum err_code prepare(struct starting *starting, const struct sluice_pipeline *pipeline,
			     struct err *err)
{
	const struct definition *definition;

	if (api_pipeline_check(starting->sluice, pipeline, NULL, &definition, err) != ERR_OK)
		return err->code;
	starting->model = *definition->model;
	starting->start.source = buf_view(&definition->source);
	starting->start.file = str_of(pipeline->file);
	return starting_prepare(starting, err);
}

static const struct sluice_run_opts defaults;

enum sluice_code sluice_run_start(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				  const struct sluice_run_opts *options,
				  struct sluice_run **ret_run, struct sluice_error *err)
{
	AUTO(run_drop) struct sluice_run *run = NULL;
	AUTO(starting_fini)
	struct starting starting = {.sluice = sluice, .options = options ? options : &defaults};
	struct err own = ERR_INIT;

	if (!sluice || !pipeline || !ret_run)
		return api_usage(err, "sluice_run_start: a handle is missing");
	run = run_new(sluice, &starting.options->observer, &own);
	if (run)
		run->host.pipeline = pipeline;
	if (!run || prepare(&starting, pipeline, &own) != ERR_OK ||
	    begin(&starting, run, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_run = TAKE(run, NULL);
	return SLUICE_OK;
}

/* ------------------------------------------------------------------------------- rerun */

static enum err_code rerun(struct starting *starting, const char *run_name, struct sluice_run *run,
			   struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(api_fold_drop) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf source = BUF_INIT;

	if (api_find_run(starting->sluice, run_name, &dir, err) != ERR_OK ||
	    fold_read(dir, &starting->sluice->limits, NULL, NULL, &fold, err) != ERR_OK)
		return err->code;
	if (fold.reading.end == LOG_END_DAMAGED || fold.reading.end == LOG_END_NEWER) {
		*err = fold.reading.problem;
		return api_log_err(rundir_path(dir), err);
	}
	if (rundir_source(dir, fold.state.source_ref, &source, err) != ERR_OK ||
	    starting_repeat(starting, &fold, err) != ERR_OK)
		return err->code;
	starting->start.source = buf_view(&source);
	starting->start.file = fold.state.file; /* applied while the fold is there */
	return begin(starting, run, err);
}

enum sluice_code sluice_run_rerun(struct sluice *sluice, const char *run_name,
				  const struct sluice_run_opts *options,
				  struct sluice_run **ret_run, struct sluice_error *err)
{
	AUTO(run_drop) struct sluice_run *run = NULL;
	AUTO(starting_fini)
	struct starting starting = {.sluice = sluice, .options = options ? options : &defaults};
	struct err own = ERR_INIT;

	if (!sluice || !run_name || !ret_run)
		return api_usage(err, "sluice_run_rerun: an argument is missing");
	run = run_new(sluice, &starting.options->observer, &own);
	if (!run || rerun(&starting, run_name, run, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_run = TAKE(run, NULL);
	return SLUICE_OK;
}

/* ------------------------------------------------------------------------------- find */

static enum err_code find(struct starting *starting, const struct sluice_pipeline *pipeline,
			  struct buf *id, struct err *err)
{
	if (prepare(starting, pipeline, err) != ERR_OK)
		return err->code;
	if (starting->start.key.ptr)
		return request_find(starting, id, err);
	if (!starting->start.partition.len)
		return err_set(
		    err, ERR_USAGE,
		    "only an idempotency key or a partition names a run before it is there");
	return partition_find(starting->sluice, starting->model.pipeline, starting->start.partition,
			      id, err);
}

enum sluice_code sluice_run_find(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				 const struct sluice_run_opts *options, char **ret_run_id,
				 struct sluice_error *err)
{
	AUTO(starting_fini)
	struct starting starting = {.sluice = sluice, .options = options ? options : &defaults};
	AUTO(buf_fini) struct buf id = BUF_INIT;
	struct err own = ERR_INIT;

	if (!sluice || !pipeline || !ret_run_id)
		return api_usage(err, "sluice_run_find: an argument is missing");
	if (find(&starting, pipeline, &id, &own) != ERR_OK)
		return api_err(err, &own);
	return api_text(&id, ret_run_id, err);
}
