/* sluice.h - the public interface of Sluice: load pipelines, run and resume them, act on runs, and ask
 * about them. The command line is a client of this header and of nothing else.
 *
 * C99 and C++ safe. Handles are opaque. Functions return an enum sluice_code: 0 is OK; on failure
 * `err` (never NULL) is filled and nothing else is touched. Texts that a function returns in a
 * `char **ret_*` are NUL-ended, owned by the caller, and freed with sluice_free. Option structs are
 * zero-initialised by the caller: 0 and NULL mean the default. Nothing here prints, installs a signal
 * handler or changes the process's working directory, locale or umask.
 *
 * Threads: a handle belongs to one thread at a time; sluice_run_stop is the exception. */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SLUICE_API __attribute__((visibility("default")))
#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define SLUICE_API
#define SLUICE_MUST_CHECK
#endif

/* ------------------------------------------------------------------------------ errors */

/* Stable values; sluice_exit_status gives the exit status of the command line for each. */
enum sluice_code {
	SLUICE_OK = 0,
	SLUICE_USAGE = 1,
	SLUICE_INVALID = 2,
	SLUICE_REFUSED = 3,
	SLUICE_EXISTS = 4,
	SLUICE_CONFLICT = 5,
	SLUICE_NOT_FOUND = 6,
	SLUICE_LOCKED = 7,
	SLUICE_LIMIT = 8,
	SLUICE_MEMORY = 9,
	SLUICE_IO = 10,
	SLUICE_FULL = 11,
	SLUICE_CORRUPT = 12,
	SLUICE_NEWER = 13,
	SLUICE_GONE = 14,
	SLUICE_UNSUPPORTED = 15
};

struct sluice_error {
	enum sluice_code code;
	int system_errno; /* of the failed system call, 0 if none */
	char text[480];   /* "what: why", lower case, no full stop */
	char hint[240];   /* the next step, or empty */
};

/* Name of a code ("CORRUPT"), and the exit status of the command line for it (0 .. 11). */
SLUICE_API const char *sluice_code_name(enum sluice_code code);
SLUICE_API int sluice_exit_status(enum sluice_code code);

SLUICE_API const char *sluice_version(void); /* "0.1.0" */
SLUICE_API void sluice_free(void *text);     /* accepts NULL */

/* Where text goes that is too long or endless for a string: called with consecutive pieces. Return
 * false to end the call early (it then returns SLUICE_OK). */
typedef bool sluice_sink_fn(void *arg, const char *bytes, size_t len);

/* ------------------------------------------------------------------------ a state directory */

struct sluice; /* an open state directory: <state> of the manual */

struct sluice_options {
	const char *state_dir;   /* default: $SLUICE_HOME, $XDG_STATE_HOME/sluice, ~/.local/state/sluice */
	const char *keeper_path; /* the sluice-keeper executable; default: found beside the library's
				  * executable, then in its libexec folder */
	const char *const *limits; /* "name=value" texts, NULL-ended */
};

SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_open(const struct sluice_options *options,
							  struct sluice **ret_sluice,
							  struct sluice_error *err);
SLUICE_API void sluice_close(struct sluice *sluice); /* accepts NULL */
SLUICE_API const char *sluice_state_dir(const struct sluice *sluice);

/* ---------------------------------------------------------------------------- pipelines */

struct sluice_pipeline;

/* Read and check a pipeline file. INVALID: *ret_diagnostics (may be NULL if not wanted) has every error
 * as `file:line:col: error[SLUnnn]: text` with caret and hint. NOT_FOUND: no such file. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_load(struct sluice *sluice, const char *path, struct sluice_pipeline **ret_pipeline,
		     char **ret_diagnostics, struct sluice_error *err);
SLUICE_API void sluice_pipeline_free(struct sluice_pipeline *pipeline);
SLUICE_API const char *sluice_pipeline_name(const struct sluice_pipeline *pipeline);
SLUICE_API size_t sluice_pipeline_steps(const struct sluice_pipeline *pipeline);

enum sluice_format { SLUICE_TEXT, SLUICE_JSON, SLUICE_JSONL, SLUICE_CSV };

/* What would run, in what order and why, with resolved values (secrets as ***). Executes nothing.
 * `params` are "name=value" texts, NULL-ended; may be NULL. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_plan(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		     const char *const *params, const char *params_file_json,
		     enum sluice_format format, char **ret_text, struct sluice_error *err);

/* Explanation of an error number of pipeline files ("SLU031"); NOT_FOUND for an unknown one. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_explain_code(const char *code, char **ret_text,
								  struct sluice_error *err);

/* -------------------------------------------------------------------------------- a run */

struct sluice_run; /* a run that this process owns */

enum sluice_run_state {
	SLUICE_RUN_CREATED = 1,
	SLUICE_RUN_PREFLIGHT_VALIDATED,
	SLUICE_RUN_EXECUTING,
	SLUICE_RUN_BLOCKED,
	SLUICE_RUN_SUCCEEDED,
	SLUICE_RUN_FAILED,
	SLUICE_RUN_STOPPED,
	SLUICE_RUN_ROLLED_BACK
};

/* Told of every event after it is durable: the line as stored, without its newline. */
typedef void sluice_event_fn(void *arg, const char *line, size_t len);
/* Called about every tick_ms while the run goes on, from sluice_run_wait. */
typedef void sluice_tick_fn(void *arg);

struct sluice_observer {
	sluice_event_fn *on_event; /* may be NULL */
	sluice_tick_fn *on_tick;   /* may be NULL */
	uint32_t tick_ms;
	void *arg;
};

struct sluice_run_options {
	const char *run_id;              /* default: a new, time-sortable one */
	const char *reason;              /* recorded in run.created */
	const char *const *params;       /* "name=value", NULL-ended */
	const char *params_file_json;    /* the text of a JSON object; `params` win */
	uint32_t max_parallel;           /* steps at once; 0 = as the pipeline says */
	const char *sync;                /* "always", "interval:10", "never"; NULL = as the pipeline says */
	struct sluice_observer observer;
};

/* Start a run: when it returns OK the run exists durably and belongs to this process; nothing has been
 * executed yet. EXISTS when the id is taken. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_start(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		 const struct sluice_run_options *options, struct sluice_run **ret_run,
		 struct sluice_error *err);

struct sluice_resume_options {
	const char *from;                /* step to run again, with all downstream */
	const char *const *params;       /* overrides, recorded */
	const char *const *overrides;    /* failed gates to waive, NULL-ended */
	const char *reason;              /* needed with overrides */
	const char *as;                  /* who overrides; default: the login name */
	uint32_t max_parallel;
	struct sluice_observer observer;
};

/* Go on with a run (RUN: id, unique prefix, path, @latest, @failed). *ret_run is NULL when there is
 * nothing to do: the run has succeeded, or it is blocked and nobody has decided; *ret_exit_status says
 * 0 or 4 then. REFUSED: a guard bars it. LOCKED: a live process owns it. CORRUPT, NEWER: the log. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_resume(struct sluice *sluice, const char *run_name,
		  const struct sluice_resume_options *options, struct sluice_run **ret_run,
		  int *ret_exit_status, struct sluice_error *err);

/* Only tell whether a resume would be accepted, and from where; writes nothing. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_resume_check(struct sluice *sluice, const char *run_name,
		    const struct sluice_resume_options *options, char **ret_text,
		    struct sluice_error *err);

struct sluice_end {
	enum sluice_run_state state;
	char outcome[16];   /* "success", "partial", ...; empty while blocked */
	char receipt[17];   /* the last h of the log */
	int exit_status;    /* of `sluice run` and `resume` */
};

/* Carry the run on until it ends or nothing can run without a person. Blocks. HALT errors (IO, FULL,
 * CORRUPT) leave running steps to their keeper; the run can be resumed. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_run_wait(struct sluice_run *run,
							      struct sluice_end *ret_end,
							      struct sluice_error *err);
/* Ask it to stop; with `now` running steps are killed. Any thread; async-signal-safe. */
SLUICE_API void sluice_run_stop(struct sluice_run *run, bool now);
SLUICE_API const char *sluice_run_id(const struct sluice_run *run);
SLUICE_API const char *sluice_run_dir(const struct sluice_run *run);
/* Let go of the run: a run that still executes stays resumable, its steps stay with their keeper. */
SLUICE_API void sluice_run_free(struct sluice_run *run);

/* ---------------------------------------------------------- acting on a run from outside */

struct sluice_act_options {
	const char *as;     /* who; default: the login name */
	const char *reason; /* needed for approve and reject */
	bool now;           /* stop: kill running steps */
};

/* These go to the live process that owns the run and return when the event is durable; on a run that
 * nobody owns they take its lock and write the event themselves. REFUSED: the state does not allow it,
 * the name may not decide, or the caller descends from the run's own keeper. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_stop(struct sluice *sluice, const char *run_name,
							  const struct sluice_act_options *options,
							  struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_approve(struct sluice *sluice, const char *run_name, const char *step,
	       const struct sluice_act_options *options, struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_reject(struct sluice *sluice, const char *run_name, const char *step,
	      const struct sluice_act_options *options, struct sluice_error *err);

/* ----------------------------------------------------------------------------- questions */

/* Readers never write. A torn tail is noted in the text; a damaged log gives the good prefix and
 * CORRUPT (the text is returned all the same). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_status(struct sluice *sluice,
							    const char *run_name,
							    enum sluice_format format,
							    char **ret_text,
							    struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_summary(struct sluice *sluice,
							     const char *run_name,
							     enum sluice_format format,
							     char **ret_text,
							     struct sluice_error *err);

struct sluice_events_options {
	uint64_t tail;     /* last n; 0 = all */
	bool follow;       /* go on until the run rests, or the sink says stop */
	bool raw;          /* the stored lines instead of text */
	const char *type;  /* only this event type */
	const char *step;  /* only this step */
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_events(struct sluice *sluice, const char *run_name,
	      const struct sluice_events_options *options, sluice_sink_fn *sink, void *arg,
	      struct sluice_error *err);

struct sluice_logs_options {
	const char *step;  /* NULL = all steps, each with a heading */
	int64_t attempt;   /* -1 = the last one of each */
	bool failed;       /* only failed steps */
	bool follow;
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_logs(struct sluice *sluice, const char *run_name, const struct sluice_logs_options *options,
	    sluice_sink_fn *sink, void *arg, struct sluice_error *err);

struct sluice_list_options {
	const char *result;   /* success, partial, failed, stopped, active, blocked */
	const char *pipeline;
	int64_t since_ms;     /* UTC; 0 = all */
	uint64_t limit;       /* 0 = 100 */
	enum sluice_format format;
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_list(struct sluice *sluice,
							  const struct sluice_list_options *options,
							  char **ret_text,
							  struct sluice_error *err);

/* Recompute chain and fold; compare with the receipt when one is given (NULL = none). CORRUPT says where
 * and what; a receipt that does not match is CORRUPT too. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_verify(struct sluice *sluice,
							    const char *run_name,
							    const char *receipt, char **ret_text,
							    struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
