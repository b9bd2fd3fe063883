/* call_test.c - steps in C: functions of the program, on threads */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static void nap(void)
{
	static const struct timespec ms = {0, 1000000};

	(void)nanosleep(&ms, NULL);
}

static void add(struct world *world, const char *name, sluice_call_fn *call, void *arg)
{
	struct sluice_call_def def = {.name = name, .call = call, .arg = arg};

	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_OK);
}

/* ------------------------------------------------------------------------------- the main path */

struct seen {
	pthread_t thread;
	atomic_int calls;
	char text[4096];
};

static int produce(struct sluice_step_ctx *ctx, void *arg)
{
	struct seen *seen = arg;

	atomic_fetch_add(&seen->calls, 1);
	seen->thread = pthread_self();
	(void)sluice_ctx_set_output_int(ctx, "rows", 42);
	(void)sluice_ctx_set_output(ctx, "size", "3MiB");
	(void)sluice_ctx_set_output_double(ctx, "share", 0.25);
	(void)sluice_ctx_set_output_bool(ctx, "fresh", true);
	(void)sluice_ctx_set_output_json(ctx, "list", " [1, \"two\"] ");
	(void)sluice_ctx_set_output(ctx, "again", "first");
	(void)sluice_ctx_set_output(ctx, "again", "second");
	(void)sluice_ctx_set_update(ctx, "mode", "fast");
	(void)sluice_ctx_emit(ctx, "x-produced", "{\"n\": 1}");
	(void)sluice_ctx_print(ctx, "hello from %s\n", sluice_ctx_step(ctx));
	return 0;
}

static int consume(struct sluice_step_ctx *ctx, void *arg)
{
	struct seen *seen = arg;

	(void)snprintf(seen->text, sizeof(seen->text), "%s|%s|%u|%s|%s|%s|%s|%s|%s|%s|%s|%s|%d",
		       sluice_ctx_run_id(ctx), sluice_ctx_step(ctx), sluice_ctx_attempt(ctx),
		       sluice_ctx_idempotency_key(ctx), sluice_ctx_output(ctx, "produce", "rows"),
		       sluice_ctx_output(ctx, "produce", "again"),
		       sluice_ctx_output_json(ctx, "produce", "again"),
		       sluice_ctx_output(ctx, "produce", "list"), sluice_ctx_param(ctx, "mode"),
		       sluice_ctx_param(ctx, "n"), sluice_ctx_param_json(ctx, "mode"),
		       sluice_ctx_params_json(ctx), (int)sluice_ctx_left_ms(ctx));
	assert_null(sluice_ctx_output(ctx, "produce", "nothing"));
	assert_null(sluice_ctx_output(ctx, "nobody", "rows"));
	assert_null(sluice_ctx_output(ctx, "consume", "rows"));
	assert_null(sluice_ctx_param(ctx, "nothing"));
	return 0;
}

static const char chain[] =
    "pipeline: p\nparams: {n: {type: int, default: 7}, mode: {type: string, default: slow}}\n"
    "steps:\n"
    "  produce: {call: produce, outputs: {rows: {type: int, required: true}, size: {type: size}}}\n"
    "  middle: {noop: true}\n"
    "  consume: {call: consume, when: outputs.produce.rows == 42}\n";

static void a_function_reads_the_context_and_leaves_outputs(void **state)
{
	struct world *world = *state;
	struct seen seen = {.calls = 0};
	char *log;
	char *printed;

	add(world, "produce", produce, &seen);
	add(world, "consume", consume, &seen);
	assert_int_equal(world_run(world, chain, "r1"), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(seen.calls, 1);
	assert_false(pthread_equal(seen.thread, pthread_self()));
	assert_string_equal(seen.text,
			    "r1|consume|0|r1/consume|42|second|\"second\"|[1,\"two\"]|fast|7|"
			    "\"fast\"|{\"n\":7,\"mode\":\"fast\"}|-1");
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.succeeded\"", "\"step_id\":\"produce\"",
			    "\"rows\":42,\"size\":\"3MiB\",\"share\":0.25,\"fresh\":true,"
			    "\"list\":[1,\"two\"],\"again\":\"second\"",
			    "\"context_updates\":{\"mode\":\"fast\"}", NULL));
	assert_true(log_has(log, "\"x-produced\"", "{\"n\":1}", NULL));
	free(log);
	printed = world_file(world, "runs/r1/logs/produce.0.log");
	assert_string_equal(printed, "hello from produce\n");
	free(printed);
}

/* --------------------------------------------------------------------------------- failures */

static int fail_once(struct sluice_step_ctx *ctx, void *arg)
{
	atomic_int *calls = arg;

	atomic_fetch_add(calls, 1);
	if (sluice_ctx_attempt(ctx) == 0)
		return sluice_ctx_fail(ctx, "transient_io", "no answer from %s", "db1");
	return 0;
}

static void a_class_says_whether_it_is_tried_again(void **state)
{
	struct world *world = *state;
	atomic_int calls = 0;
	char *log;

	add(world, "flaky", fail_once, &calls);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: flaky, retry: {initial: 1ms}}}", "r1"),
	    SLUICE_RUN_SUCCEEDED);
	assert_int_equal(calls, 2);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"error_class\":\"transient_io\"",
			    "no answer from db1", NULL));
	free(log);
}

static int answer_arg(struct sluice_step_ctx *ctx, void *arg)
{
	(void)ctx;
	return *(const int *)arg;
}

static int unheard_of(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return sluice_ctx_fail(ctx, "Strange \xFF class", "bad \xFF bytes");
}

static int fail_and_return_0(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	(void)sluice_ctx_fail(ctx, "dependency", "it said no");
	return 0;
}

static int bad_name(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output(ctx, "not a name", "x"), SLUICE_INVALID);
	return 0;
}

static int bad_json(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output_json(ctx, "a", "{\"x\":1,}"), SLUICE_INVALID);
	return 0;
}

static int bad_utf8(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output(ctx, "a", "\xC3("), SLUICE_INVALID);
	return 0;
}

static int bad_type(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output_json(ctx, "rows", "\"many\""), SLUICE_OK);
	return 0;
}

static int bad_number(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output_double(ctx, "a", 0.0 / 0.0), SLUICE_INVALID);
	return 0;
}

static int bad_event(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_emit(ctx, "step.succeeded", NULL), SLUICE_INVALID);
	return 0;
}

static int too_much(struct sluice_step_ctx *ctx, void *arg)
{
	static char text[2000000];

	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(sluice_ctx_set_output(ctx, "a", text), SLUICE_LIMIT);
	return 0;
}

static int no_arguments(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_set_output(ctx, NULL, NULL), SLUICE_USAGE);
	return 0;
}

struct failing {
	sluice_call_fn *call;
	int value;
	const char *class;
	const char *reason;
};

static void whatever_is_not_right_is_a_failure_with_its_class(void **state)
{
	static const struct failing cases[] = {
	    {answer_arg, 3, "unknown", "the function returned 3"},
	    {answer_arg, -1, "unknown", "the function returned -1"},
	    {unheard_of, 0, "Strange \xEF\xBF\xBD class", "bad \xEF\xBF\xBD bytes"},
	    {fail_and_return_0, 0, "dependency", "it said no"},
	    {bad_name, 0, "validation_failed", "is not a name for an output"},
	    {bad_json, 0, "validation_failed", "the value of 'a' is not JSON"},
	    {bad_utf8, 0, "validation_failed", "'a' is not a text in UTF-8"},
	    {bad_type, 0, "validation_failed", "output 'rows' is not a int"},
	    {bad_number, 0, "validation_failed", "'a' is not a finite number"},
	    {bad_event, 0, "validation_failed", "does not begin with 'x-'"},
	    {too_much, 0, "validation_failed", "over result_bytes"},
	    {no_arguments, 0, "validation_failed", "a name or text is missing"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[16];
		char text[200];
		char *log;

		(void)snprintf(name, sizeof(name), "f%zu", i);
		add(world, name, cases[i].call, (void *)(uintptr_t)&cases[i].value);
		(void)snprintf(text, sizeof(text),
			       "pipeline: p\nsteps: {a: {call: %s, outputs: {rows: {type: int}}}}",
			       name);
		assert_int_equal(world_run(world, text, name), SLUICE_RUN_FAILED);
		log = world_log(world, name);
		assert_true(log_has(log, "\"step.failed\"", cases[i].class, cases[i].reason, NULL));
		free(log);
	}
}

/* 4095 bytes, and an e with an accent of which only one byte would fit into reason_bytes. */
static int fail_at_length(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return sluice_ctx_fail(ctx, "dependency", "%4095s\xC3\xA9 and more", "no end");
}

static void a_long_reason_is_not_cut_within_a_letter(void **state)
{
	struct world *world = *state;
	char *log;

	add(world, "long", fail_at_length, NULL);
	assert_int_equal(world_run(world, "pipeline: p\nsteps: {a: {call: long}}", "r1"),
			 SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "    no end\"", NULL));
	assert_null(strstr(log, "\xEF\xBF\xBD"));
	free(log);
}

static void a_required_output_that_was_not_set_is_a_failure(void **state)
{
	struct world *world = *state;
	int zero = 0;
	char *log;

	add(world, "nothing", answer_arg, &zero);
	assert_int_equal(world_run(world,
				   "pipeline: p\nsteps: {a: {call: nothing, outputs: {rows: {type: "
				   "int, required: true}}}}",
				   "r1"),
			 SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "validation_failed",
			    "the required output 'rows' is missing", NULL));
	free(log);
}

static int say_quality(struct sluice_step_ctx *ctx, void *arg)
{
	struct sluice_quality quality = SLUICE_QUALITY_UNKNOWN;

	quality.record_count = 100;
	quality.valid_count = *(const int *)arg;
	quality.custom_metrics_json = "{\"late\": 2}";
	assert_int_equal(sluice_ctx_set_quality(ctx, &quality), SLUICE_OK);
	return 0;
}

static void quality_is_judged_as_that_of_a_command(void **state)
{
	static const char text[] =
	    "pipeline: p\nsteps: {a: {call: measure, quality: {min_valid_rate: 0.95}}}";
	struct world *world = *state;
	int valid = 97;
	char *log;

	add(world, "measure", say_quality, &valid);
	assert_int_equal(world_run(world, text, "r1"), SLUICE_RUN_SUCCEEDED);
	log = world_log(world, "r1");
	assert_true(
	    log_has(log, "\"quality.recorded\"", "\"record_count\":100", "\"late\":2", NULL));
	free(log);
	valid = 90;
	assert_int_equal(world_run(world, text, "r2"), SLUICE_RUN_FAILED);
	log = world_log(world, "r2");
	assert_true(log_has(log, "\"step.failed\"", "\"data_quality\"", NULL));
	free(log);
}

static int say_accuracy(struct sluice_step_ctx *ctx, void *arg)
{
	(void)sluice_ctx_set_output_int(ctx, "accuracy", *(const int *)arg);
	return 0;
}

static void S5_4_a_function_can_be_a_hard_gate(void **state)
{
	struct world *world = *state;
	atomic_int calls = 0;
	int accuracy = 90;
	char *log;

	add(world, "check", say_accuracy, &accuracy);
	add(world, "after", fail_once, &calls);
	assert_int_equal(world_run(world,
				   "pipeline: p\nsteps: {check: {call: check, gate: hard, pass: "
				   "output.accuracy >= 97}, after: {call: after}}",
				   "r1"),
			 SLUICE_RUN_FAILED);
	assert_int_equal(calls, 0);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"gate.failed\"", "\"step_id\":\"check\"", NULL));
	assert_true(log_has(log, "\"step.skipped\"", "gate_failed", NULL));
	free(log);
}

/* ------------------------------------------------------------------------------ time and stop */

static int wait_for_flag(struct sluice_step_ctx *ctx, void *arg)
{
	atomic_int *running = arg;

	atomic_fetch_add(running, 1);
	while (!sluice_ctx_is_cancelled(ctx))
		nap();
	return 9;
}

static void S7_4_a_function_past_its_deadline_is_told_and_is_a_timeout(void **state)
{
	struct world *world = *state;
	atomic_int running = 0;
	char *log;

	add(world, "slow", wait_for_flag, &running);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: slow, timeout: 20ms}}", "r1"),
	    SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"timeout\"", "no end within 20ms", NULL));
	free(log);
}

static int return_0_too_late(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	while (sluice_ctx_left_ms(ctx) > 0)
		nap();
	while (!sluice_ctx_is_cancelled(ctx))
		nap();
	return 0;
}

static void S7_4_success_after_the_deadline_is_a_timeout_too(void **state)
{
	struct world *world = *state;
	char *log;

	add(world, "late", return_0_too_late, NULL);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: late, timeout: 10ms}}", "r1"),
	    SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"timeout\"", NULL));
	free(log);
}

struct stopper {
	struct sluice_run *run;
	atomic_int *running;
};

static void *stop_when_running(void *arg)
{
	struct stopper *stopper = arg;

	while (!atomic_load(stopper->running))
		nap();
	sluice_run_stop(stopper->run, false);
	return NULL;
}

static void S7_5_a_stop_under_on_stop_cancel_is_told_to_the_function(void **state)
{
	struct world *world = *state;
	atomic_int running = 0;
	struct sluice_pipeline *pipeline;
	struct sluice_run_opts options = {.run_id = "r1"};
	struct stopper stopper = {.running = &running};
	pthread_t thread;
	char *log;

	add(world, "slow", wait_for_flag, &running);
	pipeline = world_load(world, "pipeline: p\nsteps: {a: {call: slow, on_stop: cancel}, b: "
				     "{call: slow}}");
	assert_code(sluice_run_start(world->sluice, pipeline, &options, &stopper.run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	assert_int_equal(pthread_create(&thread, NULL, stop_when_running, &stopper), 0);
	assert_int_equal(sluice_run_wait(stopper.run, &world->err), SLUICE_RUN_STOPPED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	sluice_run_free(stopper.run);
	assert_int_equal(running, 1);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"cancelled\"", NULL));
	free(log);
	/* S9.2: it is tried again by a resume, and the number of the attempt goes on. */
	world_reopen(world);
	add(world, "slow", fail_once, &running);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.succeeded\"", "\"step_id\":\"a\"", "\"attempt\":1", NULL));
	free(log);
}

static void letting_go_of_a_run_asks_its_functions_to_end_and_waits(void **state)
{
	struct world *world = *state;
	atomic_int running = 0;
	struct sluice_pipeline *pipeline;
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_run *run = NULL;
	char *log;

	add(world, "slow", wait_for_flag, &running);
	pipeline = world_load(
	    world, "pipeline: p\nconcurrency: 3\nsteps: {a: {call: slow, needs: []}, "
		   "b: {call: slow, needs: []}, c: {noop: true, needs: [], gate: manual}}");
	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	for (int i = 0; i < 100000 && atomic_load(&running) < 2; i++) {
		bool is_over = false;

		assert_code(sluice_run_dispatch(run, &is_over, &world->err), SLUICE_OK);
		assert_false(is_over);
		nap();
	}
	assert_int_equal(running, 2);
	sluice_run_free(run);
	/* S8.5: what they did was not recorded, so nobody knows. */
	world_reopen(world);
	add(world, "slow", fail_once, &running);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.lost\"", "\"step_id\":\"a\"", NULL));
	assert_true(log_has(log, "\"step.lost\"", "\"step_id\":\"b\"", NULL));
	free(log);
}

/* -------------------------------------------------------------------------------- concurrency */

struct meeting {
	atomic_int inside;
	atomic_int most;
};

static int meet(struct sluice_step_ctx *ctx, void *arg)
{
	struct meeting *meeting = arg;
	int inside = atomic_fetch_add(&meeting->inside, 1) + 1;
	int most = atomic_load(&meeting->most);

	while (inside > most && !atomic_compare_exchange_weak(&meeting->most, &most, inside))
		;
	/* Wait for the others, as many as may be here at once. */
	for (int i = 0; i < 5000 && atomic_load(&meeting->most) < 4; i++)
		nap();
	(void)sluice_ctx_set_output_int(ctx, "seen", atomic_load(&meeting->most));
	(void)sluice_ctx_params_json(ctx);
	(void)sluice_ctx_print(ctx, "%d\n", inside);
	atomic_fetch_sub(&meeting->inside, 1);
	return 0;
}

static void as_many_functions_run_at_once_as_concurrency_allows(void **state)
{
	struct world *world = *state;
	struct meeting meeting = {.inside = 0};
	char text[8192] = "pipeline: p\nconcurrency: 4\nsteps:\n";

	add(world, "meet", meet, &meeting);
	for (int i = 0; i < 100; i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "  s%d: {call: meet, needs: []}\n", i);
		strcat(text, line);
	}
	assert_int_equal(world_run(world, text, "r1"), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(meeting.most, 4);
}

/* ---------------------------------------------------------------------------------- crashes */

static int kill_self(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	if (sluice_ctx_attempt(ctx) == 0)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

static void crash(struct world *world, const char *text, const char *run_id)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)world_run(world, text, run_id);
		_exit(1); /* it was to be killed */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void S8_5_a_function_under_way_when_the_process_dies_is_lost(void **state)
{
	struct world *world = *state;
	char *log;

	add(world, "die", kill_self, NULL);
	crash(world, "pipeline: p\nsteps: {a: {call: die}, b: {call: die}}", "r1");
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.lost\"", "\"step_id\":\"a\"", NULL));
	assert_null(strstr(log, "\"step_id\":\"b\",\"attempt\":0,\"event_type\":\"step.started\""));
	free(log);
}

static void S8_4_on_lost_rerun_tries_a_lost_function_again(void **state)
{
	struct world *world = *state;
	char *log;

	add(world, "die", kill_self, NULL);
	crash(world, "pipeline: p\nsteps: {a: {call: die, on_lost: rerun}}", "r1");
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_SUCCEEDED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.succeeded\"", "\"attempt\":1", NULL));
	free(log);
}

static void a_resume_without_the_function_is_refused_and_nothing_is_written(void **state)
{
	struct world *world = *state;
	struct sluice_run *run = NULL;
	int status = 0;
	char *before;
	char *after;

	add(world, "die", kill_self, NULL);
	crash(world, "pipeline: p\nsteps: {a: {call: die}}", "r1");
	before = world_log(world, "r1");
	world_reopen(world);
	assert_code(sluice_run_resume(world->sluice, "r1", NULL, &run, &status, &world->err),
		    SLUICE_REFUSED);
	assert_non_null(strstr(world->err.text, "step 'a' needs the function 'die'"));
	after = world_log(world, "r1");
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static int fail_always(struct sluice_step_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return 1;
}

/* Of a changed definition what --from runs again is looked up as well, not what changed alone. */
static void S9_3_a_function_that_from_runs_again_is_found(void **state)
{
	struct world *world = *state;
	struct seen seen = {.text = ""};
	struct sluice_resume_opts options = {.from = "a", .accept_changes = true};
	struct sluice_pipeline *changed;
	struct sluice_run *run = NULL;
	int status = 0;

	add(world, "produce", produce, &seen);
	add(world, "bad", fail_always, NULL);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: produce}, b: {call: bad}}", "r1"),
	    SLUICE_RUN_FAILED);
	changed = world_load(world, "pipeline: p\nsteps: {a: {call: produce}, b: {noop: true}}");
	options.definition = changed;
	assert_code(sluice_run_resume(world->sluice, "r1", &options, &run, &status, &world->err),
		    SLUICE_OK);
	assert_int_equal(sluice_run_wait(run, &world->err), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(seen.calls, 2);
	sluice_run_free(run);
	sluice_pipeline_free(changed);
}

/* ----------------------------------------------------------------------------------- secrets */

static int tell_secret(struct sluice_step_ctx *ctx, void *arg)
{
	char *secret = arg;

	(void)snprintf(secret, 64, "%s", sluice_ctx_param(ctx, "token"));
	(void)sluice_ctx_print(ctx, "the token is %.4s", secret);
	(void)sluice_ctx_print(ctx, "%s\n", secret + 4);
	(void)sluice_ctx_set_output(ctx, "leak", secret);
	(void)sluice_ctx_set_output(ctx, "json", sluice_ctx_param_json(ctx, "token"));
	return 0;
}

static void a_secret_is_known_to_the_function_and_masked_in_what_it_leaves(void **state)
{
	struct world *world = *state;
	char secret[64] = "";
	char *log;
	char *printed;

	assert_int_equal(setenv("API_TEST_TOKEN", "s3cr3t-value", 1), 0);
	add(world, "tell", tell_secret, secret);
	assert_int_equal(world_run(world,
				   "pipeline: p\nparams: {token: {type: secret, from: {env: "
				   "API_TEST_TOKEN}}}\nsteps: {a: {call: tell}}",
				   "r1"),
			 SLUICE_RUN_SUCCEEDED);
	assert_string_equal(secret, "s3cr3t-value");
	log = world_log(world, "r1");
	assert_null(strstr(log, "s3cr3t"));
	assert_true(log_has(log, "\"leak\":\"***\"", NULL));
	free(log);
	printed = world_file(world, "runs/r1/logs/a.0.log");
	assert_string_equal(printed, "the token is ***\n");
	free(printed);
}

/* ---------------------------------------------------------------------------- the log's limits */

static int print_much(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	assert_int_equal(sluice_ctx_write(ctx, "12345678", 8), SLUICE_OK);
	assert_int_equal(sluice_ctx_write(ctx, "9", 1), SLUICE_LIMIT);
	assert_int_equal(sluice_ctx_write(ctx, "", 0), SLUICE_LIMIT);
	return 0;
}

static void S8_7_more_output_than_output_limit_fails_the_attempt(void **state)
{
	struct world *world = *state;
	char *log;

	add(world, "much", print_much, NULL);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: much, output_limit: 8B}}", "r1"),
	    SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "infrastructure", "output_limit", NULL));
	free(log);
}

/* ---------------------------------------------------------------------------------- wrong use */

static void an_unknown_function_is_an_error_of_the_file(void **state)
{
	struct world *world = *state;
	char *text;

	add(world, "preflight", produce, NULL);
	text = world_refused(world, "pipeline: p\nsteps: {a: {call: preflihgt}}");
	assert_non_null(strstr(text, ":2:19: error[SLU060]: there is no function 'preflihgt'"));
	assert_non_null(strstr(text, "did you mean 'preflight'"));
	sluice_free(text);
	text = world_refused(world, "pipeline: p\nsteps: {a: {call: preflight, env: {A: b}}}");
	assert_non_null(strstr(text, "SLU025"));
	sluice_free(text);
	text = world_refused(world, "pipeline: p\nsteps: {a: {call: preflight, run: x}}");
	assert_non_null(strstr(text, "SLU024"));
	sluice_free(text);
	text = world_refused(world, "pipeline: p\nsteps: {a: {call: [preflight]}}");
	assert_non_null(strstr(text, "SLU016"));
	sluice_free(text);
}

static void wrong_use_is_usage(void **state)
{
	struct world *world = *state;
	struct sluice_call_def def = {.name = "f", .call = produce};
	struct sluice_call_def no_name = {.call = produce};
	struct sluice_call_def no_call = {.name = "f"};
	struct sluice_call_def bad_names = {.name = "a b", .call = produce};
	struct sluice_call_def empty = {.name = "", .call = produce};

	assert_code(sluice_call_register(NULL, &def, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, &no_name, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, &no_call, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, &bad_names, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, &empty, &world->err), SLUICE_USAGE);
	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_OK);
	assert_code(sluice_call_register(world->sluice, &def, &world->err), SLUICE_EXISTS);
	assert_null(sluice_ctx_run_id(NULL));
	assert_null(sluice_ctx_param(NULL, "a"));
	assert_null(sluice_ctx_outputs_json(NULL, "a"));
	assert_int_equal(sluice_ctx_left_ms(NULL), -1);
	assert_false(sluice_ctx_is_cancelled(NULL));
	assert_int_equal(sluice_ctx_set_output(NULL, "a", "b"), SLUICE_USAGE);
	assert_int_equal(sluice_ctx_print(NULL, "a"), SLUICE_USAGE);
	assert_int_equal(sluice_ctx_fail(NULL, NULL, "a"), 1);
	assert_int_equal(sluice_next_run(NULL, NULL), -1);
	sluice_ctx_clear(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(a_function_reads_the_context_and_leaves_outputs),
	    TEST(a_class_says_whether_it_is_tried_again),
	    TEST(whatever_is_not_right_is_a_failure_with_its_class),
	    TEST(a_long_reason_is_not_cut_within_a_letter),
	    TEST(a_required_output_that_was_not_set_is_a_failure),
	    TEST(quality_is_judged_as_that_of_a_command),
	    TEST(S5_4_a_function_can_be_a_hard_gate),
	    TEST(S7_4_a_function_past_its_deadline_is_told_and_is_a_timeout),
	    TEST(S7_4_success_after_the_deadline_is_a_timeout_too),
	    TEST(S7_5_a_stop_under_on_stop_cancel_is_told_to_the_function),
	    TEST(letting_go_of_a_run_asks_its_functions_to_end_and_waits),
	    TEST(as_many_functions_run_at_once_as_concurrency_allows),
	    TEST(S8_5_a_function_under_way_when_the_process_dies_is_lost),
	    TEST(S8_4_on_lost_rerun_tries_a_lost_function_again),
	    TEST(a_resume_without_the_function_is_refused_and_nothing_is_written),
	    TEST(S9_3_a_function_that_from_runs_again_is_found),
	    TEST(a_secret_is_known_to_the_function_and_masked_in_what_it_leaves),
	    TEST(S8_7_more_output_than_output_limit_fails_the_attempt),
	    TEST(an_unknown_function_is_an_error_of_the_file),
	    TEST(wrong_use_is_usage),
	};

	return cmocka_run_group_tests_name("call", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
