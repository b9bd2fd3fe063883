/* start.c - a run begins: what was asked for, checked, then one call of the engine. */
#include "api/run_intern.h"

#include "base/json.h"
#include "base/timefmt.h"
#include "engine/given.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

/* "always", "never", "interval:10" (milliseconds; a unit may be given). */
static enum err_code read_sync(const char *text, struct model *model, struct err *err)
{
	struct str sync = str_of(text);
	struct str interval = str_cut(sync, strlen("interval:"), sync.len);
	int64_t ms;

	if (str_is(sync, "always")) {
		model->sync = SYNC_ALWAYS;
		return ERR_OK;
	}
	if (str_is(sync, "never")) {
		model->sync = SYNC_NEVER;
		return ERR_OK;
	}
	model->sync = SYNC_INTERVAL;
	if (str_starts(sync, "interval:")) {
		if (str_to_i64(interval, &ms) && ms > 0 && ms < INT32_MAX) {
			model->sync_interval_ns = ms * NS_PER_MS;
			return ERR_OK;
		}
		if (duration_read(interval, &model->sync_interval_ns) &&
		    model->sync_interval_ns > 0)
			return ERR_OK;
	}
	return err_set(err, ERR_USAGE, "sync '%s' is none of always, never, interval:MS", text);
}

static enum err_code fresh_trace_id(char trace_id[33], uint64_t *ret_seed, struct err *err)
{
	uint64_t random[3];

	if (random_bytes(random, sizeof(random), err) != ERR_OK)
		return err->code;
	(void)snprintf(trace_id, 33, "%016llx%016llx", (unsigned long long)random[0],
		       (unsigned long long)random[1]);
	*ret_seed = random[2];
	return ERR_OK;
}

static enum err_code check_run_id(struct sluice *sluice, const char *given, char id[129],
				  struct err *err)
{
	char fresh[64];

	if (!given) {
		if (rundir_new_id(clock_utc_ms(sluice->clock), fresh, err) != ERR_OK)
			return err->code;
		(void)snprintf(id, 129, "%s", fresh);
		return ERR_OK;
	}
	if (!id_valid(str_of(given))) {
		(void)err_set(err, ERR_USAGE, "'%.40s' is not a run id", given);
		return err_hint(err,
				"1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit, "
				"without '..'");
	}
	(void)snprintf(id, 129, "%s", given);
	return ERR_OK;
}

/* ------------------------------------------------------------------------ what is run */

/* A start being put together: what the engine's texts borrow from. */
struct starting {
	struct sluice *sluice;
	const struct sluice_run_opts *options;
	struct model model; /* shallow: only read, and only for the call */
	struct arena arena;
	struct buf given;       /* outputs of steps that are not executed */
	struct buf params_json; /* of the params file and the context together */
	struct str *params;
	char trace_id[33];
	char id[129];
	struct engine_start start;
};

static void starting_fini(struct starting *starting)
{
	arena_fini(&starting->arena);
	buf_fini(&starting->given);
	buf_fini(&starting->params_json);
}

/* The members of `object` that `stronger` does not have. */
static void put_weaker(struct buf *out, struct str object, struct str stronger)
{
	struct str key;
	struct str value;
	size_t at = 0;

	while (json_member(object, &at, &key, &value)) {
		struct str other;
		struct str ignored;
		size_t from = 0;
		bool is_there = false;

		while (!is_there && stronger.len && json_member(stronger, &from, &other, &ignored))
			is_there = str_eq(other, key);
		if (is_there)
			continue;
		buf_byte(out, out->len ? ',' : '{');
		buf_byte(out, '"');
		buf_str(out, key); /* as it was escaped */
		buf_text(out, "\":");
		buf_str(out, value);
	}
}

/* Parameters of the context are weaker than those of the params file. */
static enum err_code merge_params(struct starting *starting, struct str of_context, struct err *err)
{
	struct str of_file = str_trim(str_of(starting->options->params_file_json));
	struct err own = ERR_INIT;

	if (of_file.len && (json_check(of_file, JSON_DEPTH_MAX, &own) != ERR_OK ||
			    json_type_of(of_file) != JSON_OBJECT))
		return err_set(err, own.code == ERR_MEMORY ? ERR_MEMORY : ERR_USAGE,
			       "the params file must hold a JSON object");
	put_weaker(&starting->params_json, of_file, STR_NONE);
	put_weaker(&starting->params_json, of_context, of_file);
	if (starting->params_json.len)
		buf_byte(&starting->params_json, '}');
	return buf_check(&starting->params_json, "the parameters", err);
}

static enum err_code read_context(struct starting *starting, struct err *err)
{
	struct str context = str_of(starting->options->context_json);
	struct str params = STR_NONE;

	if (!context.ptr)
		return ERR_OK;
	if (!utf8_valid(context))
		return err_set(err, ERR_USAGE, "the context file is not UTF-8");
	if (given_read(&starting->model, &starting->start.selection, context, &starting->given,
		       &params, err) != ERR_OK)
		return err->code;
	starting->start.given = buf_view(&starting->given);
	return params.ptr ? merge_params(starting, params, err) : ERR_OK;
}

static enum err_code read_selection(struct starting *starting, struct err *err)
{
	const struct sluice_run_opts *options = starting->options;
	struct selection *selection = &starting->start.selection;

	selection->from = str_of(options->from);
	selection->until = str_of(options->until);
	selection->only = str_of(options->only);
	if (options->only && (options->from || options->until))
		return err_set(err, ERR_USAGE, "--only stands alone: without --from and --until");
	if (!selection_is_given(selection))
		return options->context_json
			   ? err_set(err, ERR_USAGE,
				     "a context stands for steps that do not run: it needs --from "
				     "or --only")
			   : ERR_OK;
	if (read_context(starting, err) != ERR_OK)
		return err->code;
	return given_check(&starting->model, selection, starting->start.given, err);
}

static enum err_code read_params(struct starting *starting, struct err *err)
{
	const struct model *model = &starting->model;
	struct str file = str_of(starting->options->params_file_json);
	AUTO(mem_drop) struct str *texts = NULL;
	size_t count = 0;

	if (starting->params_json.len)
		file = buf_view(&starting->params_json);
	starting->params =
	    arena_new(&starting->arena, model->params_count + 1, sizeof(*starting->params));
	if (!starting->params)
		return mem_err(err);
	if (api_texts(starting->options->params, &texts, &count, err) != ERR_OK)
		return err->code;
	starting->start.params = starting->params;
	return lang_params(model, texts, count, file, &starting->sluice->limits, &starting->arena,
			   starting->params, err);
}

static enum err_code read_reason(struct starting *starting, struct err *err)
{
	struct str reason = str_of(starting->options->reason);

	if (reason.len > starting->sluice->limits.reason_bytes || !utf8_valid(reason))
		return err_set(err, ERR_USAGE, "the reason is over reason_bytes or not UTF-8");
	starting->start.reason = reason;
	return ERR_OK;
}

/* Everything that was asked for, checked: nothing was written yet. */
static enum err_code prepare(struct starting *starting, struct err *err)
{
	const struct sluice_run_opts *options = starting->options;
	struct model *model = &starting->model;

	if (options->max_parallel)
		model->concurrency = options->max_parallel;
	if ((options->sync && read_sync(options->sync, model, err) != ERR_OK) ||
	    check_run_id(starting->sluice, options->run_id, starting->id, err) != ERR_OK ||
	    read_selection(starting, err) != ERR_OK || read_params(starting, err) != ERR_OK ||
	    read_reason(starting, err) != ERR_OK ||
	    fresh_trace_id(starting->trace_id, &starting->start.seed, err) != ERR_OK)
		return err->code;
	if (!utf8_valid(model->folder)) /* it is recorded as text, and read back at a resume */
		return err_set(err, ERR_INVALID, "the path of the pipeline's folder is not UTF-8");
	starting->start.model = model;
	starting->start.run_id = str_of(starting->id);
	starting->start.trace_id = str_of(starting->trace_id);
	return ERR_OK;
}

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

static enum err_code start_engine(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				  const struct sluice_run_opts *options, struct sluice_run *run,
				  struct err *err)
{
	struct engine_ports ports = run_ports(run);
	const struct definition *definition;
	AUTO(starting_fini) struct starting starting = {.sluice = sluice, .options = options};

	if (api_pipeline_check(sluice, pipeline, NULL, &definition, err) != ERR_OK)
		return err->code;
	starting.model = *definition->model;
	starting.start.source = buf_view(&definition->source);
	starting.start.observer = run_observer(run);
	run->host.pipeline = pipeline;
	if (check_keeper(sluice, &starting.model, err) != ERR_OK ||
	    prepare(&starting, err) != ERR_OK ||
	    engine_start(&ports, &starting.start, &run->engine, err) != ERR_OK)
		return err->code;
	return drive_open(run->engine, &run->drive, err);
}

enum sluice_code sluice_run_start(struct sluice *sluice, const struct sluice_pipeline *pipeline,
				  const struct sluice_run_opts *options,
				  struct sluice_run **ret_run, struct sluice_error *err)
{
	static const struct sluice_run_opts defaults;
	AUTO(run_drop) struct sluice_run *run = NULL;
	struct err own = ERR_INIT;

	if (!sluice || !pipeline || !ret_run)
		return api_usage(err, "sluice_run_start: a handle is missing");
	if (!options)
		options = &defaults;
	run = run_new(sluice, &options->observer, &own);
	if (!run || start_engine(sluice, pipeline, options, run, &own) != ERR_OK)
		return api_err(err, &own);
	*ret_run = TAKE(run, NULL);
	return SLUICE_OK;
}
