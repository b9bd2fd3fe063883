/* list_test.c - rows of many runs; and the small layouts: indented JSON, wrapped text, escapes */
#include "support/unit.h"

#include "base/mem.h"
#include "report/explain.h"
#include "report/list.h"
#include "report/pretty.h"

static struct str state_of(const char *result)
{
	if (str_is(str_of(result), "success"))
		return STR("succeeded");
	return str_of(result);
}

static void add(struct list_rows *rows, const char *id, const char *result, const char *outcome,
		int64_t started_ms)
{
	struct err err = ERR_INIT;
	const struct list_row row = {
	    .run_id = str_of(id),
	    .pipeline = STR("demo"),
	    .state = state_of(result),
	    .result = str_of(result),
	    .outcome = str_of(outcome),
	    .failure_reason = str_is(str_of(result), "failed") ? STR("a \"b\", c\nd") : STR_NONE,
	    .executed = STR("[\"x\"]"),
	    .failed = STR("[]"),
	    .started_ms = started_ms,
	    .ended_ms = started_ms + 1500};

	assert_ok(list_add(rows, &row, &err), &err);
}

static void fill(struct list_rows *rows)
{
	const struct list_row broken = {.run_id = STR("five"),
					.state = STR("corrupt"),
					.failure_reason = STR("no definition"),
					.executed = STR("[]"),
					.failed = STR("[]")};
	struct err err = ERR_INIT;

	add(rows, "one", "success", "success", 1000);
	add(rows, "two", "failed", "partial", 3000);
	add(rows, "three", "stopped", "stopped", 2000);
	add(rows, "four", "failed", NULL, 2000);
	assert_ok(list_add(rows, &broken, &err), &err);
}

static void selected_are(const char *ids, struct list_filter filter)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;

	fill(&rows);
	list_select(&rows, &filter);
	for (size_t i = 0; i < rows.count; i++)
		buf_fmt(&out, "%.*s ", STR_ARG(rows.items[i].run_id));
	assert_text(buf_view(&out), ids);
}

/* prior-systems.md 4.1: filter, sort by start descending, then cut. */
static void rows_are_filtered_sorted_and_cut(void **unused)
{
	(void)unused;
	selected_are("two three four one five ", (struct list_filter){.limit = 100});
	selected_are("two three ", (struct list_filter){.limit = 2});
	selected_are("two four ", (struct list_filter){.limit = 9, .result = STR("failed")});
	selected_are("two ", (struct list_filter){.limit = 9, .result = STR("partial")});
	selected_are("three ", (struct list_filter){.limit = 9, .result = STR("stopped")});
	selected_are("one ", (struct list_filter){.limit = 9, .result = STR("success")});
	selected_are("two three four ", (struct list_filter){.limit = 9, .since_ms = 2000});
	selected_are("two three four one ",
		     (struct list_filter){.limit = 9, .pipeline = STR("demo")});
}

/* A run that cannot be read is neither active nor any other result, but it is listed. */
static void a_broken_run_is_listed_and_has_no_result(void **unused)
{
	(void)unused;
	selected_are("", (struct list_filter){.limit = 9, .result = STR("active")});
	selected_are("", (struct list_filter){.limit = 9, .result = STR("blocked")});
	selected_are("five ", (struct list_filter){.limit = 9, .state = STR("corrupt")});
}

static void only_known_results_can_be_asked_for(void **unused)
{
	struct err err = ERR_INIT;

	(void)unused;
	assert_ok(list_check_result(STR("blocked"), &err), &err);
	assert_int_equal(list_check_result(STR("fine"), &err), ERR_USAGE);
	assert_ok(list_check_state(STR("interrupted"), &err), &err);
	assert_ok(list_check_state(STR("rolled_back"), &err), &err);
	assert_int_equal(list_check_state(STR("active"), &err), ERR_USAGE);
}

static void csv_is_quoted_as_rfc_4180_says(void **unused)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)unused;
	add(&rows, "two", "failed", "partial", 3000);
	list_csv(&rows, &out);
	assert_text(buf_view(&out),
		    "run_id,pipeline,state,result,outcome,started_at,ended_at,duration_ms,"
		    "retry_count,failure_reason\n"
		    "two,demo,failed,failed,partial,1970-01-01T00:00:03.000Z,"
		    "1970-01-01T00:00:04.500Z,1500,0,\"a \"\"b\"\", c\nd\"\n");
}

static void jsonl_has_the_record_of_system_d_first(void **unused)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)unused;
	add(&rows, "one", "success", "success", 1000);
	list_jsonl(&rows, &out);
	assert_text(buf_view(&out),
		    "{\"run_id\":\"one\",\"started_at\":\"1970-01-01T00:00:01.000Z\","
		    "\"ended_at\":\"1970-01-01T00:00:02.500Z\",\"result\":\"success\","
		    "\"failure_reason\":null,\"stages_executed\":[\"x\"],\"stages_failed\":[],"
		    "\"retry_count\":0,\"metadata\":{\"pipeline\":\"demo\",\"outcome\":\"success\","
		    "\"trigger\":null},\"state\":\"succeeded\",\"duration_ms\":1500}\n");
}

static void the_table_has_one_line_a_run(void **unused)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)unused;
	add(&rows, "two", "failed", "partial", 3000);
	add(&rows, "one", "success", "success", 1000);
	list_table(&rows, 0, &out);
	assert_text(buf_view(&out),
		    "RUN  PIPELINE  RESULT       STARTED (UTC)        DURATION  REASON\n"
		    "two  demo      partial      1970-01-01T00:00:03  1.50s     a \"b\", c d\n"
		    "one  demo      success      1970-01-01T00:00:01  1.50s\n");
}

static void json_is_indented_as_python_does_it(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)unused;
	pretty_json(&out, STR("{\"a\":[],\"b\":{},\"c\":[1,{\"d\":\"x,{}[]:\\\"\"}],\"e\":null}"));
	assert_text(buf_view(&out), "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n"
				    "      \"d\": \"x,{}[]:\\\"\"\n    }\n  ],\n  \"e\": null\n}");
}

static void text_is_broken_at_blanks(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;

	(void)unused;
	text_wrap(&out, STR("aa bb cc dddddddddddd e"), "  ", 8);
	assert_text(buf_view(&out), "  aa bb\n  cc\n  dddddd\n  dddddd\n  e\n");
}

static void every_error_number_can_be_explained(void **unused)
{
	unsigned known = 0;

	(void)unused;
	for (unsigned number = 0; number < 1000; number++) {
		AUTO(buf_fini) struct buf code = BUF_INIT;
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err err = ERR_INIT;

		buf_fmt(&code, "SLU%03u", number);
		if (explain_code(buf_view(&code), &out, &err) == ERR_OK)
			known++;
		else
			assert_int_equal(err.code, ERR_NOT_FOUND);
	}
	assert_true(known > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_filtered_sorted_and_cut),
	    cmocka_unit_test(a_broken_run_is_listed_and_has_no_result),
	    cmocka_unit_test(only_known_results_can_be_asked_for),
	    cmocka_unit_test(csv_is_quoted_as_rfc_4180_says),
	    cmocka_unit_test(jsonl_has_the_record_of_system_d_first),
	    cmocka_unit_test(the_table_has_one_line_a_run),
	    cmocka_unit_test(json_is_indented_as_python_does_it),
	    cmocka_unit_test(text_is_broken_at_blanks),
	    cmocka_unit_test(every_error_number_can_be_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
