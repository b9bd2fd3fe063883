/* stats_test.c - adding up runs and steps; the definition of a percentile; what Prometheus reads */
#include "support/unit.h"

#include "base/mem.h"
#include "report/stats.h"

static void add_run(struct stats *stats, const char *pipeline, const char *result, int64_t ms)
{
	struct err err = ERR_INIT;
	const struct stats_run run = {.pipeline = str_of(pipeline),
				      .state = STR("x"),
				      .result = str_of(result),
				      .outcome = str_of(result),
				      .duration_ms = ms,
				      .retries = 1};

	assert_ok(stats_add_run(stats, &run, &err), &err);
}

/* Nearest rank: of n values in order, the one at position ceil(p / 100 * n). */
static void a_percentile_is_the_nearest_rank(void **unused)
{
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	add_run(&stats, "p", "failed", 5);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 50), -1);
	add_run(&stats, "p", "success", 30);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 1), 30);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 95), 30);
	add_run(&stats, "p", "success", 10);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 50), 10);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 51), 30);
	for (int64_t ms = 1; ms <= 198; ms++)
		add_run(&stats, "q", "success", 199 - ms);
	assert_int_equal(stats_percentile(&stats.pipelines[1].durations, 50), 99);
	assert_int_equal(stats_percentile(&stats.pipelines[1].durations, 95), 189);
	assert_int_equal(stats_percentile(&stats.pipelines[1].durations, 100), 198);
	stats_fini(&stats);
}

static void a_clock_that_went_back_is_no_negative_time_S7_6(void **unused)
{
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	add_run(&stats, "p", "success", -40);
	assert_int_equal(stats_percentile(&stats.pipelines[0].durations, 50), 0);
	stats_fini(&stats);
}

static void a_stop_is_nobodys_failure_and_what_goes_on_has_no_result(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	add_run(&stats, "p", "success", 1000);
	add_run(&stats, "p", "failed", 10);
	add_run(&stats, "p", "stopped", 10);
	add_run(&stats, "p", NULL, 0);
	stats_text(&stats, &out);
	assert_text(buf_view(&out),
		    "PIPELINE  RUNS  SUCCESS  FAILED  STOPPED  OPEN  RATE   P50    P95    RETRIES\n"
		    "p         4     1        1       1        1     50.0%  1.00s  1.00s  4\n");
	stats_fini(&stats);
}

static void a_cached_step_says_nothing_about_time(void **unused)
{
	struct stats_step step = {.step_id = STR("s"), .state = STR("succeeded"), .attempts = 1};
	struct err err = ERR_INIT;
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	step.is_cached = true;
	assert_ok(stats_add_step(&stats, STR("p"), &step, &err), &err);
	step.is_cached = false;
	step.duration_ms = 7;
	assert_ok(stats_add_step(&stats, STR("p"), &step, &err), &err);
	assert_int_equal(stats.steps[0].succeeded, 2);
	assert_int_equal(stats.steps[0].durations.count, 1);
	stats_fini(&stats);
}

/* Steps of two pipelines may have one name, and a name may look like a number and a slash. */
static void steps_of_two_pipelines_are_two(void **unused)
{
	struct stats_step step = {.step_id = STR("s"), .state = STR("failed"), .attempts = 1};
	struct err err = ERR_INIT;
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	assert_ok(stats_add_step(&stats, STR("p"), &step, &err), &err);
	assert_ok(stats_add_step(&stats, STR("q"), &step, &err), &err);
	assert_ok(stats_add_step(&stats, STR_NONE, &step, &err), &err);
	assert_int_equal(stats.steps_count, 3);
	assert_int_equal(stats.pipelines_count, 3);
	stats_fini(&stats);
}

static void label_values_are_escaped_for_prometheus(void **unused)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct stats stats;

	(void)unused;
	stats_init(&stats, 1);
	assert_ok(stats_add_class(&stats, STR("p\"\\\n"), STR("timeout"), true, 3, &err), &err);
	stats_prometheus(&stats, &out);
	assert_true(
	    str_find(buf_view(&out),
		     "\nsluice_step_retries_total{pipeline=\"p\\\"\\\\\\n\",class=\"timeout\"} "
		     "3\n",
		     0) != SIZE_MAX);
	stats_fini(&stats);
}

static void short_memory_is_an_error_wherever_it_comes(void **unused)
{
	(void)unused;
	for (uint64_t nth = 1;; nth++) {
		const struct stats_run run = {.pipeline = STR("p"), .result = STR("success")};
		const struct stats_step step = {.step_id = STR("s"), .state = STR("succeeded")};
		AUTO(buf_fini) struct buf out = BUF_INIT;
		struct err err = ERR_INIT;
		struct stats stats;
		enum err_code code;

		stats_init(&stats, 1);
		mem_fail_at(nth, 1);
		code = stats_add_run(&stats, &run, &err);
		if (code == ERR_OK)
			code = stats_add_step(&stats, STR("p"), &step, &err);
		if (code == ERR_OK)
			code = stats_add_class(&stats, STR("p"), STR("timeout"), false, 1, &err);
		if (code == ERR_OK) {
			stats_json(&stats, &out);
			code = buf_check(&out, "answer", &err);
		}
		mem_fail_at(0, 0);
		stats_fini(&stats);
		if (code == ERR_OK)
			return;
		assert_int_equal(code, ERR_MEMORY);
	}
}

/* Rows of the database come in another order than the events of a log. */
static void classes_are_in_the_order_of_their_names(void **unused)
{
	static const char *const orders[][3] = {{"b", "a", "c"}, {"c", "b", "a"}, {"a", "c", "b"}};

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		const struct stats_class *class;
		struct err err = ERR_INIT;
		struct stats stats;

		stats_init(&stats, 1);
		for (size_t n = 0; n < 3; n++)
			assert_ok(
			    stats_add_class(&stats, STR("p"), str_of(orders[i][n]), false, 1, &err),
			    &err);
		class = stats.pipelines[0].classes;
		assert_true(str_is(class->name, "a"));
		assert_true(str_is(class->next->name, "b"));
		assert_true(str_is(class->next->next->name, "c"));
		assert_null(class->next->next->next);
		stats_fini(&stats);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_percentile_is_the_nearest_rank),
	    cmocka_unit_test(a_clock_that_went_back_is_no_negative_time_S7_6),
	    cmocka_unit_test(a_stop_is_nobodys_failure_and_what_goes_on_has_no_result),
	    cmocka_unit_test(a_cached_step_says_nothing_about_time),
	    cmocka_unit_test(steps_of_two_pipelines_are_two),
	    cmocka_unit_test(label_values_are_escaped_for_prometheus),
	    cmocka_unit_test(short_memory_is_an_error_wherever_it_comes),
	    cmocka_unit_test(classes_are_in_the_order_of_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
