/* begin.c - see begin.h */
#include "cli/begin.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/carry.h"
#include "sys/environment.h"
#include "sys/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is the run that was asked for there already: the key has started it, or its partition runs and
 * the caller wants to wait? */
static bool is_other_meant(const struct begin *begin, const struct sluice_error *err)
{
	if (!begin->find)
		return false;
	if (err->code == SLUICE_EXISTS)
		return begin->options.idempotency_key != NULL;
	return err->code == SLUICE_LOCKED && begin->cli->options.given[OPT_WAIT];
}

/* Go on with a run that nobody carries on any more: the same key asks for its end. */
static int take_over(const struct begin *begin, const char *run_id)
{
	struct sluice_resume_opts options = {.max_parallel = begin->options.max_parallel};

	return carry_resumed(begin->cli, run_id, &options);
}

static int answer_other(const struct begin *begin, const struct sluice_error *why)
{
	struct sluice_error err;
	char *id = NULL;
	int status;

	if (begin->find(begin, &id, &err) != SLUICE_OK)
		return print_error(err.code == SLUICE_NOT_FOUND ? why : &err);
	if (begin->cli->options.given[OPT_DETACH] && !begin->cli->options.given[OPT_WAIT]) {
		carry_born(begin->cli, id);
		sluice_free(id);
		return CLI_OK;
	}
	if (!begin->cli->options.given[OPT_QUIET])
		print_note("run %s is there already\n", id);
	status = carry_other(begin->cli, id, &err);
	if (status < 0 && err.code == SLUICE_GONE && begin->options.idempotency_key)
		status = take_over(begin, id);
	else if (status < 0)
		status = print_error(&err);
	sluice_free(id);
	return status;
}

static int start_here(struct begin *begin)
{
	struct carry carry;
	struct sluice_run *run;
	struct sluice_error err;
	int status;

	if (!carry_begin(&carry, begin->cli, false, &begin->options.observer, &status))
		return status;
	if (begin->start(begin, &run, &err) == SLUICE_OK) {
		status = carry_on(&carry, run);
		carry_fini(&carry);
		return status;
	}
	carry_fini(&carry);
	return is_other_meant(begin, &err) ? answer_other(begin, &err) : print_error(&err);
}

/* ---------------------------------------------------------------------------- background */

/* What the background says once, as soon as it carries the run on or does not: the code of the
 * library, then the run's id and directory (both empty: there is nothing to carry on), or the error
 * and its hint, each ended by a NUL. */
static void report_back(int fd, enum sluice_code code, const char *text, const char *hint)
{
	AUTO(buf_fini) struct buf report = BUF_INIT;

	buf_i64(&report, (int64_t)code);
	buf_put(&report, "", 1);
	buf_put(&report, text, strlen(text) + 1);
	buf_put(&report, hint, strlen(hint) + 1);
	if (report.failed == ERR_OK)
		(void)terminal_write(fd, report.ptr,
				     report.len); /* else the parent hears nothing */
	terminal_close(fd);
}

/* Is the run of this key one that nobody carries on, though it is not over? */
static bool is_cut_off(const struct begin *begin, const char *run_id)
{
	struct sluice_error ignored; /* then it is left alone */
	char *status = NULL;
	struct str state;
	bool is_live;

	if (sluice_status(begin->cli->sluice, run_id, SLUICE_JSON, &status, &ignored) !=
	    SLUICE_OK) {
		sluice_free(status);
		return false;
	}
	state = json_get(str_of(status), "state");
	is_live = str_is(state, "\"created\"") || str_is(state, "\"preflight_validated\"") ||
		  str_is(state, "\"executing\"");
	is_live = is_live && str_is(json_get(str_of(status), "owner_pid"), "null");
	sluice_free(status);
	return is_live;
}

/* The run of this key was cut off: the background goes on with it. */
static bool take_over_behind(const struct begin *begin, struct sluice_run **ret_run)
{
	struct sluice_resume_opts options = {.max_parallel = begin->options.max_parallel};
	struct sluice_error ignored; /* the parent answers with what there is */
	struct sluice_run *run = NULL;
	char *id = NULL;
	int status;

	if (begin->find(begin, &id, &ignored) != SLUICE_OK)
		return false;
	if (is_cut_off(begin, id) && sluice_run_resume(begin->cli->sluice, id, &options, &run,
						       &status, &ignored) != SLUICE_OK)
		run = NULL;
	sluice_free(id);
	if (run)
		*ret_run = run;
	return run != NULL;
}

/* The child's life: it owns the run. */
static int start_behind(struct begin *begin, int fd)
{
	struct carry carry;
	struct sluice_run *run = NULL;
	struct sluice_error err = {.code = SLUICE_OK};
	int status;

	if (!carry_begin(&carry, begin->cli, true, &begin->options.observer, &status)) {
		report_back(fd, SLUICE_MEMORY, "memory is short", "");
		return status;
	}
	if (begin->start(begin, &run, &err) != SLUICE_OK &&
	    !(err.code == SLUICE_EXISTS && is_other_meant(begin, &err) &&
	      take_over_behind(begin, &run))) {
		status = sluice_exit_status(err.code);
		report_back(fd, err.code, err.text, err.hint);
	} else if (!run) {
		status = begin->rests;
		report_back(fd, SLUICE_OK, "", status == CLI_OK ? "" : "rests");
	} else {
		report_back(fd, SLUICE_OK, sluice_run_id(run), sluice_run_dir(run));
		status = carry_silently(&carry, run);
	}
	carry_fini(&carry);
	return status;
}

/* Print the id; with --wait also wait for the end. `dir` names the run wherever it lies. */
static int answer_born(const struct begin *begin, const char *run_id, const char *dir)
{
	struct sluice_error err;
	struct sluice_end end;

	if (!begin->cli->options.given[OPT_WAIT]) {
		carry_born(begin->cli, run_id);
		return CLI_OK;
	}
	if (!carry_is_json(begin->cli))
		carry_born(begin->cli, run_id);
	print_at_once();
	if (sluice_run_follow(begin->cli->sluice, dir, NULL, &end, &err) != SLUICE_OK)
		return print_error(&err);
	cli_unsuccessful(begin->cli, dir, end.exit_status);
	carry_waited(begin->cli, dir);
	return end.exit_status;
}

/* There is nothing to carry on: the run has succeeded, or it waits for somebody's decision. The
 * answer has the form of one that is carried on. */
static int answer_resting(const struct begin *begin, bool is_blocked)
{
	AUTO(buf_fini) struct buf id = BUF_INIT;
	const struct cli *cli = begin->cli;
	int exit_status = is_blocked ? CLI_BLOCKED : CLI_OK;
	struct sluice_error err;
	char *status = NULL;

	if (sluice_status(cli->sluice, begin->run_name, SLUICE_JSON, &status, &err) != SLUICE_OK) {
		sluice_free(status);
		return print_error(&err);
	}
	carry_nothing_note(cli, begin->run_name, exit_status);
	if (cli->options.given[OPT_WAIT] && carry_is_json(cli)) {
		print_out(status);
	} else {
		json_decode(json_get(str_of(status), "run_id"), &id);
		carry_born(cli, id.len > 0 ? id.ptr : begin->run_name);
	}
	sluice_free(status);
	return exit_status;
}

/* The parent's side: wait until the run exists, which is when its first event is durable. */
static int hear_birth(const struct begin *begin, int fd)
{
	AUTO(buf_fini) struct buf report = BUF_INIT;
	struct sluice_error told = {.code = SLUICE_OK};
	struct err err = ERR_INIT;
	const char *text;
	const char *more;

	if (terminal_hear(fd, &report, &err) != ERR_OK) {
		terminal_close(fd);
		print_problem(err.text, err.hint);
		return CLI_STORAGE;
	}
	terminal_close(fd);
	text = report.len > 0 ? memchr(report.ptr, '\0', report.len) : NULL;
	if (!text) {
		print_problem("the background process ended before it had the run", NULL);
		return CLI_STORAGE;
	}
	text++;
	more = text + strlen(text) + 1;
	told.code = (enum sluice_code)atoi(report.ptr);
	if (told.code == SLUICE_OK && text[0])
		return answer_born(begin, text, more);
	if (told.code == SLUICE_OK)
		return answer_resting(begin, more[0] != '\0');
	(void)snprintf(told.text, sizeof(told.text), "%s", text);
	(void)snprintf(told.hint, sizeof(told.hint), "%s", more);
	return is_other_meant(begin, &told) ? answer_other(begin, &told) : print_error(&told);
}

static int start_detached(struct begin *begin)
{
	struct err err = ERR_INIT;
	bool is_child;
	int fd;

	if (terminal_detach(&is_child, &fd, &err) != ERR_OK) {
		print_problem(err.text, err.hint);
		return CLI_STORAGE;
	}
	return is_child ? start_behind(begin, fd) : hear_birth(begin, fd);
}

/* Its events are the answer; it is over when they are told. */
static int start_dry(struct begin *begin)
{
	struct sluice_run *run;
	struct sluice_error err;
	struct sluice_end end;

	begin->options.observer = carry_printer();
	if (begin->start(begin, &run, &err) != SLUICE_OK)
		return print_error(&err);
	if (sluice_run_wait(run, &err) == SLUICE_RUN_UNKNOWN) {
		sluice_run_free(run);
		return print_error(&err);
	}
	sluice_run_end(run, &end);
	sluice_run_free(run);
	if (!begin->cli->options.given[OPT_QUIET])
		print_note("dry run: %s, nothing was executed or written\n", end.outcome);
	return end.exit_status;
}

int begin_run(struct begin *begin)
{
	begin->options.traceparent = environment_get("TRACEPARENT"); /* the caller may trace us */
	if (begin->options.dry_run && begin->cli->options.given[OPT_DETACH])
		return cli_usage(begin->cli, "a dry run has no background: --detach", NULL);
	if (begin->options.dry_run)
		return start_dry(begin);
	return begin->cli->options.given[OPT_DETACH] ? start_detached(begin) : start_here(begin);
}
