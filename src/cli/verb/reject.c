/* reject.c - sluice reject: refuse a manual gate */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	return cli_decide(cli, sluice_reject, "rejected");
}

static const enum option reject_options[] = {OPT_REASON, OPT_AS, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_reject = {
    .name = "reject",
    .usage = "RUN STEP --reason TEXT [--as NAME]",
    .summary = "refuse a manual gate",
    .help = "  sluice reject nightly publish --reason 'figures checked' --as anna\n"
	    "\n"
	    "Name and reason are recorded; it answers when the decision is durable. A run that "
	    "nobody owns\n"
	    "goes on with `sluice resume`. A step of the run cannot decide on its own gate.\n",
    .options = reject_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 2,
    .words_max = 2,
    .opens = true,
    .run = run,
};
