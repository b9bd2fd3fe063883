/* run.c - sluice run: start a run and follow it, or leave it in the background */
#include "cli/begin.h"

static enum sluice_code start(struct begin *begin, struct sluice_run **ret_run,
			      struct sluice_error *err)
{
	return sluice_run_start(begin->cli->sluice, begin->pipeline, &begin->options, ret_run, err);
}

static enum sluice_code find(const struct begin *begin, char **ret_run_id, struct sluice_error *err)
{
	return sluice_run_find(begin->cli->sluice, begin->pipeline, &begin->options, ret_run_id,
			       err);
}

/* ------------------------------------------------------------------------------ the verb */

static int start_loaded(struct begin *begin)
{
	const struct options *options = &begin->cli->options;
	char *params_json = NULL;
	char *context_json = NULL;
	struct option_error wrong;
	uint64_t parallel;
	int status;

	if (!options_number(options, OPT_MAX_PARALLEL, 1, PARALLEL_MAX, 0, &parallel, &wrong))
		return cli_usage(begin->cli, wrong.text, wrong.hint);
	if (!cli_params_file(begin->cli, &params_json, &status))
		return status;
	if (!cli_text_file(begin->cli, OPT_CONTEXT, &context_json, &status)) {
		sluice_free(params_json);
		return status;
	}
	begin->options = (struct sluice_run_opts){
	    .run_id = options->value[OPT_RUN_ID],
	    .reason = options->value[OPT_REASON],
	    .params = (const char *const *)options->many[OPT_PARAM],
	    .params_file_json = params_json,
	    .max_parallel = (uint32_t)parallel,
	    .sync = options->value[OPT_SYNC],
	    .from = options->value[OPT_FROM],
	    .until = options->value[OPT_UNTIL],
	    .only = options->value[OPT_ONLY],
	    .context_json = context_json,
	    .idempotency_key = options->value[OPT_IDEMPOTENCY],
	    .partition = options->value[OPT_PARTITION],
	    .again = options->given[OPT_AGAIN],
	    .dry_run = options->given[OPT_DRY_RUN],
	};
	status = begin_run(begin);
	sluice_free(params_json);
	sluice_free(context_json);
	return status;
}

static int run(struct cli *cli)
{
	struct begin begin = {.cli = cli, .start = start, .find = find};
	int status;

	if (!cli_load(cli, cli->options.words[0], &begin.pipeline, &status))
		return status;
	status = start_loaded(&begin);
	sluice_pipeline_free(begin.pipeline);
	return status;
}

static const enum option run_options[] = {
    OPT_PARAM,   OPT_PARAMS_FILE, OPT_RUN_ID,       OPT_REASON,    OPT_DETACH,
    OPT_WAIT,    OPT_SYNC,        OPT_MAX_PARALLEL, OPT_UNTIL,     OPT_ONLY,
    OPT_FROM,    OPT_CONTEXT,     OPT_AGAIN,        OPT_PARTITION, OPT_IDEMPOTENCY,
    OPT_DRY_RUN, OPT_OUTPUT,      OPT_JSON,         OPT_END};

const struct cli_verb verb_run = {
    .name = "run",
    .usage = "FILE [-p NAME=VALUE]... [options]",
    .summary = "start a run of a pipeline and follow it",
    .help = "  sluice run deliverable.yaml -p dataset=in.csv\n"
	    "  sluice run deliverable.yaml --params-file params.json --reason 'nightly'\n"
	    "  id=$(sluice run --detach deliverable.yaml); sluice logs -f \"$id\"\n"
	    "  sluice run deliverable.yaml --until report\n"
	    "  sluice run deliverable.yaml --from load --context earlier.json\n"
	    "  sluice run daily.yaml --partition 2026-01-31\n"
	    "  sluice run release.yaml --idempotency-key \"$GIT_COMMIT\" --detach --wait\n"
	    "\n"
	    "Progress goes to stderr, the summary and the receipt to stdout. The first Ctrl-C asks "
	    "the\n"
	    "run to stop, the second kills its steps. A run that was cut off goes on with `sluice\n"
	    "resume`. The exit status tells how it ended: `sluice help exit-codes`.\n",
    .options = run_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
