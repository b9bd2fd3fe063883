/* host_test.c - what a program that embeds the library may rely on: threads, signals, answers at
 * once */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define THREADS 6

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

static enum sluice_run_state run_call(struct world *world, const char *id, sluice_call_fn *call,
				      void *arg)
{
	struct sluice_pipeline *pipeline = sluice_pipeline_new("host");
	struct sluice_run_opts options = {.run_id = id};
	struct sluice_error err;
	enum sluice_run_state state = SLUICE_RUN_UNKNOWN;
	struct sluice_run *run = NULL;

	(void)sluice_pipeline_step(
	    pipeline, &(struct sluice_step_def){.id = "s", .call = call, .arg = arg}, &err);
	if (sluice_run_start(world->sluice, pipeline, &options, &run, &err) == SLUICE_OK)
		state = sluice_run_wait(run, &err);
	if (state == SLUICE_RUN_UNKNOWN)
		print_error("%s\n", err.text);
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
	return state;
}

/* ------------------------------------------------------------------------------------ threads */

struct user {
	struct world *world;
	int number;
	atomic_int *calls;
	bool is_right;
};

static int count(struct sluice_step_ctx *ctx, void *arg)
{
	(void)sluice_ctx_print(ctx, "counted\n");
	atomic_fetch_add((atomic_int *)arg, 1);
	return 0;
}

static bool answers(struct sluice *sluice, const char *id)
{
	char *text = NULL;
	bool is_right;

	is_right = sluice_status(sluice, id, SLUICE_JSON, &text, NULL) == SLUICE_OK;
	sluice_free(text);
	text = NULL;
	is_right =
	    is_right && sluice_list(sluice, NULL, &text, NULL) == SLUICE_OK && strstr(text, id);
	sluice_free(text);
	return is_right && sluice_note(sluice) != NULL;
}

static void *use(void *arg)
{
	struct user *user = arg;
	char id[32];

	user->is_right = true;
	for (int i = 0; i < 3 && user->is_right; i++) {
		(void)snprintf(id, sizeof(id), "host-%d-%d", user->number, i);
		user->is_right =
		    run_call(user->world, id, count, user->calls) == SLUICE_RUN_SUCCEEDED &&
		    answers(user->world->sluice, id);
	}
	return NULL;
}

/* Under ThreadSanitizer it tells of every race between the threads too. */
static void several_threads_run_and_read_with_one_handle(void **state)
{
	struct user users[THREADS];
	pthread_t threads[THREADS];
	atomic_int calls = 0;

	for (int i = 0; i < THREADS; i++) {
		users[i] = (struct user){*state, i, &calls, false};
		assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(users[i].is_right);
	}
	assert_int_equal(calls, THREADS * 3);
}

static void *list_elsewhere(void *arg)
{
	struct world *world = arg;
	char *text = NULL;

	if (sluice_list(world->sluice, NULL, &text, NULL) != SLUICE_OK)
		return NULL;
	sluice_free(text);
	return sluice_note(world->sluice)[0] ? arg : NULL;
}

/* What stands where the database would be: the logs are read, and the note says so. */
static void a_note_is_of_the_thread_that_asked(void **state)
{
	struct world *world = *state;
	struct world other;
	pthread_t thread;
	void *had_note = NULL;
	char command[200];
	atomic_int calls = 0;

	assert_int_equal(run_call(world, "host-note", count, &calls), SLUICE_RUN_SUCCEEDED);
	(void)snprintf(command, sizeof(command), "mkdir -p '%s/state/sluice.db/x'", world->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(pthread_create(&thread, NULL, list_elsewhere, world), 0);
	assert_int_equal(pthread_join(thread, &had_note), 0);
	assert_non_null(had_note);
	assert_string_equal(sluice_note(world->sluice), "");
	assert_non_null(list_elsewhere(world));
	world_open(&other);
	assert_string_equal(sluice_note(other.sluice), "");
	world_close(&other);
}

/* ------------------------------------------------------------------------------------ signals */

static int look_at_mask(struct sluice_step_ctx *ctx, void *arg)
{
	(void)ctx;
	return pthread_sigmask(SIG_SETMASK, NULL, arg);
}

/* A fault whose signal is blocked ends the process past the handler that the program has for it. */
static void a_fault_in_a_function_reaches_the_programs_handler(void **state)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
	sigset_t mask;

	assert_int_equal(run_call(*state, "host-mask", look_at_mask, &mask), SLUICE_RUN_SUCCEEDED);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_false(sigismember(&mask, faults[i]));
	assert_true(sigismember(&mask, SIGTERM));
	assert_true(sigismember(&mask, SIGINT));
	assert_true(sigismember(&mask, SIGCHLD));
	assert_true(sigismember(&mask, SIGUSR1));
}

/* ------------------------------------------------------------------------------------- events */

struct emitted {
	const char *type;
	int times;
	enum sluice_code last;
};

static int emit(struct sluice_step_ctx *ctx, void *arg)
{
	struct emitted *emitted = arg;

	for (int i = 0; i < emitted->times; i++)
		emitted->last = sluice_ctx_emit(ctx, emitted->type, "{\"n\": 1}");
	return 0;
}

static void an_event_of_a_wrong_type_is_refused_at_once(void **state)
{
	static const char *const wrong[] = {"run.completed", "x-", "X-mine", "", "y-x-"};
	struct emitted emitted = {.times = 1};
	char id[32];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(id, sizeof(id), "host-type-%zu", i);
		emitted.type = wrong[i];
		assert_int_equal(run_call(*state, id, emit, &emitted), SLUICE_RUN_FAILED);
		assert_int_equal(emitted.last, SLUICE_INVALID);
	}
}

static void more_events_than_an_attempt_may_have_are_refused_at_once(void **state)
{
	struct emitted emitted = {.type = "x-mine", .times = 64};

	assert_int_equal(run_call(*state, "host-64", emit, &emitted), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(emitted.last, SLUICE_OK);
	emitted.times = 65;
	assert_int_equal(run_call(*state, "host-65", emit, &emitted), SLUICE_RUN_FAILED);
	assert_int_equal(emitted.last, SLUICE_LIMIT);
}

static int emit_twice(struct sluice_step_ctx *ctx, void *arg)
{
	(void)emit(ctx, arg);
	sluice_ctx_clear(ctx);
	return emit(ctx, arg);
}

static void a_middleware_that_clears_has_all_its_events_again(void **state)
{
	struct emitted emitted = {.type = "x-mine", .times = 64};

	assert_int_equal(run_call(*state, "host-clear", emit_twice, &emitted),
			 SLUICE_RUN_SUCCEEDED);
	assert_int_equal(emitted.last, SLUICE_OK);
}

/* The owner looks at its run for as long as it likes; whoever follows it knows the end. */
static void a_follower_of_an_ended_run_does_not_wait_for_its_handle(void **state)
{
	struct world *world = *state;
	struct sluice_pipeline *pipeline =
	    world_load(world, "pipeline: p\nsteps: {a: {noop: true}}\n");
	struct sluice_run_opts options = {.run_id = "kept"};
	struct sluice_run *run = NULL;
	struct sluice_error err;
	struct sluice_end end = {.exit_status = -1};

	assert_int_equal(sluice_run_start(world->sluice, pipeline, &options, &run, &err),
			 SLUICE_OK);
	assert_int_equal(sluice_run_wait(run, &err), SLUICE_RUN_SUCCEEDED);
	assert_int_equal(sluice_run_follow(world->sluice, "kept", NULL, &end, &err), SLUICE_OK);
	assert_int_equal(end.state, SLUICE_RUN_SUCCEEDED);
	assert_int_equal(end.exit_status, 0);
	sluice_run_free(run);
	sluice_pipeline_free(pipeline);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
	const struct CMUnitTest all[] = {
	    TEST(a_follower_of_an_ended_run_does_not_wait_for_its_handle),
	    TEST(several_threads_run_and_read_with_one_handle),
	    TEST(a_note_is_of_the_thread_that_asked),
	    TEST(a_fault_in_a_function_reaches_the_programs_handler),
	    TEST(an_event_of_a_wrong_type_is_refused_at_once),
	    TEST(more_events_than_an_attempt_may_have_are_refused_at_once),
	    TEST(a_middleware_that_clears_has_all_its_events_again),
	};

	return cmocka_run_group_tests_name("host", all, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
