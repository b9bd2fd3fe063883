/* resume.c - sluice resume: go on with a run that failed, was stopped, blocked or cut off */
#include "base/mem.h"
#include "cli/begin.h"
#include "cli/carry.h"

#include <string.h>

static int check(struct cli *cli, const struct sluice_resume_opts *options)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code =
	    sluice_resume_check(cli->sluice, cli->options.words[0], options, &text, &err);
	cli_note(cli);

	return cli_answer_or_error(code, text, &err);
}

/* The file that the run came from has changed: said, and no more. What is wrong with the run the
 * resume itself will say. */
static void tell_file(struct cli *cli)
{
	struct sluice_error ignored;
	char *text = NULL;

	if (cli->options.given[OPT_QUIET] ||
	    sluice_resume_changes(cli->sluice, cli->options.words[0], NULL, &text, &ignored) !=
		SLUICE_OK ||
	    !text)
		return;
	print_note("note: %s", text);
	print_note("      (--file FILE --accept-changes takes the new one)\n");
	sluice_free(text);
}

/* What differs: an answer when that is the end of it. False: the resume cannot be tried. */
static bool tell_changes(struct cli *cli, const struct sluice_resume_opts *options, int *ret_status)
{
	const char *run_name = cli->options.words[0];
	struct sluice_error err;
	char *text = NULL;

	if (sluice_resume_changes(cli->sluice, run_name, options, &text, &err) != SLUICE_OK) {
		*ret_status = print_error(&err);
		return false;
	}
	if (!text)
		return true;
	if (options->accept_changes) {
		if (!cli->options.given[OPT_QUIET])
			print_note("%s", text);
		sluice_free(text);
		return true;
	}
	if (cli->options.given[OPT_OUTPUT] || cli->options.given[OPT_JSON]) {
		print_note("%s", text); /* the answer of a resume as JSON is that of its end */
		sluice_free(text);
	} else {
		cli_answer(text);
	}
	print_problem("the file is not the definition that the run has: nothing was resumed",
		      "--accept-changes takes it, and records that; without --file the run goes "
		      "on with what it froze");
	*ret_status = sluice_exit_status(SLUICE_REFUSED);
	return false;
}

static enum sluice_code start(struct begin *begin, struct sluice_run **ret_run,
			      struct sluice_error *err)
{
	begin->resume->observer = begin->options.observer;
	return sluice_run_resume(begin->cli->sluice, begin->run_name, begin->resume, ret_run,
				 &begin->rests, err);
}

/* The run that somebody else carries on, by the name that it was called. */
static enum sluice_code find(const struct begin *begin, char **ret_run_id, struct sluice_error *err)
{
	char *name = mem_text(begin->run_name, strlen(begin->run_name));

	if (!name) {
		*err = (struct sluice_error){.code = SLUICE_MEMORY, .text = "memory is short"};
		return err->code;
	}
	*ret_run_id = name;
	return SLUICE_OK;
}

static int go_on(struct cli *cli, struct sluice_resume_opts *options)
{
	struct begin begin = {.cli = cli,
			      .start = start,
			      .find = find,
			      .run_name = cli->options.words[0],
			      .resume = options};

	if (!cli->options.given[OPT_DETACH])
		return carry_resumed(cli, cli->options.words[0], options);
	return begin_run(&begin);
}

static int resume(struct cli *cli, struct sluice_resume_opts *options)
{
	const struct options *given = &cli->options;
	struct sluice_pipeline *definition = NULL;
	int status;

	if (given->value[OPT_FILE] &&
	    !cli_load(cli, cli->options.value[OPT_FILE], &definition, &status))
		return status;
	options->definition = definition;
	if (given->given[OPT_CHECK]) {
		status = check(cli, options);
	} else if (definition) {
		if (tell_changes(cli, options, &status))
			status = go_on(cli, options);
	} else {
		tell_file(cli);
		status = go_on(cli, options);
	}
	sluice_pipeline_free(definition);
	return status;
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
	if (given->given[OPT_CHECK] && given->given[OPT_DETACH])
		return cli_usage(
		    cli, "`--check` starts nothing that could go to the background: --detach",
		    NULL);
	if (given->given[OPT_ACCEPT] && !given->value[OPT_FILE])
		return cli_usage(cli, "--accept-changes needs --file FILE",
				 "without it the run goes on with what it froze");
	options = (struct sluice_resume_opts){
	    .from = given->value[OPT_FROM],
	    .params = (const char *const *)given->many[OPT_PARAM],
	    .overrides = (const char *const *)given->many[OPT_OVERRIDE],
	    .reason = given->value[OPT_REASON],
	    .as = given->value[OPT_AS],
	    .max_parallel = (uint32_t)parallel,
	    .again = given->given[OPT_AGAIN],
	    .accept_changes = given->given[OPT_ACCEPT],
	};
	return resume(cli, &options);
}

static const enum option resume_options[] = {OPT_CHECK,        OPT_FROM,   OPT_PARAM, OPT_OVERRIDE,
					     OPT_REASON,       OPT_AS,     OPT_FILE,  OPT_ACCEPT,
					     OPT_MAX_PARALLEL, OPT_DETACH, OPT_WAIT,  OPT_AGAIN,
					     OPT_OUTPUT,       OPT_JSON,   OPT_END};

const struct cli_verb verb_resume = {
    .name = "resume",
    .usage = "RUN [options]",
    .summary = "go on with a run",
    .help =
	"  sluice resume @failed\n"
	"  sluice resume 20260131T1200 --check\n"
	"  sluice resume nightly --from load -p threshold=95\n"
	"  sluice resume nightly --override quality_gate --reason 'checked by hand' --as anna\n"
	"  sluice resume nightly --file fixed.yaml --accept-changes\n"
	"  sluice resume nightly --detach\n"
	"\n"
	"Failed and interrupted steps run again, succeeded ones do not (but see --from). A run "
	"that\n"
	"failed at a hard gate needs --override GATE and --reason; both are recorded. A "
	"succeeded run\n"
	"is left alone (exit 0), a blocked one on which nobody decided too (exit 4).\n"
	"\n"
	"A run goes on with the definition that it froze. --file FILE tells what another one would "
	"change,\n"
	"and refuses it (exit 3); with --accept-changes steps that changed or are new, and all "
	"downstream\n"
	"of them, run again. Others stay as they are.\n",
    .options = resume_options,
    .formats = CLI_TEXT | CLI_JSON,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
