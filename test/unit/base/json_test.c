/* json_test.c - the JSON scanner and writer against jansson, and by examples. */
/* jansson has the same names for its types. */
#define json_type   our_json_type
#define JSON_OBJECT OUR_JSON_OBJECT
#define JSON_ARRAY  OUR_JSON_ARRAY
#define JSON_STRING OUR_JSON_STRING
#define JSON_NUMBER OUR_JSON_NUMBER
#define JSON_TRUE   OUR_JSON_TRUE
#define JSON_FALSE  OUR_JSON_FALSE
#define JSON_NULL   OUR_JSON_NULL
#include "base/json.h"
#undef json_type
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NUMBER
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/mem.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a generator with a fixed seed (SplitMix64, Steele et al. 2014) ---- */

static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static unsigned below(unsigned count)
{
	return (unsigned)(next() % count);
}

static const char *pick(const char *const *texts, size_t count)
{
	return texts[below((unsigned)count)];
}

static const char *const pieces[] = {
    "a",
    "b",
    "key",
    "0123456789",
    " ",
    "\\n",
    "\\\"",
    "\\u0041",
    "\\/",
    "\\ud83d\\ude00",
    "\xC3\xA9",
    "\xE2\x82\xAC",
    "\xF0\x9F\x98\x80",
    "\x7F",
    "\\u00e9",
    "\\\\",
    "\\b\\f\\r\\t",
    "abcdefgh",
    "\\u0000",
    "\xE2\x80\xA8",
    "'",
};
static const char *const broken[] = {
    "\x01",
    "\n",
    "\\x",
    "\\u12",
    "\\ud800",
    "\\udc00",
    "\\ud800\\u0041",
    "\xC0\x80",
    "\xED\xA0\x80",
    "\xF4\x90\x80\x80",
    "\xFF",
    "\xE2\x82",
    "\\",
    "\\uZZZZ",
    "\xE0\x80\x80",
};
static const char *const numbers[] = {
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "0.1",
    "1e5",
    "1E+5",
    "1e-5",
    "123456789012345678",
    "9e9",
    "1.0",
    "-1.25e-10",
    "9223372036854775807",
    "-9223372036854775808",
};
static const char *const broken_numbers[] = {
    "01", "-", "1.", ".5", "1e", "1e+", "+1", "--1", "0x1", "NaN", "Infinity", "-Infinity", "1.e5",
};
static const char *const words[] = {"true", "false", "null"};
static const char *const broken_words[] = {"tru", "True", "nul", "undefined", "falsey", "", ","};
static const char *const blanks[] = {"",   "",    "",   "",   " ",       "\n",
				     "\t", "\r ", "\v", "\f", "\xC2\xA0"};

#define PICK(table) pick(table, ARRAY_LEN(table))

static unsigned faults; /* one in so many choices is a broken one; 0 = none */

static bool fault(void)
{
	return faults && below(faults) == 0;
}

static void make_blank(struct buf *out)
{
	buf_text(out, fault() ? PICK(blanks) : blanks[below(8)]);
}

static void make_string(struct buf *out)
{
	buf_byte(out, '"');
	for (unsigned count = below(4); count; count--)
		buf_text(out, fault() ? PICK(broken) : PICK(pieces));
	if (!fault())
		buf_byte(out, '"');
}

static void make_value(struct buf *out, unsigned depth);

static void make_container(struct buf *out, unsigned depth, bool is_object)
{
	unsigned count = below(8) ? below(4) : below(20);

	buf_byte(out, is_object ? '{' : '[');
	for (unsigned i = 0; i < count; i++) {
		make_blank(out);
		if (is_object) {
			make_string(out);
			make_blank(out);
			buf_text(out, fault() ? "" : ":");
			make_blank(out);
		}
		make_value(out, depth + 1);
		make_blank(out);
		if (i + 1 < count || fault())
			buf_byte(out, ',');
	}
	make_blank(out);
	buf_byte(out, fault() ? ']' : is_object ? '}' : ']');
}

static void make_value(struct buf *out, unsigned depth)
{
	switch (below(depth > 4 ? 3 : 6)) {
	case 0:
		make_string(out);
		break;
	case 1:
		buf_text(out, fault() ? PICK(broken_numbers) : PICK(numbers));
		break;
	case 2:
		buf_text(out, fault() ? PICK(broken_words) : PICK(words));
		break;
	case 3:
		make_container(out, depth, false);
		break;
	default:
		make_container(out, depth, true);
	}
}

static void mutate(struct buf *text)
{
	static const char bytes[] = "{}[]\",:\\u0e+-. \n\x80\xE2\xF0tfn\0a1";
	size_t at = text->len ? below((unsigned)text->len) : 0;

	if (!text->len)
		return;
	switch (below(4)) {
	case 0:
		text->ptr[at] = bytes[below(sizeof(bytes) - 1)];
		break;
	case 1:
		text->ptr[at] = (char)((unsigned char)text->ptr[at] ^ (1u << below(8)));
		break;
	case 2:
		memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
		buf_cut(text, text->len - 1);
		break;
	default:
		buf_cut(text, at);
	}
}

/* ---- against jansson ---- */

static unsigned depth_of(const json_t *value)
{
	unsigned deepest = 0;
	const char *key;
	json_t *item;
	size_t i;

	if (!json_is_object(value) && !json_is_array(value))
		return 0;
	if (json_is_array(value)) {
		for (i = 0; i < json_array_size(value); i++) {
			unsigned depth = depth_of(json_array_get(value, i));

			deepest = depth > deepest ? depth : deepest;
		}
		return deepest + 1;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		unsigned depth = depth_of(item);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

/* Where jansson is stricter than RFC 8259: numbers that no double holds, NUL in a key. */
static bool is_its_own_limit(const json_error_t *problem)
{
	enum json_error_code code = json_error_code(problem);

	return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

/* Same decoded content, walked with json_member and json_item. */
static void same(const json_t *theirs, struct str ours)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct str key;
	struct str value;
	size_t at = 0;
	size_t count = 0;
	double number;
	int64_t integer;

	switch (json_typeof(theirs)) {
	case JSON_OBJECT: {
		assert_int_equal(json_type_of(ours), OUR_JSON_OBJECT);
		while (json_member(ours, &at, &key, &value)) {
			buf_clear(&text);
			json_decode(key, &text);
			same(json_object_get(theirs, text.len ? text.ptr : ""), value);
			count++;
		}
		assert_int_equal(count, json_object_size(theirs));
		break;
	}
	case JSON_ARRAY:
		while (json_item(ours, &at, &value))
			same(json_array_get(theirs, count++), value);
		assert_int_equal(count, json_array_size(theirs));
		break;
	case JSON_STRING:
		json_decode(ours, &text);
		assert_int_equal(text.len, json_string_length(theirs));
		assert_memory_equal(buf_view(&text).ptr, json_string_value(theirs), text.len);
		break;
	case JSON_INTEGER:
		assert_true(json_to_i64(ours, &integer));
		assert_int_equal(integer, json_integer_value(theirs));
		break;
	case JSON_REAL:
		assert_true(json_to_double(ours, &number));
		assert_true(number == json_real_value(theirs));
		break;
	case JSON_TRUE:
		assert_true(str_is(ours, "true"));
		break;
	case JSON_FALSE:
		assert_true(str_is(ours, "false"));
		break;
	case JSON_NULL:
		assert_true(str_is(ours, "null"));
		break;
	}
}

#define DEPTH 5

/* 1 accepted, 0 refused, by both. */
static int agree(struct str text)
{
	struct err err = ERR_INIT;
	json_error_t problem;
	json_t *theirs =
	    json_loadb(text.ptr, text.len,
		       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
	bool ours = json_check(text, DEPTH, &err) == ERR_OK;
	/* jansson takes a NUL byte behind the value for the end of the text. */
	bool wanted = theirs && depth_of(theirs) <= DEPTH && !str_has(text, '\0');

	if (ours != wanted && !(ours && !theirs && is_its_own_limit(&problem)))
		fail_msg("ours %d theirs %d (%s; %s): %.*s", ours, wanted, err.text, problem.text,
			 STR_ARG(text));
	if (ours && wanted)
		same(theirs, str_trim(text));
	json_decref(theirs);
	return ours;
}

/* Unmutated, the generator makes mostly good values; with faults and mutations mostly bad ones. */
static void scanner_and_jansson_agree_on_generated_values(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	unsigned accepted = 0;
	const unsigned cases = 120000;

	(void)unused;
	state = 20260131;
	for (unsigned i = 0; i < cases; i++) {
		buf_clear(&text);
		faults = i % 3 == 1 ? 40 : 0;
		make_value(&text, 0);
		for (unsigned n = i % 3 == 2 ? 1 + below(2) : 0; n; n--)
			mutate(&text);
		assert_int_equal(text.failed, ERR_OK);
		accepted += (unsigned)agree(buf_view(&text));
	}
	assert_in_range(accepted, cases / 3, cases * 4 / 5);
}

static void every_prefix_of_a_value_is_judged_as_jansson_does(void **unused)
{
	static const char text[] = " {\"a\": [1, -2.5e+3, \"x\\u00e9\\ud83d\\ude00\", {\"k\": "
				   "null, \"\xE2\x82\xAC\": true}],"
				   " \"b\":false}\n";

	(void)unused;
	for (size_t len = 0; len < sizeof(text); len++)
		(void)agree(str_from(text, len));
	assert_int_equal(agree(str_of(text)), 1);
}

static bool good(const char *text)
{
	struct err err = ERR_INIT;

	return json_check(str_of(text), JSON_DEPTH_MAX, &err) == ERR_OK;
}

static void a_key_twice_is_refused_however_it_is_written(void **unused)
{
	AUTO(buf_fini) struct buf many = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	assert_false(good("{\"a\":1,\"a\":1}"));
	assert_false(good("{\"a\":1,\"\\u0061\":1}"));
	assert_true(good("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"));
	assert_false(good("[{\"a\":[{}],\"b\":1,\"a\":2}]"));
	buf_byte(&many, '{');
	for (unsigned i = 0; i < 20000; i++)
		buf_fmt(&many, "\"k%u\":%u,", i, i);
	buf_text(&many, "\"z\":0}");
	assert_int_equal(json_check(buf_view(&many), 1, &err), ERR_OK);
	buf_cut(&many, many.len - 6);
	buf_text(&many, "\"k777\":0}");
	assert_int_equal(json_check(buf_view(&many), 1, &err), ERR_INVALID);
}

static void short_memory_is_an_error_of_its_own(void **unused)
{
	AUTO(buf_fini) struct buf many = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	buf_byte(&many, '{');
	for (unsigned i = 0; i < 100; i++)
		buf_fmt(&many, "\"k%u\":%u,", i, i);
	buf_text(&many, "\"z\":0}");
	mem_fail_at(1, 0);
	assert_int_equal(json_check(buf_view(&many), 1, &err), ERR_MEMORY);
	mem_fail_at(0, 0);
}

static void nesting_stops_at_the_depth_that_was_asked_for(void **unused)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	struct err err = ERR_INIT;

	(void)unused;
	for (unsigned depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		assert_int_equal(good(text), depth <= JSON_DEPTH_MAX);
		if (depth <= JSON_DEPTH_MAX)
			assert_int_equal(json_check(str_of(text), depth - 1, &err), ERR_INVALID);
	}
}

static void the_error_names_the_byte(void **unused)
{
	struct err err = ERR_INIT;

	(void)unused;
	assert_int_equal(json_check(STR("[1, 2, x]"), 4, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "byte 7"));
}

static void texts_come_back_as_they_went_in(void **unused)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(buf_fini) struct buf back = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	for (unsigned code = 1; code < 0x110000; code += code < 0x3000 ? 1 : 97) {
		char one[5] = {0};

		if (code >= 0xD800 && code < 0xE000)
			continue;
		buf_clear(&text);
		buf_clear(&line);
		buf_clear(&back);
		if (code < 0x80)
			one[0] = (char)code;
		else if (code < 0x800)
			memcpy(one, (char[]){(char)(0xC0 | code >> 6), (char)(0x80 | (code & 63))},
			       2);
		else if (code < 0x10000)
			memcpy(one,
			       (char[]){(char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
					(char)(0x80 | (code & 63))},
			       3);
		else
			memcpy(one,
			       (char[]){(char)(0xF0 | code >> 18), (char)(0x80 | (code >> 12 & 63)),
					(char)(0x80 | (code >> 6 & 63)),
					(char)(0x80 | (code & 63))},
			       4);
		for (unsigned i = 0; i < code % 11; i++)
			buf_byte(&text, 'x');
		buf_text(&text, one);
		buf_text(&text, "tail");
		json_put_str(&line, buf_view(&text));
		assert_int_equal(json_check(buf_view(&line), 0, &err), ERR_OK);
		json_decode(buf_view(&line), &back);
		assert_true(str_eq(buf_view(&back), buf_view(&text)));
		assert_true(code != 0x7F || strstr(line.ptr, "\\u007f"));
		assert_true((code != 0x2028 && code != 0x2029) || strstr(line.ptr, "\\u202"));
	}
}

static void malformed_bytes_are_written_as_replacement_characters(void **unused)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;

	(void)unused;
	json_put_str(&line, STR("a\xFF\xE2\x82z"));
	assert_string_equal(line.ptr, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

static void doubles_come_back_equal_and_short(void **unused)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {
	    {0, "0"},
	    {-0.0, "-0.0"},
	    {1, "1"},
	    {-17, "-17"},
	    {0.1, "0.1"},
	    {1.5, "1.5"},
	    {-2.25, "-2.25"},
	    {1e300, "1e300"},
	    {1.25e-7, "1.25e-7"},
	    {0.00012, "0.00012"},
	    {9007199254740991.0, "9007199254740991"},
	    {9007199254740992.0, "9007199254740992"},
	    {1e17, "1e17"},
	    {123456.789, "123456.789"},
	    {5e-324, "4.94065645841247e-324"},
	};
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	double back;

	(void)unused;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_clear(&text);
		json_put_double(&text, rows[i].value);
		assert_string_equal(text.ptr, rows[i].text);
	}
	state = 7;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t bits = next();
		double value;

		memcpy(&value, &bits, sizeof(value));
		if (i % 3 == 0)
			value = (double)(int64_t)(bits >> 12) / 1000;
		if (!isfinite(value))
			continue;
		buf_clear(&text);
		json_put_double(&text, value);
		assert_int_equal(json_check(buf_view(&text), 0, &err), ERR_OK);
		assert_true(json_to_double(buf_view(&text), &back));
		assert_true(back == value);
	}
}

static void values_are_found_by_key(void **unused)
{
	struct str object = STR("{ \"a\" : [1,{\"b\":2}] , \"n\\u0061me\":\"x\", \"b\": -3 }");
	struct str plain;
	int64_t number;

	(void)unused;
	assert_true(str_is(json_get(object, "a"), "[1,{\"b\":2}]"));
	assert_true(str_is(json_get(object, "name"), "\"x\""));
	assert_true(json_to_i64(json_get(object, "b"), &number) && number == -3);
	assert_null(json_get(object, "c").ptr);
	assert_true(json_plain(json_get(object, "name"), &plain) && str_is(plain, "x"));
	assert_false(json_plain(STR("\"a\\n\""), &plain));
	assert_false(json_to_i64(STR("1.0"), &number));
	assert_false(json_to_i64(STR("9223372036854775808"), &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(scanner_and_jansson_agree_on_generated_values),
	    cmocka_unit_test(every_prefix_of_a_value_is_judged_as_jansson_does),
	    cmocka_unit_test(a_key_twice_is_refused_however_it_is_written),
	    cmocka_unit_test(short_memory_is_an_error_of_its_own),
	    cmocka_unit_test(nesting_stops_at_the_depth_that_was_asked_for),
	    cmocka_unit_test(the_error_names_the_byte),
	    cmocka_unit_test(texts_come_back_as_they_went_in),
	    cmocka_unit_test(malformed_bytes_are_written_as_replacement_characters),
	    cmocka_unit_test(doubles_come_back_equal_and_short),
	    cmocka_unit_test(values_are_found_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
