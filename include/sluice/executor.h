/* executor.h - executors of a program's own: who carries commands out elsewhere, or in another
 * way */
#ifndef SLUICE_EXECUTOR_H
#define SLUICE_EXECUTOR_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A command as a step with `executor: NAME` has it. Everything is lent for the call of start. */
struct sluice_executor_start {
	/* Who the attempt is: the same whenever it is asked about, unlike any other, of any run.
	 * Letters, digits and `. _ - ~ /`, at most 400 bytes. */
	const char *token;
	const char *run_id;
	const char *step;
	uint32_t attempt;
	const char *const *argv; /* NULL-ended; argv[0] is looked up in the PATH of envp */
	const char *const *envp; /* NULL-ended: the whole environment */
	const char *cwd;         /* absolute */
	const char *log_path;    /* absolute: the file for its output; its folder exists */
	const char
	    *result_path; /* absolute: where the command may write its result ($SLUICE_OUTPUT) */
	const char *resources_json; /* `resources` of the step, an object; NULL = none */
	int64_t timeout_ms;         /* limits that the executor keeps; 0 = none */
	int64_t silence_timeout_ms;
	int64_t grace_ms; /* between asking it to end and killing it */
	uint64_t output_limit_bytes;
	const char *const
	    *secrets; /* NULL-ended texts in envp that must not get into the log as they are */
};

/* Why the executor ended an attempt, if it did. */
enum sluice_end_cause {
	SLUICE_CAUSE_NONE = 0,
	SLUICE_CAUSE_TIMEOUT,
	SLUICE_CAUSE_SILENCE,
	SLUICE_CAUSE_OUTPUT_LIMIT,
	SLUICE_CAUSE_CANCELLED
};

/* How an attempt ended. Texts are copied. */
struct sluice_attempt_end {
	int exit_code; /* when no signal ended it */
	int signal;    /* 0 = none */
	bool core;
	enum sluice_end_cause cause;
	int64_t duration_ms; /* 0 = not known */
	const char
	    *result_text; /* stands for the result file; NULL: the file at result_path is read */
	/* It was not carried out at all (no room, no such queue): the error class
	 * ("infrastructure", "dependency" ...) and a text for a person. Both NULL: it was. */
	const char *error_class;
	const char *reason;
	bool is_lost; /* nobody can know how it ended, and nothing of it is left: `on_lost` of the
			 step */
};

/* What an executor knows of an attempt. */
enum sluice_look {
	SLUICE_LOOK_LOST = 0, /* it was started, and nobody can know how it ended */
	SLUICE_LOOK_ABSENT,  /* provably never started, and it will not be: it may be started now */
	SLUICE_LOOK_RUNNING, /* a report will follow */
	SLUICE_LOOK_ENDED /* *ret_end is filled; its texts must live until the next call of look_up
			   */
};

/* Called on the thread that carries the run on; none of them may wait for an attempt. */
struct sluice_executor_ops {
	/* Start the attempt, once: the event that says so is durable. Not OK: nothing was started,
	 * and the attempt fails with the text of `err` (INVALID, USAGE, UNSUPPORTED: class
	 * `configuration`; REFUSED: `dependency`; else `infrastructure`). */
	enum sluice_code (*start)(void *self, const struct sluice_executor_start *start,
				  struct sluice_error *err);
	/* After another process took the run over: what became of the token? It must be right after
	 * a crash at any moment, also one in the middle of start. Whoever cannot tell says LOST. */
	enum sluice_look (*look_up)(void *self, const char *token,
				    struct sluice_attempt_end *ret_end);
	/* End it, at once and for sure when `now`. A report follows; unless it has ended
	 * already. */
	void (*cancel)(void *self, const char *token, bool now);
};

struct sluice_executor_def {
	const char
	    *name; /* as in `executor: NAME`: A-Z a-z 0-9 . _ -, at most 128; not "local", "call" */
	struct sluice_executor_ops ops; /* all of them */
	void *self;                     /* must live as long as the handle */
};

/* Add an executor, before pipelines that name it are loaded. EXISTS when there is one of that
 * name. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_executor_register(struct sluice *sluice, const struct sluice_executor_def *def,
			 struct sluice_error *err);

/* Say how an attempt ended: once for each. Any thread, also within start, look_up and cancel.
 * NOT_FOUND when no run of this handle waits for it: the run was let go of, and asks by look_up
 * when it is resumed. CONFLICT when it was said already. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_executor_report(struct sluice *sluice, const char *token,
		       const struct sluice_attempt_end *end, struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
