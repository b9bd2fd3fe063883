/* undo_test.c - rollback (S10): what is undone, in which order, and how it ends; and what a resume
 * may not forget */
#include "support/run_fixture.h"

#include "base/mem.h"

static void s10_a_failure_under_compensate_undoes_in_reverse_order(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(
	    &f, "a undo=1; b needs=a; c needs=a undo=1; d needs=b,c undo=1; e on=compensate; z");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_ok(&f, "d");
	fixture_forget(&f);
	fixture_fail(&f, "e", CLASS_UNKNOWN);
	fixture_undo_ok(&f);
	fixture_undo_ok(&f);
	fixture_undo_ok(&f);
	fixture_expect(&f, "step.failed e 0 unknown\n"
			   "step.skipped z run_stopped\n"
			   "run.state_changed failed\n"
			   "run.rollback_started\n"
			   "compensation.started d 0\n"
			   "step.compensated d 0\n"
			   "compensation.started c 0\n"
			   "step.compensated c 0\n"
			   "compensation.started a 0\n"
			   "step.compensated a 0\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
	assert_int_equal(fixture_stop(&f, false), ERR_REFUSED);
}

static void s10_a_compensation_is_retried_and_a_later_rollback_goes_on_from_it(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b undo=2; c");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_undo_fail(&f, CLASS_TRANSIENT_IO);
	assert_true(event_has(fixture_last(&f), EVENT_FIELD_DELAY_MS));
	fixture_undo_due(&f);
	fixture_undo_fail(&f, CLASS_TRANSIENT_IO);
	fixture_expect(&f, "run.rollback_started\n"
			   "compensation.started b 0\n"
			   "compensation.failed b 0 transient_io\n"
			   "compensation.started b 1\n"
			   "compensation.failed b 1 transient_io\n"
			   "run.completed failed failed");
	assert_true(str_is(f.run.reason, "Compensation failed: b"));
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_undo_fail(&f, CLASS_TIMEOUT); /* the budget is fresh, the numbers go on */
	fixture_undo_due(&f);
	fixture_undo_ok(&f);
	fixture_undo_ok(&f);
	fixture_expect(&f, "run.rollback_started\n"
			   "compensation.started b 2\n"
			   "compensation.failed b 2 timeout\n"
			   "compensation.started b 3\n"
			   "step.compensated b 3\n"
			   "compensation.started a 0\n"
			   "step.compensated a 0\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
}

static void s10_a_class_that_is_not_retried_ends_the_rollback_at_once(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=3; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_forget(&f);
	fixture_undo_fail(&f, CLASS_VALIDATION_FAILED);
	fixture_expect(&f, "compensation.failed a 0 validation_failed\n"
			   "run.completed failed failed");
}

static void s10_only_what_rests_can_be_rolled_back(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b");
	fixture_start(&f);
	assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
	fixture_ok(&f, "a");
	assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
	fixture_ok(&f, "b");
	assert_int_equal(f.run.state, RUN_SUCCEEDED);
	assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
}

static void s10_a_stopped_run_and_a_blocked_run_are_rolled_back(void **state)
{
	AUTO(fixture_close) struct fixture stopped;
	AUTO(fixture_close) struct fixture blocked;

	(void)state;
	fixture_open(&stopped, "a undo=1; b");
	fixture_start(&stopped);
	assert_ok(fixture_stop(&stopped, false), &stopped.err);
	fixture_ok(&stopped, "a");
	fixture_forget(&stopped);
	assert_ok(fixture_rollback(&stopped), &stopped.err);
	fixture_undo_ok(&stopped);
	fixture_expect(&stopped, "run.rollback_started\n"
				 "compensation.started a 0\n"
				 "step.compensated a 0\n"
				 "run.state_changed rolled_back\n"
				 "run.completed rolled_back rolled_back");

	fixture_open(&blocked, "a undo=1; b gate=manual");
	fixture_start(&blocked);
	fixture_ok(&blocked, "a");
	fixture_forget(&blocked);
	assert_ok(fixture_rollback(&blocked), &blocked.err);
	assert_int_equal(fixture_approve(&blocked, "b", "anna"), ERR_REFUSED);
	fixture_wait_over(&blocked, "b");
	fixture_deadline(&blocked);
	fixture_undo_fail(&blocked, CLASS_UNKNOWN);
	fixture_expect(&blocked, "run.rollback_started\n"
				 "compensation.started a 0\n"
				 "compensation.failed a 0 unknown\n"
				 "run.state_changed failed\n"
				 "run.completed failed failed");
}

static void s10_a_failed_hard_gate_compensates_only_when_a_person_asks(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; g gate=hard on=compensate; b");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	assert_int_equal(f.run.state, RUN_FAILED);
	assert_int_equal(fixture_count(&f, EVENT_RUN_ROLLBACK_STARTED), 0);
	fixture_forget(&f);
	assert_ok(fixture_rollback(&f), &f.err); /* no override: nothing runs below the gate */
	fixture_undo_ok(&f);
	fixture_expect(&f, "run.rollback_started\n"
			   "compensation.started a 0\n"
			   "step.compensated a 0\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
}

static void s10_a_stop_ends_a_rollback_after_the_compensation_that_runs(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b undo=1; c on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_ok(fixture_stop(&f, false), &f.err);
	fixture_undo_ok(&f);
	fixture_expect(&f, "run.stop_requested\n"
			   "step.compensated b 0\n"
			   "run.completed failed failed");
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_undo_ok(&f);
	fixture_expect(&f, "run.rollback_started\n"
			   "compensation.started a 0\n"
			   "step.compensated a 0\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
}

static void s10_a_stop_before_the_rollback_begins_leaves_it_to_a_person(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b needs=a on=compensate; c needs=a");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	assert_ok(fixture_stop(&f, false), &f.err);
	fixture_ok(&f, "c");
	assert_int_equal(f.run.state, RUN_FAILED);
	assert_true(f.run.is_completed);
	assert_int_equal(fixture_count(&f, EVENT_RUN_ROLLBACK_STARTED), 0);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
}

static void s8_4_a_lost_compensation_is_not_run_again_unasked(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=3; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_forget(&f);
	fixture_undo_lose(&f);
	fixture_expect(&f, "compensation.failed a 0 lost\nrun.completed failed failed");
}

static void s8_3_leftovers_of_a_compensation_end_the_rollback_without_an_end_of_it(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=3; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_forget(&f);
	fixture_undo_leftovers(&f);
	fixture_expect(&f, "run.completed failed failed");
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_expect(&f, "run.rollback_started"); /* nothing starts beside it */
	fixture_undo_lose(&f);
	fixture_expect(&f, "compensation.failed a 0 lost\nrun.completed failed failed");
}

/* The leftovers went right after the rollback had come to rest, and its engine still listens. */
static void s8_3_the_end_of_a_compensation_that_is_told_too_late_makes_no_event(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=3; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	fixture_undo_leftovers(&f);
	fixture_forget(&f);
	fixture_undo_lose(&f);
	fixture_expect(&f, "");
}

static void s10_a_resume_in_the_middle_goes_on_with_the_rollback(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b undo=1; c on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	fixture_undo_ok(&f);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, "b", NULL), ERR_REFUSED);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	fixture_undo_ok(&f);
	fixture_expect(&f, "run.resumed\n"
			   "step.compensated a 0\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
}

static void s10_nothing_to_undo_is_rolled_back_at_once(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b undo=1");
	fixture_start(&f);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_expect(&f, "run.rollback_started\n"
			   "run.state_changed rolled_back\n"
			   "run.completed rolled_back rolled_back");
}

/* ------------------------------------------------------------------ what a resume may not
 * forget */

static void s9_1_a_rejected_gate_that_is_overridden_and_approved_is_partial_at_best(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; g gate=manual; b");
	fixture_start(&f);
	fixture_ok(&f, "a");
	assert_ok(fixture_reject(&f, "g", "anna"), &f.err);
	assert_ok(fixture_resume(&f, NULL, "g"), &f.err);
	assert_ok(fixture_approve(&f, "g", "anna"), &f.err);
	fixture_ok(&f, "g");
	fixture_ok(&f, "b");
	assert_int_equal(f.run.state, RUN_FAILED);
	assert_int_equal(f.run.outcome, OUTCOME_PARTIAL);
	/* asked anew on purpose, it passes by itself */
	assert_ok(fixture_resume(&f, "g", NULL), &f.err);
	assert_ok(fixture_approve(&f, "g", "anna"), &f.err);
	fixture_ok(&f, "g");
	fixture_ok(&f, "b");
	assert_int_equal(f.run.outcome, OUTCOME_SUCCESS);
}

static void s1_5_a_stop_that_was_acknowledged_stays_over_a_crash(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b");
	fixture_start(&f);
	assert_ok(fixture_stop(&f, false), &f.err);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, "a", NULL), ERR_REFUSED);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	fixture_ok(&f, "a");
	fixture_expect(&f, "run.resumed\n"
			   "step.succeeded a 0\n"
			   "run.state_changed stopped\n"
			   "run.completed stopped stopped");
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	fixture_ok(&f, "b");
	assert_int_equal(f.run.state, RUN_SUCCEEDED);
}

static void s3_5_warnings_of_a_step_are_taken_back_when_it_runs_again(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a on=ignore; s gate=soft pass; b");
	fixture_start(&f);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_verdict(&f, "s", VERDICT_FAILED);
	assert_int_equal(f.run.warnings, 2);
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	assert_int_equal(f.run.warnings, 1);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	assert_int_equal(f.run.warnings, 1);
	assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_WARNINGS, -1), 1);
}

/* A log that says otherwise is not ours. */
static void s3_1_a_log_that_undoes_out_of_order_is_corrupt(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "a undo=1; b undo=1; c");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	event_init(&event, EVENT_COMPENSATION_STARTED);
	event.seq = f.run.seq + 1;
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("b"));
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT); /* not begun */
	err_reset(&f.err);
	event_init(&event, EVENT_RUN_STATE_CHANGED);
	event.seq = f.run.seq + 1;
	event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, STR("failed"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("rolled_back"));
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	err_reset(&f.err);
	assert_ok(fixture_rollback(&f), &f.err);
	fixture_undo_fail(&f, CLASS_UNKNOWN);
	assert_ok(fixture_rollback(&f), &f.err);
	event_init(&event, EVENT_STEP_COMPENSATED);
	event.seq = f.run.seq + 1;
	event.attempt = 0; /* the one that runs is 1 */
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("b"));
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s10_a_failure_under_compensate_undoes_in_reverse_order),
	    cmocka_unit_test(s10_a_compensation_is_retried_and_a_later_rollback_goes_on_from_it),
	    cmocka_unit_test(s10_a_class_that_is_not_retried_ends_the_rollback_at_once),
	    cmocka_unit_test(s10_only_what_rests_can_be_rolled_back),
	    cmocka_unit_test(s10_a_stopped_run_and_a_blocked_run_are_rolled_back),
	    cmocka_unit_test(s10_a_failed_hard_gate_compensates_only_when_a_person_asks),
	    cmocka_unit_test(s10_a_stop_ends_a_rollback_after_the_compensation_that_runs),
	    cmocka_unit_test(s10_a_stop_before_the_rollback_begins_leaves_it_to_a_person),
	    cmocka_unit_test(s8_4_a_lost_compensation_is_not_run_again_unasked),
	    cmocka_unit_test(
		s8_3_leftovers_of_a_compensation_end_the_rollback_without_an_end_of_it),
	    cmocka_unit_test(s8_3_the_end_of_a_compensation_that_is_told_too_late_makes_no_event),
	    cmocka_unit_test(s10_a_resume_in_the_middle_goes_on_with_the_rollback),
	    cmocka_unit_test(s10_nothing_to_undo_is_rolled_back_at_once),
	    cmocka_unit_test(
		s9_1_a_rejected_gate_that_is_overridden_and_approved_is_partial_at_best),
	    cmocka_unit_test(s1_5_a_stop_that_was_acknowledged_stays_over_a_crash),
	    cmocka_unit_test(s3_5_warnings_of_a_step_are_taken_back_when_it_runs_again),
	    cmocka_unit_test(s3_1_a_log_that_undoes_out_of_order_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
