/* select_test.c - a part of a definition: run --until, --only, --from (S9.5). */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/select.h"

#include <string.h>

#define BEGIN \
	"run.created\n" \
	"run.state_changed preflight_validated\n" \
	"run.state_changed executing\n"

/* The ids of the marked steps, one after the other. */
static enum err_code marked(const char *steps, const char *json, char *ret_ids, struct err *err)
{
	AUTO(model_drop) struct model *model = NULL;
	struct selection selection;
	uint8_t marks[32] = {0};
	uint32_t cycle;

	assert_ok(fixture_model(steps, &model, &cycle, err), err);
	assert_ok(selection_read(str_of(json), &selection, err), err);
	if (selection_mark(model, &selection, marks, err) != ERR_OK)
		return err->code;
	ret_ids[0] = '\0';
	for (uint32_t i = 0; i < model->steps_count; i++) {
		if (marks[i])
			strncat(ret_ids, model->steps[i].id.ptr, 8);
	}
	return ERR_OK;
}

#define DIAMOND "a; b needs=a; c needs=a; d any=b,c; e needs=; f"

static void a_selection_marks_what_lies_up_and_down(void **state)
{
	static const struct {
		const char *json;
		const char *ids;
	} rows[] = {
	    {"{\"until\":\"a\"}", "a"},
	    {"{\"until\":\"b\"}", "ab"},
	    {"{\"until\":\"d\"}", "abcd"},
	    {"{\"until\":\"f\"}", "ef"},
	    {"{\"from\":\"b\"}", "bd"},
	    {"{\"from\":\"e\"}", "ef"},
	    {"{\"from\":\"b\",\"until\":\"d\"}", "bd"},
	    {"{\"from\":\"a\",\"until\":\"c\"}", "ac"},
	    {"{\"only\":\"c\"}", "c"},
	};
	struct err err = ERR_INIT;
	char ids[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ok(marked(DIAMOND, rows[i].json, ids, &err), &err);
		assert_string_equal(ids, rows[i].ids);
	}
	assert_int_equal(marked(DIAMOND, "{\"until\":\"dd\"}", ids, &err), ERR_NOT_FOUND);
	assert_string_equal(err.text, "--until: there is no step 'dd'");
	err_reset(&err);
	assert_int_equal(marked(DIAMOND, "{\"from\":\"d\",\"until\":\"a\"}", ids, &err),
			 ERR_REFUSED);
}

static void what_is_no_selection_is_corrupt(void **state)
{
	static const char *const rows[] = {
	    "{}", "[]", "\"a\"", "{\"until\":1}", "{\"to\":\"a\"}", "{\"only\":\"\\u0061\"}"};
	struct selection selection;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(selection_read(str_of(rows[i]), &selection, &err), ERR_CORRUPT);
	}
}

static void what_is_needed_is_selected_or_given(void **state)
{
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;
	uint8_t marks[8] = {0, 1, 0, 1, 0, 0};
	uint8_t given[8] = {0};
	uint32_t cycle;

	(void)state;
	assert_ok(fixture_model(DIAMOND, &model, &cycle, &err), &err);
	assert_int_equal(selection_check(model, marks, given, &err), ERR_REFUSED);
	assert_string_equal(err.text, "'b' needs 'a', which is neither selected nor given");
	err_reset(&err);
	given[0] = 1;
	assert_ok(selection_check(model, marks, given, &err), &err);
	memset(marks, 0, sizeof(marks));
	marks[3] = 1; /* needs_any: one of b and c */
	assert_int_equal(selection_check(model, marks, given, &err), ERR_REFUSED);
	err_reset(&err);
	given[2] = 1;
	assert_ok(selection_check(model, marks, given, &err), &err);
}

static void s4_the_rest_is_skipped_by_events_that_say_why(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b; c; d needs=");
	f.selection = "{\"until\":\"b\"}";
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_ok(&f, "b");
	fixture_expect(&f, BEGIN "step.skipped c condition\n"
				 "step.skipped d condition\n"
				 "step.started a 0\n"
				 "step.succeeded a 0\n"
				 "step.started b 0\n"
				 "step.succeeded b 0\n"
				 "run.state_changed succeeded\n"
				 "run.completed succeeded success");
	assert_text(event_text(f.log[3], EVENT_FIELD_CAUSE), "not selected: --until b");
	assert_int_equal(f.log_count, 2 * 2 + 5 + 2);
}

static void s9_5_given_steps_have_succeeded_with_their_outputs(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b; c; d needs=");
	f.selection = "{\"from\":\"c\"}";
	f.given = "{\"b\":{\"rows\":7}}";
	fixture_start(&f);
	fixture_expect(&f, BEGIN "step.skipped a condition\n"
				 "step.skipped d condition\n"
				 "step.started c 0");
	assert_text(fixture_step(&f, "b")->outputs, "{\"rows\":7}");
	fixture_fail(&f, "c", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&f, "b", NULL), ERR_REFUSED);
	assert_int_equal(fixture_resume(&f, "d", NULL), ERR_REFUSED);
	assert_ok(fixture_resume(&f, NULL, NULL), &f.err);
	fixture_ok(&f, "c");
	assert_int_equal(f.run.outcome, OUTCOME_SUCCESS);
	assert_int_equal(fixture_step(&f, "b")->attempts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_selection_marks_what_lies_up_and_down),
	    cmocka_unit_test(what_is_no_selection_is_corrupt),
	    cmocka_unit_test(what_is_needed_is_selected_or_given),
	    cmocka_unit_test(s4_the_rest_is_skipped_by_events_that_say_why),
	    cmocka_unit_test(s9_5_given_steps_have_succeeded_with_their_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
