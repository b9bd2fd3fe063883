/* carry.h - a run that this process owns, from its start to its end: progress, signals, the
 * answer. */
#ifndef CLI_CARRY_H
#define CLI_CARRY_H

#include "cli/cli.h"
#include "cli/live/progress.h"

struct carry {
	struct cli *cli;
	struct progress *progress;
	struct sluice_run *run;
};

/* Before the run is started: its observer, and from now on the signals that stop it. False: told,
 * *ret_status is the exit status. */
bool carry_begin(struct carry *carry, struct cli *cli, bool is_silent,
		 struct sluice_observer *ret_observer, int *ret_status);
/* Carry `run` (taken over) on until it rests; then summary, the output of what failed, the next
 * commands, the receipt. Answers the exit status. */
int carry_on(struct carry *carry, struct sluice_run *run);
/* Wait for a run that another process carries on (or that is over), with progress, then answer as
 * carry_on does. -1: the wait failed, *ret_err says why, nothing was printed of it. A signal ends
 * only this process. */
int carry_other(struct cli *cli, const char *run_id, struct sluice_error *ret_err);
/* Resume a run and carry it on; answers the exit status. With --wait one that another process owns
 * is waited for. */
int carry_resumed(struct cli *cli, const char *run_name, struct sluice_resume_opts *options);
/* Say that there was nothing to carry on: the run has succeeded (`status` 0), or nobody has decided
 * yet (4). */
void carry_nothing_note(const struct cli *cli, const char *run_name, int status);
/* carry_on without a word: for a run in the background. */
int carry_silently(struct carry *carry, struct sluice_run *run);
void carry_fini(struct carry *carry);

/* Is the answer asked for as JSON: the status of the run instead of its summary? */
bool carry_is_json(const struct cli *cli);
/* The answer of a run that goes on in the background: its id, with -o json as an object. */
void carry_born(const struct cli *cli, const char *run_id);
/* The answer of one in the background that was waited for: with -o json its status, else nothing
 * more. */
void carry_waited(const struct cli *cli, const char *run_id);

/* For a dry run: an observer that prints each event as a line of JSON. */
struct sluice_observer carry_printer(void);

#endif
