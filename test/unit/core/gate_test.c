/* gate_test.c - gates, people and overrides: S5.4 - S5.6, S9.1, S1.4. */
#include "support/run_fixture.h"

#include "base/mem.h"

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

/* ------------------------------------------------------------------------------------- hard
 * gates */

static void s5_4_a_hard_gate_skips_downstream_as_gate_failed_and_others_as_run_stopped(void **state)
{
	RUN(f, "g needs= gate=hard on=ignore; b needs=g; c needs=b; x needs=; y needs=x");
	fixture_verdict(&f, "g", VERDICT_FAILED);
	fixture_expect(&f, "step.failed g 0 hard_gate_failed\n"
			   "gate.failed g 0\n"
			   "step.skipped b gate_failed\n"
			   "step.skipped c gate_failed\n"
			   "step.skipped y run_stopped");
	fixture_ok(&f, "x");
	fixture_expect(&f, "step.succeeded x 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_text(f.run.reason, "Hard gate failed: g");
	assert_text(event_text(f.log[6], EVENT_FIELD_REASON), "too low");
}

/* DEFECT-A-B: transient failures of a hard gate are retried; a gate that said no never is
 * (S7.3). */
static void s7_3_a_hard_gate_retries_what_may_be_retried_and_never_a_no(void **state)
{
	RUN(f, "g gate=hard pass retry=3; b");
	fixture_fail(&f, "g", CLASS_TRANSIENT_IO);
	fixture_expect(&f, "step.failed g 0 transient_io\nstep.retried g 1");
	fixture_retry_due(&f, "g");
	fixture_verdict(&f, "g", VERDICT_FAILED);
	fixture_expect(&f, "step.started g 1\n"
			   "step.failed g 1 hard_gate_failed\n"
			   "gate.failed g 1\n"
			   "step.skipped b gate_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

static void s5_4_the_last_retry_of_a_hard_gate_fails_it_with_its_number(void **state)
{
	RUN(f, "g gate=hard retry=2");
	fixture_fail(&f, "g", CLASS_TRANSIENT_IO);
	fixture_retry_due(&f, "g");
	fixture_fail(&f, "g", CLASS_TRANSIENT_IO);
	fixture_expect(&f, "step.failed g 0 transient_io\n"
			   "step.retried g 1\n"
			   "step.started g 1\n"
			   "step.failed g 1 transient_io\n"
			   "gate.failed g 1\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

/* A log cut between step.failed and gate.failed does not let a resume pass (DEFECT-A-D). */
static void s5_4_a_hard_gate_counts_as_failed_from_its_step_failed(void **state)
{
	AUTO(fixture_close) struct fixture f;

	RUN(whole, "g gate=hard; b");
	fixture_fail(&whole, "g", CLASS_UNKNOWN);
	fixture_replay(&f, "g gate=hard; b", &whole, 5);
	assert_int_equal(fixture_last(&f)->type, EVENT_STEP_FAILED);
	assert_int_equal(f.run.gates_barred, 1);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK); /* it goes on failing */
	fixture_expect(&f, "run.resumed\n"
			   "gate.failed g 0\n"
			   "step.skipped b gate_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

static void s5_4_a_hard_gate_that_cannot_begin_has_failed_too(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "g gate=hard inputs; b");
	f.inputs[0] = ANSWER_ERROR;
	fixture_start(&f);
	assert_int_equal(fixture_count(&f, EVENT_GATE_FAILED), 1);
	assert_int_equal(fixture_step(&f, "b")->skip, SKIP_GATE_FAILED);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

static void s5_4_a_hard_gate_that_fails_while_another_step_runs_waits_for_it(void **state)
{
	RUN(f, "g needs= gate=hard; x needs= retry=3; y needs=x");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_fail(&f, "x", CLASS_TRANSIENT_IO); /* not retried any more */
	fixture_expect(&f, "step.failed g 0 unknown\n"
			   "gate.failed g 0\n"
			   "step.skipped y run_stopped\n"
			   "step.failed x 0 transient_io\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
}

static void s5_4_a_soft_gate_succeeds_and_warns(void **state)
{
	RUN(f, "g gate=soft pass; b");
	fixture_verdict(&f, "g", VERDICT_FAILED);
	fixture_ok(&f, "b");
	fixture_expect(&f, "gate.failed g 0 soft\n"
			   "step.succeeded g 0\n"
			   "step.started b 0\n"
			   "step.succeeded b 0\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
	assert_int_equal(event_int(fixture_last(&f), EVENT_FIELD_WARNINGS, -1), 1);
}

static void s5_4_a_command_of_a_soft_gate_that_fails_follows_on_failure(void **state)
{
	RUN(f, "g gate=soft pass on=skip; b");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_expect(&f, "step.failed g 0 unknown\n"
			   "step.skipped b upstream_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
}

static void s5_5_a_gate_that_passes_records_its_evidence(void **state)
{
	RUN(f, "g gate=hard pass");
	fixture_ok(&f, "g");
	fixture_expect(&f, "gate.passed g 0\n"
			   "step.succeeded g 0\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
	assert_text(event_text(f.log[4], EVENT_FIELD_EVIDENCE), "{\"value\":true}");
}

static void s5_5_a_pass_that_was_not_evaluated_does_not_pass(void **state)
{
	RUN(f, "g gate=hard pass; b");
	fixture_verdict(&f, "g", VERDICT_NONE);
	assert_int_equal(fixture_step(&f, "b")->skip, SKIP_GATE_FAILED);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

/* S5.5: no class of failure lets a gate pass, but a stop and a crash leave it open to be asked
 * again. */
static void s5_5_every_failure_but_a_cancelled_or_interrupted_one_fails_the_gate(void **state)
{
	for (enum error_class class = 0; class < CLASS_COUNT; class ++) {
		bool is_open = class == CLASS_CANCELLED || class == CLASS_INTERRUPTED;

		RUN(f, "g gate=hard; b");
		if (class == CLASS_CANCELLED)
			assert_int_equal(fixture_stop(&f, true), ERR_OK);
		fixture_fail(&f, "g", class);
		assert_int_equal(f.run.gates_barred, is_open ? 0 : 1);
		assert_int_equal(fixture_resume(&f, NULL, NULL), is_open ? ERR_OK : ERR_REFUSED);
		if (!is_open)
			continue;
		fixture_ok(&f, "g");
		fixture_ok(&f, "b");
		assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
	}
}

/* S1.5, S5.4: a stop outlives the engine that was told of it, and asks the gate again. */
static void s5_5_nothing_runs_below_a_hard_gate_that_was_cancelled_and_may_be_ignored(void **state)
{
	RUN(f, "g gate=hard on=ignore; b");
	assert_int_equal(fixture_stop(&f, true), ERR_OK);
	assert_int_equal(fixture_resume(&f, NULL, NULL),
			 ERR_OK); /* the engine that stopped it died */
	fixture_fail(&f, "g", CLASS_CANCELLED);
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
	assert_outcome(&f, RUN_STOPPED, OUTCOME_STOPPED);
	assert_int_equal(f.run.gates_barred, 0);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "g");
	fixture_ok(&f, "b");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s5_5_a_lost_hard_gate_has_failed(void **state)
{
	RUN(f, "g gate=hard; b");
	fixture_lose(&f, "g");
	fixture_expect(&f, "step.lost g 0\n"
			   "gate.failed g 0\n"
			   "step.skipped b gate_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

/* ----------------------------------------------------------------------------------- manual
 * gates */

static void s3_2_a_run_blocks_when_only_a_person_can_move_it(void **state)
{
	RUN(f, "a; m gate=manual; c");
	fixture_ok(&f, "a");
	fixture_expect(&f, "step.succeeded a 0\n"
			   "step.waiting m\n"
			   "run.state_changed blocked");
	assert_text(f.run.reason, "waiting for approval");
	fixture_settle(&f); /* and stays so */
	fixture_expect(&f, "");
	f.now_ms += 60000;
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	assert_text(f.log[f.log_count - 3]->actor, "manual:anna");
	fixture_expect(&f, "gate.approved m\n"
			   "run.state_changed executing\n"
			   "step.started m 0");
	fixture_ok(&f, "m");
	fixture_ok(&f, "c");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s3_2_a_run_does_not_block_while_something_runs_or_is_due(void **state)
{
	RUN(f, "m needs= gate=manual; x needs= retry=2");
	fixture_expect(&f, "");
	assert_int_equal(f.run.state, RUN_EXECUTING);
	fixture_fail(&f, "x", CLASS_TIMEOUT);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	fixture_retry_due(&f, "x");
	fixture_ok(&f, "x");
	assert_int_equal(f.run.state, RUN_BLOCKED);
}

static void s5_6_an_approval_while_the_run_executes_needs_no_change_of_state(void **state)
{
	RUN(f, "m needs= gate=manual; n needs= gate=manual; x needs=");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_expect(&f, "gate.approved m\nstep.started m 0");
	fixture_ok(&f, "m");
	fixture_ok(&f, "x");
	fixture_expect(&f, "step.succeeded m 0\n"
			   "step.succeeded x 0\n"
			   "run.state_changed blocked");
}

static void s5_6_a_rejected_gate_fails_as_a_hard_one(void **state)
{
	RUN(f, "m gate=manual on=ignore; b; x needs= gate=manual");
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_OK);
	fixture_expect(&f, "gate.rejected m\n"
			   "run.state_changed executing\n"
			   "step.failed m 0 hard_gate_failed\n"
			   "gate.failed m 0\n"
			   "step.skipped b gate_failed\n"
			   "step.skipped x run_stopped\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_text(f.run.reason, "Manual gate rejected: m");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_int_equal(fixture_step(&f, "m")->duration_ms, 0);
}

static void s5_6_an_expired_gate_counts_as_rejected(void **state)
{
	RUN(f, "m gate=manual timeout=5000; b");
	assert_text(event_text(f.log[3], EVENT_FIELD_UNTIL), "1970-01-01T00:16:45.000Z");
	assert_int_equal(fixture_step(&f, "m")->due_ms, 1005000);
	fixture_wait_over(&f, "m");
	fixture_expect(&f, "gate.rejected m\n"
			   "run.state_changed executing\n"
			   "step.failed m 0 hard_gate_failed\n"
			   "gate.failed m 0\n"
			   "step.skipped b gate_failed\n"
			   "run.state_changed failed\n"
			   "run.completed failed failed");
	assert_text(fixture_step(&f, "m")->reason, "nobody approved in time");
	fixture_wait_over(&f, "m"); /* too late to mean anything */
	fixture_expect(&f, "");
}

static void s5_6_a_wait_that_ends_after_the_approval_changes_nothing(void **state)
{
	RUN(f, "m needs= gate=manual timeout=5000; x needs=");
	f.model->concurrency = 1;
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	assert_int_equal(fixture_step(&f, "m")->state, STEP_WAITING); /* no slot yet */
	fixture_wait_over(&f, "m");
	fixture_expect(&f, "gate.approved m");
	fixture_ok(&f, "x");
	assert_int_equal(fixture_step(&f, "m")->state, STEP_RUNNING);
}

static void s5_6_count_needs_distinct_names_out_of_by(void **state)
{
	RUN(f, "m gate=manual count=2 by=anna,ben,cleo");
	assert_int_equal(fixture_approve(&f, "m", "dora"), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "dora"));
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "already"));
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(fixture_reject(&f, "m", "dora"), ERR_REFUSED);
	assert_int_equal(fixture_approve(&f, "m", "cleo"), ERR_OK);
	fixture_expect(&f, "gate.approved m\n"
			   "gate.approved m\n"
			   "run.state_changed executing\n"
			   "step.started m 0");
	assert_int_equal(fixture_approve(&f, "m", "ben"), ERR_REFUSED);
}

static void s5_6_a_rejection_outweighs_an_approval_before_it(void **state)
{
	RUN(f, "m gate=manual count=2");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_OK);
	assert_outcome(&f, RUN_FAILED, OUTCOME_FAILED);
}

static void s5_6_a_decision_needs_a_name_and_a_reason(void **state)
{
	struct decide_person person = {STR_NONE, STR("because"), -1, -1};
	struct input input = {.kind = INPUT_APPROVE, .person = &person};

	RUN(f, "m gate=manual");
	assert_int_equal(fixture_feed(&f, &input), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "--as"));
	person = (struct decide_person){STR("anna"), STR_NONE, -1, -1};
	assert_int_equal(fixture_feed(&f, &input), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "--reason"));
	person = (struct decide_person){STR("anna"), STR("fine"), 1000, 77};
	assert_int_equal(fixture_feed(&f, &input), ERR_OK);
	assert_int_equal(event_int(f.log[5], EVENT_FIELD_PEER_UID, -1), 1000);
	assert_int_equal(event_int(f.log[5], EVENT_FIELD_PEER_PID, -1), 77);
}

static void s5_6_a_decision_that_is_not_asked_for_is_refused(void **state)
{
	RUN(f, "a; m gate=manual; c");
	assert_int_equal(fixture_approve(&f, "a", "anna"), ERR_REFUSED);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_REFUSED);
	assert_int_equal(fixture_reject(&f, "c", "anna"), ERR_REFUSED);
	fixture_ok(&f, "a");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	assert_int_equal(fixture_approve(&f, "m", "ben"), ERR_REFUSED);
	fixture_ok(&f, "m");
	fixture_ok(&f, "c");
	assert_int_equal(fixture_approve(&f, "m", "ben"), ERR_REFUSED);
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_REFUSED);
}

/* A stopped run still shows what waits, but nothing is decided on a run at rest. */
static void s5_6_nothing_is_decided_on_a_run_at_rest(void **state)
{
	RUN(f, "m gate=manual");
	assert_int_equal(fixture_stop(&f, false), ERR_OK);
	assert_outcome(&f, RUN_STOPPED, OUTCOME_STOPPED);
	assert_int_equal(fixture_step(&f, "m")->state, STEP_WAITING);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_ok(&f, "m");
	assert_outcome(&f, RUN_SUCCEEDED, OUTCOME_SUCCESS);
}

static void s5_4_a_manual_gate_with_a_condition_is_asked_once(void **state)
{
	RUN(f, "m gate=manual when inputs retry=2");
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_OK);
	fixture_fail(&f, "m", CLASS_TIMEOUT);
	fixture_retry_due(&f, "m"); /* a retry is not asked for again */
	fixture_ok(&f, "m");
	fixture_expect(&f, "gate.approved m\n"
			   "run.state_changed executing\n"
			   "step.started m 0\n"
			   "step.failed m 0 timeout\n"
			   "step.retried m 1\n"
			   "step.started m 1\n"
			   "step.succeeded m 1\n"
			   "run.state_changed succeeded\n"
			   "run.completed succeeded success");
}

static void s5_6_a_log_with_a_decision_that_nobody_asked_for_is_corrupt(void **state)
{
	static const enum event_type types[] = {EVENT_GATE_APPROVED, EVENT_GATE_REJECTED};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct event event;

		RUN(f, "a; m gate=manual count=2");
		event_init(&event, types[i]);
		event.seq = f.run.seq + 1;
		event.actor = STR("manual:anna");
		event_put_text(&event, EVENT_FIELD_STEP_ID, STR("m"));
		assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
		fixture_ok(&f, "a");
		event.seq = f.run.seq + 1;
		assert_ok(apply(&f.run, &event, ERR_CORRUPT, &f.err), &f.err);
		event.seq++; /* the same name twice, or behind a rejection */
		assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_CORRUPT);
	}
}

/* A blocked run that is taken over writes nothing by itself, whatever was decided in its past. */
static void s9_1_a_blocked_run_with_nothing_decided_writes_nothing(void **state)
{
	static const char steps[] = "a needs= gate=manual on=continue; m needs= gate=manual";
	AUTO(fixture_close) struct fixture f;

	RUN(whole, steps);
	assert_int_equal(fixture_approve(&whole, "a", "anna"), ERR_OK);
	fixture_fail(&whole, "a", CLASS_UNKNOWN);
	assert_int_equal(whole.run.state, RUN_BLOCKED);
	fixture_replay(&f, steps, &whole, whole.log_count);
	assert_false(f.decider.is_unblocked);
	fixture_settle(&f);
	fixture_expect(&f, "");
}

/* -------------------------------------------------------------------------------------
 * overrides */

static void s9_1_a_failed_gate_bars_a_resume_without_override(void **state)
{
	RUN(f, "g gate=hard; b");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_string_equal(f.err.text, "Hard gate failures: g");
	assert_non_null(strstr(f.err.hint, " --override g --reason "));
	assert_int_equal(fixture_resume(&f, "g", NULL), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, NULL, "b"), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, NULL, "nowhere"), ERR_NOT_FOUND);
}

static void s9_1_an_override_waives_the_gate_and_the_outcome_is_partial(void **state)
{
	RUN(f, "g gate=hard; b; c");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, NULL, "g"), ERR_OK);
	fixture_ok(&f, "b");
	fixture_ok(&f, "c");
	fixture_expect(&f, "run.override_applied g\n"
			   "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started b 0\n"
			   "step.succeeded b 0\n"
			   "step.started c 0\n"
			   "step.succeeded c 0\n"
			   "run.state_changed failed\n"
			   "run.completed failed partial");
	assert_int_equal(fixture_step(&f, "g")->state, STEP_FAILED);
	assert_text(f.run.reason, "A failed gate was overridden");
}

static void s9_1_an_override_needs_a_name_and_a_reason(void **state)
{
	struct str gate = STR("g");
	struct decide_resume resume = {
	    .overrides = &gate, .overrides_count = 1, .person = {STR("olga"), STR_NONE, -1, -1}};

	RUN(f, "g gate=hard");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	assert_int_equal(decide_resume_check(&f.run, &resume, &f.err), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "--reason"));
	resume.person = (struct decide_person){STR_NONE, STR("why not"), -1, -1};
	assert_int_equal(decide_resume_check(&f.run, &resume, &f.err), ERR_REFUSED);
	assert_non_null(strstr(f.err.text, "--as"));
}

static void s9_1_the_same_gate_twice_is_one_override(void **state)
{
	struct str gates[] = {STR("g"), STR("g")};
	struct decide_resume resume = {
	    .boot_id = STR("b2"),
	    .definition_hash = STR("d1"),
	    .overrides = gates,
	    .overrides_count = 2,
	    .person = {STR("olga"), STR("known"), -1, -1},
	};
	struct input input = {.kind = INPUT_RESUME, .resume = &resume};

	RUN(f, "g gate=hard; b");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_expect(&f, "run.override_applied g\n"
			   "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.started b 0");
}

/* The first gate fails while the second runs and fails too: both bar, both need a name. */
static void s9_1_every_failed_gate_needs_its_own_override(void **state)
{
	RUN(f, "g needs= gate=hard; h needs= gate=hard; b needs=g; c needs=h");
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	fixture_fail(&f, "h", CLASS_UNKNOWN);
	assert_int_equal(f.run.gates_barred, 2);
	assert_int_equal(fixture_resume(&f, NULL, "g"), ERR_REFUSED);
	assert_string_equal(f.err.text, "Hard gate failures: h");
	assert_non_null(strstr(f.err.hint, " --override g --override h --reason "));
}

/* S1.4: the override is recorded before the resume: a log cut between the two holds it. */
static void s1_4_an_override_that_was_recorded_holds_after_a_cut(void **state)
{
	static const char steps[] = "g gate=hard; b";
	AUTO(fixture_close) struct fixture f;
	size_t failed;

	RUN(whole, steps);
	fixture_fail(&whole, "g", CLASS_UNKNOWN);
	failed = whole.log_count;
	assert_int_equal(fixture_resume(&whole, NULL, "g"), ERR_OK);
	fixture_replay(&f, steps, &whole, failed + 1);
	fixture_settle(&f);
	fixture_expect(&f, "");
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_OK);
	fixture_ok(&f, "b");
	assert_outcome(&f, RUN_FAILED, OUTCOME_PARTIAL);
}

static void s5_6_a_rejected_gate_is_asked_again_after_an_override(void **state)
{
	RUN(f, "m gate=manual; b");
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_OK);
	fixture_forget(&f);
	assert_int_equal(fixture_resume(&f, NULL, "m"), ERR_OK);
	fixture_expect(&f, "run.override_applied m\n"
			   "run.resumed\n"
			   "run.state_changed executing\n"
			   "step.waiting m\n"
			   "run.state_changed blocked");
	assert_int_equal(fixture_step(&f, "b")->state, STEP_PENDING);
	assert_int_equal(fixture_reject(&f, "m", "ben"), ERR_OK);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

/* A run whose gate has failed, cut before its end: --from must not open the gate by the way. */
static void s9_1_from_needs_the_override_too(void **state)
{
	static const char steps[] = "a; g gate=hard; c";
	AUTO(fixture_close) struct fixture f;

	RUN(whole, steps);
	fixture_ok(&whole, "a");
	fixture_fail(&whole, "g", CLASS_UNKNOWN);
	fixture_replay(&f, steps, &whole, whole.log_count - 2);
	assert_int_equal(f.run.state, RUN_EXECUTING);
	assert_int_equal(fixture_resume(&f, "a", NULL), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, "g", NULL), ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		s5_4_a_hard_gate_skips_downstream_as_gate_failed_and_others_as_run_stopped),
	    cmocka_unit_test(s7_3_a_hard_gate_retries_what_may_be_retried_and_never_a_no),
	    cmocka_unit_test(s5_4_the_last_retry_of_a_hard_gate_fails_it_with_its_number),
	    cmocka_unit_test(s5_4_a_hard_gate_counts_as_failed_from_its_step_failed),
	    cmocka_unit_test(s5_4_a_hard_gate_that_cannot_begin_has_failed_too),
	    cmocka_unit_test(s5_4_a_hard_gate_that_fails_while_another_step_runs_waits_for_it),
	    cmocka_unit_test(s5_4_a_soft_gate_succeeds_and_warns),
	    cmocka_unit_test(s5_4_a_command_of_a_soft_gate_that_fails_follows_on_failure),
	    cmocka_unit_test(s5_5_a_gate_that_passes_records_its_evidence),
	    cmocka_unit_test(s5_5_a_pass_that_was_not_evaluated_does_not_pass),
	    cmocka_unit_test(s5_5_every_failure_but_a_cancelled_or_interrupted_one_fails_the_gate),
	    cmocka_unit_test(
		s5_5_nothing_runs_below_a_hard_gate_that_was_cancelled_and_may_be_ignored),
	    cmocka_unit_test(s5_5_a_lost_hard_gate_has_failed),
	    cmocka_unit_test(s3_2_a_run_blocks_when_only_a_person_can_move_it),
	    cmocka_unit_test(s3_2_a_run_does_not_block_while_something_runs_or_is_due),
	    cmocka_unit_test(s5_6_an_approval_while_the_run_executes_needs_no_change_of_state),
	    cmocka_unit_test(s5_6_a_rejected_gate_fails_as_a_hard_one),
	    cmocka_unit_test(s5_6_an_expired_gate_counts_as_rejected),
	    cmocka_unit_test(s5_6_a_wait_that_ends_after_the_approval_changes_nothing),
	    cmocka_unit_test(s5_6_count_needs_distinct_names_out_of_by),
	    cmocka_unit_test(s5_6_a_rejection_outweighs_an_approval_before_it),
	    cmocka_unit_test(s5_6_a_decision_needs_a_name_and_a_reason),
	    cmocka_unit_test(s5_6_a_decision_that_is_not_asked_for_is_refused),
	    cmocka_unit_test(s5_6_nothing_is_decided_on_a_run_at_rest),
	    cmocka_unit_test(s5_4_a_manual_gate_with_a_condition_is_asked_once),
	    cmocka_unit_test(s5_6_a_log_with_a_decision_that_nobody_asked_for_is_corrupt),
	    cmocka_unit_test(s9_1_a_blocked_run_with_nothing_decided_writes_nothing),
	    cmocka_unit_test(s9_1_a_failed_gate_bars_a_resume_without_override),
	    cmocka_unit_test(s9_1_an_override_waives_the_gate_and_the_outcome_is_partial),
	    cmocka_unit_test(s9_1_an_override_needs_a_name_and_a_reason),
	    cmocka_unit_test(s9_1_the_same_gate_twice_is_one_override),
	    cmocka_unit_test(s9_1_every_failed_gate_needs_its_own_override),
	    cmocka_unit_test(s1_4_an_override_that_was_recorded_holds_after_a_cut),
	    cmocka_unit_test(s5_6_a_rejected_gate_is_asked_again_after_an_override),
	    cmocka_unit_test(s9_1_from_needs_the_override_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
