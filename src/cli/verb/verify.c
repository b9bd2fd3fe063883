/* verify.c - sluice verify: is the log of a run whole? */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (given->given[OPT_ALL] && (given->words_count > 0 || given->given[OPT_RECEIPT]))
		return cli_usage(cli, "--all is every run, without receipts", NULL);
	if (!given->given[OPT_ALL] && given->words_count == 0)
		return cli_usage(cli, "which run?", "`sluice verify RUN`, or --all for every run");
	if (given->given[OPT_ALL])
		return sluice_verify_all(cli->sluice, print_sink, NULL, &err) == SLUICE_OK
			   ? CLI_OK
			   : print_error(&err);
	code = sluice_verify(cli->sluice, given->words[0], given->value[OPT_RECEIPT], &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option verify_options[] = {OPT_RECEIPT, OPT_ALL, OPT_END};

const struct cli_verb verb_verify = {
    .name = "verify",
    .usage = "RUN [--receipt H] | --all",
    .summary = "recompute the chain and the state of a run's log",
    .help = "  sluice verify @latest\n"
	    "  sluice verify nightly --receipt 3f9c2a71d0b4e856\n"
	    "  sluice verify --all\n"
	    "\n"
	    "Exit 7 when the log is damaged, or when the receipt is not that of its last event. "
	    "Without a\n"
	    "receipt a log that was cut at the end of a line, or written anew as a whole, looks "
	    "whole. With --all there is a line for each run of the state directory.\n",
    .options = verify_options,
    .words_min = 0,
    .words_max = 1,
    .opens = true,
    .run = run,
};
