/* order_test.c - which steps run, in what order, and what the run comes to: S3, S5.1 - S5.3,
 * S5.7. */
#include "support/run_fixture.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define BEGIN \
	"run.created\n" \
	"run.state_changed preflight_validated\n" \
	"run.state_changed executing\n"

/* A run that has started: all that follows from run.created has happened. */
#define RUN(f, steps) \
	AUTO(fixture_close) struct fixture f; \
	(void)state; \
	fixture_open(&f, steps); \
	fixture_start(&f)

/* The same, with nothing left to compare of its beginning. */
#define RUN_ON(f, steps) \
	RUN(f, steps); \
	fixture_forget(&f)

static void assert_outcome(const struct fixture *f, enum run_state_id state,
			   enum run_outcome outcome)
{
	assert_int_equal(f->run.state, state);
	assert_true(f->run.is_completed);
	assert_int_equal(f->run.outcome, outcome);
}

/* ----------------------------------------------------- the sequences of the system before this
 * one */

static void s11_a_clean_run_of_n_steps_writes_2n_plus_5_events(void **state)
{
	RUN(f, "a; b gate=hard; c");
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_expect(&f, BEGIN "step.started a 0\n"
				 "step.succeeded a 0\n"
				 "step.started b 0\n"
				 "step.succeeded b 0\n"
				 "step.started c 0\n"
				 "step.succeeded c 0\n"
				 "run.state_changed succeeded\n"
				 "run.completed succeeded success");
	assert_int_equal(f.log_count, 2 * 3 + 5);
	assert_text(f.run.reason, "All steps succeeded");
	assert_text(event_text(f.log[1], EVENT_FIELD_REASON), "Pre-execution validation passed");
}

/* S5.4, DEFECT-A-F: and every step that does not run says so. */
static void s5_4_a_failed_hard_gate_ends_the_run_at_once(void **state)
{
	RUN_ON(f, "a; g gate=hard; c; d needs=");
	fixture_expect(&f, "");
	fixture_ok(&f, "d");
	fixture_ok(&f, "a");
	fixture_forget(&f);
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed g 0 unknown\n"
			   "gate.failed g 0\n"
			   "step.skipped c gate_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_text(f.run.reason, "Hard gate failed: g");
}

static void s7_1_transient_twice_then_ok(void **state)
{
	RUN_ON(f, "a retry=4");
	fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
	fixture_retry_due(&f, "a");
	fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
	assert_text(event_text(fixture_last(&f), EVENT_FIELD_REASON),
		    "Retrying after transient_io");
	fixture_retry_due(&f, "a");
	fixture_ok(&f, "a");
	fixture_expect(&f, "step.failed a 0 transient_io\n"
			   "step.retried a 1\n"
			   "step.started a 1\n"
			   "step.failed a 1 transient_io\n"
			   "step.retried a 2\n"
			   "step.started a 2\n"
			   "step.succeeded a 2\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
}

/* DEFECT-A-A: a step that cannot begin has both lines. */
static void a_step_that_cannot_begin_is_started_and_failed(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a inputs; b");
	f.inputs[0] = ANSWER_ERROR;
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.started a 0\n"
				 "step.failed a 0 contract_input_missing\n"
				 "step.skipped b run_stopped\n"
				 "run.state_changed failed\n"
				 "run.completed failed failed");
	assert_int_equal(f.started_with_effect, 0);
}

/* DEFECT-A-C: a failure that is not tolerated never ends as a success. */
static void a_run_with_a_failed_step_never_says_that_all_succeeded(void **state)
{
	static const char *const policies[] = {"stop", "skip", "continue", "ignore"};

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		char steps[64];

		(void)snprintf(steps, sizeof(steps), "a needs= on=%s; b needs=", policies[i]);
		RUN_ON(f, steps);
		fixture_ok(&f, "b");
		fixture_fail(&f, "a", CLASS_UNKNOWN);
		assert_null(strstr(f.run.reason.ptr, "All steps succeeded"));
		assert_int_equal(f.run.state, i < 3 ? RUN_FAILED : RUN_SUCCEEDED);
	}
}

/* ------------------------------------------------------------------------------------------- S3 */

static void s3_3_a_stop_before_the_begin_ends_in_stopped(void **state)
{
	static const enum run_state_id states[] = {RUN_CREATED, RUN_PREFLIGHT_VALIDATED};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		AUTO(fixture_close) struct fixture whole;
		AUTO(fixture_close) struct fixture f;

		fixture_open(&whole, "a");
		fixture_start(&whole);
		fixture_replay(&f, "a", &whole, i + 1);
		assert_int_equal(f.run.state, states[i]);
		assert_int_equal(fixture_stop(&f, false), ERR_OK);
		fixture_expect(&f, "run.stop_requested\n"
				   "run.state_changed stopped\n"
				   "run.completed stopped stopped");
	}
}

static void s3_3_a_stop_ends_in_stopped_though_a_step_fails_while_it_waits(void **state)
{
	RUN_ON(f, "a needs=; b needs=; c");
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_ok(&f, "b");
	fixture_expect(&f, "run.stop_requested\n"
			   "step.failed a 0 unknown\n"
			   "step.succeeded b 0\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
	assert_int_equal(fixture_step(&f, "c")->state, STEP_PENDING);
}

static void s3_3_a_failure_ends_in_failed_though_it_is_stopped_while_it_waits(void **state)
{
	RUN_ON(f, "a needs=; b needs=; c needs=b");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	assert_int_equal(fixture_stop(&f, true), ERR_OK);
	fixture_fail(&f, "b", CLASS_CANCELLED);
	fixture_expect(&f, "step.failed a 0 unknown\n"
			   "step.skipped c run_stopped\n"
			   "run.stop_requested now\n"
			   "step.failed b 0 cancelled\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_int_equal(f.run.failing_step, 0);
}

static void s3_4_a_run_whose_steps_are_all_skipped_by_condition_succeeds(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= when; b needs=a");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.skipped a condition\n"
				 "step.skipped b condition\n"
				 "run.state_changed succeeded\n"
				 "run.completed succeeded success");
	assert_text(f.run.reason, "All steps that had to succeed did");
}

static void s3_5_a_failure_that_is_not_tolerated_fails_the_run_and_may_be_partial(void **state)
{
	static const struct {
		const char *steps;
		enum run_state_id state;
		enum run_outcome outcome;
		uint32_t warnings;
	} rows[] = {
	    {"a needs=; b needs= on=stop", RUN_FAILED, OUTCOME_FAILED, 0},
	    {"a needs=; b needs= on=skip", RUN_FAILED, OUTCOME_PARTIAL, 0},
	    {"a needs=; b needs= on=continue", RUN_FAILED, OUTCOME_PARTIAL, 0},
	    {"a needs=; b needs= on=ignore", RUN_SUCCEEDED, OUTCOME_SUCCESS, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		RUN(f, rows[i].steps);
		fixture_ok(&f, "a");
		fixture_fail(&f, "b", CLASS_VALIDATION_FAILED);
		assert_outcome(&f, rows[i].state, rows[i].outcome);
		assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_WARNINGS, -1),
				 rows[i].warnings);
	}
}

static void s3_5_warnings_count_failed_projections_and_leave_the_outcome(void **state)
{
	struct input input = {
	    .kind = INPUT_PROJECTION_FAILED, .text = STR("runs.jsonl"), .error = STR("no space")};

	RUN_ON(f, "a");
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_ok(&f, "a");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
	assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_WARNINGS, -1), 1);
}

/* ------------------------------------------------------------------------------------------
 * S5.1 */

static void s5_1_a_step_without_needs_waits_for_the_one_before_it(void **state)
{
	RUN_ON(f, "a; b; c needs=");
	assert_int_equal(fixture_step(&f, "a")->state, STEP_RUNNING);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
	assert_int_equal(fixture_step(&f, "c")->state, STEP_RUNNING);
	fixture_ok(&f, "c");
	fixture_expect(&f, "step.succeeded c 0");
	fixture_ok(&f, "a");
	fixture_expect(&f, "step.succeeded a 0\nstep.started b 0");
}

static void the_concurrency_of_the_run_bounds_what_runs_without_an_event(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs=; b needs=; c needs=; d needs=");
	f.model->concurrency = 2;
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.started a 0\nstep.started b 0");
	fixture_ok(&f, "b");
	fixture_expect(&f, "step.succeeded b 0\nstep.started c 0");
	fixture_ok(&f, "a");
	fixture_ok(&f, "d");
	fixture_ok(&f, "c");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

/* ------------------------------------------------------------------------------------------
 * S5.2 */

/* Whenever each of them became ready: a resume has the same order as the live run. */
static void ready_steps_start_by_priority_and_then_in_the_order_of_the_file(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(
	    &f, "a needs=; b needs=; c needs=; d needs= prio=9; e needs=c prio=3; f needs= prio=3");
	f.model->concurrency = 1;
	fixture_start(&f);
	fixture_ok(&f, "d");
	fixture_ok(&f, "f");
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_ok(&f, "e");
	fixture_expect(&f, BEGIN "step.started d 0\n"
				 "step.succeeded d 0\n"
				 "step.started f 0\n"
				 "step.succeeded f 0\n"
				 "step.started a 0\n"
				 "step.succeeded a 0\n"
				 "step.started b 0\n"
				 "step.succeeded b 0\n"
				 "step.started c 0\n"
				 "step.succeeded c 0\n"
				 "step.started e 0\n"
				 "step.succeeded e 0\n"
				 "run.state_changed succeeded\n"
				 "run.completed succeeded success");
}

static void a_step_that_became_ready_later_still_comes_before_a_later_one(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs=; b needs=a; c needs=; d needs=");
	f.model->concurrency = 1;
	fixture_start(&f);
	fixture_ok(&f, "a"); /* c and d were ready before b */
	fixture_expect(&f, BEGIN "step.started a 0\n"
				 "step.succeeded a 0\n"
				 "step.started b 0");
}

static void s5_2_needs_are_met_by_failures_under_continue_and_ignore(void **state)
{
	RUN_ON(f, "a needs= on=continue; b needs= on=ignore; c needs=a,b");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_ok(&f, "c");
	fixture_expect(&f, "step.failed a 0 unknown\n"
			   "step.failed b 0 unknown\n"
			   "step.started c 0\n"
			   "step.succeeded c 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
	assert_text(f.run.reason, "Step failed: a");
}

static void s5_2_an_explicit_need_that_was_skipped_skips_with_the_same_reason(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f,
		     "a needs= when; b needs=a; c needs=b; x needs= on=skip; y needs=x; z needs=y");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.skipped a condition\n"
				 "step.skipped b condition\n"
				 "step.skipped c condition\n"
				 "step.started x 0");
	fixture_fail(&f, "x", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed x 0 unknown\n"
			   "step.skipped y upstream_failed\n"
			   "step.skipped z upstream_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
	assert_text(event_text(f.log[f.log_count - 3], EVENT_FIELD_CAUSE), "y");
}

static void s5_2_the_implicit_need_passes_through_a_condition_and_nothing_else(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a when; b; x needs= on=skip; y; z");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	fixture_ok(&f, "b");
	fixture_fail(&f, "x", CLASS_UNKNOWN);
	fixture_expect(&f, BEGIN "step.skipped a condition\n"
				 "step.started b 0\n"
				 "step.started x 0\n"
				 "step.succeeded b 0\n"
				 "step.failed x 0 unknown\n"
				 "step.skipped y upstream_failed\n"
				 "step.skipped z upstream_failed\n"
				 "run.state_changed failed\n"
				 "run.completed failed partial");
}

/* S1.4: c is passed through, so it must wait for the gate that b needs too. */
static void s5_2_nobody_passes_through_a_condition_beside_a_gate_that_runs(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= when; g needs= gate=hard; b needs=a,g; c");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
	assert_int_equal(fixture_step(&f, "c")->state, STEP_PENDING);
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_expect(&f, BEGIN "step.skipped a condition\n"
				 "step.started g 0\n"
				 "step.failed g 0 unknown\n"
				 "gate.failed g 0\n"
				 "step.skipped b gate_failed\n"
				 "step.skipped c gate_failed\n"
				 "run.state_changed failed\n"
				 "run.completed failed failed");
}

static void s5_2_a_failed_need_counts_more_than_one_that_a_condition_skipped(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= when; x needs= on=skip; b needs=a,x; c");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	fixture_fail(&f, "x", CLASS_UNKNOWN);
	assert_int_equal(fixture_step(&f, "b")->skip, SKIP_UPSTREAM_FAILED);
	assert_int_equal(fixture_step(&f, "c")->skip, SKIP_UPSTREAM_FAILED);
}

static void s5_2_needs_any_wants_all_resolved_and_one_succeeded(void **state)
{
	RUN_ON(f, "a needs= on=skip; b needs= on=skip; c any=a,b");
	fixture_ok(&f, "a");
	assert_int_equal(fixture_step(&f, "c")->state, STEP_PENDING);
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	assert_int_equal(fixture_step(&f, "c")->state, STEP_RUNNING);
	fixture_ok(&f, "c");
	assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
}

static void s5_2_needs_any_of_which_none_succeeded_skips(void **state)
{
	RUN_ON(f, "a needs= on=continue; b needs= on=skip; c any=a,b");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed a 0 unknown\n"
			   "step.failed b 0 unknown\n"
			   "step.skipped c upstream_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
}

/* Else a resume, which opens what a failure skipped, would pass over it: in either order. */
static void s5_2_needs_any_skips_for_the_failure_when_the_other_was_a_condition(void **state)
{
	for (int order = 0; order < 2; order++) {
		AUTO(fixture_close) struct fixture f;
		struct input input = {.kind = INPUT_WHEN, .step = 1};

		(void)state;
		fixture_open(&f, "a needs= on=skip; b needs= when; c any=a,b");
		f.when[1] = order ? ANSWER_NEVER : ANSWER_NO;
		fixture_start(&f);
		fixture_fail(&f, "a", CLASS_UNKNOWN);
		if (order)
			assert_ok(fixture_feed(&f, &input), &f.err);
		assert_int_equal(fixture_step(&f, "c")->skip, SKIP_UPSTREAM_FAILED);
		assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
		fixture_ok(&f, "a");
		fixture_ok(&f, "c");
		assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
	}
}

static void s5_2_both_kinds_of_needs_together(void **state)
{
	RUN_ON(f, "a needs=; b needs= on=skip; c needs= on=skip; d needs=a any=b,c");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	assert_int_equal(fixture_step(&f, "d")->state, STEP_PENDING);
	fixture_ok(&f, "a");
	assert_int_equal(fixture_step(&f, "d")->state, STEP_RUNNING);
}

/* ------------------------------------------------------------------------------------------
 * S5.3 */

static void s5_3_a_condition_is_asked_when_the_needs_are_met(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct input input = {.kind = INPUT_WHEN, .step = 1, .is_true = true};

	(void)state;
	fixture_open(&f, "a; b when");
	f.when[1] = ANSWER_NEVER;
	fixture_start(&f);
	assert_int_equal(f.decider.asked, 0);
	assert_ok(fixture_feed(&f, &input), &f.err); /* an answer that nobody asked for */
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
	fixture_ok(&f, "a");
	assert_int_equal(f.decider.asked, 1);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	assert_ok(fixture_feed(&f, &input), &f.err);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_RUNNING);
}

static void s5_3_a_condition_that_errors_is_a_failed_step(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a when retry=3 on=skip; b");
	f.when[0] = ANSWER_ERROR;
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.started a 0\n"
				 "step.failed a 0 configuration\n"
				 "step.skipped b upstream_failed\n"
				 "run.state_changed failed\n"
				 "run.completed failed partial");
	assert_text(fixture_step(&f, "a")->reason, "when: it errs");
	assert_int_equal(f.started_with_effect, 0);
}

/* S11.2, S5.3: a log that was cut behind step.started must not let the command run. */
static void s5_3_a_step_that_cannot_begin_is_never_executed_by_a_recovery(void **state)
{
	for (int resumes = 0; resumes < 2; resumes++) {
		AUTO(fixture_close) struct fixture whole;
		AUTO(fixture_close) struct fixture f;
		static const char steps[] = "a when gate=manual on=skip; b";

		(void)state;
		fixture_open(&whole, steps);
		whole.when[0] = ANSWER_ERROR;
		fixture_start(&whole);
		assert_int_equal(whole.log[3]->type, EVENT_STEP_STARTED);
		fixture_replay(&f, steps, &whole, 4);
		f.when[0] = ANSWER_YES;
		if (resumes) { /* the engine asks for what runs behind run.resumed */
			struct decide_resume resume = {.boot_id = STR("b2"),
						       .definition_hash = STR("d1")};
			struct input input = {.kind = INPUT_RESUME, .resume = &resume};

			assert_ok(fixture_tell(&f, &input), &f.err);
			assert_int_equal(f.run.count[STEP_RUNNING], 0);
		}
		fixture_settle(&f);
		assert_int_equal(fixture_step(&f, "a")->class, CLASS_CONFIGURATION);
		assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
	}
}

/* ------------------------------------------------------------------------------------------
 * S5.7 */

static void s5_7_stop_starts_nothing_new_and_skips_the_rest(void **state)
{
	RUN_ON(f, "a needs=; b needs=; c needs=a; d needs=b; e needs=c,d");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed a 0 unknown\n"
			   "step.skipped c run_stopped\n"
			   "step.skipped d run_stopped\n"
			   "step.skipped e run_stopped");
	assert_text(event_text(fixture_last(&f), EVENT_FIELD_CAUSE), "a");
	fixture_ok(&f, "b");
	fixture_expect(&f, "step.succeeded b 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

static void s5_7_skip_downstream_lets_other_branches_go_on(void **state)
{
	RUN_ON(f, "a needs= on=skip; b needs=; c needs=a; d needs=b");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_ok(&f, "b");
	fixture_ok(&f, "d");
	fixture_expect(&f, "step.failed a 0 unknown\n"
			   "step.skipped c upstream_failed\n"
			   "step.succeeded b 0\n"
			   "step.started d 0\n"
			   "step.succeeded d 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
}

static void s5_7_two_failures_are_both_counted_in_the_reason(void **state)
{
	RUN_ON(f, "a needs= on=skip; b needs= on=continue");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
	assert_text(f.run.reason, "2 steps failed, the first is a");
}

static void s5_7_a_policy_applies_only_when_the_retries_are_used_up(void **state)
{
	RUN_ON(f, "a needs= retry=2; b");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_expect(&f, "step.failed a 0 timeout\nstep.retried a 1");
	assert_false(f.run.is_failing);
	fixture_retry_due(&f, "a");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_expect(&f, "step.started a 1\n"
			   "step.failed a 1 timeout\n"
			   "step.skipped b run_stopped\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

/* ------------------------------------------------------------------------------- what is
 * refused */

static enum err_code apply_raw(struct fixture *f, enum event_type type, const char *step,
			       uint32_t attempt)
{
	struct event event;

	event_init(&event, type);
	event.seq = f->run.seq + 1;
	event.attempt = attempt;
	event.time_utc_ms = f->now_ms;
	event_put_text(&event, EVENT_FIELD_STEP_ID, str_of(step));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("running"));
	event_put_text(&event, EVENT_FIELD_REASON, STR("condition"));
	return apply(&f->run, &event, ERR_CORRUPT, &f->err);
}

static void s1_3_a_log_that_starts_a_step_early_is_corrupt(void **state)
{
	RUN_ON(f, "a; b; m needs= gate=manual");
	assert_int_equal(apply_raw(&f, EVENT_STEP_STARTED, "b", 0), ERR_CORRUPT);
	assert_non_null(strstr(f.err.text, "'b'"));
	assert_int_equal(apply_raw(&f, EVENT_STEP_STARTED, "m", 0), ERR_CORRUPT);
	assert_int_equal(apply_raw(&f, EVENT_STEP_STARTED, "nowhere", 0), ERR_CORRUPT);
}

static void s1_3_a_log_that_starts_a_step_of_a_failing_run_is_corrupt(void **state)
{
	RUN_ON(f, "g needs= gate=hard; b needs=; c needs=b; d needs=");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	f.run.steps[2].state = STEP_PENDING; /* as if the skip had been cut out of the log */
	assert_int_equal(apply_raw(&f, EVENT_STEP_STARTED, "c", 0), ERR_CORRUPT);
	assert_non_null(strstr(f.err.text, "failing"));
}

static void s1_3_a_log_that_starts_a_step_of_an_ended_run_is_corrupt(void **state)
{
	RUN_ON(f, "a on=skip");
	fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
	assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
	assert_int_equal(apply_raw(&f, EVENT_STEP_RETRIED, "a", 1), ERR_CORRUPT);
}

static void s11_4_gaps_duplicates_and_a_second_end_are_corrupt(void **state)
{
	struct event event;

	RUN_ON(f, "a");
	event = *f.log[f.log_count - 1];
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	event.seq += 2;
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	event = *f.log[0];
	event.seq = f.run.seq + 1;
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	fixture_ok(&f, "a");
	event = *fixture_last(&f);
	event.seq = f.run.seq + 1;
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	assert_non_null(strstr(f.err.text, "completed already"));
}

static void s11_4_the_first_event_creates_the_run(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "a");
	event_init(&event, EVENT_STEP_STARTED);
	event.seq = 1;
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("a"));
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	assert_non_null(strstr(f.err.text, "run.created"));
}

static void s11_5_an_event_that_is_reserved_is_of_a_newer_version(void **state)
{
	RUN_ON(f, "a");
	assert_int_equal(apply_raw(&f, EVENT_CHOICE_TAKEN, "a", 0), ERR_NEWER);
	assert_int_equal(apply_raw(&f, EVENT_MAP_EXPANDED, "a", 0), ERR_NEWER);
}

/* An end that comes twice, or of an attempt that is over, makes no event. */
static void s8_2_a_late_report_changes_nothing(void **state)
{
	struct decide_result result = {.is_ok = true, .duration_ms = -1};
	struct input input = {.kind = INPUT_ENDED, .attempt = 0, .result = &result};

	RUN_ON(f, "a retry=2");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_retry_due(&f, "a");
	fixture_forget(&f);
	assert_ok(fixture_feed(&f, &input), &f.err);
	input.kind = INPUT_LOST;
	assert_ok(fixture_feed(&f, &input), &f.err);
	input.kind = INPUT_LEFTOVERS;
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "");
	fixture_ok(&f, "a");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

/* S7.6: a clock that was set back makes no negative duration and no time that goes back. */
static void s7_6_a_clock_that_was_set_back_is_held(void **state)
{
	RUN_ON(f, "a");
	f.now_ms -= 500000;
	fixture_ok(&f, "a");
	assert_true(fixture_last(&f)->time_utc_ms >= 1000000);
	assert_true(event_int(fixture_last(&f), EVENT_FIELD_DURATION_MS, -1) >= 0);
}

static void outputs_updates_artifacts_and_own_events_are_folded(void **state)
{
	struct decide_artifact artifacts[] = {
	    {STR("model"), STR("/r/artifacts/a.0/m"), STR("aa"), 7, false, STR_NONE},
	    {STR("plot"), STR("/r/quarantine/p"), STR("bb"), 8, true, STR("not declared")},
	};
	struct event note;
	struct decide_result result = {
	    .is_ok = true,
	    .duration_ms = 3,
	    .outputs = STR("{\"rows\":3}"),
	    .updates = STR("{\"day\":\"mon\",\"n\":1}"),
	    .artifacts = artifacts,
	    .artifacts_count = 2,
	    .user_events = &note,
	    .user_events_count = 1,
	};
	struct input input = {.kind = INPUT_ENDED, .result = &result};

	event_init(&note, EVENT_USER);
	note.type_text = STR("x-note");
	event_put_text(&note, EVENT_FIELD_DATA, STR("{}"));
	RUN_ON(f, "a");
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "x-note a\n"
			   "artifact.emitted a\n"
			   "artifact.quarantined a\n"
			   "step.succeeded a 0\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
	assert_text(fixture_step(&f, "a")->outputs, "{\"rows\":3}");
	assert_text(context_param(&f.run, STR("day")), "\"mon\"");
	assert_null(context_param(&f.run, STR("night")).ptr);
	assert_int_equal(f.run.artifacts_count, 1);
	assert_text(f.run.artifacts[0].sha256, "aa");
}

static void more_than_an_attempt_may_tell_is_refused_before_anything_changed(void **state)
{
	struct decide_result result = {.is_ok = true, .user_events_count = DECIDE_EVENTS_MAX};
	struct input input = {.kind = INPUT_ENDED, .result = &result};

	RUN_ON(f, "a");
	assert_int_equal(fixture_feed(&f, &input), ERR_LIMIT);
	fixture_expect(&f, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s11_a_clean_run_of_n_steps_writes_2n_plus_5_events),
	    cmocka_unit_test(s5_4_a_failed_hard_gate_ends_the_run_at_once),
	    cmocka_unit_test(s7_1_transient_twice_then_ok),
	    cmocka_unit_test(a_step_that_cannot_begin_is_started_and_failed),
	    cmocka_unit_test(a_run_with_a_failed_step_never_says_that_all_succeeded),
	    cmocka_unit_test(s3_3_a_stop_before_the_begin_ends_in_stopped),
	    cmocka_unit_test(s3_3_a_stop_ends_in_stopped_though_a_step_fails_while_it_waits),
	    cmocka_unit_test(s3_3_a_failure_ends_in_failed_though_it_is_stopped_while_it_waits),
	    cmocka_unit_test(s3_4_a_run_whose_steps_are_all_skipped_by_condition_succeeds),
	    cmocka_unit_test(s3_5_a_failure_that_is_not_tolerated_fails_the_run_and_may_be_partial),
	    cmocka_unit_test(s3_5_warnings_count_failed_projections_and_leave_the_outcome),
	    cmocka_unit_test(s5_1_a_step_without_needs_waits_for_the_one_before_it),
	    cmocka_unit_test(the_concurrency_of_the_run_bounds_what_runs_without_an_event),
	    cmocka_unit_test(ready_steps_start_by_priority_and_then_in_the_order_of_the_file),
	    cmocka_unit_test(a_step_that_became_ready_later_still_comes_before_a_later_one),
	    cmocka_unit_test(s5_2_needs_are_met_by_failures_under_continue_and_ignore),
	    cmocka_unit_test(s5_2_an_explicit_need_that_was_skipped_skips_with_the_same_reason),
	    cmocka_unit_test(s5_2_the_implicit_need_passes_through_a_condition_and_nothing_else),
	    cmocka_unit_test(s5_2_nobody_passes_through_a_condition_beside_a_gate_that_runs),
	    cmocka_unit_test(s5_2_a_failed_need_counts_more_than_one_that_a_condition_skipped),
	    cmocka_unit_test(s5_2_needs_any_wants_all_resolved_and_one_succeeded),
	    cmocka_unit_test(s5_2_needs_any_of_which_none_succeeded_skips),
	    cmocka_unit_test(s5_2_needs_any_skips_for_the_failure_when_the_other_was_a_condition),
	    cmocka_unit_test(s5_2_both_kinds_of_needs_together),
	    cmocka_unit_test(s5_3_a_condition_is_asked_when_the_needs_are_met),
	    cmocka_unit_test(s5_3_a_condition_that_errors_is_a_failed_step),
	    cmocka_unit_test(s5_3_a_step_that_cannot_begin_is_never_executed_by_a_recovery),
	    cmocka_unit_test(s5_7_stop_starts_nothing_new_and_skips_the_rest),
	    cmocka_unit_test(s5_7_skip_downstream_lets_other_branches_go_on),
	    cmocka_unit_test(s5_7_two_failures_are_both_counted_in_the_reason),
	    cmocka_unit_test(s5_7_a_policy_applies_only_when_the_retries_are_used_up),
	    cmocka_unit_test(s1_3_a_log_that_starts_a_step_early_is_corrupt),
	    cmocka_unit_test(s1_3_a_log_that_starts_a_step_of_a_failing_run_is_corrupt),
	    cmocka_unit_test(s1_3_a_log_that_starts_a_step_of_an_ended_run_is_corrupt),
	    cmocka_unit_test(s11_4_gaps_duplicates_and_a_second_end_are_corrupt),
	    cmocka_unit_test(s11_4_the_first_event_creates_the_run),
	    cmocka_unit_test(s11_5_an_event_that_is_reserved_is_of_a_newer_version),
	    cmocka_unit_test(s8_2_a_late_report_changes_nothing),
	    cmocka_unit_test(s7_6_a_clock_that_was_set_back_is_held),
	    cmocka_unit_test(outputs_updates_artifacts_and_own_events_are_folded),
	    cmocka_unit_test(more_than_an_attempt_may_tell_is_refused_before_anything_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
