/* pipeline.h - pipelines: read from a file or from memory, built in C, checked, planned
 *
 * A pipeline that is built in C is the same language as a pipeline file: every key of the format
 * has a field here, or goes through `extra`; what a field may hold, and its default, is said in
 * docs/pipeline-format.md under the key's name. One reader checks both forms. Every text is UTF-8
 * and is copied: nothing that is given here needs to outlive the call, but the `arg` of a
 * function. */
#ifndef SLUICE_PIPELINE_H
#define SLUICE_PIPELINE_H

#include <sluice/state.h>
#include <sluice/step.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_pipeline;

/* ------------------------------------------------------------------------------- from a text */

/* Read and check a pipeline file. INVALID: *ret_diagnostics (may be NULL if not wanted) has every
 * error as `file:line:col: error[SLUnnn]: text` with caret and hint. NOT_FOUND: no such file. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_load(struct sluice *sluice, const char *path, struct sluice_pipeline **ret_pipeline,
		     char **ret_diagnostics, struct sluice_error *err);
/* The same for `len` bytes in memory. `folder` is where relative paths start; NULL = the working
 * directory. Diagnostics call the text `pipeline`. NOT_FOUND: no such folder. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_read(struct sluice *sluice, const char *text, size_t len, const char *folder,
		     struct sluice_pipeline **ret_pipeline, char **ret_diagnostics,
		     struct sluice_error *err);

/* ---------------------------------------------------------------------------------- built in C */

/* NULL-ended lists of texts: `.needs = SLUICE_LIST("load", "clean")`; an empty one: SLUICE_EMPTY.
 * Both live as long as the block that they stand in. C only: C++ has no compound literals. */
#ifndef __cplusplus
#define SLUICE_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SLUICE_EMPTY     ((const char *const[]){NULL})
#endif

enum sluice_gate { SLUICE_GATE_NONE = 0, SLUICE_GATE_HARD, SLUICE_GATE_SOFT, SLUICE_GATE_MANUAL };

/* The zero of each is "not given": what `defaults` of the pipeline say, else the format's
 * default. */
enum sluice_on_failure {
	SLUICE_ON_FAILURE_DEFAULT = 0,
	SLUICE_ON_FAILURE_STOP,
	SLUICE_ON_FAILURE_SKIP_DOWNSTREAM,
	SLUICE_ON_FAILURE_CONTINUE,
	SLUICE_ON_FAILURE_IGNORE,
	SLUICE_ON_FAILURE_COMPENSATE
};
enum sluice_on_lost {
	SLUICE_ON_LOST_DEFAULT = 0,
	SLUICE_ON_LOST_FAIL,
	SLUICE_ON_LOST_RERUN,
	SLUICE_ON_LOST_ASK
};
enum sluice_on_stop { SLUICE_ON_STOP_DEFAULT = 0, SLUICE_ON_STOP_WAIT, SLUICE_ON_STOP_CANCEL };

/* An entry of `env`; a list of them ends with one whose name is NULL. */
struct sluice_env_def {
	const char *name;
	const char *value; /* may hold ${} */
	bool from_env;     /* take the value of the process that carries the run on; `value` is NULL
			      then */
};

/* An entry of `outputs`; a list ends with name NULL. */
struct sluice_output_def {
	const char *name;
	const char *type; /* "string", "int", "number", "bool" ...; NULL = the format's default */
	bool required;    /* only with a type */
};

/* An entry of `artifacts`; a list ends with name NULL. */
struct sluice_artifact_def {
	const char *name;
	const char *path; /* may hold ${} */
};

/* An entry of `exit_codes`; a list ends with error_class NULL. */
struct sluice_exit_code_def {
	int exit_code;
	const char *error_class;
};

/* `retry`; what is 0 or NULL has the format's default. */
struct sluice_retry_def {
	uint32_t max_attempts; /* counts all */
	const char *const *on; /* error classes, NULL-ended */
	const char *backoff;   /* "exponential", "linear", "constant" */
	int64_t initial_ms;
	double multiplier;
	int64_t max_ms;
	double jitter_percent;
	bool no_jitter;
};

/* `approve` of a manual gate; what is 0 or NULL has the format's default. */
struct sluice_approve_def {
	const char *const *by; /* who may, NULL-ended */
	uint32_t count;
	int64_t timeout_ms;
	const char *on_timeout;
};

/* A step. What is 0 or NULL is not given: exactly one of the first group says what it does. The
 * names are those of the keys of a pipeline file. */
struct sluice_step_def {
	const char *id; /* required; NULL only in sluice_pipeline_defaults */

	/* what it does */
	const char *run;         /* a text for the shell */
	const char *const *argv; /* program and arguments, NULL-ended */
	bool noop;
	sluice_call_fn *call;  /* a function of this process (step.h) */
	void *arg;             /* given to it; borrowed until no run of this pipeline is left */
	bool dry_run_safe;     /* `call` may be executed by a dry run */
	const char *call_name; /* a function that was registered by name */
	const char *kind; /* any other kind of step, a registered one or the format's own: ... */
	const char *config_json; /* ... its key's value, as JSON; NULL = null */

	/* where it stands */
	const char *const *needs;     /* NULL = the step before; an empty list = a root */
	const char *const *needs_any; /* NULL = none */
	const char *when;             /* an expression */
	int priority;

	/* gate and failure */
	enum sluice_gate gate;
	const char *pass;   /* an expression */
	const char *reason; /* may hold ${} */
	const struct sluice_approve_def *approve;
	const struct sluice_retry_def *retry;
	enum sluice_on_failure on_failure;
	enum sluice_on_lost on_lost;
	enum sluice_on_stop on_stop;
	const char *compensate_json;

	/* time and size; 0 = not given (a real zero, where one makes sense, goes through
	 * `extra`) */
	int64_t timeout_ms;
	int64_t silence_timeout_ms;
	int64_t grace_ms;
	uint64_t output_limit_bytes;

	/* contract */
	const char *const *inputs; /* paths, NULL-ended */
	const struct sluice_output_def *outputs;
	const struct sluice_artifact_def *artifacts;
	const char *quality_json;
	bool cache;

	/* of a command */
	const struct sluice_env_def *env;
	const char *cwd;
	const char *const *shell;
	const struct sluice_exit_code_def *exit_codes;
	const char *stdin_path; /* a file ... */
	const char *stdin_text; /* ... or the text itself */
	bool context;
	bool split_streams; /* streams: split */
	const char *user;
	const char *orphans;
	const char *limits_json;
	const char *executor;
	const char *resources_json;
	const char *pool;

	/* for people */
	const char *description;
	const char *const *tags;

	/* further keys, as the text of a JSON object: {"grace": "0s"} */
	const char *extra;
};

/* A parameter; what is 0 or NULL is not given. */
struct sluice_param_def {
	const char *name;
	const char *type; /* "string", "int", "number", "bool", "enum", "path", ...; required */
	bool required;
	const char *default_json; /* as JSON: "97", "\"full\"" */
	bool has_min, has_max;
	double min, max;
	const char *const *values; /* of an enum, NULL-ended */
	const char *pattern;
	const char *secret_env;  /* of a secret: the variable ... */
	const char *secret_file; /* ... or the file it is read from */
	const char *help;
	const char *extra; /* further keys, as the text of a JSON object */
};

/* An empty pipeline. NULL when memory is short; a name that is not allowed is said by the check.
 * Free with sluice_pipeline_free. */
SLUICE_API struct sluice_pipeline *sluice_pipeline_new(const char *name);

/* Add a step, a parameter; set what steps have by default (`defaults`: kind, needs and gate cannot
 * be given there). Steps are in the order of the calls. What is checked here is only that the texts
 * can be kept: USAGE for a missing id, a text that is not UTF-8, a list without an end (over 65536
 * entries), malformed JSON, a pipeline that was read from a text; LIMIT over 1 GiB; MEMORY. The
 * first failure stays with the pipeline: sluice_pipeline_check and sluice_run_start answer it
 * again, so a caller may leave the results of these calls alone. */
SLUICE_API enum sluice_code sluice_pipeline_step(struct sluice_pipeline *pipeline,
						 const struct sluice_step_def *step,
						 struct sluice_error *err);
SLUICE_API enum sluice_code sluice_pipeline_param(struct sluice_pipeline *pipeline,
						  const struct sluice_param_def *param,
						  struct sluice_error *err);
SLUICE_API enum sluice_code sluice_pipeline_defaults(struct sluice_pipeline *pipeline,
						     const struct sluice_step_def *defaults,
						     struct sluice_error *err);
/* Set another key of the pipeline ("version", "concurrency", "timeout", "env" ...), once, to a text
 * or to any JSON value ("4", "{\"TZ\": \"UTC\"}"). Fails as above. */
SLUICE_API enum sluice_code sluice_pipeline_set(struct sluice_pipeline *pipeline, const char *key,
						const char *text, struct sluice_error *err);
SLUICE_API enum sluice_code sluice_pipeline_set_json(struct sluice_pipeline *pipeline,
						     const char *key, const char *json,
						     struct sluice_error *err);
/* Where relative paths of a built pipeline start; default: the working directory at its check. */
SLUICE_API enum sluice_code sluice_pipeline_set_folder(struct sluice_pipeline *pipeline,
						       const char *folder,
						       struct sluice_error *err);

/* Check a built pipeline under the limits of `sluice` (definition_bytes, definition_nodes, steps
 * ...): answers the first failure of building it, or INVALID with every error in *ret_diagnostics
 * (may be NULL), each with the name of its step. sluice_run_start and sluice_pipeline_plan do it as
 * well. OK for a pipeline that was read from a text: it was checked then. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_check(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		      char **ret_diagnostics, struct sluice_error *err);

/* -------------------------------------------------------------------------------------- of both */

/* Free a pipeline; accepts NULL. Runs that were started with it go on: they have what they need. */
SLUICE_API void sluice_pipeline_free(struct sluice_pipeline *pipeline);
/* Its name, and how many steps it has; borrowed. NULL and 0 without a pipeline. */
SLUICE_API const char *sluice_pipeline_name(const struct sluice_pipeline *pipeline);
SLUICE_API size_t sluice_pipeline_steps(const struct sluice_pipeline *pipeline);

/* What would run, in what order and why, with resolved values (secrets as ***). Executes nothing.
 * `params` are "name=value" texts, NULL-ended; may be NULL. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_pipeline_plan(struct sluice *sluice, const struct sluice_pipeline *pipeline,
		     const char *const *params, const char *params_file_json,
		     enum sluice_format format, char **ret_text, struct sluice_error *err);

/* Explanation of an error number of pipeline files ("SLU031"); NOT_FOUND for an unknown one. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_explain_code(const char *code, char **ret_text,
								  struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
