/* logs.c - sluice logs: what the steps of a run wrote */
#include "cli/cli.h"

/* Counts what was written on its way to the screen. */
static bool show(void *arg, const char *bytes, size_t len)
{
	*(bool *)arg = true;
	return print_sink(NULL, bytes, len);
}

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_logs_opts options = {.step = given->words_count > 1 ? given->words[1] : NULL,
					   .attempt = -1,
					   .failed = given->given[OPT_FAILED],
					   .follow = given->given[OPT_FOLLOW]};
	struct option_error wrong;
	struct sluice_error err;
	uint64_t attempt;
	bool has_output = false;

	if (!options_number(given, OPT_ATTEMPT, 0, UINT32_MAX, 0, &attempt, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	if (given->given[OPT_ATTEMPT])
		options.attempt = (int64_t)attempt;
	if (options.follow)
		print_at_once();
	if (sluice_logs(cli->sluice, given->words[0], &options, show, &has_output, &err) !=
	    SLUICE_OK)
		return print_error(&err);
	if (!has_output && !given->given[OPT_QUIET])
		print_note("no output\n");
	return CLI_OK;
}

static const enum option logs_options[] = {OPT_FOLLOW, OPT_FAILED, OPT_ATTEMPT, OPT_END};

const struct cli_verb verb_logs = {
    .name = "logs",
    .usage = "RUN [STEP] [-f] [--failed] [--attempt N]",
    .summary = "what the steps of a run wrote",
    .help = "  sluice logs @failed --failed\n"
	    "  sluice logs @latest load -f\n"
	    "  sluice logs nightly load --attempt 0\n"
	    "\n"
	    "Without STEP all steps, each under a heading. Attempts count from 0; the last one is "
	    "shown\n"
	    "unless --attempt names another. What a compensation wrote follows under a heading of\n"
	    "its own; --failed includes compensations that failed.\n",
    .options = logs_options,
    .words_min = 1,
    .words_max = 2,
    .opens = true,
    .run = run,
};
