/* status.c - sluice status: where a run stands */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	enum sluice_format format;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!cli_format(cli, &format))
		return CLI_USAGE;
	if (cli->options.given[OPT_AT])
		code = sluice_status_at(cli->sluice, cli->options.words[0],
					cli->options.value[OPT_AT], format, &text, &err);
	else
		code = sluice_status(cli->sluice, cli->options.words[0], format, &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option status_options[] = {OPT_AT, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_status = {
    .name = "status",
    .usage = "RUN [--at SEQ|TIME] [--json]",
    .summary = "where a run stands, and what to do next",
    .help = "  sluice status @latest\n"
	    "  sluice status nightly --at evt_17\n"
	    "  sluice status nightly --at -10m\n"
	    "  sluice status nightly --json | jq .state\n"
	    "\n"
	    "RUN is a run id, the beginning of one, a path with a `/`, @latest or @failed. The "
	    "exit status\n"
	    "is 0 whatever the run's state is.\n",
    .options = status_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
