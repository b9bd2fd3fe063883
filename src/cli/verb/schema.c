/* schema.c - sluice schema: the pipeline file for editors */
#include "cli/cli.h"

static int run(struct cli *cli)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code = sluice_schema(&text, &err);

	(void)cli;
	return cli_answer_or_error(code, text, &err);
}

static const enum option schema_options[] = {OPT_END};

const struct cli_verb verb_schema = {
    .name = "schema",
    .usage = "",
    .summary = "the pipeline file as a JSON Schema, for editors",
    .help =
	"  sluice schema > pipeline.schema.json\n"
	"\n"
	"JSON Schema 2020-12. An editor with a YAML language server takes it from the first line "
	"of a\n"
	"pipeline file:\n"
	"\n"
	"  # yaml-language-server: $schema=./pipeline.schema.json\n"
	"\n"
	"It knows keys, values and defaults. What needs the file as a whole (names of steps,\n"
	"expressions, cycles) is told by `sluice lint`.\n",
    .options = schema_options,
    .words_min = 0,
    .words_max = 0,
    .run = run,
};
