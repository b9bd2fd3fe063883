/* quality_test.c - figures and thresholds: what is met, missed, absent */
#include "support/unit.h"

#include "base/json.h"
#include "base/mem.h"
#include "core/quality.h"

#include <string.h>

#define FIGURES(r, v, i, n) \
	{ \
		.is_given = true, .has = {(r) >= 0, (v) >= 0, (i) >= 0, (n) >= 0}, .count = { \
			r, \
			v, \
			i, \
			n \
		} \
	}

static const struct quality strict = {
    .has_min_valid_rate = true,
    .min_valid_rate = 0.99,
    .has_max_null_rate = true,
    .max_null_rate = 0.01,
    .has_min_record_count = true,
    .min_record_count = 1,
    .has_max_record_count = true,
    .max_record_count = 1000,
};

static void expect(struct quality_figures figures, enum quality_verdict verdict, const char *reason)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	assert_int_equal(quality_check(&figures, &err), ERR_OK);
	assert_int_equal(quality_judge(&strict, &figures, &text), verdict);
	assert_string_equal(text.ptr ? text.ptr : "", reason);
}

static void thresholds_are_met_at_their_bounds(void **state)
{
	(void)state;
	expect((struct quality_figures)FIGURES(1000, 990, 10, 10), QUALITY_MET, "");
	expect((struct quality_figures)FIGURES(1, 1, 0, 0), QUALITY_MET, "");
	expect((struct quality_figures)FIGURES(100, -1, 1, 0), QUALITY_MET, ""); /* valid follows */
}

static void each_threshold_that_is_missed_is_named(void **state)
{
	(void)state;
	expect((struct quality_figures)FIGURES(100, 98, 2, 2), QUALITY_MISSED,
	       "min_valid_rate: 98 of 100 records are valid, 0.98 is below 0.99; "
	       "max_null_rate: 2 of 100 records are null, 0.02 is above 0.01");
	expect((struct quality_figures)FIGURES(1001, 1001, 0, 0), QUALITY_MISSED,
	       "max_record_count: 1001 records, 1000 is the most");
}

static void no_records_have_no_rate(void **state)
{
	(void)state;
	expect((struct quality_figures)FIGURES(0, 0, 0, 0), QUALITY_MISSED,
	       "min_record_count: 0 records, 1 is the least; min_valid_rate: there are no records; "
	       "max_null_rate: there are no records");
}

static void a_missing_figure_is_not_a_threshold_that_is_met(void **state)
{
	struct quality_figures none = {.is_given = false};

	(void)state;
	expect((struct quality_figures)FIGURES(100, 100, 0, -1), QUALITY_ABSENT,
	       "max_null_rate needs null_count, which the result does not give");
	expect((struct quality_figures)FIGURES(-1, 5, -1, -1), QUALITY_ABSENT,
	       "min_record_count needs record_count, which the result does not give; "
	       "max_record_count needs record_count, which the result does not give; "
	       "min_valid_rate needs record_count, which the result does not give; "
	       "max_null_rate needs record_count, which the result does not give");
	expect((struct quality_figures)FIGURES(2000, 2000, 0, -1), QUALITY_ABSENT,
	       "max_record_count: 2000 records, 1000 is the most; "
	       "max_null_rate needs null_count, which the result does not give");
	assert_int_equal(quality_check(&none, &(struct err){.code = ERR_OK}), ERR_OK);
}

static void figures_that_contradict_each_other_are_refused(void **state)
{
	struct quality_figures wrong[] = {FIGURES(10, 11, -1, -1), FIGURES(10, -1, 11, -1),
					  FIGURES(10, -1, -1, 11), FIGURES(10, 6, 5, -1),
					  FIGURES(INT64_MAX, INT64_MAX, 1, 0)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(quality_check(&wrong[i], &err), ERR_INVALID);
	}
}

static void they_are_written_with_their_rates(void **state)
{
	struct quality_figures figures = FIGURES(8, 6, -1, 1);
	struct quality_figures none = {.is_given = true};
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	figures.custom = STR("{\"x\":1}");
	assert_int_equal(quality_check(&figures, &err), ERR_OK);
	quality_put(&figures, &text);
	assert_string_equal(
	    text.ptr, "{\"record_count\":8,\"valid_count\":6,\"invalid_count\":2,\"null_count\":1,"
		      "\"valid_rate\":0.75,\"null_rate\":0.125,\"custom_metrics\":{\"x\":1}}");
	buf_clear(&text);
	quality_put(&none, &text);
	assert_string_equal(text.ptr, "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(thresholds_are_met_at_their_bounds),
	    cmocka_unit_test(each_threshold_that_is_missed_is_named),
	    cmocka_unit_test(no_records_have_no_rate),
	    cmocka_unit_test(a_missing_figure_is_not_a_threshold_that_is_met),
	    cmocka_unit_test(figures_that_contradict_each_other_are_refused),
	    cmocka_unit_test(they_are_written_with_their_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
