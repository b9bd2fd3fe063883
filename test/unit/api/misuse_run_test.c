/* misuse_run_test.c - wrong use of what opens, defines and carries on runs */
#include "misuse.h"

/* ---------------------------------------------------------------------------- error.h, state.h */

static void use_sluice_code_name(void)
{
	assert_non_null(sluice_code_name((enum sluice_code) - 1));
	assert_non_null(sluice_code_name((enum sluice_code)INT_MAX));
}

static void use_sluice_exit_status(void)
{
	assert_int_equal(sluice_exit_status((enum sluice_code) - 1), 10);
	assert_int_equal(sluice_exit_status((enum sluice_code)9999), 10);
}

static void use_sluice_version(void)
{
	assert_non_null(sluice_version());
}

static void use_sluice_free(void)
{
	sluice_free(NULL);
}

static void use_sluice_open(void)
{
	static const char *const limits[] = {"",          "=",        "steps",
					     "steps=",    "steps=-1", "steps=1x",
					     "nothing=1", "\xFF=1",   "steps=99999999999999999999"};
	struct sluice *made = NULL;

	USAGE(sluice_open(NULL, NULL, err));
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const char *const list[] = {limits[i], NULL};

		USAGE(sluice_open(
		    &(struct sluice_state_opts){.state_dir = folder.path, .limits = list}, &made,
		    err));
	}
	USAGE(sluice_open(&(struct sluice_state_opts){.state_dir = folder.path, .limits = endless},
			  &made, err));
	USAGE(sluice_open(&(struct sluice_state_opts){.state_dir = ""}, &made, err));
	FAILS(
	    SLUICE_NOT_FOUND,
	    sluice_open(&(struct sluice_state_opts){.keeper_path = "/no/such/keeper"}, &made, err));
	FAILS(SLUICE_NOT_FOUND,
	      sluice_open(&(struct sluice_state_opts){.keeper_path = ""}, &made, err));
	assert_null(made);
}

static void use_sluice_close(void)
{
	sluice_close(NULL);
}

static void use_sluice_state_dir(void)
{
	assert_null(sluice_state_dir(NULL));
}

/* -------------------------------------------------------------------------------------- step.h */

static int step_of_test(struct sluice_step_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return 0;
}

static int kind_of_test(struct sluice_step_ctx *ctx, const char *config_json, void *arg)
{
	(void)config_json;
	return step_of_test(ctx, arg);
}

static int around(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg)
{
	(void)arg;
	return sluice_next_run(next, ctx);
}

static void use_sluice_call_register(void)
{
	static const char *const wrong[] = {NULL, "", "a b", "\xFF", "a/b", "a\n"};
	const struct sluice_call_def good = {.name = "f", .call = step_of_test};

	USAGE(sluice_call_register(NULL, &good, err));
	USAGE(sluice_call_register(sluice, NULL, err));
	USAGE(sluice_call_register(sluice, &(struct sluice_call_def){.name = "f"}, err));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		USAGE(sluice_call_register(
		    sluice, &(struct sluice_call_def){.name = wrong[i], .call = step_of_test},
		    err));
	USAGE(sluice_call_register(
	    sluice, &(struct sluice_call_def){.name = long_text, .call = step_of_test}, err));
}

static enum sluice_code start_nothing(void *self, const struct sluice_executor_start *start,
				      struct sluice_error *e)
{
	(void)self;
	(void)start;
	(void)e;
	return SLUICE_REFUSED;
}

static enum sluice_look look_nowhere(void *self, const char *token, struct sluice_attempt_end *end)
{
	(void)self;
	(void)token;
	(void)end;
	return SLUICE_LOOK_LOST;
}

static void cancel_nothing(void *self, const char *token, bool now)
{
	(void)self;
	(void)token;
	(void)now;
}

static void use_sluice_executor_register(void)
{
	static const char *const wrong[] = {NULL, "", "a b", "\xFF", "a/b", "-a"};
	struct sluice_executor_def def = {.name = "misused",
					  .ops = {start_nothing, look_nowhere, cancel_nothing}};

	USAGE(sluice_executor_register(NULL, &def, err));
	USAGE(sluice_executor_register(sluice, NULL, err));
	USAGE(sluice_executor_register(sluice, &(struct sluice_executor_def){.name = "e"}, err));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		def.name = wrong[i];
		USAGE(sluice_executor_register(sluice, &def, err));
	}
	def.name = "local";
	FAILS(SLUICE_EXISTS, sluice_executor_register(sluice, &def, err));
	def.name = "call";
	FAILS(SLUICE_EXISTS, sluice_executor_register(sluice, &def, err));
}

static void use_sluice_executor_report(void)
{
	const struct sluice_attempt_end end = {.exit_code = 0};

	USAGE(sluice_executor_report(NULL, "t", &end, err));
	USAGE(sluice_executor_report(sluice, NULL, &end, err));
	USAGE(sluice_executor_report(sluice, "t", NULL, err));
	USAGE(sluice_executor_report(
	    sluice, "t", &(struct sluice_attempt_end){.cause = (enum sluice_end_cause)99}, err));
	USAGE(sluice_executor_report(sluice, "t", &(struct sluice_attempt_end){.signal = 65}, err));
	USAGE(sluice_executor_report(sluice, "t", &(struct sluice_attempt_end){.duration_ms = -1},
				     err));
}

static void use_sluice_observer_add(void)
{
	const struct sluice_observer observer = {.arg = NULL};

	USAGE(sluice_observer_add(NULL, &observer, err));
}

static void use_sluice_kind_register(void)
{
	static const char *const wrong[] = {NULL, "", "a b", "\xFF", "a-b", "9a"};
	const struct sluice_kind_def good = {.name = "f", .run = kind_of_test};

	USAGE(sluice_kind_register(NULL, &good, err));
	USAGE(sluice_kind_register(sluice, NULL, err));
	USAGE(sluice_kind_register(sluice, &(struct sluice_kind_def){.name = "f"}, err));
	FAILS(SLUICE_REFUSED,
	      sluice_kind_register(
		  sluice, &(struct sluice_kind_def){.name = "run", .run = kind_of_test}, err));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		REFUSED(sluice_kind_register(
		    sluice, &(struct sluice_kind_def){.name = wrong[i], .run = kind_of_test}, err));
	REFUSED(sluice_kind_register(
	    sluice, &(struct sluice_kind_def){.name = long_text, .run = kind_of_test}, err));
}

static void use_sluice_middleware_add(void)
{
	USAGE(sluice_middleware_add(NULL, around, NULL, err));
	USAGE(sluice_middleware_add(sluice, NULL, NULL, err));
}

static void use_sluice_next_run(void)
{
	assert_int_equal(sluice_next_run(NULL, NULL), -1);
}

#define NO_CTX(function, nothing, ...) \
	static void use_##function(void) \
	{ \
		assert_true(function(__VA_ARGS__) == (nothing)); \
	}
NO_CTX(sluice_ctx_run_id, NULL, NULL)
NO_CTX(sluice_ctx_step, NULL, NULL)
NO_CTX(sluice_ctx_attempt, 0, NULL)
NO_CTX(sluice_ctx_idempotency_key, NULL, NULL)
NO_CTX(sluice_ctx_param, NULL, NULL, "a")
NO_CTX(sluice_ctx_param_json, NULL, NULL, "a")
NO_CTX(sluice_ctx_params_json, NULL, NULL)
NO_CTX(sluice_ctx_output, NULL, NULL, "a", "b")
NO_CTX(sluice_ctx_output_json, NULL, NULL, "a", "b")
NO_CTX(sluice_ctx_outputs_json, NULL, NULL, "a")
NO_CTX(sluice_ctx_is_cancelled, false, NULL)
NO_CTX(sluice_ctx_left_ms, -1, NULL)
NO_CTX(sluice_ctx_is_dry_run, false, NULL)
NO_CTX(sluice_ctx_set_output, SLUICE_USAGE, NULL, "a", "b")
NO_CTX(sluice_ctx_set_output_int, SLUICE_USAGE, NULL, "a", 1)
NO_CTX(sluice_ctx_set_output_double, SLUICE_USAGE, NULL, "a", 1)
NO_CTX(sluice_ctx_set_output_bool, SLUICE_USAGE, NULL, "a", true)
NO_CTX(sluice_ctx_set_output_json, SLUICE_USAGE, NULL, "a", "1")
NO_CTX(sluice_ctx_set_update, SLUICE_USAGE, NULL, "a", "b")
NO_CTX(sluice_ctx_set_update_json, SLUICE_USAGE, NULL, "a", "1")
NO_CTX(sluice_ctx_set_quality, SLUICE_USAGE, NULL, NULL)
NO_CTX(sluice_ctx_emit, SLUICE_USAGE, NULL, "x-a", "1")
NO_CTX(sluice_ctx_fail, 1, NULL, "timeout", "%s", "why")
NO_CTX(sluice_ctx_print, SLUICE_USAGE, NULL, "%d", 1)
NO_CTX(sluice_ctx_write, SLUICE_USAGE, NULL, "a", 1)

static void use_sluice_ctx_clear(void)
{
	sluice_ctx_clear(NULL);
}

/* What a function does wrong with the attempt it was given: each in an attempt of its own, because
 * the first fails it. */
static int wrong_in_attempt(struct sluice_step_ctx *ctx, void *arg)
{
	unsigned *count = arg;
	enum sluice_code codes[] = {
	    sluice_ctx_set_output(ctx, NULL, "b"),
	    sluice_ctx_set_output(ctx, "a", NULL),
	    sluice_ctx_set_output(ctx, "\xFF", "b"),
	    sluice_ctx_set_output(ctx, "a", "\xFF"),
	    sluice_ctx_set_output_int(ctx, NULL, 1),
	    sluice_ctx_set_output_double(ctx, "a", (double)NAN),
	    sluice_ctx_set_output_double(ctx, NULL, 1),
	    sluice_ctx_set_output_bool(ctx, NULL, true),
	    sluice_ctx_set_output_json(ctx, "a", "["),
	    sluice_ctx_set_output_json(ctx, "a", NULL),
	    sluice_ctx_set_update(ctx, NULL, NULL),
	    sluice_ctx_set_update_json(ctx, "a", long_text),
	    sluice_ctx_set_quality(ctx, NULL),
	    sluice_ctx_emit(ctx, NULL, NULL),
	    sluice_ctx_print(ctx, NULL),
	    sluice_ctx_write(ctx, NULL, 5),
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i] == SLUICE_OK)
			print_error("wrong use %zu was accepted\n", i);
		*count += codes[i] == SLUICE_OK;
	}
	*count += sluice_ctx_param(ctx, NULL) != NULL || sluice_ctx_param(ctx, "none") != NULL;
	*count += sluice_ctx_output(ctx, NULL, NULL) != NULL ||
		  sluice_ctx_output_json(ctx, "none", "x") != NULL;
	*count += sluice_ctx_outputs_json(ctx, NULL) != NULL;
	*count += sluice_next_run(NULL, ctx) != -1;
	return 0;
}

static void s13_wrong_use_within_an_attempt_fails_the_attempt(void **state)
{
	struct sluice_pipeline *made = sluice_pipeline_new("p");
	struct sluice_run *wrong = NULL;
	struct sluice_error err;
	unsigned accepted = 0;

	(void)state;
	(void)sluice_pipeline_step(
	    made, &(struct sluice_step_def){.id = "a", .call = wrong_in_attempt, .arg = &accepted},
	    &err);
	if (sluice_run_start(sluice, made, &(struct sluice_run_opts){.run_id = "wrong"}, &wrong,
			     &err) != SLUICE_OK)
		fail_msg("%s", err.text);
	assert_int_equal(sluice_run_wait(wrong, &err), SLUICE_RUN_FAILED);
	assert_int_equal(accepted, 0);
	sluice_run_free(wrong);
	sluice_pipeline_free(made);
}

/* ---------------------------------------------------------------------------------- pipeline.h */

static void use_sluice_pipeline_load(void)
{
	struct sluice_pipeline *made = NULL;

	USAGE(sluice_pipeline_load(NULL, "p.yaml", &made, NULL, err));
	USAGE(sluice_pipeline_load(sluice, NULL, &made, NULL, err));
	USAGE(sluice_pipeline_load(sluice, "p.yaml", NULL, NULL, err));
	REFUSED(sluice_pipeline_load(sluice, "", &made, &text, err));
	REFUSED(sluice_pipeline_load(sluice, folder.path, &made, &text, err));
	REFUSED(sluice_pipeline_load(sluice, "/dev/null", &made, &text, err));
	REFUSED(sluice_pipeline_load(sluice, long_text, &made, &text, err));
	assert_null(made);
}

static void use_sluice_pipeline_read(void)
{
	static const char good[] = "pipeline: p\nsteps: {a: {noop: true}}\n";
	struct sluice_pipeline *made = NULL;

	USAGE(sluice_pipeline_read(NULL, good, 3, NULL, &made, NULL, err));
	USAGE(sluice_pipeline_read(sluice, NULL, 3, NULL, &made, NULL, err));
	USAGE(sluice_pipeline_read(sluice, NULL, SIZE_MAX, NULL, &made, NULL, err));
	USAGE(sluice_pipeline_read(sluice, good, 3, NULL, NULL, NULL, err));
	FAILS(SLUICE_NOT_FOUND, sluice_pipeline_read(sluice, good, 3, "", &made, &text, err));
	REFUSED(
	    sluice_pipeline_read(sluice, good, sizeof(good) - 1, "/dev/null", &made, &text, err));
	REFUSED(sluice_pipeline_read(sluice, good, sizeof(good) - 1, long_text, &made, &text, err));
	FAILS(SLUICE_INVALID,
	      sluice_pipeline_read(sluice, good, sizeof(good), NULL, &made, NULL, err));
	FAILS(SLUICE_INVALID, sluice_pipeline_read(sluice, good, 0, NULL, &made, NULL, err));
	assert_null(made);
}

static void use_sluice_pipeline_new(void)
{
	static const char *const wrong[] = {NULL, "", "\xFF", "a\nb"};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct sluice_pipeline *made = sluice_pipeline_new(wrong[i]);

		assert_non_null(made);
		REFUSED(sluice_pipeline_check(sluice, made, NULL, err));
		sluice_pipeline_free(made);
	}
}

/* The first failure stays, so each wrong use gets a pipeline of its own. */
#define ON_NEW(made, ...) \
	do { \
		struct sluice_pipeline *made = sluice_pipeline_new("p"); \
		__VA_ARGS__; \
		sluice_pipeline_free(made); \
	} while (0)

static void use_sluice_pipeline_step(void)
{
	static const struct sluice_step_def good = {.id = "a", .noop = true};
	const struct sluice_step_def list = {.id = "a", .argv = endless};
	const struct sluice_step_def words = {
	    .id = "a", .noop = true, .on_lost = (enum sluice_on_lost)9};

	USAGE(sluice_pipeline_step(NULL, &good, err));
	USAGE(sluice_pipeline_step(pipeline, &good, err)); /* it was read */
	ON_NEW(made, USAGE(sluice_pipeline_step(made, NULL, err)));
	ON_NEW(made,
	       USAGE(sluice_pipeline_step(made, &(struct sluice_step_def){.noop = true}, err)));
	ON_NEW(made, USAGE(sluice_pipeline_step(made, &list, err)));
	ON_NEW(made, USAGE(sluice_pipeline_step(made, &words, err)));
}

static void use_sluice_pipeline_param(void)
{
	static const struct sluice_param_def good = {.name = "a", .type = "int"};
	const struct sluice_param_def number = {
	    .name = "a", .type = "number", .has_min = true, .min = (double)NAN};
	const struct sluice_param_def json = {.name = "a", .type = "number", .default_json = "["};
	const struct sluice_param_def list = {.name = "a", .type = "enum", .values = endless};

	USAGE(sluice_pipeline_param(NULL, &good, err));
	USAGE(sluice_pipeline_param(pipeline, &good, err));
	ON_NEW(made, USAGE(sluice_pipeline_param(made, NULL, err)));
	ON_NEW(made,
	       USAGE(sluice_pipeline_param(made, &(struct sluice_param_def){.type = "int"}, err)));
	ON_NEW(made, USAGE(sluice_pipeline_param(made, &number, err)));
	ON_NEW(made, USAGE(sluice_pipeline_param(made, &json, err)));
	ON_NEW(made, USAGE(sluice_pipeline_param(made, &list, err)));
}

static void use_sluice_pipeline_defaults(void)
{
	static const struct sluice_step_def good = {.timeout_ms = 1};

	USAGE(sluice_pipeline_defaults(NULL, &good, err));
	USAGE(sluice_pipeline_defaults(pipeline, &good, err));
	ON_NEW(made, USAGE(sluice_pipeline_defaults(made, NULL, err)));
	ON_NEW(made,
	       USAGE(sluice_pipeline_defaults(made, &(struct sluice_step_def){.id = "a"}, err)));
}

static void use_sluice_pipeline_set(void)
{
	USAGE(sluice_pipeline_set(NULL, "version", "1", err));
	USAGE(sluice_pipeline_set(pipeline, "version", "1", err));
	ON_NEW(made, USAGE(sluice_pipeline_set(made, NULL, "1", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set(made, "version", NULL, err)));
	ON_NEW(made, USAGE(sluice_pipeline_set(made, "\xFF", "1", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set(made, "version", "\xFF", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set(made, "steps", "1", err)));
}

static void use_sluice_pipeline_set_json(void)
{
	USAGE(sluice_pipeline_set_json(NULL, "concurrency", "1", err));
	USAGE(sluice_pipeline_set_json(pipeline, "concurrency", "1", err));
	ON_NEW(made, USAGE(sluice_pipeline_set_json(made, NULL, "1", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set_json(made, "concurrency", NULL, err)));
	ON_NEW(made, USAGE(sluice_pipeline_set_json(made, "concurrency", "", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set_json(made, "concurrency", "1 2", err)));
	ON_NEW(made, USAGE(sluice_pipeline_set_json(made, "concurrency", long_text, err)));
}

static void use_sluice_pipeline_set_folder(void)
{
	USAGE(sluice_pipeline_set_folder(NULL, "/", err));
	USAGE(sluice_pipeline_set_folder(pipeline, "/", err));
	ON_NEW(made, USAGE(sluice_pipeline_set_folder(made, NULL, err)));
	ON_NEW(made, REFUSED(sluice_pipeline_set_folder(made, "", err)));
	ON_NEW(made, REFUSED(sluice_pipeline_set_folder(made, "/dev/null", err)));
	ON_NEW(made, REFUSED(sluice_pipeline_set_folder(made, long_text, err)));
}

static void use_sluice_pipeline_check(void)
{
	USAGE(sluice_pipeline_check(NULL, pipeline, &text, err));
	USAGE(sluice_pipeline_check(sluice, NULL, &text, err));
}

static void use_sluice_pipeline_free(void)
{
	sluice_pipeline_free(NULL);
}

static void use_sluice_pipeline_name(void)
{
	assert_null(sluice_pipeline_name(NULL));
}

static void use_sluice_pipeline_steps(void)
{
	assert_int_equal(sluice_pipeline_steps(NULL), 0);
}

static void use_sluice_pipeline_plan(void)
{
	static const char *const params[] = {"x", "=", "nothing=1", "\xFF=1", NULL};
	const enum sluice_format wrong = (enum sluice_format)77;

	USAGE(sluice_pipeline_plan(NULL, pipeline, NULL, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_pipeline_plan(sluice, NULL, NULL, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, NULL, NULL, SLUICE_TEXT, NULL, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, NULL, NULL, wrong, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, NULL, NULL, SLUICE_CSV, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, params, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, endless, NULL, SLUICE_TEXT, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, NULL, "[", SLUICE_TEXT, &text, err));
	USAGE(sluice_pipeline_plan(sluice, pipeline, NULL, long_text, SLUICE_TEXT, &text, err));
}

static void use_sluice_explain_code(void)
{
	USAGE(sluice_explain_code(NULL, &text, err));
	USAGE(sluice_explain_code("SLU001", NULL, err));
	REFUSED(sluice_explain_code("", &text, err));
	REFUSED(sluice_explain_code("SLU99999999999999999999", &text, err));
	REFUSED(sluice_explain_code("SLU-1", &text, err));
	REFUSED(sluice_explain_code("\xFF", &text, err));
	REFUSED(sluice_explain_code(long_text, &text, err));
}

/* --------------------------------------------------------------------------------------- run.h */

static void use_sluice_run_start(void)
{
	static const char *const bad_ids[] = {"", "..", "a/b", "a b", "\xFF", "a\nb", "-a"};
	static const char *const syncs[] = {"", "often", "interval:", "interval:-1",
					    "interval:99999999999"};
	static const char *const params[] = {"nothing=1", NULL};
	const struct sluice_pipeline *built = sluice_pipeline_new("p");
	struct sluice_run *made = NULL;

	USAGE(sluice_run_start(NULL, pipeline, NULL, &made, err));
	USAGE(sluice_run_start(sluice, NULL, NULL, &made, err));
	USAGE(sluice_run_start(sluice, pipeline, NULL, NULL, err));
	FAILS(SLUICE_INVALID, sluice_run_start(sluice, built, NULL, &made, err));
	for (size_t i = 0; i < ARRAY_LEN(bad_ids); i++)
		USAGE(sluice_run_start(
		    sluice, pipeline, &(struct sluice_run_opts){.run_id = bad_ids[i]}, &made, err));
	for (size_t i = 0; i < ARRAY_LEN(syncs); i++)
		USAGE(sluice_run_start(sluice, pipeline,
				       &(struct sluice_run_opts){.sync = syncs[i]}, &made, err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.run_id = long_text},
			       &made, err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.reason = long_text},
			       &made, err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.reason = "\xFF"}, &made,
			       err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.params = params}, &made,
			       err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.params = endless},
			       &made, err));
	USAGE(sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.params_file_json = "{"},
			       &made, err));
	FAILS(SLUICE_EXISTS,
	      sluice_run_start(sluice, pipeline, &(struct sluice_run_opts){.run_id = RUN_ID}, &made,
			       err));
	assert_null(made);
	sluice_pipeline_free((struct sluice_pipeline *)(uintptr_t)built);
}

static void use_sluice_run_resume(void)
{
	struct sluice_run *made = NULL;
	int status = 77;

	USAGE(sluice_run_resume(NULL, RUN_ID, NULL, &made, &status, err));
	USAGE(sluice_run_resume(sluice, NULL, NULL, &made, &status, err));
	USAGE(sluice_run_resume(sluice, RUN_ID, NULL, NULL, &status, err));
	USAGE(sluice_run_resume(sluice, RUN_ID, NULL, &made, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_run_resume(sluice, name, NULL, &made, &status, err));
	assert_null(made);
	assert_int_equal(status, 77);
}

static void use_sluice_resume_changes(void)
{
	struct sluice_pipeline *built = sluice_pipeline_new("built");
	struct sluice_run *made = NULL;
	struct sluice_resume_opts blind = {.accept_changes = true};
	struct sluice_resume_opts empty = {.definition = built};
	int status = 77;

	USAGE(sluice_resume_changes(NULL, RUN_ID, NULL, &text, err));
	USAGE(sluice_resume_changes(sluice, NULL, NULL, &text, err));
	USAGE(sluice_resume_changes(sluice, RUN_ID, NULL, NULL, err));
	FAILS(SLUICE_INVALID, sluice_resume_changes(sluice, RUN_ID, &empty, &text, err));
	USAGE(sluice_resume_check(sluice, RUN_ID, &blind, &text, err));
	USAGE(sluice_run_resume(sluice, RUN_ID, &blind, &made, &status, err));
	FAILS(SLUICE_INVALID, sluice_run_resume(sluice, RUN_ID, &empty, &made, &status, err));
	FOR_NAMES(name)
	REFUSED(sluice_resume_changes(sluice, name, NULL, &text, err));
	assert_null(made);
	sluice_pipeline_free(built);
}

static void use_sluice_resume_check(void)
{
	USAGE(sluice_resume_check(NULL, RUN_ID, NULL, &text, err));
	USAGE(sluice_resume_check(sluice, NULL, NULL, &text, err));
	USAGE(sluice_resume_check(sluice, RUN_ID, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_resume_check(sluice, name, NULL, &text, err));
}

static void use_sluice_run_wait(void)
{
	struct sluice_error err;

	assert_int_equal(sluice_run_wait(NULL, &err), SLUICE_RUN_UNKNOWN);
	assert_int_equal(err.code, SLUICE_USAGE);
	assert_int_equal(sluice_run_wait(NULL, NULL), SLUICE_RUN_UNKNOWN);
	/* Once more, of a run that has ended: it rests where it rested. */
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_SUCCEEDED);
}

static void use_sluice_run_end(void)
{
	struct sluice_end end;

	memset(&end, 0x55, sizeof(end));
	sluice_run_end(NULL, &end);
	assert_int_equal(end.state, SLUICE_RUN_UNKNOWN);
	assert_string_equal(end.outcome, "");
	assert_int_equal(end.exit_status, 2);
	sluice_run_end(run, NULL);
	sluice_run_end(NULL, NULL);
}

static void use_sluice_run_stop(void)
{
	sluice_run_stop(NULL, true);
	sluice_run_stop(run, false); /* it has ended */
	sluice_run_stop(run, true);
}

static void use_sluice_run_id(void)
{
	assert_null(sluice_run_id(NULL));
}

static void use_sluice_run_dir(void)
{
	assert_null(sluice_run_dir(NULL));
}

static void use_sluice_run_fd(void)
{
	assert_int_equal(sluice_run_fd(NULL), -1);
}

static void use_sluice_run_timeout_ms(void)
{
	assert_int_equal(sluice_run_timeout_ms(NULL), -1);
}

static void use_sluice_run_dispatch(void)
{
	bool is_over = false;

	USAGE(sluice_run_dispatch(NULL, &is_over, err));
	USAGE(sluice_run_dispatch(run, NULL, err));
	assert_false(is_over);
}

static void use_sluice_run_find(void)
{
	const struct sluice_run_opts none = {.reason = NULL};

	USAGE(sluice_run_find(NULL, pipeline, &none, &text, err));
	USAGE(sluice_run_find(sluice, NULL, &none, &text, err));
	USAGE(sluice_run_find(sluice, pipeline, &none, NULL, err));
}

static void use_sluice_run_follow(void)
{
	static const struct sluice_observer observer;
	struct sluice_end end;

	USAGE(sluice_run_follow(NULL, RUN_ID, &observer, &end, err));
	USAGE(sluice_run_follow(sluice, NULL, &observer, &end, err));
	FOR_NAMES(name)
	REFUSED(sluice_run_follow(sluice, name, &observer, &end, err));
}

static void use_sluice_run_rerun(void)
{
	struct sluice_run *made = NULL;

	USAGE(sluice_run_rerun(NULL, RUN_ID, NULL, &made, err));
	USAGE(sluice_run_rerun(sluice, NULL, NULL, &made, err));
	USAGE(sluice_run_rerun(sluice, RUN_ID, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_run_rerun(sluice, name, NULL, &made, err));
	assert_null(made);
}

static void use_sluice_run_rollback(void)
{
	struct sluice_run *made = NULL;

	USAGE(sluice_run_rollback(NULL, RUN_ID, NULL, &made, err));
	USAGE(sluice_run_rollback(sluice, NULL, NULL, &made, err));
	USAGE(sluice_run_rollback(sluice, RUN_ID, NULL, NULL, err));
	FOR_NAMES(name)
	REFUSED(sluice_run_rollback(sluice, name, NULL, &made, err));
	assert_null(made);
}

static void use_sluice_run_free(void)
{
	sluice_run_free(NULL);
	sluice_run_free(run); /* from here on nobody owns it */
	run = NULL;
}

/* ---------------------------------------------------------------------------------- the table */

static const struct misuse rows[] = {
    ROW(sluice_code_name),
    ROW(sluice_exit_status),
    ROW(sluice_version),
    ROW(sluice_free),
    ROW(sluice_open),
    ROW(sluice_close),
    ROW(sluice_state_dir),
    ROW(sluice_pipeline_load),
    ROW(sluice_pipeline_read),
    ROW(sluice_pipeline_new),
    ROW(sluice_pipeline_step),
    ROW(sluice_pipeline_param),
    ROW(sluice_pipeline_defaults),
    ROW(sluice_pipeline_set),
    ROW(sluice_pipeline_set_json),
    ROW(sluice_pipeline_set_folder),
    ROW(sluice_pipeline_check),
    ROW(sluice_pipeline_free),
    ROW(sluice_pipeline_name),
    ROW(sluice_pipeline_steps),
    ROW(sluice_pipeline_plan),
    ROW(sluice_explain_code),
    ROW(sluice_run_start),
    ROW(sluice_run_resume),
    ROW(sluice_resume_check),
    ROW(sluice_resume_changes),
    ROW(sluice_run_wait),
    ROW(sluice_run_end),
    ROW(sluice_run_stop),
    ROW(sluice_run_id),
    ROW(sluice_run_dir),
    ROW(sluice_run_fd),
    ROW(sluice_run_timeout_ms),
    ROW(sluice_run_dispatch),
    ROW(sluice_run_find),
    ROW(sluice_run_follow),
    ROW(sluice_run_rerun),
    ROW(sluice_run_rollback),
    ROW(sluice_call_register),
    ROW(sluice_executor_register),
    ROW(sluice_executor_report),
    ROW(sluice_observer_add),
    ROW(sluice_kind_register),
    ROW(sluice_middleware_add),
    ROW(sluice_next_run),
    ROW(sluice_ctx_clear),
    ROW(sluice_ctx_run_id),
    ROW(sluice_ctx_step),
    ROW(sluice_ctx_attempt),
    ROW(sluice_ctx_idempotency_key),
    ROW(sluice_ctx_param),
    ROW(sluice_ctx_param_json),
    ROW(sluice_ctx_params_json),
    ROW(sluice_ctx_output),
    ROW(sluice_ctx_output_json),
    ROW(sluice_ctx_outputs_json),
    ROW(sluice_ctx_is_cancelled),
    ROW(sluice_ctx_left_ms),
    ROW(sluice_ctx_is_dry_run),
    ROW(sluice_ctx_set_output),
    ROW(sluice_ctx_set_output_int),
    ROW(sluice_ctx_set_output_double),
    ROW(sluice_ctx_set_output_bool),
    ROW(sluice_ctx_set_output_json),
    ROW(sluice_ctx_set_update),
    ROW(sluice_ctx_set_update_json),
    ROW(sluice_ctx_set_quality),
    ROW(sluice_ctx_emit),
    ROW(sluice_ctx_fail),
    ROW(sluice_ctx_print),
    ROW(sluice_ctx_write),
    ROW(sluice_run_free),
};

static void s13_wrong_use_is_an_error_and_never_a_crash(void **state)
{
	(void)state;
	misuse_all(rows, ARRAY_LEN(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s13_wrong_use_is_an_error_and_never_a_crash),
	    cmocka_unit_test(s13_wrong_use_writes_nothing),
	    cmocka_unit_test(s13_wrong_use_within_an_attempt_fails_the_attempt),
	};

	return cmocka_run_group_tests(tests, make, clear);
}
