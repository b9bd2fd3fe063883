/* verb_explain.c - sluice explain: what an error number means */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (cli->options.words_count > 1)
		return cli_usage(
		    cli, "`explain RUN STEP` is not in this version",
		    "`sluice status RUN --json` tells why a step waits, was skipped or failed");
	code = sluice_explain_code(cli->options.words[0], &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option explain_options[] = {OPT_END};

const struct cli_verb verb_explain = {
    .name = "explain",
    .usage = "SLUnnn",
    .summary = "what an error number of a pipeline file means",
    .help = "  sluice explain SLU031\n",
    .options = explain_options,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
