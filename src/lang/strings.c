/* strings.c - the `string` functions of the sandbox: the library's own, where their work is bounded
 * by the size of their result, and bounded replacements for the others */
#include "lang/sandbox.h"

#include "base/mem.h"
#include "lang/pattern.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

static struct str text_arg(lua_State *lua, int index)
{
	struct str text;

	text.ptr = luaL_checklstring(lua, index, &text.len);
	return text;
}

/* Read the pattern at `index`. */
static void pattern_arg(lua_State *lua, int index, bool is_literal_caret, struct pattern *pattern)
{
	struct err err = ERR_INIT;

	sandbox_charge(lua, 16);
	if (pattern_read(text_arg(lua, index), is_literal_caret, pattern, &err) != ERR_OK)
		luaL_error(lua, "malformed pattern: %s", err.text);
}

static bool find(lua_State *lua, const struct pattern *pattern, struct str subject, size_t from,
		 struct pattern_match *match)
{
	struct expr *expr = sandbox_of(lua);
	enum pattern_result result;
	uint64_t steps = expr->steps < PATTERN_STEPS ? expr->steps : PATTERN_STEPS;
	uint64_t before = steps;

	result = pattern_find(pattern, subject, from, &steps, match);
	expr->steps -= before - steps;
	if (result == PATTERN_TOO_LONG)
		luaL_error(lua, "a pattern takes too long to match");
	return result == PATTERN_MATCH;
}

static void capture_push(lua_State *lua, struct str subject, const struct pattern_match *match,
			 uint32_t index)
{
	size_t from = match->captures[index].from;

	if (match->captures[index].len == CAPTURE_POSITION)
		lua_pushinteger(lua, (lua_Integer)from + 1);
	else
		lua_pushlstring(lua, subject.ptr + from, match->captures[index].len);
}

/* The captures, or the whole match when there are none and `or_whole`. How many. */
static int captures_push(lua_State *lua, struct str subject, const struct pattern_match *match,
			 bool or_whole)
{
	luaL_checkstack(lua, PATTERN_CAPTURES_MAX, "too many captures");
	if (match->count == 0 && or_whole) {
		lua_pushlstring(lua, subject.ptr + match->from, match->to - match->from);
		return 1;
	}
	for (uint32_t i = 0; i < match->count; i++)
		capture_push(lua, subject, match, i);
	return (int)match->count;
}

/* Where to begin, as string.find counts: from 1, negative from the end. False: behind the end. */
static bool init_arg(lua_State *lua, int index, struct str subject, size_t *ret_from)
{
	lua_Integer init = luaL_optinteger(lua, index, 1);

	if (init < 0)
		init = (lua_Unsigned)-init > subject.len ? 1 : (lua_Integer)subject.len + init + 1;
	else if (init == 0)
		init = 1;
	*ret_from = (size_t)init - 1;
	return *ret_from <= subject.len;
}

static int find_plain(lua_State *lua, struct str subject, struct str needle, size_t from)
{
	const char *at;

	sandbox_charge(lua, (subject.len - from) / 16 + 1);
	at = memmem(subject.ptr + from, subject.len - from, needle.ptr, needle.len);
	if (!at) {
		lua_pushnil(lua);
		return 1;
	}
	lua_pushinteger(lua, at - subject.ptr + 1);
	lua_pushinteger(lua, at - subject.ptr + (lua_Integer)needle.len);
	return 2;
}

static int find_or_match(lua_State *lua, bool is_find)
{
	struct str subject = text_arg(lua, 1);
	struct pattern_match match;
	struct pattern pattern;
	size_t from;

	if (!init_arg(lua, 3, subject, &from)) {
		lua_pushnil(lua);
		return 1;
	}
	if (is_find && lua_toboolean(lua, 4))
		return find_plain(lua, subject, text_arg(lua, 2), from);
	pattern_arg(lua, 2, false, &pattern);
	if (!find(lua, &pattern, subject, from, &match)) {
		lua_pushnil(lua);
		return 1;
	}
	if (!is_find)
		return captures_push(lua, subject, &match, true);
	lua_pushinteger(lua, (lua_Integer)match.from + 1);
	lua_pushinteger(lua, (lua_Integer)match.to);
	return 2 + captures_push(lua, subject, &match, false);
}

static int strings_find(lua_State *lua)
{
	return find_or_match(lua, true);
}

static int strings_match(lua_State *lua)
{
	return find_or_match(lua, false);
}

/* Upvalues: subject, pattern, place, end of the last match + 1. */
static int gmatch_next(lua_State *lua)
{
	struct str subject;
	size_t from = (size_t)lua_tointeger(lua, lua_upvalueindex(3));
	size_t last = (size_t)lua_tointeger(lua, lua_upvalueindex(4));
	struct pattern_match match;
	struct pattern pattern;

	subject.ptr = lua_tolstring(lua, lua_upvalueindex(1), &subject.len);
	lua_settop(lua, 0);
	lua_pushvalue(lua, lua_upvalueindex(2));
	pattern_arg(lua, 1, true, &pattern);
	while (from <= subject.len && find(lua, &pattern, subject, from, &match)) {
		if (match.to + 1 == last) { /* empty, right behind the last one */
			from = match.from + 1;
			continue;
		}
		lua_pushinteger(lua, (lua_Integer)match.to);
		lua_replace(lua, lua_upvalueindex(3));
		lua_pushinteger(lua, (lua_Integer)match.to + 1);
		lua_replace(lua, lua_upvalueindex(4));
		return captures_push(lua, subject, &match, true);
	}
	return 0;
}

static int strings_gmatch(lua_State *lua)
{
	struct pattern pattern;

	(void)text_arg(lua, 1);
	pattern_arg(lua, 2, true, &pattern);
	lua_settop(lua, 2);
	lua_pushinteger(lua, 0);
	lua_pushinteger(lua, 0);
	lua_pushcclosure(lua, gmatch_next, 4);
	return 1;
}

/* `%1` and the like in a replacement. */
static void replacement_expand(lua_State *lua, luaL_Buffer *out, struct str subject,
			       const struct pattern_match *match)
{
	struct str text;

	text.ptr = lua_tolstring(lua, 3, &text.len);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		uint32_t index;

		if (c != '%') {
			luaL_addchar(out, c);
			continue;
		}
		c = ++i < text.len ? text.ptr[i] : '\0';
		if (c == '%') {
			luaL_addchar(out, '%');
			continue;
		}
		if (c < '0' || c > '9')
			luaL_error(lua, "invalid use of '%%' in a replacement");
		index = (uint32_t)(c - '1');
		if (c == '0' || (c == '1' && match->count == 0))
			luaL_addlstring(out, subject.ptr + match->from, match->to - match->from);
		else if (index >= match->count)
			luaL_error(lua, "a replacement names a capture that is not there");
		else {
			capture_push(lua, subject, match, index);
			luaL_addvalue(out);
		}
	}
}

/* Add what stands for one match; false in Lua keeps the text. */
static void replacement_add(lua_State *lua, luaL_Buffer *out, struct str subject,
			    const struct pattern_match *match)
{
	int type = lua_type(lua, 3);

	sandbox_charge(lua, 4);
	if (type == LUA_TSTRING || type == LUA_TNUMBER) {
		replacement_expand(lua, out, subject, match);
		return;
	}
	if (type == LUA_TFUNCTION) {
		int count;

		lua_pushvalue(lua, 3);
		count = captures_push(lua, subject, match, true);
		lua_call(lua, count, 1);
	} else {
		if (match->count)
			capture_push(lua, subject, match, 0);
		else
			lua_pushlstring(lua, subject.ptr + match->from, match->to - match->from);
		lua_gettable(lua, 3);
	}
	if (!lua_toboolean(lua, -1)) {
		lua_pop(lua, 1);
		luaL_addlstring(out, subject.ptr + match->from, match->to - match->from);
		return;
	}
	if (!lua_isstring(lua, -1))
		luaL_error(lua, "a replacement is a %s", luaL_typename(lua, -1));
	luaL_addvalue(out);
}

static int strings_gsub(lua_State *lua)
{
	struct str subject = text_arg(lua, 1);
	int type = lua_type(lua, 3);
	lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)subject.len + 1);
	lua_Integer count = 0;
	size_t from = 0;
	size_t last = SIZE_MAX; /* end of the last match */
	struct pattern_match match;
	struct pattern pattern;
	luaL_Buffer out;

	luaL_argcheck(lua,
		      type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TFUNCTION ||
			  type == LUA_TTABLE,
		      3, "string, function or table expected");
	pattern_arg(lua, 2, false, &pattern);
	if (type == LUA_TNUMBER)
		(void)lua_tolstring(lua, 3, NULL); /* converts in place */
	luaL_buffinit(lua, &out);
	while (count < most && from <= subject.len && find(lua, &pattern, subject, from, &match)) {
		luaL_addlstring(&out, subject.ptr + from, match.from - from);
		from = match.from;
		if (match.to != last) {
			count++;
			replacement_add(lua, &out, subject, &match);
			from = last = match.to;
		} else if (from < subject.len) {
			luaL_addchar(&out, subject.ptr[from++]);
		} else {
			break;
		}
		if (pattern.is_anchored)
			break;
	}
	if (from < subject.len)
		luaL_addlstring(&out, subject.ptr + from, subject.len - from);
	luaL_pushresult(&out);
	lua_pushinteger(lua, count);
	return 2;
}

/* Call the library's function (upvalue 1) with the same arguments. */
static int original_call(lua_State *lua)
{
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

static int strings_rep(lua_State *lua)
{
	struct str text = text_arg(lua, 1);
	lua_Integer count = luaL_checkinteger(lua, 2);
	size_t between = 0;

	(void)luaL_optlstring(lua, 3, "", &between);
	if (count > 0 && (text.len + between > TEXT_BYTES_MAX ||
			  (lua_Unsigned)count > TEXT_BYTES_MAX / (text.len + between + !text.len)))
		luaL_error(lua, "the text would be too large");
	return original_call(lua);
}

/* The library's format shows addresses with %p, and with %s of tables: both are refused. */
static int strings_format(lua_State *lua)
{
	struct str format = text_arg(lua, 1);
	int arg = 1;

	sandbox_charge(lua, format.len / 4 + 1);
	for (size_t i = 0; i < format.len; i++) {
		if (format.ptr[i] != '%')
			continue;
		i++;
		if (i < format.len && format.ptr[i] == '%')
			continue;
		while (i < format.len && memchr("-+ #0123456789.", format.ptr[i], 15))
			i++;
		arg++;
		sandbox_charge(lua, 32);
		if (i >= format.len || !memchr("diuoxXcaAeEfFgGsq", format.ptr[i], 17))
			luaL_error(lua, "invalid conversion in a format");
		if (format.ptr[i] == 's' && lua_type(lua, arg) != LUA_TSTRING &&
		    lua_type(lua, arg) != LUA_TNUMBER && lua_type(lua, arg) != LUA_TBOOLEAN &&
		    lua_type(lua, arg) != LUA_TNIL)
			luaL_error(lua, "'%%s' of a %s", luaL_typename(lua, arg));
	}
	return original_call(lua);
}

static const struct {
	const char *name;
	lua_CFunction function; /* NULL: the library's own */
	bool wraps;             /* has the library's own as upvalue */
} functions[] = {
    {"byte", NULL, false},
    {"char", NULL, false},
    {"find", strings_find, false},
    {"format", strings_format, true},
    {"gmatch", strings_gmatch, false},
    {"gsub", strings_gsub, false},
    {"len", NULL, false},
    {"lower", NULL, false},
    {"match", strings_match, false},
    {"rep", strings_rep, true},
    {"reverse", NULL, false},
    {"sub", NULL, false},
    {"upper", NULL, false},
};

void sandbox_push_strings(lua_State *lua)
{
	int library;

	luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 0);
	library = lua_gettop(lua);
	lua_createtable(lua, 0, (int)ARRAY_LEN(functions));
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		if (!functions[i].function || functions[i].wraps)
			lua_getfield(lua, library, functions[i].name);
		if (functions[i].function)
			lua_pushcclosure(lua, functions[i].function, functions[i].wraps ? 1 : 0);
		lua_setfield(lua, -2, functions[i].name);
	}
	lua_remove(lua, library);
}
