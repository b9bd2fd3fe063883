/* run_report_test.c - status, summary, events, verify: golden texts of a failed run */
#include "fixture.h"

#include "base/json.h"
#include "base/mem.h"
#include "report/attempt_log.h"
#include "report/event_text.h"
#include "report/run_report.h"
#include "report/verify.h"

#include <string.h>

static struct made made;
static const struct run_lock_info nobody = {.is_held = false};

static int setup(void **unused)
{
	(void)unused;
	made_open(&made);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	made_close(&made);
	return 0;
}

static void read_fold(struct fold_run *fold)
{
	struct err err = ERR_INIT;

	made_release(&made);
	assert_ok(fold_read(made.dir, &made.limits, NULL, NULL, fold, &err), &err);
}

/* prior-systems.md 1.10 */
static void the_summary_of_a_failed_run_as_text(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	assert_ok(summary_text(&fold, &out, &err), &err);
	assert_text(buf_view(&out),
		    "Run Summary: run_1\n"
		    "============================================================\n"
		    "Status: \xe2\x9c\x97 FAILED\n"
		    "Created: 2026-01-31T12:00:00.000Z\n"
		    "Completed: 2026-01-31T12:00:13.000Z\n"
		    "Duration: 13.00s\n"
		    "\n"
		    "Steps: 3 total (1 completed, 1 failed, 1 skipped)\n"
		    "Retries: 1\n"
		    "Hard gate failures: gate\n"
		    "\n"
		    "Steps:\n"
		    "------------------------------------------------------------\n"
		    "  \xe2\x9c\x93 first                          succeeded (attempts: 2)\n"
		    "  \xe2\x9c\x97 gate                           failed\n"
		    "      Error: two lines \"quoted\"\n"
		    "  \xe2\x8a\x98 last                           skipped (gate_failed)\n");
}

static void the_summary_of_a_failed_run_as_json(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	assert_ok(summary_json(&fold, &out, &err), &err);
	assert_text(buf_view(&out), "{\n"
				    "  \"run_id\": \"run_1\",\n"
				    "  \"final_state\": \"failed\",\n"
				    "  \"created_at\": \"2026-01-31T12:00:00.000Z\",\n"
				    "  \"completed_at\": \"2026-01-31T12:00:13.000Z\",\n"
				    "  \"duration_ms\": 13000,\n"
				    "  \"steps\": [\n"
				    "    {\n"
				    "      \"step_id\": \"first\",\n"
				    "      \"state\": \"succeeded\",\n"
				    "      \"attempts\": 2,\n"
				    "      \"error_class\": null,\n"
				    "      \"error_reason\": null,\n"
				    "      \"duration_ms\": 350\n"
				    "    },\n"
				    "    {\n"
				    "      \"step_id\": \"gate\",\n"
				    "      \"state\": \"failed\",\n"
				    "      \"attempts\": 1,\n"
				    "      \"error_class\": \"hard_gate_failed\",\n"
				    "      \"error_reason\": \"two\\nlines \\\"quoted\\\"\",\n"
				    "      \"duration_ms\": 100\n"
				    "    },\n"
				    "    {\n"
				    "      \"step_id\": \"last\",\n"
				    "      \"state\": \"skipped\",\n"
				    "      \"attempts\": 0,\n"
				    "      \"error_class\": null,\n"
				    "      \"error_reason\": null,\n"
				    "      \"duration_ms\": null\n"
				    "    }\n"
				    "  ],\n"
				    "  \"stats\": {\n"
				    "    \"total_steps\": 3,\n"
				    "    \"completed\": 1,\n"
				    "    \"failed\": 1,\n"
				    "    \"skipped\": 1,\n"
				    "    \"total_attempts\": 3,\n"
				    "    \"total_retries\": 1\n"
				    "  },\n"
				    "  \"failed_hard_gates\": [\n"
				    "    \"gate\"\n"
				    "  ],\n"
				    "  \"outcome\": \"failed\",\n"
				    "  \"warnings\": 0\n"
				    "}\n");
}

static void a_run_of_one_event_has_no_times_yet(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	read_fold(&fold);
	assert_ok(summary_json(&fold, &out, &err), &err);
	assert_text(json_get(buf_view(&out), "completed_at"), "null");
	assert_text(json_get(buf_view(&out), "duration_ms"), "null");
	assert_text(json_get(buf_view(&out), "failed_hard_gates"), "[]");
	assert_ok(summary_text(&fold, &text, &err), &err);
	assert_true(str_find(buf_view(&text), "Completed:", 0) == SIZE_MAX);
	assert_true(str_find(buf_view(&text), "CREATED", 0) != SIZE_MAX);
}

/* prior-systems.md 1.11 */
static void the_status_of_a_failed_run(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	assert_ok(status_text(&fold, &nobody, &out, &err), &err);
	assert_text(buf_view(&out), "Run ID: run_1\n"
				    "State: failed\n"
				    "Steps:\n"
				    "  first                          succeeded (attempt 1)\n"
				    "  gate                           failed\n"
				    "  last                           skipped (gate_failed)\n"
				    "Completed: 1\n"
				    "Failed hard gates: gate\n"
				    "Pipeline: demo\n"
				    "Next: sluice logs run_1 --failed\n"
				    "Next: sluice resume run_1 --override gate --reason TEXT\n");
}

static void a_run_that_nobody_owns_was_interrupted(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	AUTO(buf_fini) struct buf owned = BUF_INIT;
	const struct run_lock_info owner = {.is_held = true, .pid = 42};
	struct err err = ERR_INIT;

	(void)unused;
	made_begin(&made);
	made_start(&made, "first", 0);
	read_fold(&fold);
	assert_ok(status_text(&fold, &nobody, &out, &err), &err);
	assert_true(str_ends(buf_view(&out), "Owner: none, the run was interrupted\n"
					     "Next: sluice resume run_1\n"));
	assert_ok(status_text(&fold, &owner, &owned, &err), &err);
	assert_true(str_ends(buf_view(&owned), "Owner: process 42\n"
					       "Next: sluice events run_1 --follow\n"));
}

static void status_as_json_is_json(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	assert_ok(status_json(&fold, &nobody, &out, &err), &err);
	assert_ok(json_check(buf_view(&out), JSON_DEPTH_MAX, &err), &err);
	assert_text(json_get(buf_view(&out), "owner_pid"), "null");
	assert_text(json_get(buf_view(&out), "completed"), "1");
}

/* One event is one line, whatever its reason says. */
static void an_event_is_one_line(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct event event;

	(void)unused;
	event_init(&event, EVENT_STEP_FAILED);
	event.time_utc_ms = 0;
	event_put_text(&event, EVENT_FIELD_STEP_ID, STR("load"));
	event_put_text(&event, EVENT_FIELD_ERROR_CLASS, STR("timeout"));
	event_put_text(&event, EVENT_FIELD_REASON, STR("a \"b\"\nc"));
	event_text_line(&event, &out);
	event_init(&event, EVENT_RUN_RESUMED);
	event.time_utc_ms = 999;
	event_text_line(&event, &out);
	assert_text(
	    buf_view(&out),
	    "1970-01-01T00:00:00 step.failed [load] error=timeout reason=\"a \\\"b\\\"\\nc\"\n"
	    "1970-01-01T00:00:00 run.resumed\n");
}

/* S11.7 */
static void a_receipt_is_that_of_the_last_event_or_it_is_refused(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct err early = ERR_INIT;
	struct err wrong = ERR_INIT;
	struct log_head before;
	struct log_head last;

	(void)unused;
	made_begin(&made);
	before = *log_head(made.log);
	made_start(&made, "first", 0);
	last = *log_head(made.log);
	made_release(&made);
	assert_ok(verify_run(made.dir, &made.limits, str_of(last.h), NULL, &out, &err), &err);
	assert_true(str_find(buf_view(&out), "Log: whole\nReceipt given: matches\n", 0) !=
		    SIZE_MAX);
	assert_int_equal(verify_run(made.dir, &made.limits, str_of(before.h), NULL, &out, &early),
			 ERR_CORRUPT);
	assert_non_null(strstr(early.text, "event 3"));
	assert_int_equal(
	    verify_run(made.dir, &made.limits, STR("0123456789abcdef"), NULL, &out, &wrong),
	    ERR_CORRUPT);
}

static void logs_are_chosen_by_step_attempt_and_failure(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct attempt_choice all = {.attempt = -1};
	struct attempt_choice first = {.step = STR("first"), .attempt = 0};
	struct attempt_choice failed = {.attempt = -1, .failed = true};
	struct attempt_choice later = {.attempt = 2};
	uint32_t attempt = 99;

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	assert_true(attempt_chosen(&fold.state, 0, &all, &attempt));
	assert_int_equal(attempt, 1);
	assert_true(attempt_chosen(&fold.state, 0, &first, &attempt));
	assert_int_equal(attempt, 0);
	assert_false(attempt_chosen(&fold.state, 1, &first, &attempt));
	assert_false(attempt_chosen(&fold.state, 0, &failed, &attempt));
	assert_true(attempt_chosen(&fold.state, 1, &failed, &attempt));
	assert_false(attempt_chosen(&fold.state, 0, &later, &attempt));
	assert_false(attempt_chosen(&fold.state, 2, &all, &attempt));
	attempt_log_path(&out, &fold.model->steps[0], 1, 2);
	attempt_log_heading(&out, &fold.state, 0, 1);
	assert_text(buf_view(&out), "logs/first.1.log==> first (attempt 1, succeeded) <==\n");
}

static void every_allocation_may_fail(void **unused)
{
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};

	(void)unused;
	made_failed_run(&made);
	read_fold(&fold);
	for (uint64_t nth = 1;; nth++) {
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err err = ERR_INIT;
		bool is_done;

		mem_fail_at(nth, 1);
		is_done = status_text(&fold, &nobody, &out, &err) == ERR_OK &&
			  status_json(&fold, &nobody, &out, &err) == ERR_OK &&
			  summary_text(&fold, &out, &err) == ERR_OK &&
			  summary_json(&fold, &out, &err) == ERR_OK;
		mem_fail_at(0, 0);
		if (is_done)
			return;
		assert_int_equal(err.code, ERR_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_summary_of_a_failed_run_as_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_summary_of_a_failed_run_as_json, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_run_of_one_event_has_no_times_yet, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_status_of_a_failed_run, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_run_that_nobody_owns_was_interrupted, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(status_as_json_is_json, setup, teardown),
	    cmocka_unit_test(an_event_is_one_line),
	    cmocka_unit_test_setup_teardown(a_receipt_is_that_of_the_last_event_or_it_is_refused,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(logs_are_chosen_by_step_attempt_and_failure, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
