/* help.c - sluice help: the verbs, one verb, the exit codes */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static int run(struct cli *cli)
{
	const struct cli_verb *verb;
	char text[160];

	if (cli->options.words_count == 0) {
		cli_help_all();
		return CLI_OK;
	}
	if (strcmp(cli->options.words[0], "exit-codes") == 0) {
		cli_help_exit_codes();
		return CLI_OK;
	}
	verb = cli_verb_find(cli->options.words[0]);
	if (!verb) {
		(void)snprintf(text, sizeof(text), "there is no verb or topic '%.80s'",
			       cli->options.words[0]);
		return cli_usage(cli, text, "`sluice help` lists them");
	}
	cli_help_verb(verb);
	return CLI_OK;
}

static const enum option help_options[] = {OPT_END};

const struct cli_verb verb_help = {
    .name = "help",
    .usage = "[VERB | exit-codes]",
    .summary = "examples and options of a verb; the exit codes",
    .help = "  sluice help run\n"
	    "  sluice help exit-codes\n",
    .options = help_options,
    .is_unset = true,
    .words_min = 0,
    .words_max = 1,
    .run = run,
};
