/* bounds_test.c - a limit, a time or a count that is as large as its type is large, and nothing
 * else: no sum or product of it wraps */
#include "fixture.h"

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

static const char *const huge[] = {
    "18446744073709551615",
    "9223372036854775807",
    "4611686018427387904",
    "4294967296",
};

static const char *const names[] = {
#define LIMIT(name, value, unit, text) #name,
#include "base/limit.def"
};

#define ROOM 200

/* The same state, by a handle that has one limit of another value. */
static void reopen_with(struct world *world, const char *name, const char *value)
{
	char state_dir[96];
	char limit[ROOM];
	const char *const limits[] = {limit, "inline_bytes=900000", NULL};
	const char *const large[] = {"inline_bytes=900000", limit, NULL};
	struct sluice_state_opts options = {
	    .state_dir = state_dir, .keeper_path = world_keeper, .limits = limits};

	if (strcmp(name, "inline_bytes") == 0)
		options.limits = large;
	(void)snprintf(state_dir, sizeof(state_dir), "%s/state", world->dir);
	(void)snprintf(limit, sizeof(limit), "%s=%s", name, value);
	sluice_close(world->sluice);
	world->sluice = NULL;
	assert_code(sluice_open(&options, &world->sluice, &world->err), SLUICE_OK);
}

static bool count_byte(void *arg, const char *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)arg += len;
	return true;
}

/* A line of the log is over 64 KiB, more than is read at once. */
static void a_huge_limit_is_no_small_one(void **state)
{
	static const char text[] =
	    "pipeline: p\nparams: {x: {type: int, default: 3}}\nsteps:\n"
	    "  a: {run: 'printf \"{\\\"outputs\\\":{\\\"n\\\":4,\\\"t\\\":\\\"%0200000d\\\"}}\" 0 "
	    ">$SLUICE_OUTPUT'}\n"
	    "  b: {noop: true, when: \"outputs.a.n + params.x == 7 and #outputs.a.t == 200000\"}\n"
	    "  c: {run: 'exit 1', on_failure: ignore, needs: [a]}\n";
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (size_t j = 0; j < sizeof(huge) / sizeof(huge[0]); j++) {
			const struct sluice_events_opts raw = {.raw = true};
			const struct sluice_events_opts follow = {.raw = true, .follow = true};
			size_t shown = 0;
			size_t followed = 0;
			char *answer = NULL;
			char id[ROOM];
			char *log;

			(void)snprintf(id, sizeof(id), "%s.%zu", names[i], j);
			reopen_with(world, names[i], huge[j]);
			assert_int_equal(world_run(world, text, id), SLUICE_RUN_SUCCEEDED);
			log = world_log(world, id);
			assert_true(log_has(log, "\"step.succeeded\"", "\"step_id\":\"b\"", NULL));
			assert_code(
			    sluice_events(world->sluice, id, &raw, count_byte, &shown, &world->err),
			    SLUICE_OK);
			assert_code(sluice_events(world->sluice, id, &follow, count_byte, &followed,
						  &world->err),
				    SLUICE_OK);
			assert_int_equal(shown, strlen(log));
			assert_int_equal(followed, strlen(log));
			assert_code(sluice_verify(world->sluice, id, NULL, &answer, &world->err),
				    SLUICE_OK);
			sluice_free(answer);
			free(log);
		}
	}
}

static int nothing(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return sluice_ctx_left_ms(ctx) > 1000000000
		   ? 0
		   : sluice_ctx_fail(ctx, "internal", "no time left");
}

/* What a field holds at most: refused with its name, or as good as endless. */
static void times_and_counts_of_a_built_step_do_not_wrap(void **state)
{
	static const char *const argv[] = {"true", NULL};
	const int64_t times[] = {INT64_MAX, INT64_MAX / 1000000, INT64_MAX / 2000000};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const struct sluice_retry_def retry = {.max_attempts = 2,
						       .initial_ms = times[i],
						       .max_ms = times[i],
						       .multiplier = 100,
						       .jitter_percent = 100};
		const struct sluice_step_def steps[] = {
		    {.id = "a", .argv = argv, .timeout_ms = times[i]},
		    {.id = "a", .argv = argv, .silence_timeout_ms = times[i]},
		    {.id = "a", .argv = argv, .grace_ms = times[i]},
		    {.id = "a", .argv = argv, .retry = &retry, .priority = 1000000},
		    {.id = "a", .argv = argv, .output_limit_bytes = UINT64_MAX},
		    {.id = "a", .call = nothing, .timeout_ms = times[i]},
		    {.id = "a",
		     .call = nothing,
		     .timeout_ms = INT64_MAX / 1000000,
		     .output_limit_bytes = UINT64_MAX},
		};

		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct sluice_pipeline *pipeline = sluice_pipeline_new("p");
			const struct sluice_run_opts options = {
			    .max_parallel = 65536, .observer = {.tick_ms = UINT32_MAX}};
			struct sluice_run *run = NULL;
			enum sluice_code code;

			assert_non_null(pipeline);
			assert_code(sluice_pipeline_step(pipeline, &steps[j], &world->err),
				    SLUICE_OK);
			code =
			    sluice_run_start(world->sluice, pipeline, &options, &run, &world->err);
			if (i == 0 && j != 4 && j != 6) {
				assert_code(code, SLUICE_INVALID);
			} else {
				assert_code(code, SLUICE_OK);
				assert_int_equal(sluice_run_wait(run, &world->err),
						 SLUICE_RUN_SUCCEEDED);
			}
			sluice_run_free(run);
			sluice_pipeline_free(pipeline);
		}
	}
}

static void more_steps_at_once_than_there_can_be_are_refused(void **state)
{
	static const uint32_t counts[] = {65537, INT32_MAX, UINT32_MAX};
	struct world *world = *state;
	struct sluice_pipeline *pipeline =
	    world_load(world, "pipeline: p\nsteps: {a: {noop: true, gate: manual}}");
	struct sluice_run *run = NULL;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct sluice_run_opts start = {.run_id = "r1", .max_parallel = counts[i]};
		const struct sluice_resume_opts resume = {.max_parallel = counts[i]};
		const struct sluice_run_opts few = {.run_id = "r2"};
		int status = -1;

		assert_code(sluice_run_start(world->sluice, pipeline, &start, &run, &world->err),
			    SLUICE_USAGE);
		assert_null(world_file(world, "runs/r1/events.jsonl"));
		if (i == 0) {
			assert_code(
			    sluice_run_start(world->sluice, pipeline, &few, &run, &world->err),
			    SLUICE_OK);
			assert_int_equal(sluice_run_wait(run, &world->err), SLUICE_RUN_BLOCKED);
			sluice_run_free(run);
			run = NULL;
		}
		assert_code(
		    sluice_run_resume(world->sluice, "r2", &resume, &run, &status, &world->err),
		    SLUICE_USAGE);
		assert_null(run);
	}
	sluice_pipeline_free(pipeline);
}

static void times_of_a_handle_and_of_a_run_do_not_wrap(void **state)
{
	static const char *const texts[] = {
	    "pipeline: p\ntimeout: 9223372036s\nsteps: {a: {run: 'true'}, b: {call: nothing}}",
	    "pipeline: p\nsteps: {a: {run: 'true', timeout: 9223372036s}, b: {call: nothing}}",
	    "pipeline: p\nsteps: {a: {run: 'true'}, b: {call: nothing}}",
	};
	struct sluice_state_opts options = {.keeper_path = world_keeper};
	const struct sluice_call_def def = {.name = "nothing", .call = nothing};
	struct world *world = *state;
	struct sluice *none = NULL;
	char state_dir[96];

	(void)snprintf(state_dir, sizeof(state_dir), "%s/state", world->dir);
	options.state_dir = state_dir;
	options.run_timeout_ms = INT64_MAX;
	assert_code(sluice_open(&options, &none, &world->err), SLUICE_USAGE);
	options.run_timeout_ms = INT64_MAX / 1000000;
	options.step_timeout_ms = INT64_MAX / 1000000;
	sluice_close(world->sluice);
	world->sluice = NULL;
	assert_code(sluice_open(&options, &world->sluice, &world->err), SLUICE_OK);
	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_OK);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "r%zu", i);
		assert_int_equal(world_run(world, texts[i], id), SLUICE_RUN_SUCCEEDED);
	}
}

static void S5_6_the_deadline_of_an_approval_does_not_wrap(void **state)
{
	const struct sluice_act_opts yes = {.as = "ada", .reason = "seen"};
	struct world *world = *state;

	assert_int_equal(world_run(world,
				   "pipeline: p\nsteps: {a: {noop: true, gate: manual, approve: "
				   "{timeout: 9223372036s}}}",
				   "r1"),
			 SLUICE_RUN_BLOCKED);
	assert_code(sluice_approve(world->sluice, "r1", "a", &yes, &world->err), SLUICE_OK);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_SUCCEEDED);
}

static void what_is_asked_of_queries_does_not_wrap(void **state)
{
	static const int64_t times[] = {INT64_MAX, INT64_MAX / 1000000, 1, -1, INT64_MIN};
	struct world *world = *state;
	char *answer = NULL;

	assert_int_equal(world_run(world, "pipeline: p\nsteps: {a: {run: 'echo 1'}}", "r1"),
			 SLUICE_RUN_SUCCEEDED);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const struct sluice_events_opts events = {.tail = UINT64_MAX, .raw = true};
		const struct sluice_logs_opts logs = {.attempt = times[i] < 0 ? -1 : 0,
						      .tail_bytes = UINT64_MAX};
		const struct sluice_list_opts list = {
		    .since_ms = times[i], .limit = UINT64_MAX, .format = SLUICE_JSON};
		const struct sluice_stats_opts stats = {.since_ms = times[i]};
		const struct sluice_gc_opts gc = {.older_than_ms = times[i], .keep = UINT64_MAX};
		size_t shown = 0;

		assert_code(
		    sluice_events(world->sluice, "r1", &events, count_byte, &shown, &world->err),
		    SLUICE_OK);
		assert_true(shown > 0);
		shown = 0;
		assert_code(
		    sluice_logs(world->sluice, "r1", &logs, count_byte, &shown, &world->err),
		    SLUICE_OK);
		assert_true(shown > 0);
		assert_code(sluice_list(world->sluice, &list, &answer, &world->err), SLUICE_OK);
		assert_true((strstr(answer, "\"r1\"") != NULL) == (times[i] <= 1));
		sluice_free(answer);
		assert_code(sluice_stats(world->sluice, &stats, &answer, &world->err), SLUICE_OK);
		sluice_free(answer);
		answer = NULL;
		assert_code(sluice_gc(world->sluice, &gc, &answer, &world->err),
			    times[i] < 0 ? SLUICE_USAGE : SLUICE_OK);
		sluice_free(answer);
	}
	assert_code(sluice_verify(world->sluice, "r1", NULL, &answer, &world->err), SLUICE_OK);
	sluice_free(answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(a_huge_limit_is_no_small_one),
	    TEST(times_and_counts_of_a_built_step_do_not_wrap),
	    TEST(more_steps_at_once_than_there_can_be_are_refused),
	    TEST(times_of_a_handle_and_of_a_run_do_not_wrap),
	    TEST(S5_6_the_deadline_of_an_approval_does_not_wrap),
	    TEST(what_is_asked_of_queries_does_not_wrap),
	};

	return cmocka_run_group_tests_name("bounds", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
