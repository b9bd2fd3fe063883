/* run.h - runs that this process owns: start, resume, carry on, stop */
#ifndef SLUICE_RUN_H
#define SLUICE_RUN_H

#include <sluice/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_run; /* a run that this process owns */

enum sluice_run_state {
	SLUICE_RUN_UNKNOWN = 0, /* an error */
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

/* One more observer of a run: of its events from now on, each once, in order, after it is durable;
 * ticks come from sluice_run_wait. The one in the options is the first, and the only one that hears
 * of run.created. It is copied. An observer must not let go of the run. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_observer_add(struct sluice_run *run, const struct sluice_observer *observer,
		    struct sluice_error *err);

struct sluice_run_opts {
	const char *run_id;           /* default: a new, time-sortable one */
	const char *reason;           /* recorded in run.created */
	const char *const *params;    /* "name=value", NULL-ended */
	const char *params_file_json; /* the text of a JSON object; `params` win */
	uint32_t max_parallel;        /* steps at once, at most 65536; 0 = as the pipeline says */
	const char *sync; /* "always", "interval:10", "never"; NULL = as the pipeline says */
	struct sluice_observer observer;
	/* A part of the pipeline; the other steps are skipped by events that say so. `from`: this
	 * step and all downstream; `until`: this step and all that it needs; both: what lies
	 * between; `only`: just this one. What a step needs must be selected too, or given by the
	 * context (else REFUSED). */
	const char *from, *until, *only;
	/* Text of a JSON object {"outputs": {step: {key: value}}, "params": {...}} that stands for
	 * steps that are not selected: they count as succeeded with these outputs. It is recorded
	 * in the run. Its params are weaker than params_file_json. USAGE without one of the three
	 * above. */
	const char *context_json;
	/* The same pipeline name and key are the same run: its id follows from them, and `run_id`
	 * cannot be given too. When there is one already: EXISTS if it was started with the same
	 * definition, parameters, part and partition (sluice_run_find says which), else REFUSED. */
	const char *idempotency_key;
	/* Which share of the data the run works on; NULL = what the pipeline's `partition` says.
	 * Never two runs of one partition of a pipeline at once: LOCKED. After one that succeeded,
	 * or while one is interrupted or blocked: REFUSED; `again` permits the first. */
	const char *partition;
	bool again;
	/* The trace that the run is part of, as the W3C Trace Context has it
	 * ("00-<trace>-<span>-01"): recorded, the parent of the run's span in exports, and
	 * TRACEPARENT of its commands is of this trace. NULL, or a text that is none: a new trace.
	 * The library does not look at the environment for it. */
	const char *traceparent;
	/* Nothing is written anywhere: the run exists in memory, nothing is executed but functions
	 * and kinds that are `dry_run_safe`, every other result is a mocked success, approvals
	 * count as given, secrets are not read, `params.__dry_run__` is true. The observer hears
	 * its events. Another run of the key or the partition is not looked for. */
	bool dry_run;
};

/* Start a run: when it returns OK the run exists durably and belongs to this process; nothing has
 * been executed yet. EXISTS when the id is taken. USAGE: a parameter, a context or an option is
 * wrong; NOT_FOUND: from, until or only is no step. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_start(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		 const struct sluice_run_opts *options, struct sluice_run **ret_run,
		 struct sluice_error *err);

/* A new run of the same definition as another run's (as it is now frozen there), with the same
 * part, partition and parameters; `params` of the options win. Secrets are read again. The reason
 * recorded says of which run. `again` is implied. USAGE: the options name another part or
 * partition. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_rerun(struct sluice *sluice, const char *run_name, const struct sluice_run_opts *options,
		 struct sluice_run **ret_run, struct sluice_error *err);

/* The run that is in the way of a start with these options: that of the same idempotency key, else
 * the one that runs in the same partition, or that succeeded there. NOT_FOUND: none. REFUSED: the
 * key was used for something else. Writes nothing. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_find(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		const struct sluice_run_opts *options, char **ret_run_id, struct sluice_error *err);

struct sluice_resume_opts {
	const char *from;             /* step to run again, with all downstream */
	const char *const *params;    /* overrides, recorded */
	const char *const *overrides; /* failed gates to waive, NULL-ended */
	const char *reason;           /* needed with overrides */
	const char *as;               /* who overrides; default: the login name */
	uint32_t max_parallel;
	struct sluice_observer observer;
	const struct sluice_pipeline
	    *pipeline; /* built in C: lends the functions of its steps; may be NULL */
	bool again;    /* although another run of its partition has succeeded since */
	/* Go on by this definition instead of the frozen one; may be NULL. Borrowed for the call,
	 * and for as long as the run goes on when it lends functions and `pipeline` is NULL. When
	 * it is another one than the run has, the call is REFUSED unless accept_changes is set
	 * (then its changes are recorded). The folder where relative paths start and `sync` stay as
	 * they were when the run was born. */
	const struct sluice_pipeline *definition;
	bool accept_changes; /* needs `definition`: else USAGE */
};

/* Go on with a run (RUN: id, unique prefix, path, @latest, @failed). *ret_run is NULL when there is
 * nothing to do: the run has succeeded, or it is blocked and nobody has decided; *ret_exit_status
 * says 0 or 4 then. REFUSED: a guard bars it. LOCKED: a live process owns it, or another run of its
 * partition. CORRUPT, NEWER: the log. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_resume(struct sluice *sluice, const char *run_name,
		  const struct sluice_resume_opts *options, struct sluice_run **ret_run,
		  int *ret_exit_status, struct sluice_error *err);

struct sluice_rollback_opts {
	const char *reason; /* why, recorded; may be NULL */
	const char *as;     /* who; default: the login name */
	struct sluice_observer observer;
};

/* Undo what succeeded in a run, step by step in reverse order: it must have failed, have been
 * stopped or be blocked. A rollback that was cut short goes on. *ret_run is carried on with
 * sluice_run_wait; it ends ROLLED_BACK, or stays as it was and sluice_run_end says that a
 * compensation failed. REFUSED: the state of the run does not allow it. LOCKED: a live process owns
 * it. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_rollback(struct sluice *sluice, const char *run_name,
		    const struct sluice_rollback_opts *options, struct sluice_run **ret_run,
		    struct sluice_error *err);

/* What a resume by another definition would change: which steps differ in which keys, which run
 * again, which stay as they are. Of `options` (may be NULL) `definition` and `from` are looked at.
 * *ret_text is for people, NULL when nothing differs; release it with sluice_free. `definition`
 * NULL: whether the file that the run was started from (or that its definition was last changed by)
 * has another text now. Writes nothing. REFUSED: it is of another pipeline. INVALID: it is not
 * valid. NOT_FOUND, CORRUPT, NEWER: the run. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_resume_changes(struct sluice *sluice, const char *run_name,
		      const struct sluice_resume_opts *options, char **ret_text,
		      struct sluice_error *err);

/* Only tell whether a resume would be accepted, and from where; writes nothing. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_resume_check(struct sluice *sluice, const char *run_name,
		    const struct sluice_resume_opts *options, char **ret_text,
		    struct sluice_error *err);

/* Carry the run on until it ends or nothing can run without a person. Blocks. Answers the state
 * that it rests in; 0 when the run could not be carried on: HALT errors (IO, FULL, CORRUPT) leave
 * running steps to their keeper, and the run can be resumed. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_run_state sluice_run_wait(struct sluice_run *run,
								   struct sluice_error *err);

/* Instead of sluice_run_wait, for a host with a loop of its own: wait until sluice_run_fd is
 * readable (poll(2), epoll(7)) or sluice_run_timeout_ms are over (0 now, -1 never), then call
 * sluice_run_dispatch, until it says that the run is over: ended, or resting until a person acts.
 * It does what there is to do without waiting for more, but for the disk. Several runs may share a
 * thread. After an error the run can only be let go of. */
SLUICE_API int sluice_run_fd(const struct sluice_run *run);
SLUICE_API int sluice_run_timeout_ms(const struct sluice_run *run);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_dispatch(struct sluice_run *run, bool *ret_is_over, struct sluice_error *err);

struct sluice_end {
	enum sluice_run_state state;
	char outcome[16]; /* "success", "partial", ...; empty while blocked */
	char receipt[17]; /* the last h of the log */
	int exit_status;  /* of `sluice run`, `resume` and `rollback` (0 when it rolled back) */
};

/* How the run stands after sluice_run_wait. Without a run: state 0 and the exit status of wrong
 * use. */
SLUICE_API void sluice_run_end(const struct sluice_run *run, struct sluice_end *ret_end);

/* Wait for a run that another process or thread owns, until it rests and its owner has let go of it
 * (sluice_run_free), and say how. An owner that keeps a run which has ended is not waited for
 * longer than a second; one that keeps a blocked run is. The observer (may be NULL) hears
 * every event from the first on; none of a run that rests already. GONE: nobody owns it any more
 * and it does not rest: it can be resumed. CORRUPT. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_run_follow(struct sluice *sluice, const char *run_name,
		  const struct sluice_observer *observer, struct sluice_end *ret_end,
		  struct sluice_error *err);

/* Ask it to stop; with `now` running steps are killed. Any thread; async-signal-safe. */
SLUICE_API void sluice_run_stop(struct sluice_run *run, bool now);
/* Its id and its directory, borrowed; NULL without a run. */
SLUICE_API const char *sluice_run_id(const struct sluice_run *run);
SLUICE_API const char *sluice_run_dir(const struct sluice_run *run);
/* Let go of the run: a run that still executes stays resumable, its steps stay with their keeper.
 * Functions of the program that are under way are asked to end (sluice_ctx_is_cancelled) and waited
 * for; what they did is not recorded: such an attempt is lost at the next resume. Not to be called
 * by such a function, nor by an observer. Accepts NULL. */
SLUICE_API void sluice_run_free(struct sluice_run *run);

#ifdef __cplusplus
}
#endif

#endif
