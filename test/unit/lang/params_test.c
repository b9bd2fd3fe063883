/* params_test.c - values of parameters: converted, checked, carried as data */
#include "base/mem.h"
#include "lang/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char definition[] = "pipeline: p\n"
				 "params:\n"
				 "  name: {type: string, default: x}\n"
				 "  count: {type: int, min: 1, max: 10}\n"
				 "  ratio: {type: number, default: 0.5, max: 1}\n"
				 "  flag: {type: bool}\n"
				 "  mode: {type: enum, values: [fast, full], default: full}\n"
				 "  file: {type: path}\n"
				 "  wait: {type: duration}\n"
				 "  room: {type: size}\n"
				 "  list: {type: list}\n"
				 "  map: {type: object}\n"
				 "  day: {type: string, pattern: '%d+-%d+'}\n"
				 "  token: {type: secret, from: {env: API_TOKEN}}\n"
				 "steps: {a: {noop: true}}\n";

struct fixture {
	struct model *model;
	struct arena arena;
	struct str params[16];
	struct err err;
	struct limits limits;
};

static void load(const char *text, struct fixture *fixture)
{
	AUTO(diags_fini) struct diags diags;

	*fixture = (struct fixture){.err = ERR_INIT};
	limits_default(&fixture->limits);
	diags_init(&diags, 10);
	assert_int_equal(lang_load(str_of(text), STR("/"), &fixture->limits, &diags,
				   &fixture->model, &fixture->err),
			 ERR_OK);
}

static void fixture_fini(struct fixture *fixture)
{
	model_free(fixture->model);
	arena_fini(&fixture->arena);
}

static const char *value_of(const struct fixture *fixture, const char *name)
{
	for (uint32_t i = 0; i < fixture->model->params_count; i++) {
		if (str_is(fixture->model->params[i].name, name))
			return fixture->params[i].ptr;
	}
	return NULL;
}

static enum err_code give(struct fixture *fixture, struct str assignment, const char *file)
{
	err_reset(&fixture->err);
	return lang_params(fixture->model, &assignment, assignment.ptr ? 1 : 0, str_of(file),
			   &fixture->limits, &fixture->arena, fixture->params, &fixture->err);
}

#define accept(assignment, name, json) \
	do { \
		assert_int_equal(give(&fixture, STR(assignment), NULL), ERR_OK); \
		assert_string_equal(value_of(&fixture, name), json); \
	} while (0)

#define refuse(assignment, expected) \
	do { \
		assert_int_equal(give(&fixture, STR(assignment), NULL), ERR_USAGE); \
		assert_string_equal(fixture.err.text, expected); \
	} while (0)

static void texts_are_converted_by_the_declared_type(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;

	(void)state;
	load(definition, &fixture);
	accept("count=7", "count", "7");
	accept("count=007", "count", "7");
	accept("ratio=1e-3", "ratio", "0.001");
	accept("ratio=-3", "ratio", "-3");
	accept("flag=true", "flag", "true");
	accept("mode=fast", "mode", "\"fast\"");
	accept("file=a b/c", "file", "\"a b/c\"");
	accept("wait=1h30m", "wait", "\"1h30m\"");
	accept("room=64KiB", "room", "\"64KiB\"");
	accept("list= [1, \"a b\", [ ]] ", "list", "[1,\"a b\",[]]");
	accept("map={\"a\": {\"b\" : null}}", "map", "{\"a\":{\"b\":null}}");
	accept("day=2026-01", "day", "\"2026-01\"");
	accept("name=", "name", "\"\"");
	accept("name=a=b", "name", "\"a=b\"");
}

static void defaults_and_secrets_are_filled_in(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;

	(void)state;
	load(definition, &fixture);
	assert_int_equal(give(&fixture, STR_NONE, NULL), ERR_OK);
	assert_string_equal(value_of(&fixture, "name"), "\"x\"");
	assert_string_equal(value_of(&fixture, "ratio"), "0.5");
	assert_string_equal(value_of(&fixture, "token"), "{\"secret\":\"token\"}");
	assert_null(value_of(&fixture, "count"));
	assert_int_equal(lang_params_check(fixture.model, fixture.params, &fixture.err), ERR_OK);
}

static void what_does_not_fit_is_refused_with_what_is_expected(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;

	(void)state;
	load(definition, &fixture);
	refuse("count=x", "'count' must be a whole number, not 'x'");
	refuse("count=1.0", "'count' must be a whole number, not '1.0'");
	refuse("count=11", "'count' must be at least 1 and at most 10");
	refuse("count=0x5", "'count' must be a whole number, not '0x5'");
	refuse("ratio=nan", "'ratio' must be a number, not 'nan'");
	refuse("ratio=1.5", "'ratio' must be at most 1");
	refuse("flag=yes", "'flag' must be true or false, not 'yes'");
	refuse("mode=slow", "'mode' must be one of fast, full");
	refuse("file=", "'file' must be a path that is not empty, not ''");
	refuse("wait=30", "'wait' must be a duration such as 30s, not '30'");
	refuse("room=30", "'room' must be a size such as 64KiB, not '30'");
	refuse("list={}", "'list' must be a JSON list, not '{}'");
	refuse("map=[]", "'map' must be a JSON object, not '[]'");
	refuse("map={\"a\":1,\"a\":2}", "'map' must be a JSON object, not '{\"a\":1,\"a\":2}'");
	refuse("day=x", "'day' must match the pattern %d+-%d+, not be 'x'");
	refuse("cuont=1", "there is no parameter 'cuont'");
	assert_string_equal(fixture.err.hint, "did you mean 'count'?");
	refuse("count", "'count' is not name=value");
	refuse("=1", "'=1' is not name=value");
	refuse("token=abc", "'token' is a secret: it cannot be given as a value");
	assert_string_equal(fixture.err.hint, "it is read from the environment variable API_TOKEN");
}

/* S11 of the security list: values are data. */
static void hostile_values_are_data(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;

	(void)state;
	load(definition, &fixture);
	accept("name=`id` $(id) ; rm -rf ~ | & ' \" \\ %s {{}} * ${params.x}", "name",
	       "\"`id` $(id) ; rm -rf ~ | & ' \\\" \\\\ %s {{}} * ${params.x}\"");
	accept("name=line\nnext\ttab\r", "name", "\"line\\nnext\\ttab\\r\"");
	accept("name=\x1b]0;x\x07", "name", "\"\\u001b]0;x\\u0007\"");
	accept("name=\xE2\x80\xAE\xE2\x80\xA8\xF0\x9F\x98\x80", "name",
	       "\"\xE2\x80\xAE\\u2028\xF0\x9F\x98\x80\"");
	refuse("name=a\0b", "'name' holds a NUL character");
	refuse("name=a\xff", "'name' holds malformed UTF-8");
	refuse("name=\xED\xA0\x80", "'name' holds malformed UTF-8");
	refuse("list=[\"\\u0000\"]", "'list' must be a JSON list, not '[\"\\u0000\"]'");
	accept("list=[\"\\\\u0000\"]", "list", "[\"\\\\u0000\"]");
}

static void required_parameters_must_be_there(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;

	(void)state;
	load("pipeline: p\nparams: {dataset: {type: path, required: true, help: input CSV}}\n"
	     "steps: {a: {noop: true}}\n",
	     &fixture);
	assert_int_equal(give(&fixture, STR_NONE, NULL), ERR_USAGE);
	assert_string_equal(fixture.err.text,
			    "'dataset' is required: a path that is not empty, input CSV");
	assert_string_equal(fixture.err.hint, "give it with -p dataset=VALUE");
	assert_int_equal(lang_params_check(fixture.model, fixture.params, &fixture.err),
			 ERR_INVALID);
}

static void assignments_win_over_the_file(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;
	static const char file[] = "{\"count\": 3, \"name\": \"\\u00e9\", \"list\": [ 1 , 2 ]}";

	(void)state;
	load(definition, &fixture);
	assert_int_equal(give(&fixture, STR("count=4"), file), ERR_OK);
	assert_string_equal(value_of(&fixture, "count"), "4");
	assert_string_equal(value_of(&fixture, "name"), "\"\\u00e9\"");
	assert_string_equal(value_of(&fixture, "list"), "[1,2]");
	assert_int_equal(give(&fixture, STR_NONE, "{\"count\": \"3\"}"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"count\": 3.5}"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"countt\": 3}"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"token\": \"abc\"}"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"token\": {\"secret\":\"token\"}}"),
			 ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"name\": \"a\\u0000b\"}"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "[1]"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{"), ERR_USAGE);
	assert_int_equal(give(&fixture, STR_NONE, "{\"count\": 3, \"count\": 4}"), ERR_USAGE);
	fixture.limits.param_bytes = 5;
	assert_int_equal(give(&fixture, STR("name=12345"), NULL), ERR_USAGE);
}

static void a_parameter_is_given_once(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;
	const struct str twice[] = {STR("count=1"), STR("count=2")};

	(void)state;
	load(definition, &fixture);
	assert_int_equal(lang_params(fixture.model, twice, 2, STR_NONE, &fixture.limits,
				     &fixture.arena, fixture.params, &fixture.err),
			 ERR_USAGE);
	assert_null(fixture.params[1].ptr);
}

static void an_override_fills_only_what_it_names(void **state)
{
	AUTO(fixture_fini) struct fixture fixture;
	const struct str one[] = {STR("count=2")};

	(void)state;
	load(definition, &fixture);
	assert_int_equal(lang_params_override(fixture.model, one, 1, &fixture.limits,
					      &fixture.arena, fixture.params, &fixture.err),
			 ERR_OK);
	assert_string_equal(value_of(&fixture, "count"), "2");
	assert_null(value_of(&fixture, "name"));
	assert_null(value_of(&fixture, "token"));
}

static void types_of_json_values_are_told_apart(void **state)
{
	static const struct {
		const char *json;
		enum value_type type;
		bool is;
	} rows[] = {
	    {"1", VALUE_INT, true},
	    {"1.5", VALUE_INT, false},
	    {"1", VALUE_NUMBER, true},
	    {"1e2", VALUE_NUMBER, true},
	    {"\"1\"", VALUE_INT, false},
	    {"null", VALUE_STRING, false},
	    {"\"x\"", VALUE_STRING, true},
	    {"\"\"", VALUE_PATH, false},
	    {"\"5s\"", VALUE_DURATION, true},
	    {"\"5\"", VALUE_DURATION, false},
	    {"\"5B\"", VALUE_SIZE, true},
	    {"[]", VALUE_LIST, true},
	    {"{}", VALUE_LIST, false},
	    {"{}", VALUE_OBJECT, true},
	    {"true", VALUE_BOOL, true},
	    {"1", VALUE_BOOL, false},
	    {"{\"secret\":\"x\"}", VALUE_SECRET, true},
	    {"\"x\"", VALUE_SECRET, false},
	    {"01", VALUE_INT, false},
	    {"", VALUE_STRING, false},
	    {"9223372036854775808", VALUE_INT, false},
	    {"[1", VALUE_LIST, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(lang_has_type(str_of(rows[i].json), rows[i].type), rows[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts_are_converted_by_the_declared_type),
	    cmocka_unit_test(defaults_and_secrets_are_filled_in),
	    cmocka_unit_test(what_does_not_fit_is_refused_with_what_is_expected),
	    cmocka_unit_test(hostile_values_are_data),
	    cmocka_unit_test(required_parameters_must_be_there),
	    cmocka_unit_test(assignments_win_over_the_file),
	    cmocka_unit_test(a_parameter_is_given_once),
	    cmocka_unit_test(an_override_fills_only_what_it_names),
	    cmocka_unit_test(types_of_json_values_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
