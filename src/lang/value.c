/* value.c - values between Lua and JSON
 *
 * Both directions recurse as deep as the value is nested, which is bounded by JSON_DEPTH_MAX. JSON
 * numbers with a fraction or an exponent, or beyond 64 bits, are floats; the others are integers.
 * Floats are written in their shortest form, so 100.0 becomes 100. */
#include "lang/sandbox.h"

#include "base/json.h"
#include "base/mem.h"

#include <lauxlib.h>
#include <math.h>

/* `null` in lists: a value that is not nil, so that it keeps its place. */
static void null_push(lua_State *lua)
{
	lua_pushlightuserdata(lua, NULL);
}

static void push(lua_State *lua, struct str json, unsigned depth);

static void string_push(lua_State *lua, struct str literal)
{
	struct buf *scratch = &sandbox_of(lua)->scratch;
	struct str text;

	if (!json_plain(literal, &text)) {
		buf_clear(scratch);
		json_decode(literal, scratch);
		if (scratch->failed)
			luaL_error(lua, "not enough memory");
		text = buf_view(scratch);
	}
	lua_pushlstring(lua, text.ptr ? text.ptr : "", text.len);
}

static void number_push(lua_State *lua, struct str json)
{
	int64_t whole;
	double number = 0;

	if (!str_has(json, '.') && !str_has(json, 'e') && !str_has(json, 'E') &&
	    json_to_i64(json, &whole)) {
		lua_pushinteger(lua, whole);
		return;
	}
	if (!json_to_double(json, &number))
		luaL_error(lua, "a number is out of range");
	lua_pushnumber(lua, number);
}

static void list_push(lua_State *lua, struct str json, unsigned depth)
{
	struct str item;
	lua_Integer index = 1;
	size_t at = 0;

	lua_newtable(lua);
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_LIST]);
	lua_setmetatable(lua, -2); /* an empty list stays one */
	while (json_item(json, &at, &item)) {
		if (json_type_of(item) == JSON_NULL)
			null_push(lua);
		else
			push(lua, item, depth);
		lua_rawseti(lua, -2, index++);
	}
}

static void object_push(lua_State *lua, struct str json, unsigned depth)
{
	struct str key;
	struct str member;
	size_t at = 0;

	lua_newtable(lua);
	while (json_member(json, &at, &key, &member)) {
		if (json_type_of(member) == JSON_NULL)
			continue;
		if (str_has(key, '\\')) { /* a raw key: decoded as a literal */
			struct buf *scratch = &sandbox_of(lua)->scratch;

			buf_clear(scratch);
			json_decode(key, scratch);
			if (scratch->failed)
				luaL_error(lua, "not enough memory");
			lua_pushlstring(lua, scratch->ptr ? scratch->ptr : "", scratch->len);
		} else {
			lua_pushlstring(lua, key.ptr, key.len);
		}
		push(lua, member, depth);
		lua_rawset(lua, -3);
	}
}

static void push(lua_State *lua, struct str json, unsigned depth)
{
	if (depth == 0)
		luaL_error(lua, "a value is nested too deeply");
	luaL_checkstack(lua, 4, "a value is nested too deeply");
	switch (json_type_of(json)) {
	case JSON_OBJECT:
		object_push(lua, json, depth - 1);
		break;
	case JSON_ARRAY:
		list_push(lua, json, depth - 1);
		break;
	case JSON_STRING:
		string_push(lua, json);
		break;
	case JSON_NUMBER:
		number_push(lua, json);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(lua, json_type_of(json) == JSON_TRUE);
		break;
	case JSON_NULL:
		lua_pushnil(lua);
		break;
	}
}

void value_push(lua_State *lua, struct str json)
{
	struct err err = ERR_INIT;

	if (json_check(json, JSON_DEPTH_MAX, &err) != ERR_OK)
		luaL_error(lua, "a recorded value is not JSON");
	push(lua, str_trim(json), JSON_DEPTH_MAX + 1);
}

/* --- to JSON */

static void put(lua_State *lua, int index, struct buf *out, unsigned depth);

/* Which kind of table: a list has the keys 1..n and nothing else. */
static bool table_is_list(lua_State *lua, int index)
{
	lua_Unsigned count = 0;
	lua_Unsigned length = lua_rawlen(lua, index);
	bool has_list_keys = true;
	bool has_text_keys = true;

	lua_pushnil(lua);
	while (lua_next(lua, index)) {
		lua_pop(lua, 1);
		count++;
		has_text_keys = has_text_keys && lua_type(lua, -1) == LUA_TSTRING;
		has_list_keys = has_list_keys && lua_isinteger(lua, -1) &&
				lua_tointeger(lua, -1) >= 1 &&
				(lua_Unsigned)lua_tointeger(lua, -1) <= length;
	}
	sandbox_charge(lua, count / 8);
	if (count == 0)
		return lua_getmetatable(lua, index) ? (lua_pop(lua, 1), true) : false;
	if (has_list_keys && count == length)
		return true;
	if (!has_text_keys)
		luaL_error(lua, "a table with keys of several kinds has no JSON form");
	return false;
}

static void text_put(lua_State *lua, int index, struct buf *out)
{
	struct str text;

	text.ptr = lua_tolstring(lua, index, &text.len);
	if (!utf8_valid(text))
		luaL_error(lua, "a text is not UTF-8");
	json_put_str(out, text);
}

static void list_put(lua_State *lua, int index, struct buf *out, unsigned depth)
{
	lua_Integer count = (lua_Integer)lua_rawlen(lua, index);

	buf_byte(out, '[');
	for (lua_Integer i = 1; i <= count; i++) {
		if (i > 1)
			buf_byte(out, ',');
		lua_rawgeti(lua, index, i);
		put(lua, lua_gettop(lua), out, depth);
		lua_pop(lua, 1);
	}
	buf_byte(out, ']');
}

static void object_put(lua_State *lua, int index, struct buf *out, unsigned depth)
{
	lua_Integer count;
	int keys;

	sandbox_keys(lua, index);
	keys = lua_gettop(lua);
	count = (lua_Integer)lua_rawlen(lua, keys);
	buf_byte(out, '{');
	for (lua_Integer i = 1; i <= count; i++) {
		if (i > 1)
			buf_byte(out, ',');
		lua_rawgeti(lua, keys, i);
		text_put(lua, -1, out);
		buf_byte(out, ':');
		lua_rawget(lua, index);
		put(lua, lua_gettop(lua), out, depth);
		lua_pop(lua, 1);
	}
	buf_byte(out, '}');
	lua_pop(lua, 1);
}

static void put(lua_State *lua, int index, struct buf *out, unsigned depth)
{
	if (depth == 0)
		luaL_error(lua, "a value is nested too deeply, or holds itself");
	luaL_checkstack(lua, 8, "a value is nested too deeply");
	sandbox_charge(lua, 1);
	switch (lua_type(lua, index)) {
	case LUA_TNIL:
		buf_text(out, "null");
		return;
	case LUA_TBOOLEAN:
		buf_text(out, lua_toboolean(lua, index) ? "true" : "false");
		return;
	case LUA_TNUMBER:
		if (lua_isinteger(lua, index)) {
			buf_i64(out, lua_tointeger(lua, index));
			return;
		}
		if (!isfinite(lua_tonumber(lua, index)))
			luaL_error(lua, "a number is not finite");
		json_put_double(out, lua_tonumber(lua, index) == 0 ? 0 : lua_tonumber(lua, index));
		return;
	case LUA_TSTRING:
		text_put(lua, index, out);
		return;
	case LUA_TTABLE:
		if (table_is_list(lua, index))
			list_put(lua, index, out, depth - 1);
		else
			object_put(lua, index, out, depth - 1);
		return;
	case LUA_TLIGHTUSERDATA:
		buf_text(out, "null");
		return;
	default:
		luaL_error(lua, "a %s has no JSON form", luaL_typename(lua, index));
	}
}

void value_put(lua_State *lua, int index, struct buf *out)
{
	put(lua, lua_absindex(lua, index), out, JSON_DEPTH_MAX);
}
