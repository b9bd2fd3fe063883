/* list.c - sluice list: the runs of a state directory */
#include "cli/cli.h"

#include "sys/terminal.h"

#include <string.h>
#include <unistd.h>

/* Only the heading? */
static bool is_empty(const char *table)
{
	const char *end = strchr(table, '\n');

	return end && !end[1];
}

static bool has_filter(const struct options *given)
{
	return given->given[OPT_RESULT] || given->given[OPT_STATE] || given->given[OPT_PIPELINE] ||
	       given->given[OPT_SINCE];
}

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_list_opts options = {.result = given->value[OPT_RESULT],
					   .state = given->value[OPT_STATE],
					   .pipeline = given->value[OPT_PIPELINE],
					   .removed = given->given[OPT_REMOVED]};
	struct option_error wrong;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!options_number(given, OPT_COUNT, 1, 1000000, 0, &options.limit, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	if (!cli_since(cli, &options.since_ms))
		return CLI_USAGE;
	if (!cli_format(cli, &options.format))
		return CLI_USAGE;
	if (options.format == SLUICE_TEXT && terminal_is(STDOUT_FILENO))
		options.columns = terminal_columns(STDOUT_FILENO);
	code = sluice_list(cli->sluice, &options, &text, &err);
	cli_note(cli);
	if (code == SLUICE_OK && options.format == SLUICE_TEXT && is_empty(text) &&
	    !given->given[OPT_QUIET])
		print_note("%s\n", has_filter(given) ? "no run matches"
						     : "no runs yet: `sluice run FILE` starts one");
	return cli_answer_or_error(code, text, &err);
}

static const enum option list_options[] = {OPT_RESULT, OPT_STATE,   OPT_PIPELINE,
					   OPT_SINCE,  OPT_REMOVED, OPT_COUNT,
					   OPT_OUTPUT, OPT_JSON,    OPT_END};

const struct cli_verb verb_list = {
    .name = "list",
    .alias = "ls",
    .usage = "[--result R] [--state S] [--pipeline NAME] [--since 24h] [--limit N] [-o FORMAT]",
    .summary = "the runs, newest first",
    .help = "  sluice list --result failed --since 24h\n"
	    "  sluice list --pipeline deliverable -o csv > runs.csv\n"
	    "  sluice list --json | jq -r '.runs[].run_id'\n"
	    "\n"
	    "Runs that are active, blocked or were cut off are listed too. RESULT shows the "
	    "outcome of a\n"
	    "run that ended, else its state.\n"
	    "\n"
	    "The list is kept in <state>/sluice.db, which may be deleted at any time.\n",
    .options = list_options,
    .formats = CLI_TEXT | CLI_JSON | CLI_JSONL | CLI_CSV,
    .words_min = 0,
    .words_max = 0,
    .opens = true,
    .run = run,
};
