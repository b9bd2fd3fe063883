/* dry_test.c - a dry run of a program: what it registered as safe for one runs, all else is mocked
 * (S14) */
#include "fixture.h"

#include <dirent.h>
#include <stdatomic.h>

static struct world world_of_test;

static int setup(void **state)
{
	world_open(&world_of_test);
	*state = &world_of_test;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	return 0;
}

/* ---------------------------------------------------------------------------------- helpers */

struct lines {
	size_t len;
	char text[64 * 1024];
};

static void hear(void *arg, const char *line, size_t len)
{
	struct lines *lines = arg;

	assert_true(lines->len + len + 2 < sizeof(lines->text));
	memcpy(lines->text + lines->len, line, len);
	lines->len += len;
	lines->text[lines->len++] = '\n';
	lines->text[lines->len] = '\0';
}

static struct lines lines;

/* Carry a dry run of the pipeline to its end; its events are in `lines`. */
static enum sluice_run_state dry_run(struct world *world, const struct sluice_pipeline *pipeline,
				     const struct sluice_run_opts *options)
{
	struct sluice_run_opts own = options ? *options : (struct sluice_run_opts){.run_id = "r1"};
	struct sluice_run *run = NULL;
	enum sluice_run_state state;

	lines.len = 0;
	lines.text[0] = '\0';
	own.dry_run = true;
	own.observer = (struct sluice_observer){.on_event = hear, .arg = &lines};
	assert_code(sluice_run_start(world->sluice, pipeline, &own, &run, &world->err), SLUICE_OK);
	state = sluice_run_wait(run, &world->err);
	sluice_run_free(run);
	return state;
}

static enum sluice_run_state dry_text(struct world *world, const char *text)
{
	struct sluice_pipeline *pipeline = world_load(world, text);
	enum sluice_run_state state = dry_run(world, pipeline, NULL);

	sluice_pipeline_free(pipeline);
	return state;
}

/* Everything that the world's folder has, but for the pipeline. */
static void assert_nothing_written(const struct world *world)
{
	char path[80];
	DIR *dir;
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%s", world->dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			assert_string_equal(entry->d_name, "pipeline.yaml");
	}
	(void)closedir(dir);
}

struct seen {
	atomic_int calls;
	bool is_dry_run;
	char text[512];
};

static int look(struct sluice_step_ctx *ctx, void *arg)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->is_dry_run = sluice_ctx_is_dry_run(ctx);
	(void)sluice_ctx_set_output_int(ctx, "rows", 42);
	(void)sluice_ctx_print(ctx, "printed\n");
	return 0;
}

static void add_call(struct world *world, const char *name, sluice_call_fn *call, void *arg,
		     bool is_safe)
{
	struct sluice_call_def def = {
	    .name = name, .call = call, .arg = arg, .dry_run_safe = is_safe};

	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_OK);
}

/* ------------------------------------------------------------------------------------ tests */

static void S14_only_functions_registered_as_safe_run_in_a_dry_run(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};
	struct seen unsafe = {.calls = 0};

	add_call(world, "safe", look, &safe, true);
	add_call(world, "unsafe", look, &unsafe, false);
	assert_int_equal(dry_text(world, "pipeline: p\nsteps:\n"
					 "  a: {call: safe, outputs: {rows: {type: int}}}\n"
					 "  b: {call: unsafe, outputs: {rows: {type: int}}}\n"
					 "  c: {run: 'touch EXECUTED'}\n"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(safe.calls, 1);
	assert_true(safe.is_dry_run);
	assert_int_equal(unsafe.calls, 0);
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"a\"",
			    "\"outputs\":{\"rows\":42}", NULL));
	assert_false(
	    log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"a\"", "mocked", NULL));
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"b\"",
			    "\"outputs\":{\"rows\":0}", "\"mocked\":true", NULL));
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"c\"",
			    "\"mocked\":true", NULL));
	assert_nothing_written(world);
	/* In a real run both run, and neither is told of a dry one. */
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: safe}, b: {call: unsafe}}", "r2"),
	    SLUICE_RUN_SUCCEEDED);
	assert_int_equal(safe.calls, 2);
	assert_int_equal(unsafe.calls, 1);
	assert_false(safe.is_dry_run);
}

static void S14_what_a_safe_function_made_is_known_to_conditions_and_gates(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};

	add_call(world, "safe", look, &safe, true);
	assert_int_equal(
	    dry_text(world, "pipeline: p\nsteps:\n"
			    "  a: {call: safe, gate: soft, pass: output.rows > 50, needs: []}\n"
			    "  b: {noop: true, when: outputs.a.rows == 1, needs: [a]}\n"
			    "  c: {noop: true, when: 'outputs[\"a\"].rows == 42', needs: [a]}\n"
			    "  m: {run: 'true', outputs: {rows: {type: int}}, needs: [a]}\n"
			    "  d: {noop: true, when: outputs.m.rows > 10, needs: [m]}\n"),
	    SLUICE_RUN_SUCCEEDED);
	assert_true(
	    log_has(lines.text, "\"gate.failed\"", "\"step_id\":\"a\"", "\"soft\":true", NULL));
	assert_true(
	    log_has(lines.text, "\"step.skipped\"", "\"step_id\":\"b\"", "condition", NULL));
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"c\"", NULL));
	/* Of what was mocked nothing is known: the first arm. */
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"d\"", NULL));
}

static int pass_on(struct sluice_step_ctx *ctx, const char *config, void *arg)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->is_dry_run = sluice_ctx_is_dry_run(ctx);
	(void)snprintf(seen->text, sizeof(seen->text), "%s", config);
	return 0;
}

static void S14_a_kind_registered_as_safe_runs_with_its_config_filled(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};
	struct seen unsafe = {.calls = 0};
	struct sluice_kind_def kind = {
	    .name = "tell", .run = pass_on, .arg = &safe, .dry_run_safe = true};
	struct sluice_kind_def other = {.name = "send", .run = pass_on, .arg = &unsafe};

	assert_code(sluice_kind_register(world->sluice, &kind, &world->err), SLUICE_OK);
	assert_code(sluice_kind_register(world->sluice, &other, &world->err), SLUICE_OK);
	assert_int_equal(dry_text(world,
				  "pipeline: p\nparams: {n: {type: int, default: 3}}\nsteps:\n"
				  "  m: {run: 'true', outputs: {rows: {type: int}}}\n"
				  "  a: {tell: {n: '${params.n}', m: '${outputs.m.rows}'}}\n"
				  "  b: {send: {n: '${params.n}'}}\n"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(safe.calls, 1);
	assert_true(safe.is_dry_run);
	assert_string_equal(safe.text, "{\"n\":3,\"m\":0}");
	assert_int_equal(unsafe.calls, 0);
}

static void S14_a_config_that_only_a_mocked_step_could_fill_mocks_its_step_too(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};
	struct sluice_kind_def kind = {
	    .name = "tell", .run = pass_on, .arg = &safe, .dry_run_safe = true};

	assert_code(sluice_kind_register(world->sluice, &kind, &world->err), SLUICE_OK);
	assert_int_equal(dry_text(world, "pipeline: p\nsteps:\n"
					 "  m: {run: 'true'}\n"
					 "  a: {tell: {m: [\"it's ${outputs.m.rows}\"]}}\n"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(safe.calls, 0);
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"a\"",
			    "\"mocked\":true", NULL));
	/* One that nothing could fill is a failure, as in a real run. */
	assert_int_equal(dry_text(world, "pipeline: p\nsteps: {a: {tell: {m: '${nil .. 1}'}}}"),
			 SLUICE_RUN_FAILED);
	assert_true(log_has(lines.text, "\"step.failed\"", "configuration", NULL));
}

static int fail_twice(struct sluice_step_ctx *ctx, void *arg)
{
	struct seen *seen = arg;

	return ++seen->calls < 3 ? sluice_ctx_fail(ctx, "transient_io", "not yet") : 0;
}

static void S14_a_safe_function_that_fails_fails_the_dry_run_and_delays_are_not_waited(void **state)
{
	struct world *world = *state;
	struct seen flaky = {.calls = 0};
	struct seen never = {.calls = -1000};

	add_call(world, "flaky", fail_twice, &flaky, true);
	add_call(world, "never", fail_twice, &never, true);
	assert_int_equal(dry_text(world,
				  "pipeline: p\nsteps: {a: {call: flaky, retry: {max_attempts: 3, "
				  "initial: 10h, max: 10h, jitter: 0%}}}"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(flaky.calls, 3);
	assert_true(log_has(lines.text, "\"step.retried\"", "\"delay_ms\":36000000", NULL));
	assert_int_equal(dry_text(world, "pipeline: p\nsteps: {a: {call: never}}"),
			 SLUICE_RUN_FAILED);
	assert_true(log_has(lines.text, "\"step.failed\"", "not yet", NULL));
	assert_nothing_written(world);
}

static int answer(struct sluice_step_ctx *ctx, void *arg)
{
	char *big = arg;

	(void)sluice_ctx_set_output(ctx, "big", big);
	(void)sluice_ctx_set_quality(
	    ctx, &(struct sluice_quality){
		     .record_count = 4, .valid_count = 3, .invalid_count = -1, .null_count = -1});
	return 0;
}

static void S14_artifacts_are_mocked_and_quality_is_judged_of_a_function_that_ran(void **state)
{
	struct world *world = *state;
	static char big[40000];

	memset(big, 'x', sizeof(big) - 1);
	add_call(world, "answer", answer, big, true);
	assert_int_equal(
	    dry_text(world, "pipeline: p\nsteps:\n"
			    "  a: {call: answer, artifacts: [{name: f, path: not-there.txt}], "
			    "quality: {min_valid_rate: 0.5}}\n"
			    "  b: {call: answer, quality: {min_valid_rate: 0.9}}\n"),
	    SLUICE_RUN_FAILED);
	assert_true(log_has(lines.text, "\"artifact.emitted\"", "\"step_id\":\"a\"",
			    "not-there.txt", "\"mocked\":true", NULL));
	assert_true(log_has(lines.text, "\"quality.recorded\"", "\"step_id\":\"a\"",
			    "\"valid_rate\":0.75", NULL));
	assert_true(
	    log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"a\"", "outputs_ref", NULL));
	assert_true(
	    log_has(lines.text, "\"step.failed\"", "\"step_id\":\"b\"", "data_quality", NULL));
	assert_nothing_written(world);
}

static void S14_declared_quality_of_a_mocked_step_counts_as_passed_and_is_marked(void **state)
{
	struct world *world = *state;

	assert_int_equal(
	    dry_text(world,
		     "pipeline: p\nsteps:\n"
		     "  a: {run: 'true', quality: {min_valid_rate: 0.9, min_record_count: 5}}\n"
		     "  b: {noop: true, when: quality.a.valid_rate > 0.99}\n"),
	    SLUICE_RUN_SUCCEEDED);
	assert_true(log_has(lines.text, "\"quality.recorded\"", "\"step_id\":\"a\"",
			    "\"mocked\":true", NULL));
	assert_true(log_has(lines.text, "\"step.succeeded\"", "\"step_id\":\"b\"", NULL));
}

static void S14_a_gate_and_a_compensation_are_marked_as_mocked(void **state)
{
	struct world *world = *state;
	struct seen never = {.calls = -1000};

	add_call(world, "never", fail_twice, &never, true);
	assert_int_equal(
	    dry_text(world, "pipeline: p\nsteps:\n"
			    "  a: {run: 'true', gate: hard, pass: output.x == 1, compensate: {run: "
			    "'touch EXECUTED'}}\n"
			    "  b: {call: never, on_failure: compensate}\n"),
	    SLUICE_RUN_ROLLED_BACK);
	assert_true(log_has(lines.text, "\"gate.passed\"", "\"evidence\":{\"mocked\":true}",
			    "\"mocked\":true,", NULL));
	assert_true(log_has(lines.text, "\"step.compensated\"", "\"mocked\":true", NULL));
	assert_false(log_has(lines.text, "\"step.compensated\"", "exit_code", NULL));
	assert_nothing_written(world);
}

static void S14_nothing_is_taken_from_the_cache_nor_put_there(void **state)
{
	struct world *world = *state;
	static const char text[] =
	    "pipeline: p\nsteps: {a: {run: 'true', cache: true, inputs: []}}";

	assert_int_equal(dry_text(world, text), SLUICE_RUN_SUCCEEDED);
	assert_nothing_written(world);
	assert_int_equal(world_run(world, text, "real"), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(dry_text(world, text), SLUICE_RUN_SUCCEEDED);
	assert_false(log_has(lines.text, "\"cache_key\"", NULL));
	assert_false(log_has(lines.text, "\"cached_from\"", NULL));
}

static int around(struct sluice_step_ctx *ctx, struct sluice_next *next, void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return sluice_next_run(next, ctx);
}

static void S14_middleware_is_not_registered_as_safe_and_does_not_run(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};
	atomic_int rounds = 0;

	add_call(world, "safe", look, &safe, true);
	assert_code(sluice_middleware_add(world->sluice, around, &rounds, &world->err), SLUICE_OK);
	assert_int_equal(dry_text(world, "pipeline: p\nsteps: {a: {call: safe}}"),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(safe.calls, 1);
	assert_int_equal(rounds, 0);
}

static void S14_a_built_pipeline_says_it_with_its_step(void **state)
{
	struct world *world = *state;
	struct seen safe = {.calls = 0};
	struct seen unsafe = {.calls = 0};
	struct sluice_pipeline *pipeline = sluice_pipeline_new("built");

	(void)sluice_pipeline_step(
	    pipeline,
	    &(struct sluice_step_def){.id = "a", .call = look, .arg = &safe, .dry_run_safe = true},
	    NULL);
	(void)sluice_pipeline_step(
	    pipeline, &(struct sluice_step_def){.id = "b", .call = look, .arg = &unsafe}, NULL);
	assert_int_equal(dry_run(world, pipeline, NULL), SLUICE_RUN_SUCCEEDED);
	sluice_pipeline_free(pipeline);
	assert_int_equal(safe.calls, 1);
	assert_int_equal(unsafe.calls, 0);
}

static int read_secret(struct sluice_step_ctx *ctx, void *arg)
{
	struct seen *seen = arg;

	(void)snprintf(seen->text, sizeof(seen->text), "%s", sluice_ctx_param(ctx, "token"));
	return 0;
}

static void S14_a_secret_is_not_read_for_a_function_of_a_dry_run(void **state)
{
	struct world *world = *state;
	struct seen seen = {.calls = 0};

	add_call(world, "read", read_secret, &seen, true);
	assert_int_equal(
	    dry_text(world, "pipeline: p\nparams: {token: {type: secret, from: {env: HOME}}}\n"
			    "steps: {a: {call: read}}"),
	    SLUICE_RUN_SUCCEEDED);
	assert_string_equal(seen.text, "{\"secret\":\"token\"}");
}

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    cmocka_unit_test_setup_teardown(S14_only_functions_registered_as_safe_run_in_a_dry_run,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(
		S14_what_a_safe_function_made_is_known_to_conditions_and_gates, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		S14_a_kind_registered_as_safe_runs_with_its_config_filled, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		S14_a_config_that_only_a_mocked_step_could_fill_mocks_its_step_too, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		S14_a_safe_function_that_fails_fails_the_dry_run_and_delays_are_not_waited, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		S14_artifacts_are_mocked_and_quality_is_judged_of_a_function_that_ran, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		S14_declared_quality_of_a_mocked_step_counts_as_passed_and_is_marked, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(S14_a_gate_and_a_compensation_are_marked_as_mocked,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(S14_nothing_is_taken_from_the_cache_nor_put_there,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(
		S14_middleware_is_not_registered_as_safe_and_does_not_run, setup, teardown),
	    cmocka_unit_test_setup_teardown(S14_a_built_pipeline_says_it_with_its_step, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(S14_a_secret_is_not_read_for_a_function_of_a_dry_run,
					    setup, teardown),
	};

	return cmocka_run_group_tests_name("dry", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
