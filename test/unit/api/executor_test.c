/* executor_test.c - executors of a program, with runs around them */
#include "fixture.h"
#include "spool.h"

#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static struct world world_of_test;
static struct spool *spool;

static void open_spool(struct world *world)
{
	char folder[100];

	(void)snprintf(folder, sizeof(folder), "%s/spool", world->dir);
	spool = spool_new(world->sluice, "spool", folder);
}

static int setup(void **state)
{
	world_open(&world_of_test);
	open_spool(&world_of_test);
	*state = &world_of_test;
	return 0;
}

static int teardown(void **state)
{
	spool_free(spool);
	world_close(*state);
	return 0;
}

static void reopen(struct world *world)
{
	spool_free(spool);
	world_reopen(world);
	open_spool(world);
}

static void nap(void)
{
	static const struct timespec ms = {0, 1000000};

	(void)nanosleep(&ms, NULL);
}

static void a_command_is_carried_out_by_the_executor_it_names(void **state)
{
	struct world *world = *state;
	char *text;

	assert_int_equal(
	    world_run(
		world,
		"pipeline: p\nparams: {who: {type: string, default: you}}\nsteps:\n"
		"  a: {argv: [sh, -c, 'echo hello $PARAM_who; echo rows=5 > $SLUICE_OUTPUT'], "
		"executor: spool, outputs: {rows: {type: int, required: true}}}\n"
		"  b: {argv: ['true'], when: outputs.a.rows == 5, executor: spool}\n"
		"  c: {noop: true}\n",
		"r1"),
	    SLUICE_RUN_SUCCEEDED);
	text = world_log(world, "r1");
	assert_true(log_has(text, "\"step.succeeded\"", "\"step_id\":\"a\"", "{\"rows\":5}", NULL));
	free(text);
	text = world_file(world, "runs/r1/logs/a.0.log");
	assert_string_equal(text, "hello you\n");
	free(text);
	/* Nothing of it went through a keeper. */
	assert_null(world_file(world, "runs/r1/attempts.log"));
}

static void ends_come_back_as_they_were(void **state)
{
	struct world *world = *state;
	char *log;

	assert_int_equal(
	    world_run(world,
		      "pipeline: p\ndefaults: {executor: spool, on_failure: continue}\nsteps:\n"
		      "  a: {argv: [sh, -c, 'exit 66'], exit_codes: {66: data_quality}}\n"
		      "  b: {argv: [sh, -c, 'kill -9 $$']}\n"
		      "  c: {argv: [sh, -c, 'exit 75'], retry: {initial: 1ms, max_attempts: 2}}\n",
		      "r1"),
	    SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"exit_code\":66", "data_quality", NULL));
	assert_true(log_has(log, "\"step.failed\"", "\"signal\":9", NULL));
	assert_true(log_has(log, "\"step.failed\"", "\"step_id\":\"c\"", "transient_io", NULL));
	assert_true(log_has(log, "\"step.started\"", "\"step_id\":\"c\"", "\"attempt\":1", NULL));
	free(log);
}

static void a_refused_start_is_a_failure_with_the_executors_words(void **state)
{
	static const struct {
		enum sluice_code code;
		const char *class;
	} cases[] = {{SLUICE_IO, "infrastructure"},
		     {SLUICE_REFUSED, "dependency"},
		     {SLUICE_INVALID, "configuration"}};
	struct world *world = *state;

	for (size_t i = 0; i < 3; i++) {
		char id[8];
		char *log;

		(void)snprintf(id, sizeof(id), "r%zu", i);
		spool_refuse(spool, cases[i].code, "no \"such\" queue");
		assert_int_equal(
		    world_run(world, "pipeline: p\nsteps: {a: {argv: [x], executor: spool}}", id),
		    SLUICE_RUN_FAILED);
		log = world_log(world, id);
		assert_true(
		    log_has(log, "\"step.failed\"", cases[i].class, "no \\\"such\\\" queue", NULL));
		free(log);
	}
}

static void S7_5_a_stop_reaches_the_executor(void **state)
{
	struct world *world = *state;
	struct sluice_pipeline *pipeline = world_load(
	    world,
	    "pipeline: p\nsteps: {a: {argv: [sleep, '60'], executor: spool, on_stop: cancel}}");
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_run *run = NULL;
	bool is_over = false;
	char *log;

	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	for (int i = 0; i < 5; i++)
		assert_code(sluice_run_dispatch(run, &is_over, &world->err), SLUICE_OK);
	sluice_run_stop(run, false);
	assert_int_equal(sluice_run_wait(run, &world->err), SLUICE_RUN_STOPPED);
	sluice_run_free(run);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "\"cancelled\"", NULL));
	free(log);
}

/* ---------------------------------------------------------------------------------- crashes */

/* The step ends when there is a file `go`, or its folder is gone. */
static const char counted[] =
    "pipeline: p\nsteps:\n"
    "  a: {argv: [sh, -c, 'echo ran >> count; while [ -e count ] && [ ! -e go ]; do sleep 0.02; "
    "done; exit 3'], executor: spool, exit_codes: {3: data_quality}}\n"
    "  b: {noop: true}\n";

static void let_it_end(const struct world *world)
{
	char path[100];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/go", world->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fclose(file);
}

/* Is there a file of this pattern in the folder of the test? */
static bool has_file(const struct world *world, const char *pattern)
{
	char path[100];
	glob_t found;
	bool is_there;

	(void)snprintf(path, sizeof(path), "%s/%s", world->dir, pattern);
	is_there = glob(path, 0, NULL, &found) == 0;
	globfree(&found);
	return is_there;
}

/* The run is carried on by a process that dies as `dies` says (spool_die), or when the step runs
 * (0). */
static void crash(struct world *world, const char *text, int dies)
{
	int status = 0;
	pid_t child;

	spool_free(spool); /* a process with threads had better not fork */
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct sluice_run_opts options = {.run_id = "r1"};
		struct sluice_pipeline *pipeline;
		struct sluice_run *run = NULL;
		bool is_over = false;

		world_reopen(world);
		open_spool(world);
		spool_die(spool, dies);
		pipeline = world_load(world, text);
		if (sluice_run_start(world->sluice, pipeline, &options, &run, &world->err) !=
		    SLUICE_OK)
			_exit(1);
		for (int i = 0; i < PATIENCE_MS && !is_over && !has_file(world, "count"); i++) {
			if (sluice_run_dispatch(run, &is_over, &world->err) != SLUICE_OK)
				_exit(2);
			nap();
		}
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	world_reopen(world);
	open_spool(world);
}

static void assert_ran_once(const struct world *world)
{
	struct stat stat_of_count;
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/count", world->dir);
	assert_int_equal(stat(path, &stat_of_count), 0);
	assert_int_equal(stat_of_count.st_size, strlen("ran\n"));
}

static void S8_3_what_outlived_the_program_is_found_and_runs_once(void **state)
{
	struct world *world = *state;
	struct sluice_run *run = NULL;
	int status = -1;
	char *log;

	crash(world, counted, 0);
	assert_code(sluice_run_resume(world->sluice, "r1", NULL, &run, &status, &world->err),
		    SLUICE_OK);
	assert_non_null(run);
	let_it_end(world); /* it was found running */
	assert_int_equal(sluice_run_wait(run, &world->err), SLUICE_RUN_FAILED);
	sluice_run_free(run);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "data_quality", "\"exit_code\":3", NULL));
	assert_null(strstr(log, "step.lost"));
	free(log);
	assert_ran_once(world);
}

static void S8_3_what_ended_meanwhile_is_taken_as_it_ended(void **state)
{
	struct world *world = *state;
	char *log;

	crash(world, counted, 0);
	let_it_end(world);
	for (int i = 0; i < PATIENCE_MS && !has_file(world, "spool/*/end"); i++)
		nap();
	assert_true(has_file(world, "spool/*/end"));
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "data_quality", "\"exit_code\":3", NULL));
	free(log);
	assert_ran_once(world);
}

static void S8_2_a_crash_within_start_never_runs_it_twice(void **state)
{
	struct world *world = *state;
	char *log;

	crash(world, counted, 2);
	let_it_end(world);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	assert_ran_once(world);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "data_quality", NULL));
	free(log);
}

static void S8_4_what_nobody_can_know_is_lost(void **state)
{
	struct world *world = *state;
	char *log;

	crash(world, counted, 1); /* the folder is there, the process never was */
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.lost\"", "\"step_id\":\"a\"", NULL));
	free(log);
}

static void what_was_never_started_is_started_by_the_resume(void **state)
{
	struct world *world = *state;
	struct sluice_pipeline *pipeline = world_load(world, counted);
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_run *run = NULL;
	char *log;

	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	sluice_run_free(run); /* before anything was dispatched */
	reopen(world);
	let_it_end(world);
	assert_int_equal(world_resume(world, "r1"), SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(log_has(log, "\"step.failed\"", "data_quality", NULL));
	free(log);
}

/* ---------------------------------------------------------------------------------- wrong use */

static void wrong_use_is_usage(void **state)
{
	struct world *world = *state;
	struct sluice_executor_def none = {.name = "x"};
	struct sluice_attempt_end end = {.exit_code = 0};
	struct sluice_attempt_end bad_cause = {.cause = (enum sluice_end_cause)77};
	struct sluice_attempt_end bad_signal = {.signal = -1};
	struct sluice_attempt_end bad_time = {.duration_ms = INT64_MIN};
	char *text;

	assert_code(sluice_executor_register(world->sluice, &none, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_register(world->sluice, NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_register(NULL, &none, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_report(NULL, "t", &end, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, NULL, &end, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, "t", NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, "t", &bad_cause, &world->err),
		    SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, "t", &bad_signal, &world->err),
		    SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, "t", &bad_time, &world->err),
		    SLUICE_USAGE);
	assert_code(sluice_executor_report(world->sluice, "t", &end, &world->err),
		    SLUICE_NOT_FOUND);
	text = world_refused(world, "pipeline: p\nsteps: {a: {run: x, executor: spoool}}");
	assert_non_null(strstr(text, "SLU062"));
	assert_non_null(strstr(text, "did you mean 'spool'"));
	sluice_free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(a_command_is_carried_out_by_the_executor_it_names),
	    TEST(ends_come_back_as_they_were),
	    TEST(a_refused_start_is_a_failure_with_the_executors_words),
	    TEST(S7_5_a_stop_reaches_the_executor),
	    TEST(S8_3_what_outlived_the_program_is_found_and_runs_once),
	    TEST(S8_3_what_ended_meanwhile_is_taken_as_it_ended),
	    TEST(S8_2_a_crash_within_start_never_runs_it_twice),
	    TEST(S8_4_what_nobody_can_know_is_lost),
	    TEST(what_was_never_started_is_started_by_the_resume),
	    TEST(wrong_use_is_usage),
	};

	return cmocka_run_group_tests_name("executor", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
