/* reject.c - sluice reject: refuse a manual gate */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	const struct sluice_act_opts options = {.as = given->value[OPT_AS],
						   .reason = given->value[OPT_REASON]};
	struct sluice_error err;

	if (!options.reason || !options.reason[0])
		return cli_usage(cli, "a decision needs a reason",
				 "add --reason TEXT; it is recorded in the log");
	if (sluice_reject(cli->sluice, given->words[0], given->words[1], &options, &err) !=
	    SLUICE_OK)
		return print_error(&err);
	cli_decided(cli, given->words[0], given->words[1], "rejected");
	return CLI_OK;
}

static const enum option reject_options[] = {OPT_REASON, OPT_AS, OPT_END};

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
    .words_min = 2,
    .words_max = 2,
    .opens = true,
    .run = run,
};
