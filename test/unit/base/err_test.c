/* err_test.c - the error table by enumeration, and the rules of err.h. */
#include "support/unit.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

static const enum err_code codes[] = {
#define ERR(name, value, exit, http, class, text) ERR_##name,
#include "base/err.def"
};

/* S13: the exit statuses, and no other. */
static void s13_every_code_has_its_exit_status(void **state)
{
	static const struct {
		enum err_code code;
		int exit;
	} expected[] = {
	    {ERR_OK, 0},     {ERR_USAGE, 2},       {ERR_INVALID, 2}, {ERR_REFUSED, 3},
	    {ERR_EXISTS, 3}, {ERR_CONFLICT, 3},    {ERR_LOCKED, 8},  {ERR_NOT_FOUND, 9},
	    {ERR_IO, 10},    {ERR_FULL, 10},       {ERR_MEMORY, 10}, {ERR_CORRUPT, 7},
	    {ERR_NEWER, 11}, {ERR_UNSUPPORTED, 2}, {ERR_LIMIT, 2},   {ERR_GONE, 10},
	};

	(void)state;
	assert_int_equal(ARRAY_LEN(expected), ARRAY_LEN(codes) + 1);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(err_exit_status(expected[i].code), expected[i].exit);
}

static void every_code_has_a_name_a_text_and_an_http_status_of_its_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		int http = err_http_status(codes[i]);

		assert_true(strlen(err_name(codes[i])) > 1);
		assert_true(strlen(err_about(codes[i])) > 10);
		assert_true(http >= 400 && http < 600);
		if (err_class(codes[i]) == ERR_CLASS_HALT)
			assert_int_equal(http, 500);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(err_name(codes[i]), err_name(codes[j]));
	}
}

/* S1.3: what is not known stops everything. */
static void an_unknown_code_halts(void **state)
{
	(void)state;
	assert_int_equal(err_class((enum err_code)99), ERR_CLASS_HALT);
	assert_int_equal(err_exit_status((enum err_code)99), 10);
	assert_string_equal(err_name((enum err_code)99), "UNKNOWN");
}

static void s11_3_a_failed_write_and_damage_halt(void **state)
{
	(void)state;
	assert_int_equal(err_class(ERR_IO), ERR_CLASS_HALT);
	assert_int_equal(err_class(ERR_CORRUPT), ERR_CLASS_HALT);
	assert_int_equal(err_class(ERR_FULL), ERR_CLASS_RETRY);
	assert_int_equal(err_class(ERR_LOCKED), ERR_CLASS_RETRY);
	assert_int_equal(err_class(ERR_REFUSED), ERR_CLASS_CALLER);
}

static void a_failure_keeps_code_place_and_text(void **state)
{
	struct err err = ERR_INIT;
	int line = __LINE__ + 1;
	enum err_code code = err_set(&err, ERR_REFUSED, "'%s' is not a failed gate", "g");

	(void)state;
	assert_int_equal(code, ERR_REFUSED);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(err.line, line);
	assert_non_null(strstr(err.file, "err_test.c"));
	assert_string_equal(err.text, "'g' is not a failed gate");
	assert_string_equal(err.hint, "");
}

static void context_is_put_before_the_text_from_the_inside_out(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	(void)err_set(&err, ERR_IO, "no space");
	assert_int_equal(err_while(&err, "append record %d", 7), ERR_IO);
	assert_int_equal(err_while(&err, "commit"), ERR_IO);
	assert_string_equal(err.text, "commit: append record 7: no space");
}

static void a_hint_is_kept_through_context_and_dropped_by_a_new_error(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	(void)err_set(&err, ERR_USAGE, "bad");
	assert_int_equal(err_hint(&err, "did you mean '%s'?", "x"), ERR_USAGE);
	(void)err_while(&err, "read");
	assert_string_equal(err.hint, "did you mean 'x'?");
	(void)err_set(&err, ERR_IO, "worse");
	assert_string_equal(err.hint, "");
	err_reset(&err);
	assert_int_equal(err.code, ERR_OK);
	assert_string_equal(err.text, "");
}

static void a_long_text_is_cut_and_ended(void **state)
{
	struct err err = ERR_INIT;
	char text[2 * ERR_TEXT_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_USAGE, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
	(void)err_while(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
	(void)err_hint(&err, "%s", text);
	assert_int_equal(strlen(err.hint), ERR_HINT_BYTES - 1);
}

static void errno_decides_the_code(void **state)
{
	static const struct {
		int number;
		enum err_code code;
	} expected[] = {
	    {ENOSPC, ERR_FULL},      {EDQUOT, ERR_FULL}, {EFBIG, ERR_FULL}, {ENOMEM, ERR_MEMORY},
	    {ENOENT, ERR_NOT_FOUND}, {EIO, ERR_IO},      {EACCES, ERR_IO},  {0, ERR_IO},
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_int_equal(err_sysno(&err, expected[i].number, "open '%s'", "f"),
				 expected[i].code);
		assert_int_equal(err.sys, expected[i].number);
		assert_int_equal(strncmp(err.text, "open 'f': ", 10), 0);
	}
	errno = ENOSPC;
	assert_int_equal(err_sys(&err, "write"), ERR_FULL);
	assert_int_equal(err.sys, ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s13_every_code_has_its_exit_status),
	    cmocka_unit_test(every_code_has_a_name_a_text_and_an_http_status_of_its_class),
	    cmocka_unit_test(an_unknown_code_halts),
	    cmocka_unit_test(s11_3_a_failed_write_and_damage_halt),
	    cmocka_unit_test(a_failure_keeps_code_place_and_text),
	    cmocka_unit_test(context_is_put_before_the_text_from_the_inside_out),
	    cmocka_unit_test(a_hint_is_kept_through_context_and_dropped_by_a_new_error),
	    cmocka_unit_test(a_long_text_is_cut_and_ended),
	    cmocka_unit_test(errno_decides_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
