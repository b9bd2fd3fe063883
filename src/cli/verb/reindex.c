/* reindex.c - sluice reindex: make the projections anew from the logs */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	enum sluice_format format;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!cli_format(cli, &format))
		return CLI_USAGE;
	code = cli->options.given[OPT_ALL] ? sluice_reindex_all(cli->sluice, format, &text, &err)
					   : sluice_reindex(cli->sluice, format, &text, &err);
	cli_note(cli);
	return cli_answer_or_error(code, text, &err);
}

static const enum option reindex_options[] = {OPT_ALL, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_reindex = {
    .name = "reindex",
    .usage = "[--all] [-o text|json]",
    .summary = "make runs.jsonl and the history database anew from the logs",
    .help =
	"  sluice reindex\n"
	"  sluice reindex --all\n"
	"\n"
	"Nothing that it makes is needed to run, resume or verify: the logs are the only truth.\n"
	"Runs may go on meanwhile. Exit 7 when the log of a run is damaged; the others are done.\n"
	"With --all a run that somebody owns is left alone, and is told.\n",
    .options = reindex_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 0,
    .words_max = 0,
    .opens = true,
    .run = run,
};
