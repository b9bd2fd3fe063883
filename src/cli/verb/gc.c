/* gc.c - sluice gc: old runs go */
#include "base/timefmt.h"
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	const char *age = given->value[OPT_OLDER_THAN];
	struct sluice_gc_opts options = {.result = given->value[OPT_ENDED],
					 .pipeline = given->value[OPT_PIPELINE],
					 .damaged = given->given[OPT_DAMAGED],
					 .dry_run = given->given[OPT_DRY_RUN]};
	struct option_error wrong;
	struct sluice_error err;
	char *text = NULL;
	int64_t age_ns;
	enum sluice_code code;

	if (age && (!duration_read(str_of(age), &age_ns) || age_ns < NS_PER_MS))
		return cli_usage(cli, "'--older-than' takes a time span", "such as 30d, 12h, 90m");
	if (age)
		options.older_than_ms = age_ns / NS_PER_MS;
	if (!options_number(given, OPT_KEEP, 1, 1000000000, 0, &options.keep, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	if (!cli_format(cli, &options.format))
		return CLI_USAGE;
	code = sluice_gc(cli->sluice, &options, &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static const enum option gc_options[] = {OPT_OLDER_THAN, OPT_KEEP,    OPT_ENDED,
					 OPT_PIPELINE,   OPT_DAMAGED, OPT_DRY_RUN,
					 OPT_OUTPUT,     OPT_JSON,    OPT_END};

const struct cli_verb verb_gc = {
    .name = "gc",
    .usage = "--older-than AGE [--keep N] [--result R] [--pipeline NAME] [--dry-run]",
    .summary = "remove runs that ended long ago",
    .help =
	"  sluice gc --older-than 30d --dry-run\n"
	"  sluice gc --older-than 30d --keep 10\n"
	"  sluice gc --older-than 7d --result success --pipeline nightly\n"
	"\n"
	"A run is as old as its last event. Runs that ended go, failed and stopped ones too: they "
	"cannot\n"
	"be resumed afterwards. Runs that go on, are blocked, were cut off, or whose log is "
	"damaged "
	"or\n"
	"newer than this program stay, and are told of (--damaged removes damaged ones). What is "
	"not "
	"a\n"
	"run directory - links, mounts, other people's files - is refused and left as it is: exit "
	"3.\n"
	"\n"
	"What was removed keeps its line in runs.jsonl: list and statistics go on knowing it. "
	"But\n"
	"partitions, idempotency keys and the cache look at logs: what a removed run has done may\n"
	"be started again.\n",
    .options = gc_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 0,
    .words_max = 0,
    .opens = true,
    .run = run,
};
