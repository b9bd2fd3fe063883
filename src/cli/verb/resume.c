/* resume.c - sluice resume: go on with a run that failed, was stopped, blocked or cut off */
#include "cli/carry.h"

static int check(struct cli *cli, const struct sluice_resume_opts *options)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code =
	    sluice_resume_check(cli->sluice, cli->options.words[0], options, &text, &err);

	return cli_answer_or_error(code, text, &err);
}

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_resume_opts options;
	struct option_error wrong;
	uint64_t parallel;

	if (given->given[OPT_CHECK] && (given->given[OPT_OUTPUT] || given->given[OPT_JSON]))
		return cli_usage(cli, "`--check` answers as text only", "leave out -o json");
	if (!options_number(given, OPT_MAX_PARALLEL, 1, PARALLEL_MAX, 0, &parallel, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	options = (struct sluice_resume_opts){
	    .from = given->value[OPT_FROM],
	    .params = (const char *const *)given->many[OPT_PARAM],
	    .overrides = (const char *const *)given->many[OPT_OVERRIDE],
	    .reason = given->value[OPT_REASON],
	    .as = given->value[OPT_AS],
	    .max_parallel = (uint32_t)parallel,
	    .again = given->given[OPT_AGAIN],
	};
	return given->given[OPT_CHECK] ? check(cli, &options)
				       : carry_resumed(cli, given->words[0], &options);
}

static const enum option resume_options[] = {OPT_CHECK,  OPT_FROM,   OPT_PARAM,        OPT_OVERRIDE,
					     OPT_REASON, OPT_AS,     OPT_MAX_PARALLEL, OPT_WAIT,
					     OPT_AGAIN,  OPT_OUTPUT, OPT_JSON,         OPT_END};

const struct cli_verb verb_resume = {
    .name = "resume",
    .usage = "RUN [options]",
    .summary = "go on with a run",
    .help = "  sluice resume @failed\n"
	    "  sluice resume 20260131T1200 --check\n"
	    "  sluice resume nightly --from load -p threshold=95\n"
	    "  sluice resume nightly --override quality_gate --reason 'checked by hand' --as anna\n"
	    "\n"
	    "Failed and interrupted steps run again, succeeded ones do not (but see --from). A run "
	    "that\n"
	    "failed at a hard gate needs --override GATE and --reason; both are recorded. A "
	    "succeeded run\n"
	    "is left alone (exit 0), a blocked one on which nobody decided too (exit 4).\n",
    .options = resume_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
