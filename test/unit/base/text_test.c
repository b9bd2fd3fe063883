/* text_test.c - str, timefmt and limit: what is accepted and what is not. */
#include "support/unit.h"

#include "base/limit.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include <string.h>

#define BYTES(literal) str_from(literal, sizeof(literal) - 1)

static void slices_are_compared_and_cut_by_bytes(void **state)
{
	(void)state;
	assert_true(str_eq(STR_NONE, STR("")));
	assert_false(str_eq(STR("a"), STR("b")));
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
	assert_true(str_starts(STR("x-note"), "x-"));
	assert_false(str_starts(STR("x"), "x-"));
	assert_true(str_starts(STR_NONE, ""));
	assert_true(str_ends(STR("a.log"), ".log"));
	assert_true(str_ends(STR_NONE, ""));
	assert_true(str_has(BYTES("a\0b"), '\0'));
	assert_false(str_has(STR_NONE, 'a'));
	assert_text(str_cut(STR("hello"), 1, 3), "el");
	assert_text(str_cut(STR("hello"), 9, 12), "");
	assert_text(str_cut(STR("hello"), 0, SIZE_MAX), "hello");
	assert_text(str_trim(STR(" \t\r\n a b \n")), "a b");
	assert_text(str_trim(STR(" \n")), "");
}

static void finding_goes_to_the_end_and_never_past_it(void **state)
{
	(void)state;
	assert_int_equal(str_find(STR("a=b=c"), "=", 0), 1);
	assert_int_equal(str_find(STR("a=b=c"), "=", 2), 3);
	assert_int_equal(str_find(STR("a=b=c"), "c", 0), 4);
	assert_true(str_find(STR("a=b=c"), "cd", 0) == SIZE_MAX);
	assert_true(str_find(STR("a"), "abc", 0) == SIZE_MAX);
	assert_true(str_find(STR("abc"), "a", SIZE_MAX) == SIZE_MAX);
	assert_true(str_find(STR_NONE, "a", 0) == SIZE_MAX);
	assert_int_equal(str_find(STR("abc"), "", 3), 3);
}

static void numbers_are_whole_and_fit(void **state)
{
	static const char *const bad[] = {
	    "", "-", "+1", " 1", "1 ", "0x1", "1.0", "1e3", "--1", "1_000", "18446744073709551616"};
	int64_t i64 = 42;
	uint64_t u64 = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(str_to_u64(str_of(bad[i]), &u64));
		assert_false(str_to_i64(str_of(bad[i]), &i64));
	}
	assert_false(str_to_u64(STR("-1"), &u64));
	assert_false(str_to_i64(STR("9223372036854775808"), &i64));
	assert_false(str_to_i64(STR("-9223372036854775809"), &i64));
	assert_int_equal(i64, 42);
	assert_true(u64 == 42);
	assert_true(str_to_i64(STR("-9223372036854775808"), &i64) && i64 == INT64_MIN);
	assert_true(str_to_i64(STR("9223372036854775807"), &i64) && i64 == INT64_MAX);
	assert_true(str_to_u64(STR("18446744073709551615"), &u64) && u64 == UINT64_MAX);
	assert_true(str_to_i64(STR("-0"), &i64) && i64 == 0);
}

static void doubles_are_finite_and_decimal(void **state)
{
	static const char *const bad[] = {"",      ".",  "-",  "nan", "inf", "0x1p3",
					  "1e400", " 1", "1 ", "1,5", "1e",  "1.2.3"};
	double value = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(str_to_double(str_of(bad[i]), &value));
	assert_false(str_to_double(BYTES("1\0"), &value));
	assert_true(value == 42);
	assert_true(str_to_double(STR("-1.5e2"), &value) && value == -150);
	assert_true(str_to_double(STR("0.25"), &value) && value == 0.25);
}

/* Unicode 15, table 3-7: the first and last well-formed sequence of each row, and what lies beside
 * it. */
static void bytes_are_two_lower_case_digits_each(void **state)
{
	char text[7] = "xxxxxx";

	(void)state;
	hex_write("\x00\xff\x1a", 3, text);
	assert_string_equal(text, "00ff1a");
	hex_write(NULL, 0, text);
	assert_string_equal(text, "");
}

static void utf_8_is_that_of_table_3_7(void **state)
{
	static const struct {
		const char *bytes;
		size_t len; /* 0 = malformed */
	} rows[] = {
	    {"\x01", 1},
	    {"\x7f", 1},
	    {"\xc2\x80", 2},
	    {"\xdf\xbf", 2},
	    {"\xe0\xa0\x80", 3},
	    {"\xe0\xbf\xbf", 3},
	    {"\xe1\x80\x80", 3},
	    {"\xec\xbf\xbf", 3},
	    {"\xed\x80\x80", 3},
	    {"\xed\x9f\xbf", 3},
	    {"\xee\x80\x80", 3},
	    {"\xef\xbf\xbf", 3},
	    {"\xf0\x90\x80\x80", 4},
	    {"\xf0\xbf\xbf\xbf", 4},
	    {"\xf1\x80\x80\x80", 4},
	    {"\xf3\xbf\xbf\xbf", 4},
	    {"\xf4\x80\x80\x80", 4},
	    {"\xf4\x8f\xbf\xbf", 4},
	    {"\x80", 0},
	    {"\xbf", 0},
	    {"\xc0\x80", 0},
	    {"\xc1\xbf", 0},
	    {"\xc2", 0},
	    {"\xc2\x7f", 0},
	    {"\xc2\xc0", 0},
	    {"\xe0\x9f\xbf", 0},
	    {"\xe0\xa0", 0},
	    {"\xe1\x80\xc0", 0},
	    {"\xed\xa0\x80", 0},
	    {"\xed\xbf\xbf", 0},
	    {"\xf0\x8f\xbf\xbf", 0},
	    {"\xf0\x90\x80", 0},
	    {"\xf1\x80\x80\x7f", 0},
	    {"\xf4\x90\x80\x80", 0},
	    {"\xf5\x80\x80\x80", 0},
	    {"\xff", 0},
	    {"\xfe", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char longer[32] = "eight by";

		assert_int_equal(utf8_len(str_of(rows[i].bytes)), rows[i].len);
		assert_int_equal(utf8_valid(str_of(rows[i].bytes)), rows[i].len != 0);
		(void)strncat(longer, rows[i].bytes, 5);
		(void)strncat(longer, "tail of text", 13);
		assert_int_equal(utf8_valid(str_of(longer)), rows[i].len != 0);
	}
	assert_true(utf8_valid(BYTES("a\0b")));
	assert_true(utf8_valid(STR_NONE));
	assert_int_equal(utf8_len(STR_NONE), 0);
}

static void a_text_is_cut_before_a_sequence_that_does_not_fit(void **state)
{
	static const struct {
		const char *bytes;
		size_t max;
		size_t len;
	} rows[] = {
	    {"", 0, 0},
	    {"abc", 0, 0},
	    {"abc", 2, 2},
	    {"abc", 3, 3},
	    {"a\xC3\xA9", 3, 3},
	    {"a\xC3\xA9", 2, 1},
	    {"a\xC3\xA9", 1, 1},
	    {"\xC3\xA9", 1, 0},
	    {"\xE2\x82\xAC"
	     "b",
	     3, 3},
	    {"\xE2\x82\xAC"
	     "b",
	     2, 0},
	    {"\xE2\x82\xAC"
	     "b",
	     1, 0},
	    {"a\xF0\x9F\x98\x80", 4, 1},
	    {"a\xF0\x9F\x98\x80", 3, 1},
	    {"a\xF0\x9F\x98\x80", 2, 1},
	    {"a\xF0\x9F\x98\x80", 5, 5},
	    {"\xBF\xBF\xBF\xBF\xBF", 4, 4}, /* malformed */
	    {"\xE2\x82", 1, 1},
	    {"a\xFF\xBF", 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str cut = utf8_cut(str_of(rows[i].bytes), rows[i].max);

		assert_int_equal(cut.len, rows[i].len);
	}
	assert_int_equal(utf8_cut(STR_NONE, 5).len, 0);
	assert_int_equal(utf8_cut(STR("abc"), SIZE_MAX).len, 3);
}

/* Nothing that a path, a line or a shell could take for something else. */
static void ids_and_names_refuse_a_hostile_corpus(void **state)
{
	static const struct str bad[] = {
	    {"", 0},   {".", 1},     {"..", 2},       {"a..b", 4}, {"../a", 4}, {"a/b", 3},
	    {"/", 1},  {"a\0b", 3},  {"a\nb", 3},     {"a ", 2},   {" a", 2},   {"-a", 2},
	    {".a", 2}, {"a\x7f", 2}, {"\xc3\xa4", 2}, {"a$b", 3},  {"a\\b", 3}, {"a:b", 3},
	    {"a*", 2}, {"~", 1},     {"a\r", 2},      {"a;b", 3},  {"a=b", 3},  {"\xff", 1},
	};
	char text[257];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(id_valid(bad[i]));
		assert_false(name_valid(bad[i]));
	}
	memset(text, 'a', sizeof(text));
	assert_false(id_valid(str_from(text, 256)));
	assert_false(id_valid(str_from(text, 129)));
	assert_true(id_valid(str_from(text, 128)));
	assert_false(name_valid(str_from(text, 65)));
	assert_true(name_valid(str_from(text, 64)));
	assert_true(id_valid(STR("2026-01-31T12.00_a")));
	assert_true(id_valid(STR("a.")));
	assert_true(name_valid(STR("_a9")));
	assert_false(name_valid(STR("9a")));
	assert_false(name_valid(STR("a-b")));
	assert_false(name_valid(STR("a.b")));
}

static void the_nearest_word_is_what_was_meant(void **state)
{
	static const char *const verbs[] = {"status", "stats"};
	static const char *const words[] = {"needs", "needs_any", "retry", "run", "on_failure"};
	char longest[100];

	(void)state;
	assert_string_equal(str_nearest(STR("nedes"), words, 5), "needs");
	assert_string_equal(str_nearest(STR("retries"), words, 5), "retry");
	assert_string_equal(str_nearest(STR("on_failiure"), words, 5), "on_failure");
	assert_string_equal(str_nearest(STR("run"), words, 5), "run");
	assert_string_equal(str_nearest(STR("stauts"), verbs, 2), "status"); /* as near as stats */
	assert_null(str_nearest(STR("zzzzzz"), words, 5));
	assert_null(str_nearest(STR(""), words, 5));
	assert_null(str_nearest(STR("needs"), words, 0));
	memset(longest, 'n', sizeof(longest));
	assert_null(str_nearest(str_from(longest, sizeof(longest)), words, 5));
}

static void stamps_go_there_and_back(void **state)
{
	uint64_t seed = 3;
	char text[STAMP_BYTES + 1];
	int64_t back;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		int64_t ms = (int64_t)(random_next(&seed) % 315569520000000) - 62167219200000;

		stamp_write(ms, text);
		assert_int_equal(strlen(text), STAMP_BYTES);
		assert_true(stamp_read(str_of(text), &back));
		assert_true(back == ms);
	}
}

static void stamps_are_those_of_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
	    {"1970-01-01T00:00:00.000Z", 0},
	    {"1969-12-31T23:59:59.999Z", -1},
	    {"1985-04-12T23:20:50.52Z", 482196050520},
	    {"1996-12-19T16:39:57-08:00", 851042397000},
	    {"1990-12-31T23:59:60Z", 662688000000},
	    {"1937-01-01T12:00:27.87+00:20", -1041337172130},
	    {"2000-02-29T00:00:00Z", 951782400000},
	    {"2026-01-31T12:00:00.0019999999999999999999Z", 1769860800001},
	    {"2026-01-31t12:00:00z", 1769860800000},
	    {"9999-12-31T23:59:59.999Z", 253402300799999},
	    {"0000-01-01T00:00:00.000Z", -62167219200000},
	};
	static const char *const bad[] = {
	    "",
	    "2026",
	    "2026-01-31",
	    "2026-01-31T12:00:00",
	    "2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z",
	    "2026-01-32T00:00:00Z",
	    "2026-04-31T00:00:00Z",
	    "2026-02-29T00:00:00Z",
	    "1900-02-29T00:00:00Z",
	    "2026-01-31T24:00:00Z",
	    "2026-01-31T12:60:00Z",
	    "2026-01-31T12:00:61Z",
	    "2026-01-31T12:00:00.Z",
	    "2026-01-31T12:00:00.5",
	    "2026-01-31T12:00:00+24:00",
	    "2026-01-31T12:00:00+0100",
	    "2026-01-31T12:00:00ZZ",
	    "2026-01-31T12:00:00Z ",
	    " 2026-01-31T12:00:00Z",
	    "2026-1-31T12:00:00.00Z",
	    "2026-01-31T-1:00:00Z",
	    "2o26-01-31T12:00:00Z",
	};
	char text[STAMP_BYTES + 1];
	int64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (stamp_read(str_of(bad[i]), &ms))
			fail_msg("'%s' was read as a time", bad[i]);
		assert_true(ms == 42);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(stamp_read(str_of(rows[i].text), &ms));
		if (ms != rows[i].ms)
			fail_msg("%s: %lld", rows[i].text, (long long)ms);
	}
	stamp_write(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	stamp_write(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void durations_need_a_unit_and_add_up(void **state)
{
	static const char *const bad[] = {"",   "5",    "ms",   "-5s",     "5 s",
					  "5S", "1.5s", "5sec", "1h30",    "+5s",
					  "s5", "5s ",  "300y", "106752d", "9223372036854775808ns"};
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
	    {"250ms", 250 * NS_PER_MS},
	    {"30s", 30 * NS_PER_S},
	    {"10m", 600 * NS_PER_S},
	    {"2h", 7200 * NS_PER_S},
	    {"1d", 86400 * NS_PER_S},
	    {"1h30m", 5400 * NS_PER_S},
	    {"0s", 0},
	    {"1us", 1000},
	    {"1ns", 1},
	    {"1m1ms", 60001 * NS_PER_MS},
	};
	int64_t ns = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (duration_read(str_of(bad[i]), &ns))
			fail_msg("'%s' was read as a duration", bad[i]);
		assert_true(ns == 42);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(duration_read(str_of(rows[i].text), &ns));
		assert_true(ns == rows[i].ns);
	}
}

static void an_exact_duration_is_read_back_equal(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		static const int64_t units[] = {1,        1000,          NS_PER_MS,
						NS_PER_S, 60 * NS_PER_S, 86400 * NS_PER_S};
		AUTO(buf_fini) struct buf text = BUF_INIT;
		int64_t ns = (int64_t)(random_next(&seed) % 100000) * units[i % 6];
		int64_t back;

		duration_exact(&text, ns);
		assert_true(duration_read(buf_view(&text), &back));
		assert_true(back == ns);
	}
}

static void durations_read_well(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
	    {1250, "1.25s"},         {0, "0.00s"},
	    {725 * 1000, "12m 5s"},  {10920 * 1000, "3h 2m"},
	    {90000 * 1000, "1d 1h"}, {59999, "59.99s"},
	    {-5000, "0.00s"},        {INT64_MAX, "106751991167d 7h"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf_fini) struct buf text = BUF_INIT;

		duration_human(&text, rows[i].ms);
		assert_text(buf_view(&text), rows[i].text);
	}
}

static void sizes_need_a_unit_and_fit(void **state)
{
	static const char *const bad[] = {
	    "",    "5",      "MiB",  "5MB",         "5 MiB",
	    "-1B", "1.5KiB", "5mib", "16777216TiB", "18446744073709551616B"};
	uint64_t bytes = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(size_read(str_of(bad[i]), &bytes));
		assert_true(bytes == 42);
	}
	assert_true(size_read(STR("512B"), &bytes) && bytes == 512);
	assert_true(size_read(STR("64KiB"), &bytes) && bytes == 65536);
	assert_true(size_read(STR("1GiB"), &bytes) && bytes == 1073741824);
	assert_true(size_read(STR("16777215TiB"), &bytes) && bytes == UINT64_C(16777215) << 40);
}

static void a_limit_is_set_by_its_name(void **state)
{
	struct limits limits;
	struct err err = ERR_INIT;

	(void)state;
	limits_default(&limits);
	assert_int_equal(limits.steps, 20000);
	assert_int_equal(limits.line_bytes, 1048576);
	assert_ok(limits_set(&limits, STR("steps=7"), &err), &err);
	assert_int_equal(limits.steps, 7);
	assert_ok(limits_set(&limits, STR("blob_bytes=1GiB"), &err), &err);
	assert_int_equal(limits.blob_bytes, 1073741824);
	assert_ok(limits_set(&limits, STR("blob_bytes=9"), &err), &err);
	assert_int_equal(limits.blob_bytes, 9);
}

static void a_limit_over_the_largest_counts_as_that(void **state)
{
	struct limits limits;
	struct err err = ERR_INIT;

	(void)state;
	limits_default(&limits);
	assert_ok(limits_set(&limits, STR("steps=18446744073709551615"), &err), &err);
	assert_int_equal(limits.steps, LIMIT_VALUE_MAX);
	assert_ok(limits_set(&limits, STR("line_bytes=9223372036854775807B"), &err), &err);
	assert_int_equal(limits.line_bytes, LIMIT_VALUE_MAX);
	assert_ok(limits_set(&limits, STR("steps=1152921504606846976"), &err), &err);
	assert_int_equal(limits.steps, LIMIT_VALUE_MAX);
}

static void times_that_do_not_fit_are_the_farthest_there_is(void **state)
{
	(void)state;
	assert_int_equal(time_after(1, 2), 3);
	assert_int_equal(time_after(5, -7), -2);
	assert_int_equal(time_after(1, INT64_MAX), INT64_MAX);
	assert_int_equal(time_after(INT64_MAX, INT64_MAX), INT64_MAX);
	assert_int_equal(time_after(-2, INT64_MIN), INT64_MIN);
	assert_int_equal(ns_of_ms(3), 3000000);
	assert_int_equal(ns_of_ms(-3), -3000000);
	assert_int_equal(ns_of_ms(INT64_MAX / NS_PER_MS), INT64_MAX / NS_PER_MS * NS_PER_MS);
	assert_int_equal(ns_of_ms(INT64_MAX / NS_PER_MS + 1), INT64_MAX);
	assert_int_equal(ns_of_ms(INT64_MIN), INT64_MIN);
}

static void a_limit_that_is_unknown_or_malformed_is_refused(void **state)
{
	static const char *const bad[] = {"steps", "steps=", "steps=1KiB", "steps=-1",
					  "=1",    "",       "steps =1"};
	struct limits limits;
	struct err err = ERR_INIT;

	(void)state;
	limits_default(&limits);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(limits_set(&limits, str_of(bad[i]), &err), ERR_USAGE);
		assert_int_equal(limits.steps, 20000);
	}
	assert_int_equal(limits_set(&limits, STR("stebs=1"), &err), ERR_USAGE);
	assert_string_equal(err.hint, "did you mean 'steps'?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slices_are_compared_and_cut_by_bytes),
	    cmocka_unit_test(finding_goes_to_the_end_and_never_past_it),
	    cmocka_unit_test(numbers_are_whole_and_fit),
	    cmocka_unit_test(doubles_are_finite_and_decimal),
	    cmocka_unit_test(bytes_are_two_lower_case_digits_each),
	    cmocka_unit_test(utf_8_is_that_of_table_3_7),
	    cmocka_unit_test(a_text_is_cut_before_a_sequence_that_does_not_fit),
	    cmocka_unit_test(ids_and_names_refuse_a_hostile_corpus),
	    cmocka_unit_test(the_nearest_word_is_what_was_meant),
	    cmocka_unit_test(stamps_go_there_and_back),
	    cmocka_unit_test(stamps_are_those_of_rfc_3339),
	    cmocka_unit_test(durations_need_a_unit_and_add_up),
	    cmocka_unit_test(an_exact_duration_is_read_back_equal),
	    cmocka_unit_test(durations_read_well),
	    cmocka_unit_test(sizes_need_a_unit_and_fit),
	    cmocka_unit_test(a_limit_is_set_by_its_name),
	    cmocka_unit_test(a_limit_over_the_largest_counts_as_that),
	    cmocka_unit_test(times_that_do_not_fit_are_the_farthest_there_is),
	    cmocka_unit_test(a_limit_that_is_unknown_or_malformed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
