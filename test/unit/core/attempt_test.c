/* attempt_test.c - retries, losses, leftovers, stops, deadlines and resumes: S7, S8.3, S8.4,
 * S9.2. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/effect.h"

#include <string.h>

/* A run that has started: all that follows from run.created has happened. */
#define RUN(f, steps) \
	AUTO(fixture_close) struct fixture f; \
	(void)state; \
	fixture_open(&f, steps); \
	fixture_start(&f); \
	fixture_forget(&f)

static void assert_outcome(const struct fixture *f, enum run_state_id state,
			   enum run_outcome outcome)
{
	assert_int_equal(f->run.state, state);
	assert_true(f->run.is_completed);
	assert_int_equal(f->run.outcome, outcome);
}

/* ----------------------------------------------------------------------------------------
 * retries */

static void s7_1_max_attempts_counts_all(void **state)
{
	RUN(f, "a retry=3");
	for (int i = 0; i < 2; i++) {
		fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
		fixture_retry_due(&f, "a");
	}
	fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
	assert_int_equal(fixture_step(&f, "a")->attempts, 3);
	assert_int_equal(fixture_step(&f, "a")->retries, 2);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

static void s7_1_without_retry_there_is_one_attempt(void **state)
{
	RUN(f, "a");
	fixture_fail(&f, "a", CLASS_TRANSIENT_IO);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

/* S6: of all classes only those that may be and are listed. */
static void s6_only_listed_classes_are_retried(void **state)
{
	for (enum error_class class = 0; class < CLASS_COUNT; class ++) {
		bool is_listed = class == CLASS_TRANSIENT_IO || class == CLASS_TIMEOUT;

		RUN(f, "a retry=3");
		fixture_fail(&f, "a", class);
		assert_int_equal(fixture_count(&f, EVENT_STEP_RETRIED), is_listed ? 1 : 0);
		assert_int_equal(f.run.is_completed, !is_listed);
	}
}

/* Listing it does not help a class that is never retried. */
static void s6_a_class_that_is_never_retried_is_not_even_when_listed(void **state)
{
	for (enum error_class class = 0; class < CLASS_COUNT; class ++) {
		struct retry all;

		RUN(f, "a retry=3");
		all = *f.model->steps[0].retry;
		all.classes = UINT32_MAX;
		f.model->steps[0].retry = &all;
		fixture_fail(&f, "a", class);
		assert_int_equal(fixture_count(&f, EVENT_STEP_RETRIED),
				 error_class_may_be_listed(class));
	}
}

static void s6_an_unknown_class_is_kept_as_text_and_never_retried(void **state)
{
	struct decide_result result = {
	    .class = CLASS_UNKNOWN, .class_text = STR("moon_phase"), .duration_ms = -1};
	struct input input = {.kind = INPUT_ENDED, .result = &result};
	struct retry all;

	RUN(f, "a retry=3");
	all = *f.model->steps[0].retry;
	all.classes = UINT32_MAX;
	f.model->steps[0].retry = &all;
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "step.failed a 0 moon_phase\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

static void s7_2_the_delay_of_a_retry_is_recorded_and_grows(void **state)
{
	int64_t delay;

	RUN(f, "a retry=3");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	delay = event_int(fixture_last(&f), EVENT_FIELD_DELAY_MS, -1);
	assert_in_range(delay, 2000, 2200);
	assert_int_equal(fixture_step(&f, "a")->due_ms, f.now_ms + delay);
	fixture_retry_due(&f, "a");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	assert_in_range(event_int(fixture_last(&f), EVENT_FIELD_DELAY_MS, -1), 4000, 4400);
}

static void s7_3_recovery_keeps_the_budget_and_a_resume_renews_it(void **state)
{
	RUN(f, "a retry=2");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_retry_due(&f, "a");
	assert_int_equal(fixture_resume(&f, NULL, NULL),
			 ERR_OK); /* a new engine, the attempt runs */
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_retry_due(&f, "a");
	fixture_ok(&f, "a");
	fixture_expect(&f, "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started a 2\n" /* attempt numbers go on */
			   "step.failed a 2 timeout\n"
			   "step.retried a 3\n"
			   "step.started a 3\n"
			   "step.succeeded a 3\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
	assert_text(f.run.reason, "All steps succeeded (resume)");
}

static void s7_3_the_budget_is_renewed_for_a_retry_that_was_still_to_come(void **state)
{
	RUN(f, "a retry=2");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	assert_outcome(&f, RUN_STOPPED, OUTCOME_STOPPED);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	fixture_retry_due(&f, "a");
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_retry_due(&f, "a");
	fixture_ok(&f, "a");
	fixture_expect(&f, "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started a 1\n"
			   "step.failed a 1 timeout\n"
			   "step.retried a 2\n"
			   "step.started a 2\n"
			   "step.succeeded a 2\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
}

/* -----------------------------------------------------------------------------------------
 * losses */

static void s8_4_a_lost_attempt_fails_the_step(void **state)
{
	RUN(f, "a retry=3; b");
	fixture_lose(&f, "a");
	fixture_expect(&f, "step.lost a 0\n"
			   "step.skipped b run_stopped\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_int_equal(fixture_step(&f, "a")->class, CLASS_LOST);
}

static void s8_4_rerun_is_outside_the_budget_and_ends_with_the_fifth_loss(void **state)
{
	RUN(f, "a lost=rerun");
	for (uint32_t i = 0; i < 4; i++) {
		fixture_lose(&f, "a");
		assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_DELAY_MS, -1), 0);
		fixture_retry_due(&f, "a");
		assert_int_equal(fixture_step(&f, "a")->attempt, i + 1);
	}
	assert_int_equal(fixture_step(&f, "a")->failures, 0);
	fixture_forget(&f);
	fixture_lose(&f, "a");
	fixture_expect(&f, "step.lost a 4\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

static void s8_4_losses_are_counted_in_a_row(void **state)
{
	RUN(f, "a lost=rerun retry=2");
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) {
			fixture_lose(&f, "a");
			fixture_retry_due(&f, "a");
		}
		if (round == 0) {
			fixture_fail(&f, "a", CLASS_TIMEOUT);
			fixture_retry_due(&f, "a");
		}
	}
	fixture_ok(&f, "a");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s8_4_ask_blocks_until_a_person_says_go_on(void **state)
{
	RUN(f, "a lost=ask; b");
	fixture_lose(&f, "a");
	fixture_expect(&f, "step.lost a 0\nrun.state_changed blocked");
	fixture_settle(&f);
	fixture_expect(&f, "");
	assert_int_equal(fixture_approve(&f, "a", "anna"), ERR_OK);
	fixture_retry_due(&f, "a");
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_expect(&f, "gate.approved a\n"
			   "run.state_changed executing\n"
			   "step.retried a 1\n"
			   "step.started a 1\n"
			   "step.succeeded a 1\n"
			   "step.started b 0\n"
			   "step.succeeded b 0\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
}

/* Given up: the step fails as `lost` and its own policy applies; no gate was rejected. */
static void s8_4_ask_that_is_given_up_fails_the_step_by_its_policy(void **state)
{
	RUN(f, "a lost=ask on=continue; b");
	fixture_lose(&f, "a");
	assert_int_equal(fixture_reject(&f, "a", "anna"), ERR_OK);
	fixture_ok(&f, "b");
	fixture_expect(&f, "step.lost a 0\n"
			   "run.state_changed blocked\n"
			   "gate.rejected a\n"
			   "run.state_changed executing\n"
			   "step.started b 0\n"
			   "step.succeeded b 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
}

static void s8_4_a_hard_gate_that_is_given_up_has_failed(void **state)
{
	RUN(f, "g gate=hard lost=ask; b");
	fixture_lose(&f, "g");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(fixture_reject(&f, "g", "anna"), ERR_OK);
	assert_int_equal(fixture_step(&f, "b")->skip, SKIP_GATE_FAILED);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

/* The approval of a manual gate is not one of the second attempt, and is not in its way. */
static void s8_4_ask_is_asked_though_the_gate_was_approved(void **state)
{
	RUN(f, "m gate=manual lost=ask");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_forget(&f);
	fixture_lose(&f, "m");
	fixture_expect(&f, "step.lost m 0\nrun.state_changed blocked");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_retry_due(&f, "m");
	fixture_ok(&f, "m");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s8_4_a_decision_on_a_lost_attempt_holds_after_a_cut(void **state)
{
	static const char steps[] = "a lost=ask on=skip; b; c needs=";

	for (int is_rejected = 0; is_rejected < 2; is_rejected++) {
		AUTO(fixture_close) struct fixture f;
		size_t decided;

		RUN(whole, steps);
		fixture_ok(&whole, "c");
		fixture_lose(&whole, "a");
		decided = whole.log_count + 1;
		assert_int_equal(is_rejected ? fixture_reject(&whole, "a", "anna")
					     : fixture_approve(&whole, "a", "anna"),
				 ERR_OK);
		fixture_replay(&f, steps, &whole, decided);
		assert_true(f.decider.is_unblocked);
		fixture_settle(&f);
		fixture_expect(&f, is_rejected ? "run.state_changed executing\n"
						 "step.skipped b upstream_failed\n"
						 "run.state_changed failed\n"
						 "run.completed failed partial"
					       : "run.state_changed executing\n"
						 "step.retried a 1");
	}
}

static void s8_4_a_log_that_retries_what_nobody_decided_is_corrupt(void **state)
{
	struct event event;

	RUN(f, "a lost=ask");
	fixture_lose(&f, "a");
	event_init(&event, EVENT_STEP_RETRIED);
	event.seq = f.run.seq + 1;
	event.attempt = 1;
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("a"));
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
}

/* --------------------------------------------------------------------------------------
 * leftovers */

static void s8_3_leftovers_block_and_are_never_run_beside(void **state)
{
	RUN(f, "a lost=rerun; b");
	fixture_leftovers(&f, "a");
	fixture_expect(&f, "run.state_changed blocked");
	assert_int_equal(fixture_step(&f, "a")->state, STEP_RUNNING);
	fixture_settle(&f);
	fixture_expect(&f, "");
	fixture_lose(&f, "a"); /* they are gone */
	fixture_retry_due(&f, "a");
	fixture_expect(&f, "step.lost a 0\n"
			   "run.state_changed executing\n"
			   "step.retried a 1\n"
			   "step.started a 1");
}

/* The report that ended the block is the last line: what follows from it unblocks the run. */
static void s11_2_a_block_that_a_loss_ended_ends_after_a_cut(void **state)
{
	static const char steps[] = "a lost=rerun; m needs= gate=manual";
	AUTO(fixture_close) struct fixture f;
	size_t lost;

	RUN(whole, steps);
	fixture_leftovers(&whole, "a");
	lost = whole.log_count + 1;
	fixture_lose(&whole, "a");
	fixture_replay(&f, steps, &whole, lost);
	assert_int_equal(f.run.state, RUN_BLOCKED);
	fixture_settle(&f);
	fixture_expect(&f, "run.state_changed executing\nstep.retried a 1");
}

static void s7_4_leftovers_keep_their_slot_and_the_run_blocks(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= retry=2; b needs=");
	f.model->concurrency = 1;
	fixture_start(&f);
	fixture_forget(&f);
	fixture_leftovers(&f, "a"); /* b is ready and has no slot: nothing can happen by itself */
	fixture_expect(&f, "run.state_changed blocked");
	fixture_settle(&f);
	fixture_expect(&f, "");
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	fixture_expect(&f, "run.stop_requested\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	assert_int_equal(f.run.state, RUN_EXECUTING); /* the attempt is asked for */
	fixture_leftovers(&f, "a");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	fixture_fail(&f, "a", CLASS_TIMEOUT);
	fixture_ok(&f, "b");
	fixture_retry_due(&f, "a");
	fixture_ok(&f, "a");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s7_4_leftovers_in_the_only_slot_do_not_hang_a_retry(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs=; b needs= retry=2");
	f.model->concurrency = 2;
	fixture_start(&f);
	fixture_fail(&f, "b", CLASS_TIMEOUT);
	f.model->concurrency = 1;
	fixture_leftovers(&f, "a");
	assert_int_equal(f.run.state, RUN_EXECUTING); /* a timer is to come */
	fixture_retry_due(&f, "b");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	fixture_lose(&f, "a");
	assert_true(f.run.is_failing);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

static void s8_3_other_branches_go_on_beside_leftovers(void **state)
{
	RUN(f, "a needs=; b needs=; c needs=b; m needs= gate=manual");
	fixture_leftovers(&f, "a");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_ok(&f, "m");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	fixture_ok(&f, "a");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void a_failing_run_with_leftovers_blocks_and_then_fails(void **state)
{
	RUN(f, "a needs=; b needs=; c needs=a");
	fixture_leftovers(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed b 0 unknown\n"
			   "step.skipped c run_stopped\n"
			   "run.state_changed blocked");
	fixture_lose(&f, "a");
	fixture_expect(&f, "step.lost a 0\n"
			   "run.state_changed executing\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

/* ------------------------------------------------------------------------------------------
 * stops */

static void s7_5_a_stop_starts_nothing_new_and_writes_no_skips(void **state)
{
	RUN(f, "a needs=; b; c needs= retry=2; m needs= gate=manual");
	fixture_fail(&f, "c", CLASS_TIMEOUT);
	fixture_forget(&f);
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	assert_int_equal(effect_of(&f.run, fixture_last(&f)), EFFECT_STOP_RUNNING);
	assert_int_equal(fixture_stop(&f, false), ERR_OK); /* nothing new is asked */
	fixture_retry_due(&f, "c");
	assert_int_equal(fixture_stop(&f, true), ERR_OK);
	assert_int_equal(fixture_stop(&f, true), ERR_OK);
	fixture_fail(&f, "a", CLASS_CANCELLED);
	fixture_expect(&f, "run.stop_requested\n"
			   "run.stop_requested now\n"
			   "step.failed a 0 cancelled\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
	assert_int_equal(fixture_stop(&f, false), ERR_REFUSED);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
}

static void s7_5_a_stop_while_something_is_asked_does_not_wait_for_the_answer(void **state)
{
	struct input input = {.kind = INPUT_WHEN, .is_true = true};
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= when; b needs= inputs");
	f.when[0] = ANSWER_NEVER;
	f.inputs[1] = ANSWER_NEVER;
	fixture_start(&f);
	fixture_forget(&f);
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	fixture_expect(&f, "run.stop_requested\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
	assert_ok(fixture_feed(&f, &input), &f.err);
	input.step = 1;
	input.kind = INPUT_INPUTS;
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "");
}

static void s1_5_a_stopping_run_that_is_taken_over_stops_and_can_still_succeed(void **state)
{
	static const char steps[] = "a needs=; b needs=; c";
	AUTO(fixture_close) struct fixture f;

	RUN(whole, steps);
	assert_int_equal(fixture_stop(&whole, true), ERR_OK);
	fixture_fail(&whole, "a", CLASS_CANCELLED);
	fixture_replay(&f, steps, &whole, whole.log_count); /* the engine dies while b still runs */
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "b");
	assert_outcome(&f, RUN_STOPPED, OUTCOME_STOPPED);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "a");
	fixture_ok(&f, "c");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

/* ---------------------------------------------------------------------------- the run's
 * deadline */

static void s7_4_the_deadline_of_the_run_ends_everything(void **state)
{
	RUN(f, "a needs= retry=3; b; m needs= gate=manual; g needs= gate=hard retry=3");
	fixture_deadline(&f);
	assert_int_equal(effect_of(&f.run, f.log[6]), EFFECT_CANCEL_ALL);
	fixture_fail(&f, "a", CLASS_CANCELLED);
	fixture_fail(&f, "g", CLASS_CANCELLED);
	fixture_expect(&f, "run.state_changed failed\n"
			   "step.skipped b run_stopped\n"
			   "step.skipped m run_stopped\n"
			   "step.failed a 0 timeout\n"
			   "step.failed g 0 timeout\n"
			   "gate.failed g 0\n"
			   "run.completed failed failed");
	assert_text(f.run.reason, "the run's own deadline passed");
	assert_int_equal(fixture_resume(&f, NULL, NULL),
			 ERR_REFUSED); /* S5.5: a timeout does not pass */
}

static void s7_4_the_deadline_passes_on_a_blocked_run_too(void **state)
{
	RUN(f, "m gate=manual; b");
	fixture_deadline(&f);
	fixture_expect(&f, "run.state_changed failed\n"
			   "step.skipped m run_stopped\n"
			   "step.skipped b run_stopped\n"
			   "run.completed failed failed");
	fixture_deadline(&f);
	fixture_expect(&f, "");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	assert_int_equal(f.run.state, RUN_BLOCKED);
}

static void s7_4_the_deadline_passes_on_a_run_whose_only_open_step_is_held(void **state)
{
	RUN(f, "a lost=ask on=continue");
	fixture_lose(&f, "a");
	fixture_deadline(&f);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

static void s3_3_the_deadline_of_a_stopping_run_stops_it_now(void **state)
{
	RUN(f, "a");
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	fixture_deadline(&f);
	fixture_deadline(&f);
	fixture_fail(&f, "a", CLASS_CANCELLED);
	fixture_expect(&f, "run.stop_requested\n"
			   "run.stop_requested now\n"
			   "step.failed a 0 cancelled\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
}

/* ----------------------------------------------------------------------------------------
 * resumes */

/* DEFECT-A-G, DEFECT-A-H, DEFECT-A-I: a failed run can be resumed, what ran when the engine died is
 * gone on with, and the log shows the resume. */
static void s9_2_a_resume_opens_what_failed_and_what_fell_with_it(void **state)
{
	RUN(f, "a; b on=skip; c; d needs=a; e");
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_ok(&f, "d");
	fixture_ok(&f, "e");
	assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
	fixture_forget(&f);
	assert_int_equal(decide_resume_point(&f.run), 1);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_expect(&f, "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started b 1\n"
			   "step.succeeded b 1\n"
			   "step.started c 0\n"
			   "step.succeeded c 0\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
	assert_int_equal(decide_resume_point(&f.run), STEP_NONE);
}

static void s9_2_what_a_condition_skipped_stays_skipped(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a needs= when; b needs=a; c needs=");
	f.when[0] = ANSWER_NO;
	fixture_start(&f);
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	f.when[0] = ANSWER_YES;
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "c");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_SKIPPED);
}

static void s9_2_a_crash_between_two_events_goes_on_with_what_runs(void **state)
{
	static const char steps[] = "a; b";
	AUTO(fixture_close) struct fixture f;

	RUN(whole, steps);
	fixture_replay(&f, steps, &whole, whole.log_count);
	assert_int_equal(decide_resume_point(&f.run), 0);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_expect(&f, "run.resumed"); /* no change of state, and no second start */
	assert_text(f.run.boot_id, "b2");
	assert_text(fixture_step(&f, "a")->boot_id, "b1");
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s9_1_a_succeeded_run_cannot_be_resumed(void **state)
{
	RUN(f, "a");
	fixture_ok(&f, "a");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "terminal state"));
	assert_int_equal(fixture_resume(&f, "a", NULL), ERR_REFUSED);
}

static void s9_2_from_runs_a_step_and_all_downstream_again(void **state)
{
	RUN(f, "a; b needs=a; c needs=b; d needs=a; e needs=c,d on=skip");
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_ok(&f, "d");
	fixture_fail(&f, "e", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, "b", NULL), ERR_OK);
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_ok(&f, "e");
	fixture_expect(&f, "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started b 1\n"
			   "step.succeeded b 1\n"
			   "step.started c 1\n"
			   "step.succeeded c 1\n"
			   "step.started e 1\n"
			   "step.succeeded e 1\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
}

static void s9_2_from_wants_everything_that_the_step_needs(void **state)
{
	RUN(f, "a needs= on=skip; b; c needs= on=skip; d any=a,c; x needs=");
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&f, "x", NULL), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "running"));
	fixture_ok(&f, "x");
	assert_int_equal(fixture_resume(&f, "b", NULL), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "'a'"));
	assert_int_equal(fixture_resume(&f, "d", NULL), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, "nowhere", NULL), ERR_NOT_FOUND);
	assert_int_equal(fixture_resume(&f, "x", NULL), ERR_OK);
	assert_int_equal(fixture_step(&f, "x")->attempt, 1);
}

/* An approval that waits downstream stays, but starts nothing before what it needs has run
 * again. */
static void s9_2_from_holds_back_what_waits_downstream(void **state)
{
	RUN(f, "a; m gate=manual; n needs=a on=skip retry=2");
	fixture_ok(&f, "a");
	fixture_fail(&f, "n", CLASS_TIMEOUT);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	assert_int_equal(fixture_resume(&f, "a", NULL), ERR_OK);
	assert_int_equal(fixture_step(&f, "a")->state, STEP_RUNNING);
	fixture_forget(&f);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_retry_due(&f, "n");
	fixture_expect(&f, "gate.approved m");
	fixture_ok(&f, "a");
	fixture_expect(&f, "step.succeeded a 1\n"
			   "step.started m 0\n"
			   "step.started n 1");
	fixture_ok(&f, "m");
	fixture_ok(&f, "n");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s9_2_what_waits_downstream_of_from_falls_with_it(void **state)
{
	RUN(f, "a needs= on=skip; m gate=manual; x needs= gate=manual");
	fixture_ok(&f, "a");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(fixture_resume(&f, "a", NULL), ERR_OK);
	fixture_forget(&f);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_expect(
	    &f,
	    "step.failed a 1 unknown\nstep.skipped m upstream_failed\nrun.state_changed blocked");
}

/* What a rejected gate waited is no time of an attempt before it. */
static void a_wait_adds_nothing_to_the_time_of_a_step(void **state)
{
	RUN(f, "m gate=manual on=skip");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_fail(&f, "m", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	f.now_ms += 3600000;
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_OK);
	assert_int_equal(fixture_step(&f, "m")->duration_ms, 10);
}

static void s11_4_a_repaired_log_says_so_and_goes_on(void **state)
{
	struct input input = {.kind = INPUT_REPAIRED, .number = 17, .text = STR("abc")};

	RUN(f, "a");
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "log.repaired");
	assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_BYTES, -1), 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s11_2_a_block_that_a_loss_ended_ends_after_a_cut),
	    cmocka_unit_test(s7_1_max_attempts_counts_all),
	    cmocka_unit_test(s7_1_without_retry_there_is_one_attempt),
	    cmocka_unit_test(s6_only_listed_classes_are_retried),
	    cmocka_unit_test(s6_a_class_that_is_never_retried_is_not_even_when_listed),
	    cmocka_unit_test(s6_an_unknown_class_is_kept_as_text_and_never_retried),
	    cmocka_unit_test(s7_2_the_delay_of_a_retry_is_recorded_and_grows),
	    cmocka_unit_test(s7_3_recovery_keeps_the_budget_and_a_resume_renews_it),
	    cmocka_unit_test(s7_3_the_budget_is_renewed_for_a_retry_that_was_still_to_come),
	    cmocka_unit_test(s8_4_a_lost_attempt_fails_the_step),
	    cmocka_unit_test(s8_4_rerun_is_outside_the_budget_and_ends_with_the_fifth_loss),
	    cmocka_unit_test(s8_4_losses_are_counted_in_a_row),
	    cmocka_unit_test(s8_4_ask_blocks_until_a_person_says_go_on),
	    cmocka_unit_test(s8_4_ask_that_is_given_up_fails_the_step_by_its_policy),
	    cmocka_unit_test(s8_4_a_hard_gate_that_is_given_up_has_failed),
	    cmocka_unit_test(s8_4_ask_is_asked_though_the_gate_was_approved),
	    cmocka_unit_test(s8_4_a_decision_on_a_lost_attempt_holds_after_a_cut),
	    cmocka_unit_test(s8_4_a_log_that_retries_what_nobody_decided_is_corrupt),
	    cmocka_unit_test(s8_3_leftovers_block_and_are_never_run_beside),
	    cmocka_unit_test(s7_4_leftovers_keep_their_slot_and_the_run_blocks),
	    cmocka_unit_test(s7_4_leftovers_in_the_only_slot_do_not_hang_a_retry),
	    cmocka_unit_test(s8_3_other_branches_go_on_beside_leftovers),
	    cmocka_unit_test(a_failing_run_with_leftovers_blocks_and_then_fails),
	    cmocka_unit_test(s7_5_a_stop_starts_nothing_new_and_writes_no_skips),
	    cmocka_unit_test(s7_5_a_stop_while_something_is_asked_does_not_wait_for_the_answer),
	    cmocka_unit_test(s1_5_a_stopping_run_that_is_taken_over_stops_and_can_still_succeed),
	    cmocka_unit_test(s7_4_the_deadline_of_the_run_ends_everything),
	    cmocka_unit_test(s7_4_the_deadline_passes_on_a_blocked_run_too),
	    cmocka_unit_test(s7_4_the_deadline_passes_on_a_run_whose_only_open_step_is_held),
	    cmocka_unit_test(s3_3_the_deadline_of_a_stopping_run_stops_it_now),
	    cmocka_unit_test(s9_2_a_resume_opens_what_failed_and_what_fell_with_it),
	    cmocka_unit_test(s9_2_what_a_condition_skipped_stays_skipped),
	    cmocka_unit_test(s9_2_a_crash_between_two_events_goes_on_with_what_runs),
	    cmocka_unit_test(s9_1_a_succeeded_run_cannot_be_resumed),
	    cmocka_unit_test(s9_2_from_runs_a_step_and_all_downstream_again),
	    cmocka_unit_test(s9_2_from_wants_everything_that_the_step_needs),
	    cmocka_unit_test(s9_2_from_holds_back_what_waits_downstream),
	    cmocka_unit_test(s9_2_what_waits_downstream_of_from_falls_with_it),
	    cmocka_unit_test(a_wait_adds_nothing_to_the_time_of_a_step),
	    cmocka_unit_test(s11_4_a_repaired_log_says_so_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
