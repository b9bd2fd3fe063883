/* graph.c - sluice graph: what needs what, as a picture */
#include "cli/cli.h"
#include "sys/environment.h"
#include "sys/file.h"
#include "sys/terminal.h"

#include <string.h>
#include <unistd.h>

static const struct form {
	const char *name;
	enum sluice_graph_format format;
} forms[] = {
    {"ascii", SLUICE_GRAPH_ASCII}, {"dot", SLUICE_GRAPH_DOT},   {"mermaid", SLUICE_GRAPH_MERMAID},
    {"svg", SLUICE_GRAPH_SVG},     {"json", SLUICE_GRAPH_JSON},
};

/* Does the locale show UTF-8 (setlocale(3): LC_ALL, then LC_CTYPE, then LANG)? */
static bool is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = environment_get(names[i]);

		if (value && value[0])
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

static bool read_form(struct cli *cli, struct sluice_graph_opts *options)
{
	const struct options *given = &cli->options;
	const char *name = given->value[OPT_FORMAT];
	enum sluice_format answer;

	if (!cli_format(cli, &answer))
		return false;
	if (name && (given->given[OPT_OUTPUT] || given->given[OPT_JSON])) {
		(void)cli_usage(cli, "`--format` and `-o` say two things", "give one of them");
		return false;
	}
	if (answer == SLUICE_JSON)
		name = "json";
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && name; i++) {
		if (strcmp(name, forms[i].name) == 0) {
			options->format = forms[i].format;
			return true;
		}
	}
	if (name)
		(void)cli_usage(cli, "there is no such form of a graph",
				"--format takes ascii, dot, mermaid, svg or json");
	return !name;
}

static bool read_options(struct cli *cli, struct sluice_graph_opts *options)
{
	struct option_error wrong;
	uint64_t columns;

	if (!read_form(cli, options))
		return false;
	if (!options_number(&cli->options, OPT_WIDTH, 20, 2000, 0, &columns, &wrong)) {
		(void)cli_usage(cli, wrong.text, wrong.hint);
		return false;
	}
	if (columns == 0)
		columns = terminal_columns(STDOUT_FILENO);
	options->columns = columns < 20 ? 20 : columns > 2000 ? 2000 : (uint32_t)columns;
	options->plain = cli->options.given[OPT_ASCII] || !is_utf8();
	return true;
}

static int graph_of_file(struct cli *cli, const struct sluice_graph_opts *options)
{
	struct sluice_pipeline *pipeline;
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;
	int status;

	if (!cli_load(cli, cli->options.words[0], &pipeline, &status))
		return status;
	code = sluice_pipeline_graph(cli->sluice, pipeline, options, &text, &err);
	sluice_pipeline_free(pipeline);
	return cli_answer_or_error(code, text, &err);
}

/* Is FILE|RUN a file? One that is not there is taken for one by its name. */
static bool is_file(const char *name)
{
	size_t len = strlen(name);

	return file_is_there(name) || (len > 5 && strcmp(name + len - 5, ".yaml") == 0) ||
	       (len > 4 && strcmp(name + len - 4, ".yml") == 0);
}

static int run(struct cli *cli)
{
	struct sluice_graph_opts options = {.format = SLUICE_GRAPH_ASCII};
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!read_options(cli, &options))
		return CLI_USAGE;
	if (is_file(cli->options.words[0]))
		return graph_of_file(cli, &options);
	code = sluice_run_graph(cli->sluice, cli->options.words[0], &options, &text, &err);
	cli_note(cli);
	if (code == SLUICE_NOT_FOUND)
		print_hint_add(&err, "there is no file of that name either");
	return cli_answer_or_error(code, text, &err);
}

static const enum option graph_options[] = {OPT_FORMAT, OPT_ASCII, OPT_WIDTH,
					    OPT_OUTPUT, OPT_JSON,  OPT_END};

const struct cli_verb verb_graph = {
    .name = "graph",
    .usage = "FILE|RUN [--format ascii|dot|mermaid|svg] [-o json]",
    .summary = "what needs what, as a picture; of a run with states and times",
    .help = "  sluice graph deliverable.yaml\n"
	    "  sluice graph @latest --format svg > run.svg\n"
	    "  sluice graph deliverable.yaml --format dot | dot -Tpdf > graph.pdf\n"
	    "\n"
	    "A name that is a file is a FILE, also when there is a run of that name. A dashed line "
	    "is one of\n"
	    "`needs_any`, a dashed box has a condition. What is wider than the terminal becomes a "
	    "list of layers.\n",
    .options = graph_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
