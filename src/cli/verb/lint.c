/* lint.c - sluice lint: is a pipeline file valid? */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	struct sluice_pipeline *pipeline;
	size_t steps;
	int status;

	if (!cli_load(cli, cli->options.words[0], &pipeline, &status))
		return status;
	steps = sluice_pipeline_steps(pipeline);
	if (!cli->options.given[OPT_QUIET])
		print_note("%s: valid, %zu step%s\n", cli->options.words[0], steps,
			   steps == 1 ? "" : "s");
	sluice_pipeline_free(pipeline);
	return CLI_OK;
}

static const enum option lint_options[] = {OPT_END};

const struct cli_verb verb_lint = {
    .name = "lint",
    .usage = "FILE",
    .summary = "check a pipeline file; nothing is written",
    .help = "  sluice lint deliverable.yaml\n"
	    "  sluice lint deliverable.yaml && git commit deliverable.yaml\n"
	    "\n"
	    "All errors are told in one pass, each with its place and a hint; `sluice explain "
	    "SLUnnn` says\n"
	    "more. The exit status is 0 for a valid file, 2 for one that is not, 9 if there is no "
	    "such file.\n",
    .options = lint_options,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .is_homeless = true,
    .run = run,
};
