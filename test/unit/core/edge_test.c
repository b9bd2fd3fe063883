/* edge_test.c - the far ends of decisions that no generated run comes to: forged lines, each reason
 * of a refusal alone, states that are asked for by name. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/decide_intern.h"
#include "core/quality.h"
#include "core/select.h"
#include "core/trace.h"

#include <stdio.h>
#include <string.h>

static struct event next_event(const struct fixture *f, enum event_type type, const char *step)
{
	struct event event;

	event_init(&event, type);
	event.seq = f->run.seq + 1;
	event.run_id = STR("r1");
	if (step)
		event_put_text(&event, EVENT_FIELD_STEP_ID, str_of(step));
	return event;
}

static void refuses(struct fixture *f, const struct event *event, const char *word)
{
	err_reset(&f->err);
	assert_int_equal(apply(&f->run, event, ERR_CORRUPT, &f->err), ERR_CORRUPT);
	if (!strstr(f->err.text, word))
		fail_msg("'%s' does not say '%s'", f->err.text, word);
}

/* ------------------------------------------------------------------------------ forged logs */

static void s9_5_what_cannot_be_given_is_corrupt(void **state)
{
	static const char *const wrong[] = {"{\"nowhere\":{}}", "{\"a\":7}", "{\"b\":{}}", "[]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(fixture_close) struct fixture f;
		struct event event;

		fixture_open(&f, "a; b");
		event = next_event(&f, EVENT_RUN_CREATED, NULL);
		event_put_text(&event, EVENT_FIELD_SELECTION, STR("{\"from\":\"b\"}"));
		event_put_text(&event, EVENT_FIELD_GIVEN, str_of(wrong[i]));
		refuses(&f, &event, "given");
	}
}

static void a_traceparent_of_another_trace_is_not_kept(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "a");
	event = next_event(&f, EVENT_RUN_CREATED, NULL);
	event_put_text(&event, EVENT_FIELD_TRACE_ID, STR("0af7651916cd43dd8448eb211c80319c"));
	event_put_text(&event, EVENT_FIELD_TRACEPARENT,
		       STR("00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01"));
	assert_ok(apply(&f.run, &event, ERR_CORRUPT, &f.err), &f.err);
	assert_int_equal(f.run.trace_id.len, 32);
	assert_null(f.run.traceparent.ptr);
}

static void s7_5_a_start_behind_a_stop_is_corrupt(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "a; b needs=; c");
	f.model->concurrency = 1;
	fixture_start(&f);
	assert_ok(fixture_tell(&f, &(struct input){.kind = INPUT_STOP}), &f.err);
	event = next_event(&f, EVENT_STEP_STARTED, "b");
	refuses(&f, &event, "stopping");
}

static void s10_what_a_rollback_does_not_do_is_corrupt(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "a undo=3; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	event = next_event(&f, EVENT_RUN_RESUMED, NULL);
	event_put_text(&event, EVENT_FIELD_PARAMS, STR("{}"));
	refuses(&f, &event, "runs nothing else");
	event = next_event(&f, EVENT_RUN_RESUMED, NULL);
	event_put_text(&event, EVENT_FIELD_CHANGES, STR("{}"));
	refuses(&f, &event, "runs nothing else");
	assert_ok(fixture_tell(&f, &(struct input){.kind = INPUT_STOP}), &f.err);
	fixture_undo_fail(&f, CLASS_TRANSIENT_IO); /* no retry follows a stop */
	event = next_event(&f, EVENT_COMPENSATION_STARTED, "a");
	event.attempt = 1;
	refuses(&f, &event, "cannot start now");
}

/* Each bar alone: the run is being stopped; or what failed for good. */
static void s10_no_compensation_starts_when_stopped_or_failed(void **state)
{
	struct event event;

	(void)state;
	for (int failed = 0; failed < 2; failed++) {
		AUTO(fixture_close) struct fixture f;
		struct decide_result result = {.class =
						   failed ? CLASS_UNKNOWN : CLASS_TRANSIENT_IO};
		struct input end = {.kind = INPUT_UNDO_ENDED, .result = &result};

		fixture_open(&f, "a undo=3; b on=compensate");
		fixture_start(&f);
		fixture_ok(&f, "a");
		fixture_fail(&f, "b", CLASS_UNKNOWN);
		assert_ok(fixture_tell(&f, &end), &f.err);
		if (!failed)
			assert_ok(fixture_tell(&f, &(struct input){.kind = INPUT_STOP}), &f.err);
		event = next_event(&f, EVENT_COMPENSATION_STARTED, "a");
		event.attempt = 1;
		refuses(&f, &event, "cannot start now");
	}
}

static void s5_5_an_interrupted_gate_is_not_failed_but_asked_again(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "g gate=hard on=compensate; a");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_INTERRUPTED);
	assert_int_equal(f.run.gates_barred, 0);
	assert_int_equal(f.run.state, RUN_FAILED);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	fixture_ok(&f, "g");
	fixture_ok(&f, "a");
	assert_int_equal(f.run.outcome, OUTCOME_SUCCESS);
}

static void s10_an_interrupted_step_wants_no_rollback(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=1; b on=compensate");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_INTERRUPTED);
	assert_false(f.run.undo.is_wanted);
	assert_int_equal(fixture_count(&f, EVENT_RUN_ROLLBACK_STARTED), 0);
}

/* --------------------------------------------------------------------------------- decisions */

static void s9_1_an_override_that_was_given_is_recorded_once(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "g gate=hard; a; b");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_HARD_GATE_FAILED);
	assert_ok(fixture_resume(&f, NULL, "g"), &f.err);
	fixture_fail(&f, "a", CLASS_UNKNOWN);
	fixture_forget(&f);
	assert_ok(fixture_resume(&f, NULL, "g"), &f.err);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	assert_int_equal(fixture_count(&f, EVENT_RUN_OVERRIDE_APPLIED), 1);
	assert_int_equal(f.run.outcome, OUTCOME_PARTIAL);
}

static void s9_1_overrides_have_a_limit(void **state)
{
	AUTO(fixture_close) struct fixture f;
	static struct str gates[DECIDE_EVENTS_MAX / 2 + 1];
	struct decide_resume resume = {
	    .overrides = gates,
	    .overrides_count = ARRAY_LEN(gates),
	    .person = {STR("olga"), STR("known"), -1, -1},
	};

	(void)state;
	fixture_open(&f, "g gate=hard; a");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_HARD_GATE_FAILED);
	for (size_t i = 0; i < ARRAY_LEN(gates); i++)
		gates[i] = STR("g");
	assert_int_equal(decide_resume_check(&f.run, &resume, &f.err), ERR_LIMIT);
	resume.overrides_count--;
	assert_ok(decide_resume_check(&f.run, &resume, &f.err), &f.err);
}

static void s9_1_a_hint_names_every_failed_gate_or_none(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct decide_resume resume = {.boot_id = STR("b2")};

	(void)state;
	fixture_open(&f, "a_gate_with_a_long_name gate=hard needs= on=skip; "
			 "another_gate_with_a_long_name gate=hard needs= on=skip");
	fixture_start(&f);
	fixture_fail(&f, "a_gate_with_a_long_name", CLASS_HARD_GATE_FAILED);
	fixture_fail(&f, "another_gate_with_a_long_name", CLASS_HARD_GATE_FAILED);
	assert_int_equal(decide_resume_check(&f.run, &resume, &f.err), ERR_REFUSED);
	assert_non_null(strstr(f.err.hint, "--override GATE (for each)"));
}

static void s9_2_a_resume_begins_with_the_first_step_that_is_open(void **state)
{
	static const struct {
		enum step_state_id state;
		enum skip_reason skip;
		bool is_waived;
		enum gate_kind gate;
		bool is_passed_over;
	} rows[] = {
	    {STEP_SUCCEEDED, SKIP_NONE, false, GATE_NONE, true},
	    {STEP_COMPENSATED, SKIP_NONE, false, GATE_NONE, true},
	    {STEP_SKIPPED, SKIP_CONDITION, false, GATE_NONE, true},
	    {STEP_SKIPPED, SKIP_CHOICE_NOT_TAKEN, false, GATE_NONE, true},
	    {STEP_SKIPPED, SKIP_UPSTREAM_FAILED, false, GATE_NONE, false},
	    {STEP_FAILED, SKIP_NONE, true, GATE_HARD, true},
	    {STEP_FAILED, SKIP_NONE, true, GATE_MANUAL, false},
	    {STEP_FAILED, SKIP_NONE, false, GATE_HARD, false},
	    {STEP_PENDING, SKIP_NONE, true, GATE_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(fixture_close) struct fixture f;

		fixture_open(&f, "a");
		f.run.steps[0].state = rows[i].state;
		f.run.steps[0].skip = rows[i].skip;
		f.run.steps[0].is_waived = rows[i].is_waived;
		f.model->steps[0].gate = rows[i].gate;
		assert_int_equal(decide_resume_point(&f.run),
				 rows[i].is_passed_over ? STEP_NONE : 0);
	}
}

static void s9_2_a_decision_may_come_right_behind_a_resume(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct decide_resume resume = {.boot_id = STR("b2"), .definition_hash = STR("d1")};
	struct decide_person person = {STR("anna"), STR("looked"), -1, -1};
	struct input input = {.kind = INPUT_RESUME, .resume = &resume};

	(void)state;
	fixture_open(&f, "m gate=manual");
	fixture_start(&f);
	assert_ok(fixture_stop(&f, false), &f.err);
	assert_int_equal(f.run.state, RUN_STOPPED);
	assert_int_equal(fixture_approve(&f, "m", "anna"), ERR_REFUSED);
	assert_ok(fixture_tell(&f, &input), &f.err);
	input = (struct input){.kind = INPUT_APPROVE, .person = &person};
	assert_ok(fixture_feed(&f, &input), &f.err);
	fixture_ok(&f, "m");
	assert_int_equal(f.run.state, RUN_SUCCEEDED);
}

static void s9_1_why_a_run_without_a_failed_step_is_partial(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a");
	assert_text(decide_failure_reason(&f.decider), "Every step was skipped");
	f.run.waived = 1;
	assert_text(decide_failure_reason(&f.decider), "A failed gate was overridden");
	f.run.waived = 0;
	f.run.overridden = 1;
	assert_text(decide_failure_reason(&f.decider), "A failed gate was overridden");
}

static void s3_4_a_choice_not_taken_is_a_skip_by_choice(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b needs=a; c needs=b");
	fixture_start(&f);
	fixture_ok(&f, "a");
	f.run.steps[1].state = STEP_SKIPPED;
	f.run.steps[1].skip = SKIP_CHOICE_NOT_TAKEN;
	f.run.count[STEP_SKIPPED] = 1;
	assert_int_equal(decide_outcome(&f.run), OUTCOME_SUCCESS);
	run_state_recount(&f.run);
	assert_true(step_is_doomed(&f.run, 2));
}

static void s9_3_a_change_is_read_as_far_as_it_names_steps(void **state)
{
	AUTO(fixture_close) struct fixture f;
	AUTO(model_drop) struct model *next = NULL;
	uint32_t cycle;
	uint8_t marks[2] = {0};

	(void)state;
	fixture_open(&f, "a; b");
	assert_ok(fixture_model("a; b", &next, &cycle, &f.err), &f.err);
	assert_ok(decide_change_marks(&f.run, next, STR("{\"changed\":[\"\\u0061\",\"nowhere\"]}"),
				      marks, &f.err),
		  &f.err);
	assert_false(marks[0] || marks[1]);
	assert_ok(decide_change_marks(&f.run, next, STR("{\"changed\":[\"b\"]}"), marks, &f.err),
		  &f.err);
	assert_true(!marks[0] && marks[1]);
}

#define A_FIRST "a; b needs= on=skip; c any=a,b; d needs= on=stop"
#define B_FIRST "a; b needs= on=skip; c any=b,a; d needs= on=stop"

static void s9_3_from_a_step_that_needs_any_of_several(void **state)
{
	static const struct {
		const char *changes;
		enum err_code code;
		const char *steps;
	} rows[] = {
	    {"{\"changed\":[],\"added\":[],\"removed\":[]}", ERR_OK, A_FIRST},
	    {"{\"changed\":[\"b\"],\"added\":[],\"removed\":[]}", ERR_OK, B_FIRST},
	    {"{\"changed\":[\"a\"],\"added\":[],\"removed\":[]}", ERR_REFUSED, A_FIRST},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(model_drop) struct model *next = NULL;
		AUTO(fixture_close) struct fixture f;
		struct decide_resume resume = {.from = STR("c"),
					       .changes = str_of(rows[i].changes)};
		uint32_t cycle;

		fixture_open(&f, A_FIRST);
		fixture_start(&f);
		fixture_ok(&f, "a");
		fixture_fail(&f, "b", CLASS_UNKNOWN);
		fixture_ok(&f, "c");
		fixture_fail(&f, "d", CLASS_UNKNOWN);
		assert_ok(fixture_model(rows[i].steps, &next, &cycle, &f.err), &f.err);
		resume.next = next;
		assert_int_equal(decide_resume_check(&f.run, &resume, &f.err), rows[i].code);
	}
}

static void a_manual_gate_of_no_particular_person_asks_anybody(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "m gate=manual");
	f.model->steps[0].approval = NULL;
	fixture_start(&f);
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_ok(fixture_approve(&f, "m", "anybody"), &f.err);
	fixture_ok(&f, "m");
	assert_int_equal(f.run.state, RUN_SUCCEEDED);
}

/* ------------------------------------------------------------------------------------- names */

static void states_are_asked_for_by_name(void **state)
{
	AUTO(fixture_close) struct fixture f;
	enum run_state_id id;

	(void)state;
	assert_string_equal(run_state_name((enum run_state_id)0), "none");
	assert_false(run_state_of(STR("none"), &id));
	fixture_open(&f, "a; b needs=a");
	assert_true(step_is_ready(&f.run.steps[0]));
	f.run.steps[0].state = STEP_COMPENSATED; /* its effect is gone for what needs it */
	run_state_recount(&f.run);
	assert_true(step_is_doomed(&f.run, 1));
	f.run.steps[1].state = STEP_WAITING;
	assert_true(step_is_doomed(&f.run, 1));
	f.run.steps[1].state = STEP_SUCCEEDED;
	assert_false(step_is_doomed(&f.run, 1));
	f.run.steps[0].state = STEP_RUNNING;
	assert_false(step_is_ready(&f.run.steps[0]));
}

static void times_and_limits_are_those_of_a_command_or_a_call(void **state)
{
	struct command command = {.timeout_ns = 1, .output_limit_bytes = 2};
	struct call_def call = {.timeout_ns = 3, .output_limit_bytes = 4};
	struct step step = {.command = &command};

	(void)state;
	assert_int_equal(step_timeout_ns(&step), 1);
	assert_int_equal(step_output_limit_bytes(&step), 2);
	step = (struct step){.call = &call};
	assert_int_equal(step_timeout_ns(&step), 3);
	assert_int_equal(step_output_limit_bytes(&step), 4);
	step = (struct step){.command = NULL};
	assert_int_equal(step_timeout_ns(&step), 0);
	assert_int_equal(step_output_limit_bytes(&step), 0);
}

static void a_selection_is_an_object_with_steps(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct selection selection;
	uint8_t marks[2] = {0};

	(void)state;
	fixture_open(&f, "abc; b");
	assert_int_equal(selection_read(STR_NONE, &selection, &f.err), ERR_CORRUPT);
	assert_ok(selection_read(STR("{\"from\":\"abd\"}"), &selection, &f.err), &f.err);
	assert_int_equal(selection_mark(f.model, &selection, marks, &f.err), ERR_NOT_FOUND);
	assert_non_null(strstr(f.err.hint, "abc"));
	err_reset(&f.err);
	for (uint64_t nth = 1; nth < 6; nth++) { /* without memory there is no hint */
		mem_fail_at(nth, 1);
		assert_int_not_equal(selection_mark(f.model, &selection, marks, &f.err), ERR_OK);
		mem_fail_at(0, 0);
	}
}

static void a_part_of_steps_that_are_none_is_refused(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct selection selection;
	uint8_t marks[2] = {0, 1};
	uint8_t is_given[2] = {0};

	(void)state;
	fixture_open(&f, "a; b needs=a");
	assert_ok(selection_read(STR("{\"only\":\"nowhere\"}"), &selection, &f.err), &f.err);
	assert_int_equal(selection_mark(f.model, &selection, marks, &f.err), ERR_NOT_FOUND);
	err_reset(&f.err);
	assert_int_not_equal(selection_check(f.model, marks, is_given, &f.err), ERR_OK);
	is_given[0] = 1;
	err_reset(&f.err);
	assert_ok(selection_check(f.model, marks, is_given, &f.err), &f.err);
	is_given[0] = 0;
	marks[0] = 1;
	assert_ok(selection_check(f.model, marks, is_given, &f.err), &f.err);
}

static void s14_a_dry_run_knows_that_it_is_one(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a");
	assert_null(context_param(&f.run, STR("__dry_run__")).ptr);
	f.run.is_dry = true;
	assert_text(context_param(&f.run, STR("__dry_run__")), "true");
	assert_null(context_param(&f.run, STR("day")).ptr);
}

static void a_traceparent_is_read_to_the_letter(void **state)
{
	static const char *const wrong[] = {
	    "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
	    "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
	    "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "0--0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
	    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
	    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
	    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
	    "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	};
	struct trace_parent parent;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(trace_parent_read(str_of(wrong[i]), &parent));
	assert_true(trace_parent_read(
	    STR("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), &parent));
	assert_true(parent.is_sampled);
	assert_false(trace_id_valid(STR("0af7651916cd43dd8448eb211c80319")));
	assert_false(trace_id_valid(STR("00000000000000000000000000000000")));
}

static void quality_without_records_has_no_rate(void **state)
{
	struct quality_figures figures = {
	    .is_given = true,
	    .has = {[QUALITY_RECORDS] = true, [QUALITY_VALID] = true},
	};
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	quality_put(&figures, &out);
	assert_null(strstr(out.ptr, "rate"));
	buf_clear(&out);
	figures.has[QUALITY_RECORDS] = false;
	figures.count[QUALITY_RECORDS] = 2;
	quality_put(&figures, &out);
	assert_null(strstr(out.ptr, "rate"));
	buf_clear(&out);
	figures.has[QUALITY_RECORDS] = true;
	quality_put(&figures, &out);
	assert_non_null(strstr(out.ptr, "valid_rate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s9_5_what_cannot_be_given_is_corrupt),
	    cmocka_unit_test(a_traceparent_of_another_trace_is_not_kept),
	    cmocka_unit_test(s7_5_a_start_behind_a_stop_is_corrupt),
	    cmocka_unit_test(s10_what_a_rollback_does_not_do_is_corrupt),
	    cmocka_unit_test(s10_no_compensation_starts_when_stopped_or_failed),
	    cmocka_unit_test(s5_5_an_interrupted_gate_is_not_failed_but_asked_again),
	    cmocka_unit_test(s10_an_interrupted_step_wants_no_rollback),
	    cmocka_unit_test(s9_1_an_override_that_was_given_is_recorded_once),
	    cmocka_unit_test(s9_1_overrides_have_a_limit),
	    cmocka_unit_test(s9_1_a_hint_names_every_failed_gate_or_none),
	    cmocka_unit_test(s9_2_a_resume_begins_with_the_first_step_that_is_open),
	    cmocka_unit_test(s9_2_a_decision_may_come_right_behind_a_resume),
	    cmocka_unit_test(s9_1_why_a_run_without_a_failed_step_is_partial),
	    cmocka_unit_test(s3_4_a_choice_not_taken_is_a_skip_by_choice),
	    cmocka_unit_test(s9_3_a_change_is_read_as_far_as_it_names_steps),
	    cmocka_unit_test(s9_3_from_a_step_that_needs_any_of_several),
	    cmocka_unit_test(a_manual_gate_of_no_particular_person_asks_anybody),
	    cmocka_unit_test(states_are_asked_for_by_name),
	    cmocka_unit_test(times_and_limits_are_those_of_a_command_or_a_call),
	    cmocka_unit_test(a_selection_is_an_object_with_steps),
	    cmocka_unit_test(a_part_of_steps_that_are_none_is_refused),
	    cmocka_unit_test(s14_a_dry_run_knows_that_it_is_one),
	    cmocka_unit_test(a_traceparent_is_read_to_the_letter),
	    cmocka_unit_test(quality_without_records_has_no_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
