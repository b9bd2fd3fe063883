/* explain.c - sluice explain: why a step is as it is, or what an error number means */
#include "cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* SLUnnn, or its number alone. */
static bool is_code(const char *word)
{
	size_t at = strncasecmp(word, "SLU", 3) == 0 ? 3 : 0;

	if (!word[at] || strlen(word + at) > 4)
		return false;
	while (isdigit((unsigned char)word[at]))
		at++;
	return !word[at];
}

static int run(struct cli *cli)
{
	const char *const *words = cli->options.words;
	struct sluice_error err;
	enum sluice_format format;
	char *text = NULL;
	enum sluice_code code;
	int status;

	if (cli->options.words_count == 1 && is_code(words[0])) {
		if (cli->options.given[OPT_OUTPUT] || cli->options.given[OPT_JSON])
			return cli_usage(cli, "what an error number means is text", NULL);
		code = sluice_explain_code(words[0], &text, &err);
		return cli_answer_or_error(code, text, &err);
	}
	if (!cli_format(cli, &format))
		return CLI_USAGE;
	if (!cli_open(cli, &status))
		return status;
	code = sluice_explain(cli->sluice, words[0], cli->options.words_count > 1 ? words[1] : NULL,
			      format, &text, &err);
	if (code == SLUICE_NOT_FOUND && cli->options.words_count == 1)
		print_hint_add(&err, "error numbers look like SLU031");
	return cli_answer_or_error(code, text, &err);
}

static const enum option explain_options[] = {OPT_OUTPUT, OPT_JSON, OPT_END};

const struct cli_verb verb_explain = {
    .name = "explain",
    .usage = "SLUnnn|RUN [STEP] [--json]",
    .summary = "why a step ran, was skipped, waits or failed; or what an error number means",
    .help = "  sluice explain @latest\n"
	    "  sluice explain @failed publish\n"
	    "  sluice explain nightly load --json | jq -r '.facts[].code'\n"
	    "  sluice explain SLU031\n"
	    "\n"
	    "One fact a line, causes below what they explain, each with the event that proves it. "
	    "Without STEP:\n"
	    "how the run came to where it is. A word like SLU031 or 31 is an error number.\n",
    .options = explain_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
