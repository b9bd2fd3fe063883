/* carry.c - see carry.h */
#include "cli/carry.h"

#include "base/json.h"
#include "base/mem.h"
#include "sys/terminal.h"

#include <stdatomic.h>

#define TICK_MS      100
#define LAST_LINES   10
#define LAST_BYTES   ((size_t)8192)
#define FAILED_SHOWN 3 /* steps whose output is shown at the end */

/* The run that signals are for. A signal that comes before it is there is remembered. */
static _Atomic(struct sluice_run *) stoppable;
static atomic_uint asked;

static void on_ask(unsigned count)
{
	struct sluice_run *run = atomic_load(&stoppable);

	atomic_store(&asked, count);
	if (run)
		sluice_run_stop(run, count > 1);
}

static bool progress_make(struct cli *cli, struct carry *carry,
			  struct sluice_observer *ret_observer, bool is_silent, int *ret_status)
{
	enum progress_kind kind = PROGRESS_USUAL;

	if (is_silent || cli->options.given[OPT_QUIET])
		kind = PROGRESS_NONE;
	else if (cli->options.given[OPT_VERBOSE])
		kind = PROGRESS_EVERYTHING;
	*carry = (struct carry){.cli = cli, .progress = progress_new(kind)};
	if (!carry->progress) {
		print_problem("memory is short", NULL);
		*ret_status = CLI_STORAGE;
		return false;
	}
	*ret_observer = (struct sluice_observer){.on_event = progress_event,
						 .on_tick = progress_tick,
						 .tick_ms = TICK_MS,
						 .arg = carry->progress};
	return true;
}

bool carry_begin(struct carry *carry, struct cli *cli, bool is_silent,
		 struct sluice_observer *ret_observer, int *ret_status)
{
	if (!progress_make(cli, carry, ret_observer, is_silent, ret_status))
		return false;
	terminal_on_end(on_ask);
	return true;
}

void carry_fini(struct carry *carry)
{
	atomic_store(&stoppable, NULL);
	sluice_run_free(carry->run);
	progress_free(carry->progress);
	*carry = (struct carry){.cli = NULL};
}

/* What is known of earlier runs: only an estimate hangs on it. */
static void expect_times(struct carry *carry, struct str pipeline)
{
	AUTO(buf_fini) struct buf name = BUF_INIT;
	struct sluice_step_times times = {.count = 0};
	struct sluice_error ignored;

	json_decode(pipeline, &name);
	if (name.len == 0 ||
	    sluice_step_history(carry->cli->sluice, name.ptr, &times, &ignored) != SLUICE_OK)
		return;
	for (size_t i = 0; i < times.count; i++) {
		if (times.items[i].step)
			progress_expect(carry->progress, str_of(times.items[i].step),
					times.items[i].median_ms);
	}
	sluice_step_history_free(&times);
}

/* The tree that is drawn while the run goes on. Without a status there is none. */
static void begin_tree(struct carry *carry, const struct sluice_run *run)
{
	char *status = NULL;
	struct sluice_error ignored;

	if (progress_wants_tree(carry->progress) &&
	    sluice_status(carry->cli->sluice, sluice_run_dir(run), SLUICE_JSON, &status,
			  &ignored) == SLUICE_OK)
		progress_tree(carry->progress, str_of(status));
	if (status)
		expect_times(carry, json_get(str_of(status), "pipeline"));
	sluice_free(status);
}

static bool wait_for_end(struct carry *carry, struct sluice_run *run, struct sluice_end *ret_end,
			 struct sluice_error *err)
{
	enum sluice_run_state state;

	carry->run = run;
	print_about(sluice_run_id(run));
	begin_tree(carry, run);
	atomic_store(&stoppable, run);
	if (atomic_load(&asked) > 0)
		sluice_run_stop(run, atomic_load(&asked) > 1);
	state = sluice_run_wait(run, err);
	atomic_store(&stoppable, NULL);
	sluice_run_end(run, ret_end);
	return state != SLUICE_RUN_UNKNOWN;
}

int carry_silently(struct carry *carry, struct sluice_run *run)
{
	struct sluice_end end;
	struct sluice_error err;

	if (!wait_for_end(carry, run, &end, &err))
		return sluice_exit_status(err.code);
	return end.exit_status;
}

/* ------------------------------------------------------------------------ after the end */

static bool keep(void *arg, const char *bytes, size_t len)
{
	struct buf *last = arg;

	buf_put(last, bytes, len);
	return last->failed == ERR_OK;
}

static void tell_lines(struct str text)
{
	size_t from = text.len;
	unsigned lines = 0;

	if (from > 0 && text.ptr[from - 1] == '\n')
		text.len = --from;
	while (from > 0 && (text.ptr[from - 1] != '\n' || ++lines < LAST_LINES))
		from--;
	while (from < text.len) {
		size_t end = str_find(text, "\n", from);

		print_note("  | %.*s\n",
			   STR_ARG(str_cut(text, from, end == SIZE_MAX ? text.len : end)));
		from = end == SIZE_MAX ? text.len : end + 1;
	}
}

/* The last lines of what the failed steps wrote. */
static void tell_failed(const struct carry *carry, const char *run_name)
{
	for (size_t i = 0; i < FAILED_SHOWN && progress_failed(carry->progress, i); i++) {
		AUTO(buf_fini) struct buf last = BUF_INIT;
		struct sluice_logs_opts options = {.step = progress_failed(carry->progress, i),
						   .attempt = -1,
						   .tail_bytes = LAST_BYTES};
		struct sluice_error ignored; /* the summary has said what failed */

		if (sluice_logs(carry->cli->sluice, run_name, &options, keep, &last, &ignored) ==
			SLUICE_OK &&
		    last.len > 0) {
			print_note("\nlast lines of '%s':\n", options.step);
			tell_lines(buf_view(&last));
		}
	}
}

static void tell_summary(const struct carry *carry, const char *run_name,
			 const struct sluice_end *end)
{
	char *summary = NULL;
	struct sluice_error err;

	if (sluice_summary(carry->cli->sluice, run_name, SLUICE_TEXT, &summary, &err) != SLUICE_OK)
		(void)print_error(&err); /* the exit status is that of the run */
	cli_answer(summary);
	print_out("Receipt: ");
	print_out(end->receipt);
	print_out("\n");
}

bool carry_is_json(const struct cli *cli)
{
	enum sluice_format format;

	return cli_format(cli, &format) && format == SLUICE_JSON;
}

/* With -o json the answer is what `sluice status` answers. */
static void tell_status(const struct cli *cli, const char *run_name, enum sluice_format format)
{
	char *text = NULL;
	struct sluice_error err;

	if (sluice_status(cli->sluice, run_name, format, &text, &err) != SLUICE_OK)
		(void)print_error(&err); /* the exit status is that of the run */
	cli_answer(text);
}

void carry_born(const struct cli *cli, const char *run_id)
{
	const char *after = "\n";

	if (carry_is_json(cli)) {
		print_out("{\"run_id\": \"");
		after = "\"}\n";
	}
	print_out(run_id);
	print_out(after);
}

void carry_waited(const struct cli *cli, const char *run_id)
{
	if (carry_is_json(cli))
		tell_status(cli, run_id, SLUICE_JSON);
}

/* How the run ended; answers its exit status. `run_name` names it for questions: its directory or
 * id. */
static int tell_end(const struct carry *carry, const char *run_id, const char *run_name,
		    const struct sluice_end *end)
{
	bool is_quiet = carry->cli->options.given[OPT_QUIET];

	progress_end(carry->progress);
	if (carry_is_json(carry->cli))
		tell_status(carry->cli, run_name, SLUICE_JSON);
	else if (is_quiet)
		carry_born(carry->cli, run_id);
	else
		tell_summary(carry, run_name, end);
	if (is_quiet) {
		cli_unsuccessful(carry->cli, run_name, end->exit_status);
		return end->exit_status;
	}
	tell_failed(carry, run_name);
	if (end->exit_status != 0) /* what has come to its end moves no further */
		cli_next(carry->cli, run_name);
	return end->exit_status;
}

int carry_on(struct carry *carry, struct sluice_run *run)
{
	AUTO(buf_fini) struct buf id = BUF_INIT;
	AUTO(buf_fini) struct buf dir = BUF_INIT;
	struct sluice_end end;
	struct sluice_error err;

	if (!carry->cli->options.given[OPT_QUIET])
		print_note("run %s\n", sluice_run_id(run));
	if (!wait_for_end(carry, run, &end, &err)) {
		progress_end(carry->progress);
		return print_error(&err);
	}
	buf_text(&id, sluice_run_id(run));
	buf_text(&dir, sluice_run_dir(run));
	if (id.failed != ERR_OK || dir.failed != ERR_OK)
		return tell_end(carry, sluice_run_id(run), sluice_run_dir(run), &end);
	sluice_run_free(run); /* what is told from here on is of a run that nobody owns */
	carry->run = NULL;
	print_about(NULL);
	return tell_end(carry, id.ptr, dir.ptr, &end);
}

/* ------------------------------------------------------------------------- a dry run */

static void print_event(void *arg, const char *line, size_t len)
{
	(void)arg;
	print_bytes(line, len);
	print_bytes("\n", 1);
}

struct sluice_observer carry_printer(void)
{
	return (struct sluice_observer){.on_event = print_event};
}

/* ---------------------------------------------------------------- somebody else's run */

int carry_other(struct cli *cli, const char *run_id, struct sluice_error *ret_err)
{
	struct carry carry;
	struct sluice_observer observer;
	struct sluice_end end;
	int status = -1;

	if (!progress_make(cli, &carry, &observer, false, &status))
		return status;
	if (sluice_run_follow(cli->sluice, run_id, &observer, &end, ret_err) == SLUICE_OK)
		status = tell_end(&carry, run_id, run_id, &end);
	else
		progress_end(carry.progress);
	carry_fini(&carry);
	return status;
}

void carry_nothing_note(const struct cli *cli, const char *run_name, int status)
{
	if (cli->options.given[OPT_QUIET])
		cli_unsuccessful(cli, run_name, status);
	else
		print_note(status == CLI_OK ? "nothing to do: the run has succeeded\n"
					    : "the run is blocked, and nobody has decided\n");
}

static void tell_nothing(const struct cli *cli, const char *run_name, int status)
{
	carry_nothing_note(cli, run_name, status);
	if (carry_is_json(cli))
		tell_status(cli, run_name, SLUICE_JSON);
	else if (!cli->options.given[OPT_QUIET])
		tell_status(cli, run_name, SLUICE_TEXT);
}

int carry_resumed(struct cli *cli, const char *run_name, struct sluice_resume_opts *options)
{
	struct carry carry;
	struct sluice_run *run = NULL;
	struct sluice_error err;
	int status;

	if (!carry_begin(&carry, cli, false, &options->observer, &status))
		return status;
	if (sluice_run_resume(cli->sluice, run_name, options, &run, &status, &err) == SLUICE_OK) {
		if (run)
			status = carry_on(&carry, run);
		else
			tell_nothing(cli, run_name, status);
		carry_fini(&carry);
		return status;
	}
	carry_fini(&carry);
	if (err.code != SLUICE_LOCKED || !cli->options.given[OPT_WAIT])
		return print_error(&err);
	status = carry_other(cli, run_name, &err);
	return status < 0 ? print_error(&err) : status;
}
