/* events.c - sluice events: the event log of a run */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_events_opts options = {.follow = given->given[OPT_FOLLOW],
					     .type = given->value[OPT_TYPE],
					     .step = given->value[OPT_STEP]};
	struct option_error wrong;
	enum sluice_format format;
	struct sluice_error err;
	enum sluice_code code;
	uint64_t tail;

	if (!options_number(given, OPT_TAIL, 0, UINT64_MAX, 0, &tail, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	if (!cli_format(cli, &format))
		return CLI_USAGE;
	options.tail = tail;
	options.raw = format != SLUICE_TEXT;
	if (cli->is_runner && given->given[OPT_TAIL])
		options.follow = false; /* system A's rule */
	if (options.follow)
		print_at_once();
	code = sluice_events(cli->sluice, given->words[0], &options, print_sink, NULL, &err);
	if (!cli->is_runner)
		cli_note(cli);
	return code == SLUICE_OK ? CLI_OK : print_error(&err);
}

static const enum option events_options[] = {OPT_TAIL,   OPT_FOLLOW, OPT_TYPE, OPT_STEP,
					     OPT_OUTPUT, OPT_JSON,   OPT_END};

const struct cli_verb verb_events = {
    .name = "events",
    .usage = "RUN [--tail N] [-f] [--type TYPE] [--step STEP] [--json]",
    .summary = "the event log of a run",
    .help = "  sluice events @latest --tail 20\n"
	    "  sluice events nightly -f\n"
	    "  sluice events nightly --type step.failed --json | jq .reason\n"
	    "\n"
	    "With --json the lines are those of the log, byte for byte. --tail 0 shows everything. "
	    "With\n"
	    "-f it goes on until the run rests and nobody owns it.\n",
    .options = events_options,
    .formats = CLI_TEXT | CLI_JSON | CLI_JSONL,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
