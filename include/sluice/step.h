/* step.h - what a program adds to Sluice: functions for `call` steps, kinds of steps, middleware */
#ifndef SLUICE_STEP_H
#define SLUICE_STEP_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SLUICE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SLUICE_PRINTF(text, first)
#endif

/* ------------------------------------------------------------------------------- what is added */

/* One attempt of a step, as the function that carries it out sees it. It belongs to the thread that
 * the function was called on, and ends with the call; sluice_ctx_is_cancelled may be asked on any
 * thread. */
struct sluice_step_ctx;

/* Carry out one attempt: 0 is success, anything else a failure (see sluice_ctx_fail). It is called
 * on a thread of the library, never on the one that carries the run on, so several may run at once,
 * as many as the run's `concurrency`. It cannot be ended from outside: a stop and a deadline are
 * told by sluice_ctx_is_cancelled, and the step keeps its slot until the function returns. If the
 * process dies meanwhile, nobody can know what was done: the attempt is lost, and the step's
 * `on_lost` applies. It must return: no C++ exception, longjmp or pthread_exit may leave it. */
typedef int sluice_call_fn(struct sluice_step_ctx *ctx, void *arg);

struct sluice_call_def {
	const char *name; /* as in `call: NAME`: A-Z a-z 0-9 . _ -, at most 128 */
	sluice_call_fn *call;
	void *arg; /* handed to it; must live as long as the handle */
	/* May be called in a dry run (see sluice_ctx_is_dry_run); otherwise its success is mocked
	 * there. It must leave no trace then. */
	bool dry_run_safe;
};

/* Add a function that pipelines can `call`. Before the pipelines that name it are loaded; a run
 * that is under way keeps what it started with. EXISTS when there is one of that name. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_call_register(struct sluice *sluice, const struct sluice_call_def *def,
		     struct sluice_error *err);

/* Is the config of a step right? Asked when a pipeline is loaded, with its `${}` unfilled. False,
 * with a text for a person in `why` (NUL-ended, at most why_bytes): the text becomes an error with
 * its place. */
typedef bool sluice_kind_check_fn(const char *config_json, void *arg, char *why, size_t why_bytes);
/* Carry out an attempt, as sluice_call_fn; `config_json` with every `${}` filled. */
typedef int sluice_kind_fn(struct sluice_step_ctx *ctx, const char *config_json, void *arg);

struct sluice_kind_def {
	const char *name;            /* the key of the step: `slack: {channel: ops}` */
	sluice_kind_check_fn *check; /* may be NULL: any config will do */
	sluice_kind_fn *run;
	void *arg;
	bool dry_run_safe; /* as of sluice_call_def; if a mocked step is missing for its config:
			      mocked */
};

/* Add a kind of step. Its name is a plain name ([A-Za-z_][A-Za-z0-9_]{0,63}) that the pipeline
 * format does not have, in this version or a later one: REFUSED. EXISTS when there is one of that
 * name. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_kind_register(struct sluice *sluice, const struct sluice_kind_def *def,
		     struct sluice_error *err);

/* The rest of the way to the function, for a middleware. */
struct sluice_next;
/* Goes around every function of `call` and every kind of step. It calls sluice_next_run, or does
 * not; what it answers is the answer of the attempt. */
typedef int sluice_middleware_fn(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg);

/* Add one: the first that is added is the outermost. For runs that start or resume from now on; a
 * dry run goes past it. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_middleware_add(struct sluice *sluice,
								    sluice_middleware_fn *fn,
								    void *arg,
								    struct sluice_error *err);
/* Go on with the next middleware, at last with the function itself. It may be called again, to try
 * again (see sluice_ctx_clear). -1 when an argument is missing. */
SLUICE_API int sluice_next_run(struct sluice_next *next, struct sluice_step_ctx *ctx);

/* ------------------------------------------------------------------- what an attempt can know */

/* Texts are NUL-ended and live as long as the attempt. NULL: there is none, or an argument is
 * NULL. */
SLUICE_API const char *sluice_ctx_run_id(const struct sluice_step_ctx *ctx);
SLUICE_API const char *sluice_ctx_step(const struct sluice_step_ctx *ctx);
/* From 0; grows with each attempt of the step in the run. */
SLUICE_API uint32_t sluice_ctx_attempt(const struct sluice_step_ctx *ctx);
/* The same for every attempt of the step: for services that take one. */
SLUICE_API const char *sluice_ctx_idempotency_key(const struct sluice_step_ctx *ctx);

/* A parameter, or the context update that took its place, as it was when the attempt began. As
 * text: a text as it is (a secret: its value), anything else as JSON. As JSON: a secret is
 * {"secret":"name"}. */
SLUICE_API const char *sluice_ctx_param(struct sluice_step_ctx *ctx, const char *name);
SLUICE_API const char *sluice_ctx_param_json(struct sluice_step_ctx *ctx, const char *name);
SLUICE_API const char *sluice_ctx_params_json(struct sluice_step_ctx *ctx); /* all, one object */
/* An output of a step that had succeeded when the attempt began. */
SLUICE_API const char *sluice_ctx_output(struct sluice_step_ctx *ctx, const char *step,
					 const char *name);
SLUICE_API const char *sluice_ctx_output_json(struct sluice_step_ctx *ctx, const char *step,
					      const char *name);
SLUICE_API const char *sluice_ctx_outputs_json(struct sluice_step_ctx *ctx, const char *step);

/* Is it time to give up? So when the deadline has passed, when the run was stopped with `now` or
 * let go of (sluice_run_free), and when it was stopped and the step has `on_stop: cancel`. A plain
 * stop lets other steps end: they are not told of it. Any thread. */
SLUICE_API bool sluice_ctx_is_cancelled(const struct sluice_step_ctx *ctx);
/* Milliseconds until the deadline, never below 0; -1 without one. An attempt that returns after its
 * deadline failed with the class `timeout`, whatever it answers. */
SLUICE_API int64_t sluice_ctx_left_ms(const struct sluice_step_ctx *ctx);
/* Is it a dry run? Then outputs of steps may be mocked, secrets were not read (a secret parameter
 * is
 * {"secret":"name"}), artifacts are not looked for, what is printed is kept nowhere; nothing may be
 * changed. */
SLUICE_API bool sluice_ctx_is_dry_run(const struct sluice_step_ctx *ctx);

/* ---------------------------------------------------------------- what an attempt leaves behind */

/* All of it is checked as a command's result file is: names, declared types, required outputs,
 * sizes. What is refused here at once (USAGE, INVALID, LIMIT, MEMORY) fails the attempt too
 * (`validation_failed`), so the answer may be ignored. Setting a name again replaces it. */

/* An output. A text is converted to the declared type, as a line `name=text` of a result file
 * is. */
SLUICE_API enum sluice_code sluice_ctx_set_output(struct sluice_step_ctx *ctx, const char *name,
						  const char *text);
SLUICE_API enum sluice_code sluice_ctx_set_output_int(struct sluice_step_ctx *ctx, const char *name,
						      int64_t value);
SLUICE_API enum sluice_code sluice_ctx_set_output_double(struct sluice_step_ctx *ctx,
							 const char *name, double value);
SLUICE_API enum sluice_code sluice_ctx_set_output_bool(struct sluice_step_ctx *ctx,
						       const char *name, bool value);
SLUICE_API enum sluice_code sluice_ctx_set_output_json(struct sluice_step_ctx *ctx,
						       const char *name, const char *json);

/* A context update: later steps see it as `params.NAME`. */
SLUICE_API enum sluice_code sluice_ctx_set_update(struct sluice_step_ctx *ctx, const char *name,
						  const char *text);
SLUICE_API enum sluice_code sluice_ctx_set_update_json(struct sluice_step_ctx *ctx,
						       const char *name, const char *json);

/* Figures about the data that the attempt has made, for `quality` of the step. A count below 0 is
 * not known: begin with SLUICE_QUALITY_UNKNOWN. */
struct sluice_quality {
	int64_t record_count;
	int64_t valid_count;
	int64_t invalid_count;
	int64_t null_count;
	const char *custom_metrics_json; /* an object; NULL = none */
};
#define SLUICE_QUALITY_UNKNOWN \
	{ \
		-1, -1, -1, -1, NULL \
	}

/* Say them; once more replaces them. */
SLUICE_API enum sluice_code sluice_ctx_set_quality(struct sluice_step_ctx *ctx,
						   const struct sluice_quality *quality);

/* An event of one's own in the log of the run, once the attempt has ended; `type` begins with "x-"
 * and has at most 128 bytes; `data_json` may be NULL. LIMIT: more than 64 in an attempt. */
SLUICE_API enum sluice_code sluice_ctx_emit(struct sluice_step_ctx *ctx, const char *type,
					    const char *data_json);

/* Say why it fails: `return sluice_ctx_fail(ctx, "transient_io", "no answer from %s", host)`. The
 * class decides about retries: "transient_io" and "timeout" are tried again if the step has
 * `retry`; "dependency" and "infrastructure" if `retry.on` lists them; "configuration",
 * "validation_failed", "data_quality", "contract_input_missing" and "internal" never, nor is any
 * other, which is kept as text. NULL: `unknown`. Answers 1. */
SLUICE_API int sluice_ctx_fail(struct sluice_step_ctx *ctx, const char *error_class,
			       const char *format, ...) SLUICE_PRINTF(3, 4);

/* Forget everything that was set, emitted and failed so far: for a middleware that tries again. */
SLUICE_API void sluice_ctx_clear(struct sluice_step_ctx *ctx);

/* Print into the step's log file; secrets become ***. LIMIT over the step's `output_limit`; what
 * cannot be written fails the attempt (`infrastructure`). */
SLUICE_API enum sluice_code sluice_ctx_print(struct sluice_step_ctx *ctx, const char *format, ...)
    SLUICE_PRINTF(2, 3);
SLUICE_API enum sluice_code sluice_ctx_write(struct sluice_step_ctx *ctx, const void *bytes,
					     size_t len);

#ifdef __cplusplus
}
#endif

#endif
