/* approve.c - sluice approve: open a manual gate */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	return cli_decide(cli, sluice_approve, "approved");
}

static const enum option approve_options[] = {OPT_REASON, OPT_AS, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_approve = {
    .name = "approve",
    .usage = "RUN STEP --reason TEXT [--as NAME]",
    .summary = "open a manual gate",
    .help = "  sluice approve nightly publish --reason 'figures checked' --as anna\n"
	    "\n"
	    "Name and reason are recorded; it answers when the decision is durable. A run that "
	    "nobody owns\n"
	    "goes on with `sluice resume`. A step of the run cannot decide on its own gate.\n",
    .options = approve_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 2,
    .words_max = 2,
    .opens = true,
    .run = run,
};
