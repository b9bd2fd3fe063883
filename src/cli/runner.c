/* runner.c - the command line of system A, so that its callers need no change
 *
 *   runner start DIR [--run-id ID] [--reason TEXT]     runner status DIR
 *   runner resume DIR (only checks)                    runner events DIR [--tail N] [-f] [--json]
 *   runner summary DIR [--json]
 *
 * DIR is always a path. Exit statuses are 0, 1 and 2: 2 for a wrong command line, 1 for everything
 * else that is not an answer. */
#include "base/mem.h"
#include "cli/cli.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define RUNNER_FAILED 1

/* Append the last name of a path, without the slashes behind it. */
static void last_name(const char *path, struct buf *out)
{
	size_t end = strlen(path);
	size_t begin;

	while (end > 1 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	buf_put(out, path + begin, end - begin);
}

/* System A started runs from Python code; it refused when there was none, which is always the case
 * here. */
static int start(struct cli *cli)
{
	const char *dir = cli->options.words[0];
	const char *id = cli->options.value[OPT_RUN_ID];
	AUTO(buf_fini) struct buf name = BUF_INIT;

	if (!id) {
		last_name(dir, &name);
		if (name.failed != ERR_OK)
			return RUNNER_FAILED;
		id = name.ptr ? name.ptr : dir;
	}
	print_out("Run ID: ");
	print_out(id);
	print_out("\nRun directory: ");
	print_out(dir);
	print_out("\n");
	print_problem("no step implementations are configured",
		      "write the steps as a pipeline file and use `sluice run FILE`");
	return RUNNER_FAILED;
}

/* Is there a log with anything in it? Says which is missing, in system A's words. Whatever else is
 * wrong with it is found when it is read. */
static bool has_log(const struct cli *cli)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	AUTO(buf_fini) struct buf byte = BUF_INIT;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	enum err_code code;

	buf_fmt(&path, "%s/events.jsonl", cli->options.words[0]);
	if (path.failed != ERR_OK)
		return true;
	code = file_read(path.ptr, 1, &byte, &err);
	if (code != ERR_NOT_FOUND && (code != ERR_OK || byte.len > 0))
		return true;
	buf_fmt(&text, "%s: %s", code == ERR_OK ? "Event log is empty" : "Event log not found",
		path.ptr);
	print_problem(text.failed == ERR_OK ? text.ptr : "Event log not found",
		      "a run is a directory with its events.jsonl");
	return false;
}

static int check(struct cli *cli)
{
	const struct sluice_resume_opts options = {.from = NULL};
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code;

	if (!has_log(cli))
		return RUNNER_FAILED;
	code = sluice_resume_check(cli->sluice, cli->options.words[0], &options, &text, &err);
	return cli_answer_or_error(code, text, &err);
}

static int status(struct cli *cli)
{
	struct sluice_error err;
	char *text = NULL;
	enum sluice_code code =
	    sluice_status(cli->sluice, cli->options.words[0], SLUICE_TEXT, &text, &err);

	if (code == SLUICE_NOT_FOUND) {
		(void)snprintf(err.text, sizeof(err.text), "No run found at %.400s",
			       cli->options.words[0]);
		err.hint[0] = '\0';
	}
	return cli_answer_or_error(code, text, &err);
}

static int run_verb_events(struct cli *cli)
{
	struct option_error wrong;
	uint64_t tail;

	if (!options_number(&cli->options, OPT_TAIL, 0, UINT64_MAX, 0, &tail, &wrong))
		return cli_usage(cli, wrong.text, wrong.hint);
	return has_log(cli) ? verb_events.run(cli) : RUNNER_FAILED;
}

static int run_verb_summary(struct cli *cli)
{
	return has_log(cli) ? verb_summary.run(cli) : RUNNER_FAILED;
}

static const enum option none[] = {OPT_END};
static const enum option start_options[] = {OPT_RUN_ID, OPT_REASON, OPT_END};
static const enum option events_options[] = {OPT_TAIL, OPT_FOLLOW, OPT_JSON, OPT_END};
static const enum option summary_options[] = {OPT_JSON, OPT_END};
static const enum option runner_globals[] = {OPT_HELP, OPT_END};

static const struct cli_verb runner_verbs[] = {
    {.name = "start",
     .usage = "DIR [--run-id ID] [--reason TEXT]",
     .options = start_options,
     .run = start},
    {.name = "resume", .usage = "DIR", .options = none, .run = check, .opens = true},
    {.name = "status", .usage = "DIR", .options = none, .run = status, .opens = true},
    {.name = "events",
     .usage = "DIR [--tail N] [--follow|-f] [--json]",
     .options = events_options,
     .formats = CLI_TEXT | CLI_JSON,
     .run = run_verb_events,
     .opens = true},
    {.name = "summary",
     .usage = "DIR [--json]",
     .options = summary_options,
     .formats = CLI_TEXT | CLI_JSON,
     .run = run_verb_summary,
     .opens = true},
};

static void help(void)
{
	print_out("usage: runner VERB DIR [options]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(runner_verbs); i++) {
		print_out("  runner ");
		print_out(runner_verbs[i].name);
		print_out(" ");
		print_out(runner_verbs[i].usage);
		print_out("\n");
	}
}

static int wrong_usage(const char *text, const char *hint)
{
	print_note("usage: runner {start,resume,status,events,summary} DIR [options]\n");
	print_problem(text, hint);
	return CLI_USAGE;
}

/* Carry out a verb whose options are read; words[0] is made a path. */
static int carry_out(struct cli *cli)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	int status_code;

	if (cli->options.words_count != 1)
		return wrong_usage("one run directory is expected", NULL);
	if (!strchr(cli->options.words[0], '/')) {
		buf_fmt(&path, "./%s", cli->options.words[0]);
		if (path.failed != ERR_OK)
			return RUNNER_FAILED;
		if (cli->verb->opens)
			cli->options.words[0] = path.ptr;
	}
	if (cli->verb->opens && !cli_open(cli, &status_code))
		return RUNNER_FAILED;
	status_code = cli->verb->run(cli);
	sluice_close(cli->sluice);
	return status_code == CLI_OK || status_code == CLI_USAGE ? status_code : RUNNER_FAILED;
}

int runner_main(int argc, char **argv)
{
	const enum option *lists[] = {NULL, runner_globals, NULL};
	struct cli cli = {.is_runner = true};
	struct option_error wrong;
	int result;
	int at = 2;

	(void)print_init(NULL, false);
	print_as_runner();
	if (argc < 2) {
		help();
		return RUNNER_FAILED;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		help();
		return CLI_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(runner_verbs); i++) {
		if (strcmp(argv[1], runner_verbs[i].name) == 0)
			cli.verb = &runner_verbs[i];
	}
	if (!cli.verb)
		return wrong_usage("there is no such verb", NULL);
	lists[0] = cli.verb->options;
	if (!options_read(&cli.options, lists, argc, argv, &at, false, &wrong)) {
		result = wrong_usage(wrong.text, wrong.hint);
	} else if (cli.options.given[OPT_HELP]) {
		help();
		result = CLI_OK;
	} else {
		result = carry_out(&cli);
	}
	options_fini(&cli.options);
	return result;
}
