/* verb_run.c - sluice run: start a run and follow it, or leave it in the background */
#include "base/mem.h"
#include "base/str.h"
#include "cli/carry.h"
#include "sys/terminal.h"

#include <stdlib.h>
#include <string.h>

/* What is to be started; the texts belong to the command line. */
struct start {
	struct cli *cli;
	struct sluice_pipeline *pipeline;
	struct sluice_run_opts options;
};

static bool load(struct cli *cli, struct sluice_pipeline **ret_pipeline, int *ret_status)
{
	struct sluice_error err;
	char *diagnostics = NULL;

	if (sluice_pipeline_load(cli->sluice, cli->options.words[0], ret_pipeline, &diagnostics,
				 &err) == SLUICE_OK)
		return true;
	if (diagnostics)
		print_note("%s", diagnostics);
	sluice_free(diagnostics);
	*ret_status = print_error(&err);
	return false;
}

static int start_here(struct start *start)
{
	struct carry carry;
	struct sluice_run *run;
	struct sluice_error err;
	int status;

	if (!carry_begin(&carry, start->cli, false, &start->options.observer, &status))
		return status;
	if (sluice_run_start(start->cli->sluice, start->pipeline, &start->options, &run, &err) ==
	    SLUICE_OK)
		status = carry_on(&carry, run);
	else
		status = print_error(&err);
	carry_fini(&carry);
	return status;
}

/* ---------------------------------------------------------------------------- background */

/* What the background says once, as soon as the run exists or does not: the exit status, then the
 * run id, or the error and its hint, each ended by a NUL. */
static void report_back(int fd, int status, const char *text, const char *hint)
{
	AUTO(buf_fini) struct buf report = BUF_INIT;

	buf_i64(&report, status);
	buf_put(&report, "", 1);
	buf_put(&report, text, strlen(text) + 1);
	buf_put(&report, hint, strlen(hint) + 1);
	if (report.failed == ERR_OK)
		(void)terminal_write(fd, report.ptr,
				     report.len); /* else the parent hears nothing */
	terminal_close(fd);
}

/* The child's life: it owns the run. */
static int start_behind(struct start *start, int fd)
{
	struct carry carry;
	struct sluice_run *run;
	struct sluice_error err;
	int status;

	if (!carry_begin(&carry, start->cli, true, &start->options.observer, &status)) {
		report_back(fd, status, "memory is short", "");
		return status;
	}
	if (sluice_run_start(start->cli->sluice, start->pipeline, &start->options, &run, &err) !=
	    SLUICE_OK) {
		status = sluice_exit_status(err.code);
		report_back(fd, status, err.text, err.hint);
	} else {
		report_back(fd, CLI_OK, sluice_run_id(run), "");
		status = carry_silently(&carry, run);
	}
	carry_fini(&carry);
	return status;
}

/* The parent's side: wait until the run exists, which is when its first event is durable. */
static int hear_birth(int fd)
{
	AUTO(buf_fini) struct buf report = BUF_INIT;
	struct err err = ERR_INIT;
	const char *text;
	int status;

	if (terminal_hear(fd, &report, &err) != ERR_OK) {
		terminal_close(fd);
		print_problem(err.text, err.hint);
		return CLI_STORAGE;
	}
	terminal_close(fd);
	text = report.len > 0 ? memchr(report.ptr, '\0', report.len) : NULL;
	if (!text) {
		print_problem("the background process ended before the run was created", NULL);
		return CLI_STORAGE;
	}
	text++;
	status = atoi(report.ptr);
	if (status != CLI_OK) {
		print_problem(text, text + strlen(text) + 1);
		return status;
	}
	print_out(text);
	print_out("\n");
	return CLI_OK;
}

static int start_detached(struct start *start)
{
	struct err err = ERR_INIT;
	bool is_child;
	int fd;

	if (terminal_detach(&is_child, &fd, &err) != ERR_OK) {
		print_problem(err.text, err.hint);
		return CLI_STORAGE;
	}
	return is_child ? start_behind(start, fd) : hear_birth(fd);
}

/* ------------------------------------------------------------------------------ the verb */

static int start_loaded(struct start *start)
{
	const struct options *options = &start->cli->options;
	char *params_json = NULL;
	char *context_json = NULL;
	struct option_error wrong;
	uint64_t parallel;
	int status;

	if (!options_number(options, OPT_MAX_PARALLEL, 1, 100000, 0, &parallel, &wrong))
		return cli_usage(start->cli, wrong.text, wrong.hint);
	if (!cli_params_file(start->cli, &params_json, &status))
		return status;
	if (!cli_text_file(start->cli, OPT_CONTEXT, &context_json, &status)) {
		sluice_free(params_json);
		return status;
	}
	start->options = (struct sluice_run_opts){
	    .run_id = options->value[OPT_RUN_ID],
	    .reason = options->value[OPT_REASON],
	    .params = (const char *const *)options->many[OPT_PARAM],
	    .params_file_json = params_json,
	    .max_parallel = (uint32_t)parallel,
	    .sync = options->value[OPT_SYNC],
	    .from = options->value[OPT_FROM],
	    .until = options->value[OPT_UNTIL],
	    .only = options->value[OPT_ONLY],
	    .context_json = context_json,
	};
	status = options->given[OPT_DETACH] ? start_detached(start) : start_here(start);
	sluice_free(params_json);
	sluice_free(context_json);
	return status;
}

static int run(struct cli *cli)
{
	struct start start = {.cli = cli};
	int status;

	if (!load(cli, &start.pipeline, &status))
		return status;
	status = start_loaded(&start);
	sluice_pipeline_free(start.pipeline);
	return status;
}

static const enum option run_options[] = {
    OPT_PARAM, OPT_PARAMS_FILE, OPT_RUN_ID, OPT_REASON, OPT_DETACH,  OPT_MAX_PARALLEL,
    OPT_SYNC,  OPT_UNTIL,       OPT_ONLY,   OPT_FROM,   OPT_CONTEXT, OPT_END};

const struct cli_verb verb_run = {
    .name = "run",
    .usage = "FILE [-p NAME=VALUE]... [options]",
    .summary = "start a run of a pipeline and follow it",
    .help = "  sluice run deliverable.yaml -p dataset=in.csv\n"
	    "  sluice run deliverable.yaml --params-file params.json --reason 'nightly'\n"
	    "  id=$(sluice run --detach deliverable.yaml); sluice logs -f \"$id\"\n"
	    "  sluice run deliverable.yaml --until report\n"
	    "  sluice run deliverable.yaml --from load --context earlier.json\n"
	    "\n"
	    "Progress goes to stderr, the summary and the receipt to stdout. The first Ctrl-C asks "
	    "the\n"
	    "run to stop, the second kills its steps. A run that was cut off goes on with `sluice\n"
	    "resume`. The exit status tells how it ended: `sluice help exit-codes`.\n",
    .options = run_options,
    .words_min = 1,
    .words_max = 1,
    .opens = true,
    .run = run,
};
