/* pattern.c - any bytes as a Lua pattern and a subject, against the matcher of the Lua library. */
#include "lang/pattern.h"

#include "base/mem.h"
#include "fuzz.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* Short ones only: the library's matcher takes time beyond all bounds. */
#define PATTERN_BYTES 12U
#define SUBJECT_BYTES 24U

static lua_State *library(void)
{
	static lua_State *lua;

	if (!lua) {
		lua = luaL_newstate();
		BUG_IF(!lua);
		luaL_openlibs(lua);
	}
	return lua;
}

/* string.find with these texts: true when it was no error, with the results on the stack. */
static bool judge(lua_State *lua, struct str pattern, struct str subject)
{
	lua_settop(lua, 0);
	lua_getglobal(lua, "string");
	lua_getfield(lua, 1, "find");
	lua_remove(lua, 1);
	lua_pushlstring(lua, subject.ptr ? subject.ptr : "", subject.len);
	lua_pushlstring(lua, pattern.ptr ? pattern.ptr : "", pattern.len);
	return lua_pcall(lua, 2, LUA_MULTRET, 0) == LUA_OK;
}

static void same_captures(lua_State *lua, const struct pattern_match *found, struct str subject)
{
	BUG_IF((size_t)lua_tointeger(lua, 1) != found->from + 1 ||
	       (size_t)lua_tointeger(lua, 2) != found->to);
	BUG_IF((uint32_t)lua_gettop(lua) - 2 != found->count);
	for (uint32_t i = 0; i < found->count; i++) {
		size_t from = found->captures[i].from;
		size_t len = found->captures[i].len;
		struct str text = STR_NONE;

		if (len == CAPTURE_POSITION) {
			BUG_IF((size_t)lua_tointeger(lua, (int)i + 3) != from + 1);
			continue;
		}
		BUG_IF(from > subject.len || len > subject.len - from);
		text.ptr = lua_tolstring(lua, (int)i + 3, &text.len);
		BUG_IF(!str_eq(text, str_cut(subject, from, from + len)));
	}
}

/* What is there in Lua and not here: `%z` is of older ones, and a class may be any letter. */
static bool is_ours(struct str pattern)
{
	return memmem(pattern.ptr, pattern.len, "%z", 2) ||
	       memmem(pattern.ptr, pattern.len, "%Z", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct str text = text_next(&bytes, byte_next(&bytes) % PATTERN_BYTES);
	struct str subject = text_next(&bytes, SUBJECT_BYTES);
	lua_State *lua = library();
	struct pattern_match found;
	struct pattern pattern;
	struct err err = ERR_INIT;
	uint64_t steps = UINT64_C(1) << 20;
	bool is_right;

	if (is_ours(text))
		return 0;
	is_right = judge(lua, text, subject);
	if (pattern_read(text, false, &pattern, &err) != ERR_OK) {
		/* The library reads no farther than it matches: what is behind may be wrong. */
		BUG_IF(!err.text[0]);
		return 0;
	}
	switch (pattern_find(&pattern, subject, 0, &steps, &found)) {
	case PATTERN_MATCH:
		BUG_IF(!is_right || lua_isnil(lua, 1));
		same_captures(lua, &found, subject);
		break;
	case PATTERN_NONE:
		BUG_IF(!is_right || !lua_isnil(lua, 1));
		break;
	case PATTERN_TOO_LONG:
		break;
	}
	return 0;
}
