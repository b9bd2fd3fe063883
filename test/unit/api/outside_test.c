/* outside_test.c - a host with a loop, a clock and a storage of its own, and several observers */
#include "fixture.h"
#include "memory_storage.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
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

static void add(struct sluice *sluice, const char *name, sluice_call_fn *call, void *arg)
{
	struct sluice_call_def def = {.name = name, .call = call, .arg = arg};
	struct sluice_error err;

	assert_int_equal(sluice_call_register(sluice, &def, &err), SLUICE_OK);
}

/* ------------------------------------------------------------------------------------- loop */

static void several_runs_share_one_thread_and_its_loop(void **state)
{
	enum { RUNS = 5 };
	struct world *world = *state;
	struct sluice_pipeline *pipeline = world_load(
	    world, "pipeline: p\nsteps: {a: {argv: [sleep, '0.05']}, b: {argv: ['true'], retry: "
		   "{max_attempts: 2}}, c: {noop: true}}");
	struct sluice_run *runs[RUNS] = {NULL};
	bool is_over[RUNS] = {false};
	int left = RUNS;

	for (int i = 0; i < RUNS; i++)
		assert_code(sluice_run_start(world->sluice, pipeline, NULL, &runs[i], &world->err),
			    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	while (left > 0) {
		struct pollfd fds[RUNS];
		int timeout = -1;

		for (int i = 0; i < RUNS; i++) {
			int ms = is_over[i] ? -1 : sluice_run_timeout_ms(runs[i]);

			fds[i] =
			    (struct pollfd){is_over[i] ? -1 : sluice_run_fd(runs[i]), POLLIN, 0};
			assert_true(is_over[i] || fds[i].fd >= 0);
			if (ms >= 0 && (timeout < 0 || ms < timeout))
				timeout = ms;
		}
		/* Without an end: a host that is not woken when there is something to do would
		 * hang. */
		assert_true(poll(fds, RUNS, timeout) >= 0);
		for (int i = 0; i < RUNS; i++) {
			if (is_over[i] || (!fds[i].revents && sluice_run_timeout_ms(runs[i]) != 0))
				continue;
			assert_code(sluice_run_dispatch(runs[i], &is_over[i], &world->err),
				    SLUICE_OK);
			left -= is_over[i];
		}
	}
	for (int i = 0; i < RUNS; i++) {
		struct sluice_end end;

		sluice_run_end(runs[i], &end);
		assert_int_equal(end.state, SLUICE_RUN_SUCCEEDED);
		sluice_run_free(runs[i]);
	}
}

static void *stop_soon(void *arg)
{
	sluice_run_stop(arg, true);
	return NULL;
}

static void a_stop_from_another_thread_wakes_the_hosts_loop(void **state)
{
	struct world *world = *state;
	struct sluice_pipeline *pipeline =
	    world_load(world, "pipeline: p\nsteps: {a: {argv: [sleep, '60']}}");
	struct sluice_run *run = NULL;
	struct sluice_end end;
	bool is_over = false;
	pthread_t thread;

	assert_code(sluice_run_start(world->sluice, pipeline, NULL, &run, &world->err), SLUICE_OK);
	sluice_pipeline_free(pipeline);
	while (sluice_run_timeout_ms(run) == 0)
		assert_code(sluice_run_dispatch(run, &is_over, &world->err), SLUICE_OK);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, run), 0);
	while (!is_over) {
		struct pollfd fd = {sluice_run_fd(run), POLLIN, 0};

		assert_true(poll(&fd, 1, sluice_run_timeout_ms(run)) >= 0);
		assert_code(sluice_run_dispatch(run, &is_over, &world->err), SLUICE_OK);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	sluice_run_end(run, &end);
	assert_int_equal(end.state, SLUICE_RUN_STOPPED);
	sluice_run_free(run);
}

/* -------------------------------------------------------------------------------- observers */

struct hearing {
	int lines;
	int ticks;
	char first[64];
};

static void hear(void *arg, const char *line, size_t len)
{
	struct hearing *hearing = arg;

	(void)len;
	if (!hearing->lines++)
		(void)snprintf(hearing->first, sizeof(hearing->first), "%.20s", line);
}

static void hear_tick(void *arg)
{
	((struct hearing *)arg)->ticks++;
}

static void every_observer_hears_every_event_once(void **state)
{
	struct world *world = *state;
	struct sluice_pipeline *pipeline =
	    world_load(world, "pipeline: p\nsteps: {a: {argv: [sleep, '0.1']}, b: {noop: true}}");
	struct hearing heard[3] = {{.lines = 0}};
	struct sluice_run_opts options = {.observer = {.on_event = hear, .arg = &heard[0]}};
	struct sluice_observer second = {.on_event = hear, .arg = &heard[1]};
	struct sluice_observer third = {
	    .on_event = hear, .on_tick = hear_tick, .tick_ms = 5, .arg = &heard[2]};
	struct sluice_observer blind = {.arg = heard};
	struct sluice_run *run = NULL;

	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	assert_code(sluice_observer_add(run, &second, &world->err), SLUICE_OK);
	assert_code(sluice_observer_add(run, &third, &world->err), SLUICE_OK);
	assert_code(sluice_observer_add(run, &blind, &world->err), SLUICE_USAGE);
	assert_code(sluice_observer_add(run, NULL, &world->err), SLUICE_USAGE);
	assert_code(sluice_observer_add(NULL, &third, &world->err), SLUICE_USAGE);
	assert_int_equal(sluice_run_wait(run, &world->err), SLUICE_RUN_SUCCEEDED);
	sluice_run_free(run);
	assert_int_equal(heard[0].lines, 9); /* 2n + 5 */
	assert_int_equal(heard[1].lines, 8); /* all but run.created */
	assert_int_equal(heard[2].lines, 8);
	assert_string_equal(heard[0].first, "{\"event_id\":\"evt_1\",");
	assert_string_equal(heard[1].first, "{\"event_id\":\"evt_2\",");
	assert_true(heard[2].ticks >= 2);
}

/* ------------------------------------------------------------------------------------ clock */

static _Atomic int64_t now_ns;

static int64_t read_ns(void *arg)
{
	(void)arg;
	return atomic_load(&now_ns);
}

static int64_t read_ms(void *arg)
{
	(void)arg;
	return INT64_C(86400000) + atomic_load(&now_ns) / 1000000;
}

static int advance(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	atomic_fetch_add(&now_ns, INT64_C(3600000000000)); /* an hour */
	assert_int_equal(sluice_ctx_left_ms(ctx), INT64_C(3600000));
	atomic_fetch_add(&now_ns, INT64_C(7200000000000));
	assert_true(sluice_ctx_is_cancelled(ctx));
	return 0;
}

static void the_time_is_the_hosts(void **state)
{
	struct world *world = *state;
	struct sluice_clock_def clock = {read_ns, read_ms, NULL};
	struct sluice_clock_def half = {read_ns, NULL, NULL};
	char path[100];
	struct sluice_state_opts options = {.state_dir = path, .clock = &clock};
	struct sluice *sluice = NULL;
	char *log;

	(void)snprintf(path, sizeof(path), "%s/state", world->dir);
	sluice_close(world->sluice);
	options.clock = &half;
	assert_code(sluice_open(&options, &sluice, &world->err), SLUICE_USAGE);
	options.clock = &clock;
	assert_code(sluice_open(&options, &sluice, &world->err), SLUICE_OK);
	world->sluice = sluice;
	atomic_store(&now_ns, 0);
	add(sluice, "advance", advance, NULL);
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {call: advance, timeout: 2h}}", "r1"),
	    SLUICE_RUN_FAILED);
	log = world_log(world, "r1");
	assert_true(
	    log_has(log, "run.created", "\"timestamp_utc\":\"1970-01-02T00:00:00.000Z\"", NULL));
	assert_true(log_has(log, "\"step.failed\"", "\"timeout\"", "1970-01-02T03:00:00.000Z",
			    "\"duration_ms\":10800000", NULL));
	free(log);
}

/* ---------------------------------------------------------------------------------- storage */

static const char in_memory[] = "pipeline: p\ndefaults: {on_lost: rerun}\nsteps:\n"
				"  a: {call: work, outputs: {n: {type: int, required: true}}}\n"
				"  b: {noop: true}\n"
				"  c: {call: work, when: outputs.a.n == 1}\n";

static int work(struct sluice_step_ctx *ctx, void *arg)
{
	atomic_int *calls = arg;

	atomic_fetch_add(calls, 1);
	(void)sluice_ctx_set_output_int(ctx, "n", 1);
	(void)sluice_ctx_print(ctx, "attempt %u\n", sluice_ctx_attempt(ctx));
	return 0;
}

static struct sluice *open_memory(struct memory_storage *storage, atomic_int *calls)
{
	struct sluice_storage_def def = memory_storage_def(storage);
	struct sluice_state_opts options = {
	    .state_dir = "/in/memory", .keeper_path = world_keeper, .storage = &def};
	struct sluice_error err;
	struct sluice *sluice = NULL;

	assert_int_equal(sluice_open(&options, &sluice, &err), SLUICE_OK);
	add(sluice, "work", work, calls);
	return sluice;
}

static void use_memory(struct world *world, struct memory_storage *storage, atomic_int *calls)
{
	sluice_close(world->sluice);
	world->sluice = open_memory(storage, calls);
}

static void a_run_lives_in_the_storage_of_the_host(void **state)
{
	struct world *world = *state;
	struct memory_storage *storage = memory_storage_new();
	atomic_int calls = 0;
	struct stat none;
	char *text = NULL;

	use_memory(world, storage, &calls);
	assert_int_equal(world_run(world, in_memory, "r1"), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(calls, 2);
	assert_non_null(strstr(memory_storage_text(storage, "/in/memory/runs/r1/events.jsonl"),
			       "\"run.completed\""));
	assert_string_equal(memory_storage_text(storage, "/in/memory/runs/r1/logs/a.0.log"),
			    "attempt 0\n");
	assert_int_equal(stat("/in/memory", &none), -1);
	/* Questions read it as well. */
	assert_code(sluice_status(world->sluice, "r1", SLUICE_TEXT, &text, &world->err), SLUICE_OK);
	assert_non_null(strstr(text, "succeeded"));
	sluice_free(text);
	assert_code(sluice_verify(world->sluice, "r1", NULL, &text, &world->err), SLUICE_OK);
	sluice_free(text);
	assert_int_equal(memory_storage_open_files(storage), 0);
	sluice_close(world->sluice);
	world->sluice = NULL;
	memory_storage_free(storage);
}

static void commands_are_refused_where_their_keeper_has_no_files(void **state)
{
	struct world *world = *state;
	struct memory_storage *storage = memory_storage_new();
	struct sluice_storage_def hollow = memory_storage_def(storage);
	struct sluice_state_opts options = {.state_dir = "/in/memory", .storage = &hollow};
	struct sluice *sluice = NULL;
	struct sluice_run *run = NULL;
	struct sluice_pipeline *pipeline;
	atomic_int calls = 0;

	hollow.ops.lock = NULL;
	assert_code(sluice_open(&options, &sluice, &world->err), SLUICE_USAGE);
	use_memory(world, storage, &calls);
	pipeline = world_load(world, "pipeline: p\nsteps: {a: {argv: ['true']}}");
	assert_code(sluice_run_start(world->sluice, pipeline, NULL, &run, &world->err),
		    SLUICE_REFUSED);
	sluice_pipeline_free(pipeline);
	assert_int_equal(memory_storage_open_files(storage), 0);
	sluice_close(world->sluice);
	world->sluice = NULL;
	memory_storage_free(storage);
}

/* Until it ends or stops with an error, which a second call tells again. */
static enum sluice_run_state wait_twice(struct world *world, struct sluice_run *run)
{
	enum sluice_run_state end = sluice_run_wait(run, &world->err);
	struct sluice_error again = {.text = ""};

	assert_int_equal(sluice_run_wait(run, &again), end);
	if (end == SLUICE_RUN_UNKNOWN)
		assert_string_equal(again.text, world->err.text);
	return end;
}

/* Carry a run on until it ends or an operation fails; true = ended in success. */
static bool try_run(struct world *world, struct sluice *sluice, bool resumes)
{
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_run *run = NULL;
	struct sluice_pipeline *pipeline = NULL;
	enum sluice_run_state end = SLUICE_RUN_UNKNOWN;
	enum sluice_code code;
	int status = -1;

	if (resumes) {
		code = sluice_run_resume(sluice, "r1", NULL, &run, &status, &world->err);
	} else {
		pipeline = world_load(world, in_memory);
		code = sluice_run_start(sluice, pipeline, &options, &run, &world->err);
		sluice_pipeline_free(pipeline);
	}
	if (code == SLUICE_OK && run)
		end = wait_twice(world, run);
	sluice_run_free(run);
	return end == SLUICE_RUN_SUCCEEDED || (code == SLUICE_OK && !run && status == 0);
}

/* S1.5, S11.3: wherever the storage begins to fail, a later resume (or start, when the run was
 * never born) brings the run to its end. */
static void S11_3_a_storage_that_fails_at_any_operation_loses_nothing(void **state)
{
	struct world *world = *state;
	bool has_ended = false;

	for (uint64_t n = 1; !has_ended && n < 1000; n++) {
		struct memory_storage *storage = memory_storage_new();
		atomic_int calls = 0;
		const char *log;

		use_memory(world, storage, &calls);
		memory_storage_fail(storage, n, n % 3 ? EIO : ENOSPC);
		has_ended =
		    try_run(world, world->sluice, false) && memory_storage_calls(storage) < n;
		if (memory_storage_open_files(storage))
			fail_msg("n = %u: %u descriptors are left", (unsigned)n,
				 memory_storage_open_files(storage));
		memory_storage_fail(storage, 0, 0);
		use_memory(world, storage, &calls);
		log = memory_storage_text(storage, "/in/memory/runs/r1/events.jsonl");
		if (!has_ended && !try_run(world, world->sluice, log != NULL))
			fail_msg("n = %u: %s", (unsigned)n, world->err.text);
		log = memory_storage_text(storage, "/in/memory/runs/r1/events.jsonl");
		assert_non_null(strstr(log, "\"run.completed\""));
		assert_int_equal(memory_storage_open_files(storage), 0);
		sluice_close(world->sluice);
		world->sluice = NULL;
		memory_storage_free(storage);
	}
	assert_true(has_ended);
}

/* -------------------------------------------------------------------------- a quiet guest */

static void the_process_of_the_host_stays_as_it_was(void **state)
{
	struct world *world = *state;
	static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM,
				      SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2};
	struct sigaction before[sizeof(signals) / sizeof(signals[0])];
	struct sigaction after;
	char folder[512];
	char now[512];
	mode_t mask = umask(027);

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], NULL, &before[i]);
	assert_non_null(getcwd(folder, sizeof(folder)));
	assert_int_equal(
	    world_run(world, "pipeline: p\nsteps: {a: {argv: ['true']}, b: {run: 'exit 3'}}", "r1"),
	    SLUICE_RUN_FAILED);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		(void)sigaction(signals[i], NULL, &after);
		assert_ptr_equal(after.sa_handler, before[i].sa_handler);
	}
	assert_non_null(getcwd(now, sizeof(now)));
	assert_string_equal(now, folder);
	assert_string_equal(setlocale(LC_ALL, NULL), "C");
	assert_int_equal(umask(mask), 027);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(several_runs_share_one_thread_and_its_loop),
	    TEST(a_stop_from_another_thread_wakes_the_hosts_loop),
	    TEST(every_observer_hears_every_event_once),
	    TEST(the_time_is_the_hosts),
	    TEST(a_run_lives_in_the_storage_of_the_host),
	    TEST(commands_are_refused_where_their_keeper_has_no_files),
	    TEST(S11_3_a_storage_that_fails_at_any_operation_loses_nothing),
	    TEST(the_process_of_the_host_stays_as_it_was),
	};

	return cmocka_run_group_tests_name("outside", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
