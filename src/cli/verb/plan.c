/* plan.c - sluice plan: what would run, in what order, and why */
#include "cli/cli.h"

static int plan(struct cli *cli, const struct sluice_pipeline *pipeline)
{
	enum sluice_format format;
	struct sluice_error err;
	char *params_json = NULL;
	char *text = NULL;
	enum sluice_code code;
	int status;

	if (!cli_format(cli, &format))
		return CLI_USAGE;
	if (!cli_params_file(cli, &params_json, &status))
		return status;
	code = sluice_pipeline_plan(cli->sluice, pipeline,
				    (const char *const *)cli->options.many[OPT_PARAM], params_json,
				    format, &text, &err);
	sluice_free(params_json);
	return cli_answer_or_error(code, text, &err);
}

static int run(struct cli *cli)
{
	struct sluice_pipeline *pipeline;
	int status;

	if (!cli_load(cli, cli->options.words[0], &pipeline, &status))
		return status;
	status = plan(cli, pipeline);
	sluice_pipeline_free(pipeline);
	return status;
}

static const enum option plan_options[] = {OPT_PARAM, OPT_PARAMS_FILE, OPT_OUTPUT, OPT_JSON,
					   OPT_END};

const struct cli_verb verb_plan = {
    .name = "plan",
    .usage = "FILE [-p NAME=VALUE]... [-o text|json]",
    .summary = "what would run, in what order and why; nothing is executed",
    .help = "  sluice plan deliverable.yaml -p dataset=in.csv\n"
	    "  sluice plan deliverable.yaml --json | jq '.steps[].why'\n"
	    "\n"
	    "Values are resolved where the parameters suffice; what depends on outputs is shown as "
	    "written.\n"
	    "Secrets are shown as ***.\n",
    .options = plan_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .is_homeless = true,
    .run = run,
};
