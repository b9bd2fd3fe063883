/* summary.c - sluice summary: what a run did */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	enum sluice_format format;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!cli_format(cli, &format))
		return CLI_USAGE;
	code = sluice_summary(cli->sluice, cli->options.words[0], format, &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option summary_options[] = {OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_summary = {
    .name = "summary",
    .usage = "RUN [-o text|json]",
    .summary = "what a run did: steps, attempts, times, failures",
    .help = "  sluice summary @latest\n"
	    "  sluice summary nightly --json\n",
    .options = summary_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
