/* verb_resume.c - sluice resume: go on with a run that failed, was stopped, blocked or cut off */
#include "cli/carry.h"

static int check(struct cli *cli, const struct sluice_resume_opts *options)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code =
	    sluice_resume_check(cli->sluice, cli->options.words[0], options, &text, &err);

	return cli_answer_or_error(code, text, &err);
}

/* There was nothing to carry on: it has succeeded, or nobody has decided yet. */
static void tell_nothing(const struct cli *cli, int status)
{
	char *text = NULL;
	struct sluice_error err;

	if (cli->options.given[OPT_QUIET])
		return;
	print_note(status == CLI_OK ? "nothing to do: the run has succeeded\n"
				    : "the run is blocked, and nobody has decided\n");
	if (sluice_status(cli->sluice, cli->options.words[0], SLUICE_TEXT, &text, &err) !=
	    SLUICE_OK)
		(void)print_error(&err); /* the exit status is that of the resume */
	cli_answer(text);
}

static int go_on(struct cli *cli, struct sluice_resume_opts *options)
{
	struct carry carry;
	struct sluice_run *run = NULL;
	struct sluice_error err;
	int status;

	if (!carry_begin(&carry, cli, false, &options->observer, &status))
		return status;
	if (sluice_run_resume(cli->sluice, cli->options.words[0], options, &run, &status, &err) !=
	    SLUICE_OK)
		status = print_error(&err);
	else if (run)
		status = carry_on(&carry, run);
	else
		tell_nothing(cli, status);
	carry_fini(&carry);
	return status;
}

static int run(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct sluice_resume_opts options;
	struct option_error wrong;
	uint64_t parallel;

	if (!options_number(given, OPT_MAX_PARALLEL, 1, 100000, 0, &parallel, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	options = (struct sluice_resume_opts){
	    .from = given->value[OPT_FROM],
	    .params = (const char *const *)given->many[OPT_PARAM],
	    .overrides = (const char *const *)given->many[OPT_OVERRIDE],
	    .reason = given->value[OPT_REASON],
	    .as = given->value[OPT_AS],
	    .max_parallel = (uint32_t)parallel,
	};
	return given->given[OPT_CHECK] ? check(cli, &options) : go_on(cli, &options);
}

static const enum option resume_options[] = {OPT_CHECK,  OPT_FROM, OPT_PARAM,        OPT_OVERRIDE,
					     OPT_REASON, OPT_AS,   OPT_MAX_PARALLEL, OPT_END};

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
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
