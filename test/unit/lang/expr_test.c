/* expr_test.c - expressions: what they can say, and what they cannot do */
#include "base/mem.h"
#include "lang/expr.h"
#include "lang/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char definition[] = "pipeline: demo\n"
				 "params:\n"
				 "  threshold: {type: number}\n"
				 "  mode: {type: string}\n"
				 "  list: {type: list}\n"
				 "  map: {type: object}\n"
				 "  absent: {type: string}\n"
				 "  token: {type: secret, from: {env: T}}\n"
				 "steps:\n"
				 "  extract: {run: x}\n"
				 "  broken: {run: x}\n"
				 "  load: {run: x}\n";

struct world {
	struct model *model;
	struct run_state run;
	struct expr *expr;
	struct expr_scope scope;
	struct limits limits;
};

static char lang[] = "LANG=C.UTF-8";
static char empty[] = "EMPTY=";
static char home[] = "HOME=/home/x=y";
static char *const environment[] = {lang, empty, home, NULL};
static struct world world;

static int setup(void **state)
{
	AUTO(diags_fini) struct diags diags;
	struct err err = ERR_INIT;

	(void)state;
	limits_default(&world.limits);
	diags_init(&diags, 10);
	assert_int_equal(
	    lang_load(str_of(definition), STR("/"), &world.limits, &diags, &world.model, &err),
	    ERR_OK);
	assert_int_equal(run_state_init(&world.run, world.model, &err), ERR_OK);
	world.run.run_id = STR("r1");
	world.run.seed = 42;
	world.run.params[0] = STR("97.5");
	world.run.params[1] = STR("\"full\"");
	world.run.params[2] = STR("[3,null,{\"a\":[]}]");
	world.run.params[3] = STR("{\"b\":1,\"a\":[1,2],\"c\":null,\"\\u00e9\":2.0}");
	world.run.params[5] = STR("{\"secret\":\"token\"}");
	world.run.steps[0].state = STEP_SUCCEEDED;
	world.run.steps[0].outputs =
	    STR("{\"rows\":10,\"big\":9007199254740993,\"text\":\"a\\\"b\"}");
	world.run.steps[1].state = STEP_FAILED;
	world.run.steps[1].outputs = STR("{\"rows\":5}");
	world.run.steps[2].state = STEP_SUCCEEDED;
	world.scope = (struct expr_scope){.run = &world.run, .step = 2, .env = environment};
	return expr_new(&world.limits, &world.expr, &err) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	expr_free(world.expr);
	run_state_fini(&world.run);
	model_free(world.model);
	return 0;
}

static void gives_at(int line, const char *source, const char *json)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	if (expr_eval(world.expr, str_of(source), &world.scope, &out, &err) != ERR_OK)
		print_error("line %d: %s\n", line, err.text);
	assert_string_equal(out.ptr ? out.ptr : "", json);
}

/* INVALID, and the text holds these words; nothing is written. */
static void fails_at(int line, const char *source, const char *words)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_text(&out, "before");
	if (expr_eval(world.expr, str_of(source), &world.scope, &out, &err) != ERR_INVALID ||
	    !strstr(err.text, words))
		print_error("line %d: '%s' %s\n", line, err.text, out.ptr);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.text, words));
	assert_string_equal(out.ptr, "before");
}

#define gives(source, json)  gives_at(__LINE__, source, json)
#define fails(source, words) fails_at(__LINE__, source, words)

static void values_keep_their_type(void **state)
{
	(void)state;
	gives("1 + 1", "2");
	gives("1.5", "1.5");
	gives("100.0", "100");
	gives("-0.0", "0");
	gives("1e300", "1e300");
	gives("0.1", "0.1");
	gives("10 // 3", "3");
	gives("'a\\nb'", "\"a\\nb\"");
	gives("nil", "null");
	gives("true", "true");
	gives("{}", "{}");
	gives("{1, 'x', {}}", "[1,\"x\",{}]");
	gives("{b = 1, a = {c = false}}", "{\"a\":{\"c\":false},\"b\":1}");
	gives("null", "null");
	fails("0/0", "not finite");
	fails("1/0", "not finite");
	fails("{1, a = 2}", "several kinds");
	fails("{[2] = 1}", "several kinds");
	fails("tostring", "has no JSON form");
}

static void the_context_is_seen(void **state)
{
	(void)state;
	gives("params.threshold", "97.5");
	gives("params['mode'] == 'full'", "true");
	gives("params.list", "[3,null,{\"a\":[]}]");
	gives("params.map", "{\"a\":[1,2],\"b\":1,\"\xC3\xA9\":2}");
	gives("params.absent", "null");
	gives("#params.list", "3");
	gives("params.list[2] == null", "true");
	gives("outputs.extract.rows + 1", "11");
	gives("outputs.extract.big", "9007199254740993");
	gives("outputs.extract.text", "\"a\\\"b\"");
	gives("outputs.broken", "null");
	gives("outputs.load", "{}");
	gives("outputs.nowhere", "null");
	fails("outputs.broken.rows", "nil value");
	gives("outputs.broken and outputs.broken.rows or 0", "0");
	gives("run.id .. run.pipeline .. run.step", "\"r1demoload\"");
	gives("run.seed + run.attempt", "42");
	gives("env.HOME", "\"/home/x=y\"");
	gives("env.EMPTY", "\"\"");
	gives("env.PATH", "null");
	gives("output", "null");
	fails("params.token", "secret");
}

static void updates_of_the_context_win(void **state)
{
	struct context_update updates[] = {{STR("mode"), STR("\"new\"")}, {STR("extra"), STR("7")}};

	(void)state;
	world.run.updates = updates;
	world.run.updates_count = 2;
	gives("params.mode .. params.extra", "\"new7\"");
	gives("(function() local t = '' for k in pairs(params) do t = t .. k .. ' ' end return t "
	      "end)()",
	      "\"extra list map mode threshold \"");
	world.run.updates = NULL;
	world.run.updates_count = 0;
}

static void own_outputs_are_seen_by_pass(void **state)
{
	bool value = false;
	struct err err = ERR_INIT;

	(void)state;
	world.scope.output = STR("{\"accuracy\":98}");
	assert_int_equal(expr_eval_bool(world.expr, STR("output.accuracy >= params.threshold"),
					&world.scope, &value, &err),
			 ERR_OK);
	assert_true(value);
	world.scope.output = STR("{\"accuracy\":");
	fails("output.accuracy", "not JSON");
	world.scope.output = STR_NONE;
}

/* S5.3, S5.5: only a boolean decides. */
static void only_booleans_decide(void **state)
{
	bool value = true;

	(void)state;
	struct err text = ERR_INIT;
	assert_int_equal(expr_eval_bool(world.expr, STR("'yes'"), &world.scope, &value, &text),
			 ERR_INVALID);
	assert_string_equal(text.text, "it is a string, not a boolean");
	struct err nothing = ERR_INIT;
	assert_int_equal(
	    expr_eval_bool(world.expr, STR("params.absent"), &world.scope, &value, &nothing),
	    ERR_INVALID);
	assert_string_equal(nothing.text, "it is a nil, not a boolean");
	assert_true(value);
}

static void fill(const char *text, const char *expected)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct tmpl tmpl = {.text = str_of(text), .is_dynamic = true};
	struct err err = ERR_INIT;

	if (expr_fill(world.expr, &tmpl, &world.scope, &out, &err) != ERR_OK)
		print_error("%s\n", err.text);
	assert_string_equal(out.ptr ? out.ptr : "", expected);
}

static void texts_are_filled(void **state)
{
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	fill("${params.mode}", "full");
	fill("a ${params.threshold}% b ${1 == 1} $x {y} ${{1, 2}}", "a 97.5% b true $x {y} [1,2]");
	fill("${100.0}", "100");
	fill("${'}'}${\"${\"}", "}${");
	fill("${params.map}", "{\"a\":[1,2],\"b\":1,\"\xC3\xA9\":2}");
	assert_int_equal(
	    expr_fill(world.expr,
		      &(struct tmpl){.text = STR("x ${params.absent}"), .is_dynamic = true},
		      &world.scope, &out, &err),
	    ERR_INVALID);
	assert_string_equal(err.text, "`${params.absent}`: it is nil: there is no such value");
	assert_int_equal(out.len, 0);
	err_reset(&err);
	assert_int_equal(expr_fill(world.expr,
				   &(struct tmpl){.text = STR("${'a\\0b'}"), .is_dynamic = true},
				   &world.scope, &out, &err),
			 ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_fill(world.expr,
				   &(struct tmpl){.text = STR("${'\\xff'}"), .is_dynamic = true},
				   &world.scope, &out, &err),
			 ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_fill(world.expr,
				   &(struct tmpl){.text = STR("${x"), .is_dynamic = true},
				   &world.scope, &out, &err),
			 ERR_INVALID);
}

static void checks_give_luas_words(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(expr_check(world.expr, STR("a = 1"), &err), ERR_INVALID);
	assert_string_equal(err.text, "<eof> expected near '='");
	err_reset(&err);
	assert_int_equal(expr_check(world.expr, STR("1) + (2"), &err), ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_check(world.expr, STR("1, 2"), &err), ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_check(world.expr, STR(""), &err), ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_check(world.expr, STR("\x1bLua"), &err), ERR_INVALID);
	err_reset(&err);
	assert_int_equal(expr_check(world.expr, STR("a > -- why\n 3"), &err), ERR_OK);
}

static void nothing_dangerous_has_a_name(void **state)
{
	static const char *const names[] = {"io",
					    "os",
					    "debug",
					    "package",
					    "require",
					    "dofile",
					    "loadfile",
					    "load",
					    "loadstring",
					    "collectgarbage",
					    "getmetatable",
					    "setmetatable",
					    "rawset",
					    "rawget",
					    "rawequal",
					    "rawlen",
					    "next",
					    "pcall",
					    "xpcall",
					    "coroutine",
					    "print",
					    "warn",
					    "utf8",
					    "_G",
					    "string.dump",
					    "string.pack",
					    "string.unpack",
					    "math.random",
					    "math.randomseed",
					    "table.move",
					    "table.pack"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		gives(names[i], "null");
}

/* getmetatable("").__index tampering, writes to libraries. */
static void the_libraries_cannot_be_changed(void **state)
{
	(void)state;
	fails("(function() string.rep = nil end)()", "cannot be changed");
	fails("(function() string.x = 1 end)()", "cannot be changed");
	fails("(function() table.insert(string, 1) end)()", "cannot be changed");
	fails("(function() table.sort(math) end)()", "cannot be changed");
	fails("(function() params.mode = 1 end)()", "cannot be changed");
	fails("(function() outputs.extract = 1 end)()", "cannot be changed");
	fails("(function() (''). rep = 1 end)()", "index a string value");
	gives("('').__index", "null");
	gives("('').__metatable", "null");
	gives("('x'):rep(3) == string.rep('x', 3)", "true");
	gives("string.__index", "null");
	gives("params.all", "null");
	gives("params.__index", "null");
}

static void names_that_are_set_are_gone_at_the_end(void **state)
{
	(void)state;
	gives("(function() x = 5 tostring = nil return x end)()", "5");
	gives("x", "null");
	gives("tostring(1)", "\"1\"");
	gives("(function() _ENV.math = 3 return math end)()", "3");
	gives("math.floor(1.5)", "1");
	gives("(function() outputs.extract.rows = 99 return true end)()", "true");
	gives("outputs.extract.rows", "10");
}

static void endless_work_ends(void **state)
{
	(void)state;
	fails("(function() while true do end end)()", "too long");
	fails("(function() for i = 1, 1e18 do end end)()", "too long");
	fails("(function() local function f() return f() end return f() end)()", "too long");
	fails("(function() local function f() return 1 + f() end return f() end)()", "memory");
	fails("(function() local t = {} for i = 1, 1e9 do t[i] = i end end)()", "");
	fails("(function() local s = 'x' while true do s = s .. s end end)()", "memory");
	fails("('x'):rep(1e9)", "too large");
	fails("('x'):rep(1e6):rep(1e6)", "too large");
	fails("('x'):rep(100, ('y'):rep(1e6))", "too large");
	fails("(function() local s = ('x'):rep(1e6) for i = 1, 1e6 do local t = s .. i end end)()",
	      "memory");
	fails("(function() local a, b = ('x'):rep(1e6), ('x'):rep(1e6 - 1) .. 'x' local n = 0 "
	      "for i = 1, 1e6 do if a == b then n = n + 1 end end return n end)()",
	      "too long");
	fails("(function() local t = {} for i = 1, 1e5 do table.insert(t, 1, i) end end)()",
	      "too long");
	fails("table.unpack({}, 1, 1e7)", "more than");
	fails("table.concat({}, 'x', 1, 1e9)", "beyond");
	fails("(function() local t = {} t.t = t return t end)()", "holds itself");
	fails("('a'):rep(1e4):find('.-.-.-.-b')", "too long");
	fails("('a'):rep(1e5):gsub('.-.-.-.-b', '')", "too long");
	fails("#('x'):rep(1000):gsub('', ('y'):rep(1e5))", "");
	fails("string.format('%999d', 1)", "");
	fails("string.format('%1.999f', 1)", "");
	fails("string.format('%p', {})", "invalid conversion");
	fails("string.format('%s', {})", "'%s' of a table");
	gives("1 + 1", "2"); /* the sandbox lives on */
}

/* error objects, tostring, order of tables. */
static void results_do_not_depend_on_addresses(void **state)
{
	(void)state;
	gives("tostring({})", "\"table\"");
	gives("tostring(tostring)", "\"function\"");
	gives("tostring(null)", "\"null\"");
	gives("tostring(1.0)", "\"1.0\"");
	fails("error({})", "not a text");
	fails("error('boom')", "boom");
	fails("error()", "not a text");
	gives("(function() local t = '' for k, v in pairs({b = 1, [2] = 2, a = 3, [1.5] = 4, "
	      "[true] = 5}) "
	      "do t = t .. tostring(k) .. '=' .. v .. ' ' end return t end)()",
	      "\"1.5=4 2=2 a=3 b=1 true=5 \"");
	fails("(function() for k in pairs({[{}] = 1}) do end end)()", "no order");
	fails("{} < {}", "compare two table");
	gives("'10' == 10", "false");
	fails("'10' + 1", "arithmetic on a string");
}

static void text_functions_work(void **state)
{
	(void)state;
	gives("('key=val'):match('(%w+)=(%w+)')", "\"key\"");
	gives("{('key=val'):find('=', 1, true)}", "[4,4]");
	gives("{('key=val'):find('(a)(l)')}", "[6,7,\"a\",\"l\"]");
	gives("('hello world'):gsub('o', '0')", "\"hell0 w0rld\"");
	gives("('hello'):gsub('', '-')", "\"-h-e-l-l-o-\"");
	gives("('hello'):gsub('l+', '<%0>')", "\"he<ll>o\"");
	gives("('abc'):gsub('%w', {a = 1, b = false})", "\"1bc\"");
	gives("('abc'):gsub('%w', string.upper)", "\"ABC\"");
	gives("('abc abd'):gsub('^ab', 'x')", "\"xc abd\"");
	gives("(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v "
	      "end "
	      "return t end)()",
	      "{\"a\":\"1\",\"b\":\"2\"}");
	gives(
	    "(function() local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n end)()",
	    "4");
	fails("('x'):find('[')", "malformed pattern");
	fails("('x'):gsub('x', '%2')", "capture");
	gives("string.format('%5.1f|%d|%s|%q|%x|%%', 3.14159, 42, 'x', 'y', 255)",
	      "\"  3.1|42|x|\\\"y\\\"|ff|%\"");
	gives("('abc'):sub(-2):upper():reverse()", "\"CB\"");
	gives("table.concat({1, 2, 3}, '-')", "\"1-2-3\"");
	gives("(function() local t = {3, 1, 2} table.sort(t) return t end)()", "[1,2,3]");
	gives("select('#', table.unpack({1, 2, 3}))", "3");
	gives("tonumber('0x10') + tonumber('ff', 16)", "271");
	gives("math.max(1, 2.5) + math.floor(2.7)", "4.5");
}

/* The program may have another locale: expressions do not see it. */
static void numbers_have_a_point_in_every_locale(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "de_DE.UTF-8"))
		(void)setlocale(LC_ALL, "C.UTF-8");
	gives("string.format('%.2f', 1.5) .. 2.5 .. tostring(tonumber('1.5'))", "\"1.502.51.5\"");
	(void)setlocale(LC_ALL, "C");
}

static void many_different_expressions_fit_the_cache(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1500; i++) {
			char source[40];
			char json[40];

			(void)snprintf(source, sizeof(source), "%d + 1", i);
			(void)snprintf(json, sizeof(json), "%d", i + 1);
			gives(source, json);
		}
	}
}

static void evaluations_are_quick(void **state)
{
	struct timespec from;
	struct timespec to;
	struct err err = ERR_INIT;
	bool value = false;

	(void)state;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(expr_eval_bool(world.expr, STR("outputs.extract.rows > 5"),
						&world.scope, &value, &err),
				 ERR_OK);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	/* generous: also under sanitizers; work, so that others on the machine do not count */
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 <
		    5000);
}

static void short_memory_is_an_error_at_every_allocation(void **state)
{
	(void)state;
	for (uint64_t nth = 1;; nth++) {
		AUTO(buf_fini) struct buf out = BUF_INIT;
		AUTO(expr_drop) struct expr *expr = NULL;
		struct err err = ERR_INIT;
		enum err_code code;
		uint64_t calls;

		mem_fail_at(nth, 1);
		code = expr_new(&world.limits, &expr, &err);
		if (code == ERR_OK)
			code = expr_eval(expr, STR("params.map.a[1] .. '\\u{e9}'"), &world.scope,
					 &out, &err);
		calls = mem_calls();
		mem_fail_at(0, 0);
		if (calls < nth) {
			assert_int_equal(code, ERR_OK);
			return;
		}
		assert_int_equal(code, ERR_MEMORY);
	}
}

static void a_sandbox_too_small_is_refused(void **state)
{
	struct limits limits;
	struct expr *expr = NULL;
	struct err err = ERR_INIT;

	(void)state;
	limits_default(&limits);
	limits.lua_bytes = 5000;
	assert_int_equal(expr_new(&limits, &expr, &err), ERR_LIMIT);
	assert_null(expr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_keep_their_type),
	    cmocka_unit_test(the_context_is_seen),
	    cmocka_unit_test(updates_of_the_context_win),
	    cmocka_unit_test(own_outputs_are_seen_by_pass),
	    cmocka_unit_test(only_booleans_decide),
	    cmocka_unit_test(texts_are_filled),
	    cmocka_unit_test(checks_give_luas_words),
	    cmocka_unit_test(nothing_dangerous_has_a_name),
	    cmocka_unit_test(the_libraries_cannot_be_changed),
	    cmocka_unit_test(names_that_are_set_are_gone_at_the_end),
	    cmocka_unit_test(endless_work_ends),
	    cmocka_unit_test(results_do_not_depend_on_addresses),
	    cmocka_unit_test(text_functions_work),
	    cmocka_unit_test(numbers_have_a_point_in_every_locale),
	    cmocka_unit_test(many_different_expressions_fit_the_cache),
	    cmocka_unit_test(evaluations_are_quick),
	    cmocka_unit_test(short_memory_is_an_error_at_every_allocation),
	    cmocka_unit_test(a_sandbox_too_small_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
