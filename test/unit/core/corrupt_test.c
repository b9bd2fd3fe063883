/* corrupt_test.c - what the fold refuses (S1.3, S11.4), what it keeps, and the effect of each
 * event. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/effect.h"

#include <string.h>

/* A run of one parameter whose one step runs. */
struct one {
	struct fixture f;
	struct param param;
};

static int open_one(void **state)
{
	static struct one one;

	one.param = (struct param){.name = STR("day"), .type = VALUE_STRING};
	fixture_open(&one.f, "a; b");
	fixture_start(&one.f);
	*state = &one.f;
	return 0;
}

static int close_one(void **state)
{
	fixture_close(*state);
	return 0;
}

static struct event next_event(const struct fixture *f, enum event_type type)
{
	struct event event;

	event_init(&event, type);
	event.seq = f->run.seq + 1;
	event.time_utc_ms = f->now_ms;
	return event;
}

/* The fold says CORRUPT, and its text holds `word`. */
static void refuses(struct fixture *f, const struct event *event, const char *word)
{
	err_reset(&f->err);
	assert_int_equal(apply(&f->run, event, ERR_CORRUPT, &f->err), ERR_CORRUPT);
	if (!strstr(f->err.text, word))
		fail_msg("'%s' does not say '%s'", f->err.text, word);
}

static void s3_1_a_change_from_another_state_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_RUN_STATE_CHANGED);

	event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, STR("blocked"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("failed"));
	refuses(f, &event, "executing, not blocked");
	event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, STR("executing"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("rolled_back"));
	refuses(f, &event, "executing -> rolled_back");
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("executing"));
	refuses(f, &event, "executing -> executing");
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("flying"));
	refuses(f, &event, "'flying' is not a run state");
}

static void s3_1_the_same_change_is_a_conflict_when_live(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_RUN_STATE_CHANGED);

	event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, STR("executing"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("created"));
	assert_int_equal(apply(&f->run, &event, ERR_CONFLICT, &f->err), ERR_CONFLICT);
}

static void s11_4_an_end_that_is_none_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_RUN_COMPLETED);

	event_put_text(&event, EVENT_FIELD_OUTCOME, STR("success"));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("executing"));
	refuses(f, &event, "says executing");
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("succeeded"));
	refuses(f, &event, "says succeeded, but the run is executing");
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("ended"));
	refuses(f, &event, "'ended' is not a run state");
	f->run.state = RUN_FAILED;
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(&event, EVENT_FIELD_OUTCOME, STR("splendid"));
	refuses(f, &event, "'splendid' is not an outcome");
}

static void s7_1_an_attempt_that_is_not_the_next_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_STEP_SUCCEEDED);

	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("a"));
	event.attempt = 1;
	refuses(f, &event, "attempt 1 of 'a'");
	event.type = EVENT_STEP_FAILED;
	refuses(f, &event, "attempt 1 of 'a'");
	event.type = EVENT_STEP_LOST;
	refuses(f, &event, "attempt 1 of 'a'");
	event.type = EVENT_STEP_RETRIED;
	event.attempt = 2;
	refuses(f, &event, "the next attempt is 1, not 2");
	event.type = EVENT_STEP_STARTED;
	refuses(f, &event, "attempt 2 of 'a' cannot start");
}

static void s4_a_skip_without_a_known_reason_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_STEP_SKIPPED);

	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("b"));
	event_put_text(&event, EVENT_FIELD_REASON, STR("boredom"));
	refuses(f, &event, "'boredom'");
}

static void s7_6_a_wait_until_no_time_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_STEP_WAITING);

	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("a"));
	event_put_text(&event, EVENT_FIELD_REASON, STR("approval"));
	event_put_text(&event, EVENT_FIELD_UNTIL, STR("tomorrow"));
	refuses(f, &event, "'tomorrow' is not a time");
}

static void s9_1_an_override_of_no_failed_gate_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_RUN_OVERRIDE_APPLIED);

	event_put_text(&event, EVENT_FIELD_GATE, STR("a"));
	refuses(f, &event, "'a' is not a failed gate");
	event_put_text(&event, EVENT_FIELD_GATE, STR("nowhere"));
	refuses(f, &event, "'nowhere' is not a failed gate");
}

static void s9_2_a_resume_of_nothing_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct event event = next_event(f, EVENT_RUN_RESUMED);

	event_put_text(&event, EVENT_FIELD_FROM, STR("nowhere"));
	refuses(f, &event, "'nowhere'");
	event = next_event(f, EVENT_RUN_RESUMED);
	f->run.state = RUN_SUCCEEDED;
	refuses(f, &event, "succeeded cannot be resumed");
	f->run.state = RUN_ROLLED_BACK;
	refuses(f, &event, "rolled_back cannot be resumed");
}

/* S9.2: what a resume changes is recorded, and the newest value counts, an update before a
 * parameter. */
static void s2_parameters_are_folded_and_updates_come_first(void **state)
{
	struct fixture *f = *state;
	struct one *one = (struct one *)(void *)f;
	AUTO(run_state_fini) struct run_state run = {0};
	struct event created = *f->log[0];
	struct event resumed = next_event(f, EVENT_RUN_RESUMED);

	f->model->params = &one->param;
	f->model->params_count = 1;
	assert_ok(run_state_init(&run, f->model, &f->err), &f->err);
	assert_null(context_param(&run, STR("day")).ptr);
	event_put_text(&created, EVENT_FIELD_PARAMS, STR("{\"day\":\"mon\"}"));
	assert_ok(apply(&run, &created, ERR_CORRUPT, &f->err), &f->err);
	assert_text(context_param(&run, STR("day")), "\"mon\"");
	resumed.seq = 2;
	event_put_text(&resumed, EVENT_FIELD_PARAMS, STR("{\"day\":\"tue\"}"));
	assert_ok(apply(&run, &resumed, ERR_CORRUPT, &f->err), &f->err);
	assert_text(context_param(&run, STR("day")), "\"tue\"");
	resumed.seq = 3;
	event_put_text(&resumed, EVENT_FIELD_PARAMS, STR("{\"night\":1}"));
	assert_int_equal(apply(&run, &resumed, ERR_CORRUPT, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "'night'"));
}

static enum effect_kind effect(struct fixture *f, enum event_type type)
{
	struct event event = next_event(f, type);

	return effect_of(&f->run, &event);
}

/* S5.7, S7.5: what is done once an event is durable. */
static void every_event_has_its_effect(void **state)
{
	struct fixture *f = *state;
	struct event stillborn = next_event(f, EVENT_STEP_STARTED);

	assert_int_equal(effect(f, EVENT_STEP_STARTED), EFFECT_START);
	assert_int_equal(effect(f, EVENT_STEP_RETRIED), EFFECT_TIMER);
	assert_int_equal(effect(f, EVENT_STEP_WAITING), EFFECT_TIMER);
	assert_int_equal(effect(f, EVENT_RUN_STOP_REQUESTED), EFFECT_STOP_RUNNING);
	assert_int_equal(effect(f, EVENT_STEP_FAILED), EFFECT_NONE);
	assert_int_equal(effect(f, EVENT_RUN_STATE_CHANGED), EFFECT_NONE);
	event_put_text(&stillborn, EVENT_FIELD_ERROR_CLASS, STR("configuration"));
	assert_int_equal(effect_of(&f->run, &stillborn), EFFECT_NONE);
	f->run.is_failing = true;
	assert_int_equal(effect(f, EVENT_STEP_FAILED), EFFECT_STOP_RUNNING);
	assert_int_equal(effect(f, EVENT_STEP_LOST), EFFECT_STOP_RUNNING);
	assert_int_equal(effect(f, EVENT_GATE_REJECTED), EFFECT_STOP_RUNNING);
	assert_int_equal(effect(f, EVENT_STEP_SUCCEEDED), EFFECT_NONE);
	f->run.state = RUN_FAILED;
	assert_int_equal(effect(f, EVENT_RUN_STATE_CHANGED), EFFECT_CANCEL_ALL);
}

static void names_of_the_model_are_those_of_the_format(void **state)
{
	enum value_type type;

	(void)state;
	for (enum value_type i = VALUE_STRING; i <= VALUE_SECRET; i++) {
		assert_true(value_type_of(str_of(value_type_name(i)), &type));
		assert_int_equal(type, i);
	}
	assert_false(value_type_of(STR("text"), &type));
	assert_string_equal(gate_kind_name(GATE_HARD), "hard");
	assert_string_equal(gate_kind_name(GATE_MANUAL), "manual");
	assert_string_equal(on_failure_name(ON_FAILURE_SKIP_DOWNSTREAM), "skip_downstream");
	assert_string_equal(on_failure_name(ON_FAILURE_IGNORE), "ignore");
	model_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)
	const struct CMUnitTest tests[] = {
	    TEST(s3_1_a_change_from_another_state_is_corrupt),
	    TEST(s3_1_the_same_change_is_a_conflict_when_live),
	    TEST(s11_4_an_end_that_is_none_is_corrupt),
	    TEST(s7_1_an_attempt_that_is_not_the_next_is_corrupt),
	    TEST(s4_a_skip_without_a_known_reason_is_corrupt),
	    TEST(s7_6_a_wait_until_no_time_is_corrupt),
	    TEST(s9_1_an_override_of_no_failed_gate_is_corrupt),
	    TEST(s9_2_a_resume_of_nothing_is_corrupt),
	    TEST(s2_parameters_are_folded_and_updates_come_first),
	    TEST(every_event_has_its_effect),
	    cmocka_unit_test(names_of_the_model_are_those_of_the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
