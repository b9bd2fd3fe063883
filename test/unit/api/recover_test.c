/* recover_test.c - a run that is taken over while memory or storage is short at any moment: it is
 * told, nothing is lost, and the next take-over brings the run to its end (S9, S11.3, D21). */
#include "fixture.h"
#include "memory_storage.h"

#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

/* Two fail at first; the outputs of one are large enough for a blob; `slow` waits for a retry. */
static const char text[] =
    "pipeline: p\n"
    "params: {day: {type: string, default: monday}}\n"
    "defaults: {on_lost: rerun}\n"
    "steps:\n"
    "  a: {call: work, outputs: {n: {type: string, required: true}}}\n"
    "  slow: {call: waits, needs: [], retry: {max_attempts: 3, initial: 1h, max: 1h}, on_failure: continue}\n"
    "  b: {call: fails, needs: [a], on_failure: skip_downstream}\n"
    "  m: {gate: manual, noop: true, needs: [], approve: {timeout: 2h}}\n"
    "  c: {call: work, needs: [b]}\n";

/* The same without what waits: it comes to rest. */
static const char failing[] =
    "pipeline: p\n"
    "params: {day: {type: string, default: monday}, n: {type: int, default: 1}}\n"
    "steps:\n"
    "  a: {call: work, outputs: {n: {type: string, required: true}}}\n"
    "  b: {call: fails, needs: [a]}\n"
    "  c: {call: work, needs: [b]}\n";

static atomic_int is_well; /* what failed goes well from now on */
static char large[40000];

static int work(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	(void)sluice_ctx_set_output(ctx, "n", large);
	(void)sluice_ctx_set_update(ctx, "day", large);
	return 0;
}

static int fails(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return atomic_load(&is_well) ? 0 : sluice_ctx_fail(ctx, "data_quality", "not yet");
}

static int waits(struct sluice_step_ctx *ctx, void *arg)
{
	(void)arg;
	return atomic_load(&is_well) ? 0 : sluice_ctx_fail(ctx, "transient_io", "no answer");
}

static void open_in(struct world *world, struct memory_storage *storage)
{
	static const struct {
		const char *name;
		sluice_call_fn *call;
	} calls[] = {{"work", work}, {"fails", fails}, {"waits", waits}};
	struct sluice_storage_def def = memory_storage_def(storage);
	struct sluice_state_opts options = {
	    .state_dir = "/in/memory", .keeper_path = world_keeper, .storage = &def};

	sluice_close(world->sluice);
	world->sluice = NULL;
	assert_code(sluice_open(&options, &world->sluice, &world->err), SLUICE_OK);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct sluice_call_def call = {.name = calls[i].name, .call = calls[i].call};

		assert_code(sluice_call_register(world->sluice, &call, &world->err), SLUICE_OK);
	}
}

/* Carry it on while there is something to do at once, then let go. */
static void carry_some(struct world *world, struct sluice_run *run)
{
	bool is_over = false;

	for (int i = 0; i < 200 && !is_over && sluice_run_timeout_ms(run) < 60000 &&
			sluice_run_timeout_ms(run) >= -1;
	     i++) {
		struct timespec nap = {0, 1000000};

		if (sluice_run_dispatch(run, &is_over, &world->err) != SLUICE_OK)
			break;
		if (sluice_run_timeout_ms(run) != 0)
			(void)nanosleep(&nap, NULL);
	}
	sluice_run_free(run);
}

static void begin(struct world *world, struct memory_storage *storage, const char *definition)
{
	struct sluice_run_opts options = {.run_id = "r1"};
	struct sluice_pipeline *pipeline;
	struct sluice_run *run = NULL;

	atomic_store(&is_well, 0);
	open_in(world, storage);
	pipeline = world_load(world, definition);
	assert_code(sluice_run_start(world->sluice, pipeline, &options, &run, &world->err),
		    SLUICE_OK);
	sluice_pipeline_free(pipeline);
	carry_some(world, run);
}

enum way { RESUME, RESUME_PARAMS, RESUME_FROM, ROLLBACK, WAYS };

/* Take the run over; true when it was. */
static bool take_over(struct world *world, enum way way)
{
	static const char *const params[] = {"day=friday", "n=7", NULL};
	struct sluice_resume_opts options = {.params = way == RESUME_PARAMS ? params : NULL,
					     .from = way == RESUME_FROM ? "a" : NULL,
					     .max_parallel = way == RESUME_PARAMS ? 2 : 0};
	struct sluice_run *run = NULL;
	int status = 0;
	enum sluice_code code;

	if (way == ROLLBACK)
		code = sluice_run_rollback(world->sluice, "r1", NULL, &run, &world->err);
	else
		code = sluice_run_resume(world->sluice, "r1", &options, &run, &status, &world->err);
	if (code != SLUICE_OK)
		return false;
	if (run)
		carry_some(world, run);
	return true;
}

/* How many times it was refused for lack of something before it went through. */
static unsigned take_over_short(struct world *world, const char *definition, enum way way,
				bool is_memory)
{
	unsigned told = 0;
	bool is_through = false;

	for (uint64_t nth = 1; !is_through && nth < 3000; nth += 1 + nth / 16) {
		struct memory_storage *storage = memory_storage_new();

		begin(world, storage, definition);
		atomic_store(&is_well, way != ROLLBACK);
		open_in(world, storage);
		if (is_memory)
			mem_fail_at(nth, 0);
		else
			memory_storage_fail(storage, nth, nth % 3 ? EIO : ENOSPC);
		if (!take_over(world, way)) {
			assert_true(world->err.text[0]);
			told++;
		}
		is_through = is_memory ? mem_calls() < nth : memory_storage_calls(storage) < nth;
		mem_fail_at(0, 0);
		memory_storage_fail(storage, 0, 0);
		assert_int_equal(memory_storage_open_files(storage), 0);
		/* A good one goes on with whatever that left. */
		open_in(world, storage);
		if (way == ROLLBACK)
			(void)take_over(world, ROLLBACK);
		else if (!take_over(world, RESUME))
			fail_msg("%u: %s", (unsigned)nth, world->err.text);
		sluice_close(world->sluice);
		world->sluice = NULL;
		memory_storage_free(storage);
	}
	assert_true(is_through);
	return told;
}

static void d21_a_take_over_without_memory_is_told_and_can_be_done_again(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	memset(large, 'x', sizeof(large) - 1);
	for (enum way way = 0; way < WAYS; way++)
		assert_true(take_over_short(&world, failing, way, true) > 5);
	assert_true(take_over_short(&world, text, RESUME, true) > 5);
	world_close(&world);
}

static void s11_3_a_take_over_on_a_bad_disk_is_told_and_can_be_done_again(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	memset(large, 'x', sizeof(large) - 1);
	for (enum way way = 0; way < WAYS; way++)
		assert_true(take_over_short(&world, failing, way, false) > 5);
	assert_true(take_over_short(&world, text, RESUME, false) > 5);
	world_close(&world);
}

static int tests(void)
{
	const struct CMUnitTest list[] = {
	    cmocka_unit_test(d21_a_take_over_without_memory_is_told_and_can_be_done_again),
	    cmocka_unit_test(s11_3_a_take_over_on_a_bad_disk_is_told_and_can_be_done_again),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}

int main(int argc, char **argv)
{
	return world_main(argc, argv, tests);
}
