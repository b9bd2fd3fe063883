/* kind_test.c - kinds of steps that a program registers, and middleware around what it carries
 * out */
#include "fixture.h"

static struct world world_of_test;
static char told[4096];

static int setup(void **state)
{
	world_open(&world_of_test);
	told[0] = '\0';
	*state = &world_of_test;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	return 0;
}

/* Steps of these tests run one after the other: one list of what happened will do. */
static void tell(const char *text)
{
	size_t len = strlen(told);

	(void)snprintf(told + len, sizeof(told) - len, "%s ", text);
}

static bool check_slack(const char *config, void *arg, char *why, size_t why_bytes)
{
	(void)arg;
	if (strstr(config, "\"channel\""))
		return true;
	(void)snprintf(why, why_bytes, "the channel is missing");
	return false;
}

static int run_slack(struct sluice_step_ctx *ctx, const char *config, void *arg)
{
	tell(config);
	(void)sluice_ctx_set_output(ctx, "sent", arg);
	return 0;
}

static void add_slack(struct world *world)
{
	struct sluice_kind_def def = {.name = "slack",
				      .check = check_slack,
				      .run = run_slack,
				      .arg = (void *)(uintptr_t) "yes"};

	assert_code(sluice_kind_register(world->sluice, &def, &world->err), SLUICE_OK);
}

static void a_registered_kind_gets_its_config_with_every_text_filled(void **state)
{
	struct world *world = *state;

	add_slack(world);
	assert_int_equal(
	    world_run(
		world,
		"pipeline: p\nparams: {n: {type: int, default: 3}, w: {type: string, default: "
		"'a \"b\"'}}\nsteps:\n  a: {slack: {channel: ops, n: '${params.n}', t: 'n is "
		"${params.n}', l: ['${params.w}', 1.5, null, \"q\\\"\"]}}\n"
		"  b: {slack: {channel: '${outputs.a.sent}'}, when: outputs.a.sent == 'yes'}\n",
		"r1"),
	    SLUICE_RUN_SUCCEEDED);
	assert_string_equal(told, "{\"channel\":\"ops\",\"n\":3,\"t\":\"n is 3\",\"l\":[\"a "
				  "\\\"b\\\"\",1.5,null,\"q\\\"\"]} {\"channel\":\"yes\"} ");
}

static void a_config_that_cannot_be_filled_is_a_failure_of_the_step(void **state)
{
	struct world *world = *state;
	char *log;

	add_slack(world);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {slack: {channel: '${nil .. 1}'}}}", "r1"),
	    SLUICE_RUN_FAILED);
	assert_string_equal(told, "");
	log = world_log(world, "r1");
	assert_true(
	    log_has(log, "\"step.failed\"", "configuration", "the config of 'slack'", NULL));
	free(log);
}

static void a_refused_config_is_an_error_of_the_file(void **state)
{
	struct world *world = *state;
	char *text;

	add_slack(world);
	text = world_refused(world, "pipeline: p\nsteps: {a: {slack: {chanel: ops}}}");
	assert_non_null(strstr(text, "error[SLU061]: 'slack': the channel is missing"));
	sluice_free(text);
}

static void names_of_the_format_and_names_that_are_taken_are_refused(void **state)
{
	struct world *world = *state;
	struct sluice_kind_def def = {.name = "run", .run = run_slack};
	struct sluice_kind_def later = {.name = "map", .run = run_slack};
	struct sluice_kind_def spaced = {.name = "a b", .run = run_slack};
	struct sluice_kind_def empty = {.name = "x"};

	add_slack(world);
	assert_code(sluice_kind_register(world->sluice, &def, &world->err), SLUICE_REFUSED);
	assert_code(sluice_kind_register(world->sluice, &later, &world->err), SLUICE_REFUSED);
	def.name = "slack";
	assert_code(sluice_kind_register(world->sluice, &def, &world->err), SLUICE_EXISTS);
	assert_code(sluice_kind_register(world->sluice, &spaced, &world->err), SLUICE_USAGE);
	assert_code(sluice_kind_register(world->sluice, &empty, &world->err), SLUICE_USAGE);
	assert_code(sluice_kind_register(NULL, &def, &world->err), SLUICE_USAGE);
	assert_code(sluice_kind_register(world->sluice, NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_middleware_add(NULL, NULL, NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_middleware_add(world->sluice, NULL, NULL, &world->err), SLUICE_USAGE);
}

static void a_resume_without_the_kind_is_refused(void **state)
{
	struct world *world = *state;
	struct sluice_run *run = NULL;
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_pipeline *pipeline;
	int status;

	add_slack(world);
	pipeline = world_load(world, "pipeline: p\nsteps: {a: {slack: {channel: x}}}");
	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	sluice_run_free(run);
	run = NULL;
	world_reopen(world);
	assert_code(sluice_run_resume(world->sluice, "r1", NULL, &run, &status, &world->err),
		    SLUICE_REFUSED);
	assert_non_null(strstr(world->err.text, "the kind of step 'slack'"));
	/* Who has it can go on. */
	add_slack(world);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_SUCCEEDED);
}

/* ------------------------------------------------------------------------------- middleware */

static int around(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg)
{
	int value;

	tell(arg);
	value = sluice_next_run(next, ctx);
	tell(arg);
	return value;
}

static int say(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	tell(sluice_ctx_step(ctx));
	return 0;
}

static void add_call(struct world *world, const char *name, sluice_call_fn *call, void *arg)
{
	struct sluice_call_def def = {.name = name, .call = call, .arg = arg};

	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_OK);
}

static void add_middleware(struct world *world, sluice_middleware_fn *fn, const char *arg)
{
	assert_code(sluice_middleware_add(world->sluice, fn, (void *)(uintptr_t)arg, &world->err),
		    SLUICE_OK);
}

static void the_first_middleware_is_the_outermost_around_functions_and_kinds(void **state)
{
	struct world *world = *state;

	add_middleware(world, around, "1");
	add_middleware(world, around, "2");
	add_call(world, "say", say, NULL);
	add_slack(world);
	assert_int_equal(
	    world_run(world,
		      "pipeline: p\nsteps: {a: {call: say}, n: {noop: true}, r: {argv: "
		      "['true']}, b: {slack: {channel: 1}}}",
		      "r1"),
	    SLUICE_RUN_SUCCEEDED);
	assert_string_equal(told, "1 2 a 2 1 1 2 {\"channel\":1} 2 1 ");
}

static int forbid(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg)
{
	(void)next;
	(void)arg;
	return sluice_ctx_fail(ctx, "dependency", "the circuit is open");
}

static void a_middleware_may_answer_without_the_function(void **state)
{
	struct world *world = *state;
	char *log;

	add_middleware(world, forbid, NULL);
	add_call(world, "say", say, NULL);
	assert_int_equal(world_run(world, "pipeline: p\nsteps: {a: {call: say}}", "r1"),
			 SLUICE_RUN_FAILED);
	assert_string_equal(told, "");
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"dependency\"", "the circuit is open", NULL));
	free(log);
}

static int again(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg)
{
	int value = 1;

	(void)arg;
	for (int i = 0; value && i < 3; i++) {
		sluice_ctx_clear(ctx);
		value = sluice_next_run(next, ctx);
	}
	return value;
}

static int third_time(struct sluice_step_ctx *ctx, void *arg)
{
	int *calls = arg;

	(*calls)++;
	(void)sluice_ctx_set_output_int(ctx, "call", *calls);
	(void)sluice_ctx_emit(ctx, "x-call", NULL);
	if (*calls < 3) {
		(void)sluice_ctx_set_output(ctx, "not a name", "");
		return sluice_ctx_fail(ctx, "transient_io", "not yet");
	}
	return 0;
}

static void a_middleware_may_try_again_and_only_the_last_try_counts(void **state)
{
	struct world *world = *state;
	int calls = 0;
	char *log;

	add_middleware(world, again, NULL);
	add_call(world, "third", third_time, &calls);
	assert_int_equal(world_run(world, "pipeline: p\nsteps: {a: {call: third}}", "r1"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(calls, 3);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.succeeded\"", "{\"call\":3}", NULL));
	assert_non_null(strstr(log, "\"x-call\""));
	assert_null(strstr(strstr(log, "\"x-call\"") + 1, "\"x-call\""));
	free(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(a_registered_kind_gets_its_config_with_every_text_filled),
	    TEST(a_config_that_cannot_be_filled_is_a_failure_of_the_step),
	    TEST(a_refused_config_is_an_error_of_the_file),
	    TEST(names_of_the_format_and_names_that_are_taken_are_refused),
	    TEST(a_resume_without_the_kind_is_refused),
	    TEST(the_first_middleware_is_the_outermost_around_functions_and_kinds),
	    TEST(a_middleware_may_answer_without_the_function),
	    TEST(a_middleware_may_try_again_and_only_the_last_try_counts),
	};

	return cmocka_run_group_tests_name("kind", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
