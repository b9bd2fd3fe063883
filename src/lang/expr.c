/* expr.c - see expr.h
 *
 * An expression is compiled as `return (<source>)`, which takes one expression and nothing else,
 * and kept by its text. Everything that can raise an error of Lua runs inside lua_pcall; what it
 * writes belongs to the caller, so that nothing is lost when Lua jumps. */
#include "lang/expr.h"

#include "base/json.h"
#include "base/mem.h"
#include "lang/sandbox.h"
#include "lang/template.h"

#include <lauxlib.h>
#include <string.h>

#define SOURCE_BYTES_MAX 16384 /* the compiler's work grows with the square of a chain of `and` */
#define CACHE_MAX        512   /* compiled expressions */
#define CHUNK_NAME       "=expression" /* stripped from messages */

enum want { WANT_JSON, WANT_BOOL, WANT_TEXT };

struct call {
	struct str source;
	enum want want;
	struct buf *out; /* WANT_JSON, WANT_TEXT */
	bool value;      /* WANT_BOOL */
};

enum err_code expr_new(const struct limits *limits, struct expr **ret_expr, struct err *err)
{
	AUTO(expr_drop) struct expr *expr = mem_new(1, sizeof(*expr));

	if (!expr)
		return mem_err(err);
	expr->bytes_max = limits->lua_bytes;
	expr->volume_max = UINT64_MAX;
	expr->instructions_max = limits->lua_instructions;
	expr->steps_max = limits->lua_instructions;
	expr->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!expr->locale)
		return mem_err(err);
	expr->lua = lua_newstate(sandbox_alloc, expr);
	if (!expr->lua)
		return mem_err(err);
	memcpy(lua_getextraspace(expr->lua), &expr, sizeof(void *));
	lua_pushcfunction(expr->lua, sandbox_open);
	if (lua_pcall(expr->lua, 0, 0, 0) != LUA_OK) {
		if (expr->is_short_of_memory)
			return mem_err(err);
		return err_set(err, ERR_LIMIT, "the expression sandbox needs more than %llu bytes",
			       (unsigned long long)expr->bytes_max);
	}
	expr->volume_max = limits->lua_bytes * 4;
	*ret_expr = TAKE(expr, NULL);
	return ERR_OK;
}

void expr_free(struct expr *expr)
{
	if (!expr)
		return;
	if (expr->lua) {
		expr->volume_max = UINT64_MAX;
		lua_close(expr->lua);
	}
	if (expr->locale)
		freelocale(expr->locale);
	buf_fini(&expr->scratch);
	mem_free(expr);
}

void expr_drop(struct expr **expr)
{
	expr_free(*expr);
}

/* --- inside of Lua */

/* The parts of a chunk, handed over one by one. */
struct chunk {
	struct str parts[3];
	size_t next;
};

static const char *chunk_read(lua_State *lua, void *arg, size_t *ret_len)
{
	struct chunk *chunk = arg;

	(void)lua;
	while (chunk->next < ARRAY_LEN(chunk->parts)) {
		struct str part = chunk->parts[chunk->next++];

		if (part.len) {
			*ret_len = part.len;
			return part.ptr;
		}
	}
	*ret_len = 0;
	return NULL;
}

/* Push the compiled text between `head` and `tail`; an error of Lua if it does not parse. */
static void compile(lua_State *lua, const char *head, struct str source, const char *tail)
{
	struct chunk chunk = {.parts = {str_of(head), source, str_of(tail)}};

	if (source.len > SOURCE_BYTES_MAX)
		luaL_error(lua, "it is longer than %d bytes", SOURCE_BYTES_MAX);
	if (lua_load(lua, chunk_read, &chunk, CHUNK_NAME, "t") != LUA_OK)
		lua_error(lua);
}

static int check_inside(lua_State *lua)
{
	const struct call *call = lua_touserdata(lua, 1);

	if (str_trim(call->source).len == 0)
		return luaL_error(lua, "it is empty");
	/* Both: the first has the clearer message, and refuses `1) + (2`; the second refuses
	 * `1, 2` and statements. */
	compile(lua, "return ", call->source, "");
	compile(lua, "return (", call->source, "\n)");
	return 0;
}

/* Push the function of a source: compiled once. */
static void function_push(lua_State *lua, struct str source)
{
	lua_Integer count;

	lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE]);
	lua_pushlstring(lua, source.ptr ? source.ptr : "", source.len);
	lua_pushvalue(lua, -1);
	if (lua_rawget(lua, -3) == LUA_TFUNCTION) {
		lua_insert(lua, -3);
		lua_pop(lua, 2);
		return;
	}
	lua_pop(lua, 1);
	compile(lua, "return (", source, "\n)");
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE_COUNT]);
	count = lua_tointeger(lua, -1) + 1;
	lua_pop(lua, 1);
	if (count > CACHE_MAX) { /* begin anew: cheaper than knowing which is old */
		lua_newtable(lua);
		lua_pushvalue(lua, -1);
		lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE]);
		lua_replace(lua, -4);
		count = 1;
	}
	lua_pushinteger(lua, count);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE_COUNT]);
	lua_pushvalue(lua, -2);
	lua_pushvalue(lua, -2);
	lua_rawset(lua, -5);
	lua_insert(lua, -3);
	lua_pop(lua, 2);
}

static void text_append(lua_State *lua, struct buf *out)
{
	struct str text;

	if (lua_type(lua, -1) == LUA_TNIL)
		luaL_error(lua, "it is nil: there is no such value");
	if (lua_type(lua, -1) != LUA_TSTRING) {
		value_put(lua, -1, out);
		return;
	}
	text.ptr = lua_tolstring(lua, -1, &text.len);
	if (str_has(text, '\0'))
		luaL_error(lua, "the text holds a NUL character");
	if (!utf8_valid(text))
		luaL_error(lua, "a text is not UTF-8");
	buf_str(out, text);
}

static int eval_inside(lua_State *lua)
{
	struct call *call = lua_touserdata(lua, 1);
	const struct expr_scope *scope = sandbox_of(lua)->scope;

	function_push(lua, call->source);
	lua_pushvalue(lua, -1);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CURRENT]);
	lua_newtable(lua); /* the names that this evaluation sets */
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_BASE]);
	lua_setmetatable(lua, -2);
	if (scope && scope->output.ptr && str_find(call->source, "output", 0) != SIZE_MAX) {
		value_push(lua, scope->output);
		lua_setfield(lua, -2, "output");
	}
	lua_setupvalue(lua, -2, 1);
	lua_call(lua, 0, 1);
	switch (call->want) {
	case WANT_BOOL:
		if (lua_type(lua, -1) != LUA_TBOOLEAN)
			return luaL_error(lua, "it is a %s, not a boolean", luaL_typename(lua, -1));
		call->value = lua_toboolean(lua, -1);
		break;
	case WANT_JSON:
		value_put(lua, -1, call->out);
		break;
	case WANT_TEXT:
		text_append(lua, call->out);
		break;
	}
	return 0;
}

/* --- outside */

/* Lua puts "expression:<line>: " before its messages. */
static struct str message_of(lua_State *lua)
{
	struct str text = STR("it failed with an error that is not a text");
	size_t at = sizeof(CHUNK_NAME) - 2;

	if (lua_type(lua, -1) != LUA_TSTRING)
		return text;
	text.ptr = lua_tolstring(lua, -1, &text.len);
	if (str_starts(text, "expression:")) {
		for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9';)
			at++;
		if (str_starts(str_cut(text, at, text.len), ": "))
			text = str_cut(text, at + 2, text.len);
	}
	return str_cut(text, 0, 300);
}

static enum err_code failure(struct expr *expr, int status, struct err *err)
{
	if (expr->is_short_of_memory)
		return mem_err(err);
	if (status == LUA_ERRMEM)
		return err_set(err, ERR_INVALID,
			       "the expression needs too much memory (lua_bytes)");
	return err_set(err, ERR_INVALID, "%.*s", STR_ARG(message_of(expr->lua)));
}

/* Call a function of this file inside of Lua. */
static enum err_code run(struct expr *expr, lua_CFunction function, struct call *call,
			 const struct expr_scope *scope, struct err *err)
{
	lua_State *lua = expr->lua;
	locale_t before = uselocale(expr->locale);
	int status;

	sandbox_begin(expr, scope);
	lua_pushcfunction(lua, function);
	lua_pushlightuserdata(lua, call);
	status = lua_pcall(lua, 1, 0, 0);
	if (status != LUA_OK)
		(void)failure(expr, status, err);
	lua_settop(lua, 0);
	lua_sethook(lua, NULL, 0, 0);
	/* The function is kept, what it saw is not. */
	if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CURRENT]) == LUA_TFUNCTION) {
		lua_pushnil(lua);
		(void)lua_setupvalue(lua, -2, 1);
	}
	lua_settop(lua, 0);
	if (status != LUA_OK || expr->bytes > expr->bytes_max / 2)
		lua_gc(lua, LUA_GCCOLLECT);
	expr->scope = NULL;
	(void)uselocale(before);
	return status == LUA_OK ? ERR_OK : err->code;
}

enum err_code expr_check(struct expr *expr, struct str source, struct err *err)
{
	struct call call = {.source = source};

	return run(expr, check_inside, &call, NULL, err);
}

enum err_code expr_eval(struct expr *expr, struct str source, const struct expr_scope *scope,
			struct buf *out_json, struct err *err)
{
	struct call call = {.source = source, .want = WANT_JSON, .out = out_json};
	size_t before = out_json->len;

	if (run(expr, eval_inside, &call, scope, err) == ERR_OK &&
	    buf_check(out_json, "value of an expression", err) == ERR_OK)
		return ERR_OK;
	if (out_json->len > before)
		buf_cut(out_json, before);
	return err->code;
}

enum err_code expr_eval_bool(struct expr *expr, struct str source, const struct expr_scope *scope,
			     bool *ret_value, struct err *err)
{
	struct call call = {.source = source, .want = WANT_BOOL};

	if (run(expr, eval_inside, &call, scope, err) != ERR_OK)
		return err->code;
	*ret_value = call.value;
	return ERR_OK;
}

static enum err_code parts_fill(struct expr *expr, struct str text, const struct expr_scope *scope,
				struct buf *out, struct err *err)
{
	struct template_part part;
	size_t at = 0;

	while (template_next(text, &at, &part)) {
		struct call call = {.source = part.expression, .want = WANT_TEXT, .out = out};

		if (part.is_open)
			return err_set(err, ERR_INVALID, "`${` without its `}`");
		buf_str(out, part.literal);
		if (!part.expression.ptr)
			continue;
		if (run(expr, eval_inside, &call, scope, err) != ERR_OK)
			return err_while(err, "`${%.*s}`",
					 STR_ARG(str_cut(part.expression, 0, 80)));
	}
	return buf_check(out, "filled text", err);
}

enum err_code expr_fill(struct expr *expr, const struct tmpl *tmpl, const struct expr_scope *scope,
			struct buf *out_text, struct err *err)
{
	size_t before = out_text->len;

	if (!tmpl->is_dynamic) {
		buf_str(out_text, tmpl->text);
		return buf_check(out_text, "text", err);
	}
	if (parts_fill(expr, tmpl->text, scope, out_text, err) != ERR_OK && out_text->len > before)
		buf_cut(out_text, before);
	return err->code;
}
