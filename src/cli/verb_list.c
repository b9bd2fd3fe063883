/* verb_list.c - sluice list: the runs of a state directory */
#include "base/timefmt.h"
#include "cli/cli.h"
#include "sys/clock.h"

/* "24h" ago, or a time. */
static bool read_since(const char *text, int64_t *ret_utc_ms)
{
	int64_t ago_ns;

	if (duration_read(str_of(text), &ago_ns)) {
		*ret_utc_ms = clock_utc_ms(&clock_os) - ago_ns / NS_PER_MS;
		return true;
	}
	return stamp_read(str_of(text), ret_utc_ms);
}

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_list_opts options = {.result = given->value[OPT_RESULT],
					      .pipeline = given->value[OPT_PIPELINE]};
	struct option_error wrong;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!options_number(given, OPT_COUNT, 1, 1000000, 0, &options.limit, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	if (given->value[OPT_SINCE] && !read_since(given->value[OPT_SINCE], &options.since_ms))
		return cli_usage(cli, "'--since' takes a time span or a time",
				 "such as 24h, 30m, 2026-01-31T12:00:00Z");
	if (!cli_format(
		cli, 1U << SLUICE_TEXT | 1U << SLUICE_JSON | 1U << SLUICE_JSONL | 1U << SLUICE_CSV,
		&options.format))
		return CLI_USAGE;
	code = sluice_list(cli->sluice, &options, &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option list_options[] = {OPT_RESULT, OPT_PIPELINE, OPT_SINCE, OPT_COUNT,
					   OPT_OUTPUT, OPT_JSON,     OPT_END};

const struct cli_verb verb_list = {
    .name = "list",
    .alias = "ls",
    .usage = "[--result R] [--pipeline NAME] [--since 24h] [--limit N] [-o FORMAT]",
    .summary = "the runs, newest first",
    .help = "  sluice list --result failed --since 24h\n"
	    "  sluice list --pipeline deliverable -o csv > runs.csv\n"
	    "  sluice list --json | jq -r '.runs[].run_id'\n"
	    "\n"
	    "Runs that are active, blocked or were cut off are listed too. RESULT shows the "
	    "outcome of a\n"
	    "run that ended, else its state.\n",
    .options = list_options,
    .words_min = 0,
    .words_max = 0,
    .opens = true,
    .run = run,
};
