/* random_test.c - properties over generated runs: every prefix of a log is a legal log (S11.2),
 * replay is the live state (S1.1), nothing starts below a failed gate (S1.4), and every run comes
 * to an end. */
#include "support/run_plan.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS 400

/* -------------------------------------------------------------------------------------
 * comparison */

static void end_dump(const struct fixture *f, bool is_ordered, struct buf *out)
{
	buf_fmt(out, "%s %s", run_state_name(f->run.state), outcome_name(f->run.outcome));
	if (!is_ordered)
		return;
	buf_fmt(out, " warnings %u barred %u", f->run.warnings, f->run.gates_barred);
	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		const struct step_state *at = &f->run.steps[i];

		buf_fmt(out, "\n  s%u %s skip %s attempt %u of %u failures %u gate %d %d", i,
			step_state_name(at->state), skip_reason_name(at->skip), at->attempt,
			at->attempts, at->failures, at->is_gate_failed, at->is_gate_recorded);
		if (at->state == STEP_FAILED)
			buf_fmt(out, " %s", error_class_name(at->class));
	}
}

static void compare_ends(const struct fixture *whole, const struct fixture *cut,
			 const struct plan *plan, size_t at)
{
	AUTO(buf_fini) struct buf expected = BUF_INIT;
	AUTO(buf_fini) struct buf got = BUF_INIT;

	end_dump(whole, plan->is_ordered, &expected);
	end_dump(cut, plan->is_ordered, &got);
	if (str_eq(buf_view(&expected), buf_view(&got)))
		return;
	plan_show(whole, plan);
	print_message("cut behind event %zu:\n", at);
	plan_show(cut, plan);
	fail_msg("expected %.*s\ngot %.*s", STR_ARG(buf_view(&expected)), STR_ARG(buf_view(&got)));
}

static void compare_replay(const struct fixture *live, const struct plan *plan)
{
	AUTO(fixture_close) struct fixture replayed;
	AUTO(buf_fini) struct buf expected = BUF_INIT;
	AUTO(buf_fini) struct buf got = BUF_INIT;

	fixture_replay(&replayed, plan->steps, live, live->log_count);
	fixture_dump(&live->run, &expected);
	fixture_dump(&replayed.run, &got);
	if (!str_eq(buf_view(&expected), buf_view(&got))) {
		plan_show(live, plan);
		fail_msg("live:\n%.*s\nreplayed:\n%.*s", STR_ARG(buf_view(&expected)),
			 STR_ARG(buf_view(&got)));
	}
	fixture_settle(&replayed); /* nothing follows from a run at rest */
	assert_int_equal(replayed.log_count, live->log_count);
}

/* -------------------------------------------------------------------------------------
 * properties */

/* Seeds that failed once are kept; SLUICE_TEST_SEED gives others to begin with. */
static uint64_t seed_at(uint64_t i)
{
	static const uint64_t kept[] = {2332, 7374, 20346};
	const char *text = getenv("SLUICE_TEST_SEED");

	if (i < ARRAY_LEN(kept))
		return kept[i];
	return i + (text ? strtoull(text, NULL, 10) : 1);
}

static void s11_2_every_prefix_of_a_log_comes_to_the_same_end(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		AUTO(fixture_close) struct fixture whole;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&whole, &plan);
		fixture_start(&whole);
		plan_drive(&whole, &plan);
		for (size_t at = 1; at < whole.log_count; at++) {
			AUTO(fixture_close) struct fixture cut;

			fixture_replay(&cut, plan.steps, &whole, at);
			fixture_settle(&cut);
			plan_drive(&cut, &plan);
			compare_ends(&whole, &cut, &plan, at);
		}
	}
}

/* The same with a new engine that writes run.resumed, as it does after a crash. A stop that was
 * acknowledged stays (S1.5). */
static void s11_2_every_prefix_that_is_resumed_comes_to_the_same_end(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		AUTO(fixture_close) struct fixture whole;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&whole, &plan);
		fixture_start(&whole);
		plan_drive(&whole, &plan);
		for (size_t at = 1; at < whole.log_count; at++) {
			AUTO(fixture_close) struct fixture cut;

			fixture_replay(&cut, plan.steps, &whole, at);
			if (!run_state_is_end(cut.run.state) ||
			    (run_is_undoing(&cut.run) && cut.run.state != RUN_ROLLED_BACK))
				assert_ok(fixture_resume(&cut, NULL, NULL), &cut.err);
			fixture_settle(&cut);
			plan_drive(&cut, &plan);
			compare_ends(&whole, &cut, &plan, at);
		}
	}
}

/* S1.1, S1.4: runs that fail or stop and are resumed, with overrides where they must be. The
 * fixture holds every start against the gates that failed. */
static void s1_4_resumed_runs_start_nothing_below_a_gate_without_an_override(void **state)
{
	uint32_t overrides = 0;

	(void)state;
	for (uint64_t i = 0; i < 4 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		plan_drive(&f, &plan);
		compare_replay(&f, &plan);
		for (int round = 0;
		     round < 4 && f.run.state != RUN_SUCCEEDED && !f.run.undo.is_begun; round++) {
			struct str gates[PLAN_STEPS_MAX];
			struct decide_resume resume = {
			    .boot_id = STR("b2"),
			    .definition_hash = STR("d1"),
			    .overrides = gates,
			    .person = {STR("olga"), STR("known"), -1, -1},
			};
			struct input input = {.kind = INPUT_RESUME, .resume = &resume};

			for (uint32_t step = 0; step < plan.count; step++) {
				if (f.barred[step])
					gates[resume.overrides_count++] = f.model->steps[step].id;
			}
			overrides += (uint32_t)resume.overrides_count;
			if (resume.overrides_count) {
				size_t before = f.log_count;

				assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
				assert_int_equal(f.log_count, before);
			}
			assert_ok(fixture_feed(&f, &input), &f.err);
			plan_drive(&f, &plan);
			compare_replay(&f, &plan);
		}
	}
	assert_true(overrides > 100); /* the property was tried */
}

/* --from at a random step of a run at rest: refused, or it runs again to an end, and nothing
 * started before what it needs (apply refuses that). */
static void s9_2_from_any_step_comes_to_an_end(void **state)
{
	uint32_t accepted = 0;

	(void)state;
	for (uint64_t i = 0; i < 2 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		plan_drive(&f, &plan);
		for (int round = 0; round < 3; round++) {
			char from[PLAN_STEPS_MAX];

			(void)snprintf(
			    from, sizeof(from), "s%u",
			    (unsigned)(plan_number(&plan, 0, (uint32_t)round, 6) % plan.count));
			if (fixture_resume(&f, from, NULL) != ERR_OK) {
				assert_int_equal(f.err.code, ERR_REFUSED);
				continue;
			}
			accepted++;
			plan_drive(&f, &plan);
			compare_replay(&f, &plan);
		}
	}
	assert_true(accepted > 50);
}

/* A run at rest is rolled back until nothing is left to undo. The fixture holds the order against
 * the graph; what leftovers of a compensation bar is no end. */
static void s10_a_rollback_undoes_each_step_once_and_ends(void **state)
{
	uint32_t undone = 0;
	uint32_t again = 0;

	(void)state;
	for (uint64_t i = 0; i < 2 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		uint32_t expected = 0;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		plan_drive(&f, &plan);
		if (f.run.state == RUN_SUCCEEDED) {
			assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
			continue;
		}
		for (uint32_t step = 0; step < plan.count; step++)
			expected +=
			    f.run.steps[step].state == STEP_COMPENSATED ||
			    (f.run.steps[step].state == STEP_SUCCEEDED &&
			     !f.run.steps[step].is_given && f.model->steps[step].compensate);
		for (int round = 0; round < 40 && f.run.state != RUN_ROLLED_BACK; round++) {
			bool has_leftovers = f.run.undo.is_running;

			assert_ok(fixture_rollback(&f), &f.err);
			again += round > 0;
			if (has_leftovers) /* of the last round: gone now */
				fixture_undo_lose(&f);
			plan_drive(&f, &plan);
			compare_replay(&f, &plan);
		}
		if (f.run.count[STEP_RUNNING])
			continue; /* what cannot be killed */
		assert_int_equal(f.run.state, RUN_ROLLED_BACK);
		assert_int_equal(f.run.outcome, OUTCOME_ROLLED_BACK);
		assert_int_equal(f.run.count[STEP_COMPENSATED], expected);
		assert_int_equal(fixture_count(&f, EVENT_STEP_COMPENSATED), expected);
		assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
		undone += expected;
	}
	assert_true(undone > 500);
	assert_true(again > 100);
}

/* The run's deadline at any moment: the run ends failed, or stopped if it was being stopped. */
static void s7_4_a_deadline_at_any_moment_ends_the_run(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		struct plan plan;

		plan_make(&plan, seed_at(i));
		for (int acts = 0;; acts++) {
			AUTO(fixture_close) struct fixture f;
			bool ends_stopped;
			int done = 0;

			plan_open(&f, &plan);
			fixture_start(&f);
			while (done < acts && !f.run.is_completed && plan_act(&f, &plan))
				done++;
			if (f.run.is_completed)
				break;
			ends_stopped = run_ends_stopped(&f.run);
			fixture_deadline(&f);
			plan_drive(&f, &plan);
			if (!f.run.undo.is_begun) {
				assert_int_equal(f.run.state,
						 ends_stopped ? RUN_STOPPED : RUN_FAILED);
				assert_int_equal(f.run.outcome,
						 ends_stopped ? OUTCOME_STOPPED : OUTCOME_FAILED);
			}
			assert_int_equal(f.run.count[STEP_RUNNING], f.decider.stuck);
			compare_replay(&f, &plan);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s11_2_every_prefix_of_a_log_comes_to_the_same_end),
	    cmocka_unit_test(s11_2_every_prefix_that_is_resumed_comes_to_the_same_end),
	    cmocka_unit_test(s1_4_resumed_runs_start_nothing_below_a_gate_without_an_override),
	    cmocka_unit_test(s9_2_from_any_step_comes_to_an_end),
	    cmocka_unit_test(s10_a_rollback_undoes_each_step_once_and_ends),
	    cmocka_unit_test(s7_4_a_deadline_at_any_moment_ends_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
