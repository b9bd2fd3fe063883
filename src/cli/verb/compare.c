/* compare.c - sluice compare: two runs side by side */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	const char *const *words = cli->options.words;
	enum sluice_format format;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!cli_format(cli, &format))
		return CLI_USAGE;
	code = sluice_compare(cli->sluice, words[0], words[1], format, &text, &err);
	cli_note(cli);
	return cli_answer_or_error(code, text, &err);
}

static const enum option compare_options[] = {OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_compare = {
    .name = "compare",
    .usage = "RUN RUN [-o text|json|csv]",
    .summary = "two runs side by side: where they diverge, and what took longer",
    .help =
	"  sluice compare nightly-41 nightly-42\n"
	"  sluice compare @failed @latest --json | jq -r .first_divergence\n"
	"\n"
	"Outputs are compared by hash, definitions with all defaults filled in. Exit 0 whether\n"
	"the runs differ or not.\n",
    .options = compare_options,
    .formats = CLI_TEXT | CLI_JSON | CLI_CSV,
    .words_min = 2,
    .words_max = 2,
    .opens = true,
    .run = run,
};
