/* verify.c - sluice verify: is the log of a run whole? */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code = sluice_verify(cli->sluice, cli->options.words[0],
					      cli->options.value[OPT_RECEIPT], &text, &err);

	return cli_answer_or_error(code, text, &err);
}

static const enum option verify_options[] = {OPT_RECEIPT, OPT_END};

const struct cli_verb verb_verify = {
    .name = "verify",
    .usage = "RUN [--receipt H]",
    .summary = "recompute the chain and the state of a run's log",
    .help = "  sluice verify @latest\n"
	    "  sluice verify nightly --receipt 3f9c2a71d0b4e856\n"
	    "\n"
	    "Exit 7 when the log is damaged, or when the receipt is not that of its last event. "
	    "Without a\n"
	    "receipt a log that was cut at the end of a line, or written anew as a whole, looks "
	    "whole.\n",
    .options = verify_options,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
