/* export.c - sluice export: a run for other programs */
#include "cli/cli.h"

#include <string.h>

static const struct {
	const char *name;
	enum sluice_export_format format;
} formats[] = {
    {"json", SLUICE_EXPORT_JSON},
    {"csv", SLUICE_EXPORT_CSV},
    {"chrome-trace", SLUICE_EXPORT_CHROME_TRACE},
    {"otlp", SLUICE_EXPORT_OTLP},
};

static int run(struct cli *cli)
{
	const char *name = cli->options.value[OPT_FORMAT];
	struct sluice_error err;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(name ? name : "json", formats[i].name) != 0)
			continue;
		if (sluice_export(cli->sluice, cli->options.words[0], formats[i].format, print_sink,
				  NULL, &err) != SLUICE_OK)
			return print_error(&err);
		return CLI_OK;
	}
	return cli_usage(cli, "'--format' takes json, csv, chrome-trace or otlp", NULL);
}

static const enum option export_options[] = {OPT_FORMAT, OPT_END};

const struct cli_verb verb_export = {
    .name = "export",
    .usage = "RUN [--format json|csv|chrome-trace|otlp]",
    .summary = "a run for other programs: document, table, timeline, spans",
    .help =
	"  sluice export nightly > nightly.json\n"
	"  sluice export @latest --format chrome-trace > trace.json   # open in ui.perfetto.dev\n"
	"  sluice export @latest --format otlp |\n"
	"      curl -H 'Content-Type: application/json' -d @- http://localhost:4318/v1/traces\n"
	"\n"
	"json has the run, its steps, attempts and events; csv a row an attempt. A run that goes\n"
	"on is exported as it is now.\n",
    .options = export_options,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
