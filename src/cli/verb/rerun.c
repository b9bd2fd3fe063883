/* rerun.c - sluice rerun: a new run with the definition and the parameters of another one */
#include "cli/begin.h"

static enum sluice_code start(struct begin *begin, struct sluice_run **ret_run,
			      struct sluice_error *err)
{
	return sluice_run_rerun(begin->cli->sluice, begin->run_name, &begin->options, ret_run, err);
}

static int run(struct cli *cli)
{
	const struct options *options = &cli->options;
	struct begin begin = {.cli = cli, .start = start, .run_name = options->words[0]};
	struct option_error wrong;
	uint64_t parallel;

	if (!options_number(options, OPT_MAX_PARALLEL, 1, PARALLEL_MAX, 0, &parallel, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	begin.options = (struct sluice_run_opts){
	    .run_id = options->value[OPT_RUN_ID],
	    .reason = options->value[OPT_REASON],
	    .params = (const char *const *)options->many[OPT_PARAM],
	    .max_parallel = (uint32_t)parallel,
	    .sync = options->value[OPT_SYNC],
	    .dry_run = options->given[OPT_DRY_RUN],
	};
	return begin_run(&begin);
}

static const enum option rerun_options[] = {OPT_PARAM,  OPT_RUN_ID, OPT_REASON,       OPT_DETACH,
					    OPT_WAIT,   OPT_SYNC,   OPT_MAX_PARALLEL, OPT_DRY_RUN,
					    OPT_OUTPUT, OPT_JSON,   OPT_END};

const struct cli_verb verb_rerun = {
    .name = "rerun",
    .usage = "RUN [options]",
    .summary = "start a new run with the definition and parameters of another one",
    .help = "  sluice rerun @latest\n"
	    "  sluice rerun nightly-0131 -p threshold=95 --reason 'with a lower threshold'\n"
	    "\n"
	    "What runs is what RUN froze (and what a resume changed since), not the file as it is "
	    "now;\n"
	    "the same part, partition and parameters, but for -p. Secrets are read again. The new "
	    "run\n"
	    "says of which one it is a rerun. It ends as `sluice run` does.\n",
    .options = rerun_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
