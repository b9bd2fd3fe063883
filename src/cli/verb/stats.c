/* stats.c - sluice stats: figures of many runs */
#include "cli/cli.h"

#include <string.h>

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	const char *format = given->value[OPT_FORMAT];
	struct sluice_stats_opts options = {.pipeline =
						given->words_count ? given->words[0] : NULL};
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (format && strcmp(format, "prometheus") != 0)
		return cli_usage(cli, "'--format' of `sluice stats` is prometheus",
				 "-o has table, json and csv");
	if (format && (given->given[OPT_OUTPUT] || given->given[OPT_JSON]))
		return cli_usage(cli, "'--format' and '-o' are two answers: choose one", NULL);
	if (!cli_since(cli, &options.since_ms) || !cli_format(cli, &options.format))
		return CLI_USAGE;
	options.prometheus = format != NULL;
	code = sluice_stats(cli->sluice, &options, &text, &err);
	cli_note(cli);
	return cli_answer_or_error(code, text, &err);
}

static const enum option stats_options[] = {OPT_SINCE, OPT_FORMAT, OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_stats = {
    .name = "stats",
    .usage = "[PIPELINE] [--since 24h] [-o table|json|csv] [--format prometheus]",
    .summary = "how runs went: results, durations, retries, failures",
    .help =
	"  sluice stats\n"
	"  sluice stats deliverable --since 30d\n"
	"  sluice stats --format prometheus > /var/lib/node_exporter/sluice.prom\n"
	"\n"
	"RATE is success / (success + failed). P50 and P95 are nearest ranks, of runs and steps\n"
	"that succeeded; a step's time is that of its attempts, without the waits between them.\n",
    .options = stats_options,
    .formats = CLI_TEXT | CLI_JSON | CLI_CSV,
    .words_min = 0,
    .words_max = 1,
    .opens = true,
    .run = run,
};
