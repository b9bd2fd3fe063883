/* size_test.c - core at its limits: 20000 steps, and memory that is short at every place. */
#include "support/run_fixture.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STEPS 20000 /* limit `steps` */

static char *large_text(bool is_chain)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	for (uint32_t i = 0; i < STEPS; i++) {
		buf_fmt(&text, "%ss%u on=skip", i ? "; " : "", i);
		if (i > 0 && !is_chain)
			buf_text(&text, i == STEPS - 1 ? " needs=s1" : " needs=s0");
	}
	return mem_text(text.ptr, text.len);
}

/* Without the checks of the fixture, which look at every step after every event. */
static void apply_quickly(struct fixture *f, struct event *event)
{
	event->seq = f->run.seq + 1;
	event->run_id = STR("r1");
	assert_ok(apply(&f->run, event, ERR_CONFLICT, &f->err), &f->err);
	decider_observe(&f->decider, event);
}

static void run_quickly(struct fixture *f)
{
	struct event event;
	struct decide_query query;

	while (decide_next(&f->decider, f->now_ms, &event, &query) == DECIDE_EVENT) {
		apply_quickly(f, &event);
		decider_forget(&f->decider);
	}
}

/* Linear: a run of 20000 steps is decided in well under a second; a quadratic one would take
 * minutes. */
static void a_run_of_20000_steps_is_decided_in_linear_time(void **state)
{
	(void)state;
	for (int is_chain = 0; is_chain < 2; is_chain++) {
		AUTO(mem_drop) char *text = large_text(is_chain);
		AUTO(fixture_close) struct fixture f;
		struct decide_result result = {.is_ok = true, .duration_ms = 1};
		struct input input = {.kind = INPUT_ENDED, .result = &result};
		clock_t begin;

		fixture_open(&f, text);
		f.model->concurrency = 7;
		fixture_start(&f);
		begin = clock();
		while (!f.run.is_completed) { /* slots are few: the first that runs is not far */
			struct decide_events events = {f.items, 0};

			while (f.run.steps[input.step].state != STEP_RUNNING)
				input.step++;
			assert_ok(decide_input(&f.decider, &input, f.now_ms, &events, &f.err),
				  &f.err);
			for (size_t e = 0; e < events.count; e++)
				apply_quickly(&f, &events.items[e]);
			run_quickly(&f);
			if (clock() - begin > 60 * CLOCKS_PER_SEC)
				fail_msg("%u steps took a minute", f.run.count[STEP_SUCCEEDED]);
		}
		assert_int_equal(f.run.outcome, OUTCOME_SUCCESS);
		print_message("# %d events in %.2f s\n", (int)f.run.seq,
			      (double)(clock() - begin) / CLOCKS_PER_SEC);
	}
}

static void a_failure_at_the_root_skips_20000_steps_in_linear_time(void **state)
{
	(void)state;
	for (int is_chain = 0; is_chain < 2; is_chain++) {
		AUTO(mem_drop) char *text = large_text(is_chain);
		AUTO(fixture_close) struct fixture f;
		struct decide_result result = {.class = CLASS_UNKNOWN, .duration_ms = 1};
		struct decide_events events;
		struct input input = {.kind = INPUT_ENDED, .result = &result};
		clock_t begin;

		fixture_open(&f, text);
		fixture_start(&f);
		events = (struct decide_events){f.items, 0};
		begin = clock();
		assert_ok(decide_input(&f.decider, &input, f.now_ms, &events, &f.err), &f.err);
		for (size_t e = 0; e < events.count; e++)
			apply_quickly(&f, &events.items[e]);
		run_quickly(&f);
		assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
		assert_int_equal(f.run.count[STEP_SKIPPED], STEPS - 1);
		assert_int_equal(f.run.outcome, OUTCOME_PARTIAL);
	}
}

/* Short memory is an error of the call that met it, never a crash, at every allocation. */
static void short_memory_is_an_error_at_every_place(void **state)
{
	static const char steps[] = "a retry=2 on=continue; m gate=manual count=2; g gate=hard; c";
	AUTO(fixture_close) struct fixture whole;
	struct decide_result result = {
	    .is_ok = true,
	    .duration_ms = 1,
	    .outputs = STR("{\"x\":1}"),
	    .updates = STR("{\"y\":2,\"z\":3}"),
	};
	struct input input = {.kind = INPUT_ENDED, .attempt = 1, .result = &result};

	(void)state;
	fixture_open(&whole, steps);
	fixture_start(&whole);
	fixture_fail(&whole, "a", CLASS_TIMEOUT);
	fixture_retry_due(&whole, "a");
	assert_ok(fixture_feed(&whole, &input), &whole.err);
	assert_int_equal(fixture_approve(&whole, "m", "anna"), ERR_OK);
	assert_int_equal(fixture_approve(&whole, "m", "ben"), ERR_OK);
	fixture_ok(&whole, "m");
	fixture_fail(&whole, "g", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&whole, "a", "g"), ERR_OK);
	for (uint64_t nth = 1;; nth++) {
		struct run_state run = {0};
		struct decider decider = {0};
		struct err err = ERR_INIT;
		enum err_code code;

		mem_fail_at(nth, 1);
		code = run_state_init(&run, whole.model, &err);
		if (code == ERR_OK)
			code = decider_init(&decider, &run, &err);
		for (size_t i = 0; i < whole.log_count && code == ERR_OK; i++)
			code = apply(&run, whole.log[i], ERR_CORRUPT, &err);
		mem_fail_at(0, 0);
		decider_fini(&decider);
		run_state_fini(&run);
		if (code == ERR_OK)
			break;
		assert_int_equal(code, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_run_of_20000_steps_is_decided_in_linear_time),
	    cmocka_unit_test(a_failure_at_the_root_skips_20000_steps_in_linear_time),
	    cmocka_unit_test(short_memory_is_an_error_at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
