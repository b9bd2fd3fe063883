/* stop.c - sluice stop: ask a run to stop */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const struct sluice_act_opts options = {.as = cli->options.value[OPT_AS],
						.reason = cli->options.value[OPT_REASON],
						.now = cli->options.given[OPT_NOW]};
	struct sluice_error err;

	if (sluice_stop(cli->sluice, cli->options.words[0], &options, &err) != SLUICE_OK)
		return print_error(&err);
	cli_decided(cli, cli->options.words[0], NULL, "stop requested");
	return CLI_OK;
}

static const enum option stop_options[] = {OPT_NOW,    OPT_REASON, OPT_AS,
					   OPT_OUTPUT, OPT_JSON,   OPT_END};

const struct cli_verb verb_stop = {
    .name = "stop",
    .usage = "RUN [--now] [--reason TEXT]",
    .summary = "ask a run to stop",
    .help = "  sluice stop @latest\n"
	    "  sluice stop nightly --now --reason 'wrong input'\n"
	    "\n"
	    "Nothing new is started; running steps are waited for or cancelled, as their `on_stop` "
	    "says.\n"
	    "With --now they are killed. It answers when the request is durable, not when the run "
	    "rests.\n",
    .options = stop_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
