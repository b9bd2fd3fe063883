/* pattern_test.c - our matcher finds what Lua's finds, and stops where Lua's does not */
#include "base/mem.h"
#include "lang/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static const char *const patterns[] = {
    "",
    "a",
    "a*",
    "a+",
    "a-",
    "a?b",
    ".",
    ".*",
    ".-b",
    "^a",
    "^$",
    "$",
    "a$",
    "a$b",
    "%d+",
    "%D",
    "%a%w*",
    "%s",
    "%S+",
    "%p",
    "%u%l+",
    "%x+",
    "%c",
    "%g+",
    "[abc]",
    "[^abc]+",
    "[a-c]+",
    "[%d.]+",
    "[]]",
    "[^]]+",
    "[a-]",
    "[-a]+",
    "[%a-z]",
    "[^%s]*",
    "(a)(b)",
    "(a*(.)%w(%s*))",
    "()a()",
    "(%w+)=(%w+)",
    "%b()",
    "%b''",
    "%f[%w]%w+",
    "%f[^%w]",
    "(.)%1",
    "(a+)%1",
    "((a)b)%2",
    "^(%d%d%d%d)-(%d%d)$",
    "%%",
    "%.",
    "a**",
    "x-y-z",
    "a^b",
    "^^a",
    "[a-z]*[0-9]+$",
    "(a?)(a?)b",
    "[%]]",
    "[a%-z]",
    "[+-]?%d+",
    "[+%-%%]+",
    "[%%-]",
    "[Y-%%]",
    "[!-%%]+",
    "[^+-%d]",
    "[a-%]]",
    "%f[!-%%]",
    "%f[%z]",
};

static const char *const malformed[] = {
    "%",   "[",  "[a",  "[^]", "[%",   "(a", "a)",   "%b",
    "%bx", "%f", "%fa", "%1",  "(%1)", "%0", "()%2", "(()",
};

static const char *const subjects[] = {
    "",
    "a",
    "ab",
    "aab",
    "b",
    "abc",
    "  abc  ",
    "key = value",
    "key=value",
    "1234-56",
    "THE (quick) fox",
    "(a(b)c)d)",
    "xx",
    "aaaa",
    "]",
    "-a-",
    "a-z",
    "hello world from Lua",
    "0.5",
    "'x' 'y'",
    "%",
    "line\nbreak",
    "a$b",
    "a^b^a",
    "\x01\x7f\xff",
    "z9",
    "-12",
    "x--y",
};

static void our_matches_are_luas_matches(void **state)
{
	lua_State *lua = luaL_newstate();

	(void)state;
	assert_non_null(lua);
	luaL_openlibs(lua);
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		for (size_t k = 0; k < ARRAY_LEN(subjects); k++) {
			struct str subject = str_of(subjects[k]);
			struct err err = ERR_INIT;
			struct pattern pattern;
			struct pattern_match match = {0};
			uint64_t steps = 100000;
			enum pattern_result result;

			lua_settop(lua, 0);
			lua_getglobal(lua, "string");
			lua_getfield(lua, -1, "find");
			lua_pushstring(lua, subjects[k]);
			lua_pushstring(lua, patterns[i]);
			assert_int_equal(lua_pcall(lua, 2, LUA_MULTRET, 0), LUA_OK);
			assert_int_equal(pattern_read(str_of(patterns[i]), false, &pattern, &err),
					 ERR_OK);
			result = pattern_find(&pattern, subject, 0, &steps, &match);
			if (lua_isnil(lua, 2) != (result == PATTERN_NONE))
				print_error("'%s' in '%s'\n", patterns[i], subjects[k]);
			assert_int_equal(lua_isnil(lua, 2), result == PATTERN_NONE);
			if (result != PATTERN_MATCH)
				continue;
			assert_int_equal(lua_tointeger(lua, 2), match.from + 1);
			assert_int_equal(lua_tointeger(lua, 3), match.to);
			assert_int_equal(lua_gettop(lua) - 3, match.count);
			for (uint32_t c = 0; c < match.count; c++) {
				size_t len = match.captures[c].len;

				if (len == CAPTURE_POSITION) {
					assert_int_equal(lua_tointeger(lua, 4 + (int)c),
							 match.captures[c].from + 1);
					continue;
				}
				assert_int_equal(lua_rawlen(lua, 4 + (int)c), len);
				assert_memory_equal(lua_tostring(lua, 4 + (int)c),
						    subject.ptr + match.captures[c].from, len);
			}
		}
	}
	lua_close(lua);
}

static void malformed_patterns_are_refused(void **state)
{
	char text[PATTERN_ITEMS_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		struct err err = ERR_INIT;

		if (pattern_check(str_of(malformed[i]), &err) == ERR_OK)
			print_error("'%s'\n", malformed[i]);
		assert_int_equal(err.code, ERR_INVALID);
	}
	struct err err = ERR_INIT;

	memset(text, 'a', sizeof(text));
	assert_int_equal(pattern_check(str_from(text, sizeof(text)), &err), ERR_INVALID);
}

static void a_whole_match_covers_all_of_the_text(void **state)
{
	(void)state;
	assert_int_equal(pattern_whole(STR("%d+"), STR("123")), PATTERN_MATCH);
	assert_int_equal(pattern_whole(STR("%d+"), STR("123x")), PATTERN_NONE);
	assert_int_equal(pattern_whole(STR("%d+"), STR("x123")), PATTERN_NONE);
	assert_int_equal(pattern_whole(STR("^%d+$"), STR("123")), PATTERN_MATCH);
	assert_int_equal(pattern_whole(STR("a-"), STR("aaa")), PATTERN_MATCH);
	assert_int_equal(pattern_whole(STR(""), STR("")), PATTERN_MATCH);
	assert_int_equal(pattern_whole(STR(""), STR("a")), PATTERN_NONE);
}

/* backtracking ends at the budget. */
static void backtracking_without_end_is_given_up(void **state)
{
	static char subject[4000];

	(void)state;
	memset(subject, 'a', sizeof(subject));
	assert_int_equal(pattern_whole(STR(".-.-.-.-.-.-b"), str_from(subject, sizeof(subject))),
			 PATTERN_TOO_LONG);
	assert_int_equal(pattern_whole(STR("a*a*a*a*a*a*b"), str_from(subject, sizeof(subject))),
			 PATTERN_TOO_LONG);
	assert_int_equal(pattern_whole(STR("(a?)(a?)(a?)(a?)%1%2%3%4b"), str_from(subject, 2000)),
			 PATTERN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(our_matches_are_luas_matches),
	    cmocka_unit_test(malformed_patterns_are_refused),
	    cmocka_unit_test(a_whole_match_covers_all_of_the_text),
	    cmocka_unit_test(backtracking_without_end_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
