/* sandbox.c - the world of expressions: what they can see, and what they can use up
 *
 * Four budgets, fresh for every evaluation: instructions of Lua (a count hook), bytes held and
 * bytes allocated (the allocator), steps of functions in C (sandbox_charge), and, for what none of
 * these sees (comparing large texts), processor time. Whatever is over is an error of the
 * expression.
 *
 * `params`, `outputs`, `run` and `env` are empty tables that look their members up when asked, so
 * that an evaluation costs what it uses. They and the libraries cannot be written to; names that an
 * expression sets land in a table of its own that is thrown away. There is no metatable function,
 * no pcall, no coroutine, no load: what cannot be named cannot be misused. */
#include "lang/sandbox.h"

#include "base/mem.h"
#include "sys/processor.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#define HOOK_EVERY   1000                  /* instructions */
#define TIME_MAX_NS  INT64_C(100000000)    /* of one evaluation; hundreds of times what is usual */
#define VOLUME_TIMES 4                     /* bytes allocated, as a multiple of bytes held */
#define SORT_MAX     10000                 /* items of table.sort */
#define STRING_BYTES (TEXT_BYTES_MAX + 64) /* of the block that holds one */

const char sandbox_slots[SLOT_COUNT];

struct expr *sandbox_of(lua_State *lua)
{
	struct expr *expr;

	memcpy(&expr, lua_getextraspace(lua), sizeof(expr));
	return expr;
}

void sandbox_charge(lua_State *lua, uint64_t steps)
{
	struct expr *expr = sandbox_of(lua);

	if (expr->steps < steps) {
		expr->steps = 0;
		luaL_error(lua, "the expression takes too long");
	}
	expr->steps -= steps;
}

static void hook(lua_State *lua, lua_Debug *ar)
{
	struct expr *expr = sandbox_of(lua);

	(void)ar;
	expr->instructions += HOOK_EVERY;
	if (expr->time_end_ns == 0) /* most evaluations never come here */
		expr->time_end_ns = processor_time_ns() + TIME_MAX_NS;
	if (expr->instructions <= expr->instructions_max &&
	    processor_time_ns() <= expr->time_end_ns)
		return;
	lua_sethook(lua, hook, LUA_MASKCOUNT, 1); /* again at once, should anything catch this */
	luaL_error(lua, "the expression takes too long");
}

void sandbox_begin(struct expr *expr, const struct expr_scope *scope)
{
	expr->scope = scope;
	expr->instructions = 0;
	expr->steps = expr->steps_max;
	expr->volume = 0;
	expr->time_end_ns = 0;
	expr->is_short_of_memory = false;
	lua_sethook(expr->lua, hook, LUA_MASKCOUNT, HOOK_EVERY);
}

void *sandbox_alloc(void *arg, void *block, size_t old_bytes, size_t new_bytes)
{
	struct expr *expr = arg;
	size_t old = block ? old_bytes : 0;
	void *room;

	if (new_bytes == 0) {
		mem_free(block);
		expr->bytes -= old;
		return NULL;
	}
	if (new_bytes > old) {
		uint64_t more = new_bytes - old;

		if (!block && old_bytes == LUA_TSTRING && new_bytes > STRING_BYTES)
			return NULL;
		if (expr->bytes + more > expr->bytes_max || expr->volume + more > expr->volume_max)
			return NULL;
	}
	room = mem_resize(block, new_bytes, 1);
	if (!room) {
		expr->is_short_of_memory = true;
		return NULL;
	}
	expr->bytes += new_bytes;
	expr->bytes -= old;
	expr->volume += new_bytes > old ? new_bytes - old : 0;
	return room;
}

/* --- order of keys */

static int type_rank(lua_State *lua, int index)
{
	switch (lua_type(lua, index)) {
	case LUA_TNUMBER:
		return 0;
	case LUA_TSTRING:
		return 1;
	case LUA_TBOOLEAN:
		return 2;
	default:
		return luaL_error(lua, "a table has a key that has no order (a %s)",
				  luaL_typename(lua, index));
	}
}

static int key_less(lua_State *lua)
{
	int left = type_rank(lua, 1);
	int right = type_rank(lua, 2);
	bool is_less;

	if (left != right) {
		is_less = left < right;
	} else if (left == 1) {
		struct str a;
		struct str b;

		a.ptr = lua_tolstring(lua, 1, &a.len);
		b.ptr = lua_tolstring(lua, 2, &b.len);
		is_less = str_cmp(a, b) < 0;
	} else if (left == 0) {
		is_less = lua_compare(lua, 1, 2, LUA_OPLT) != 0;
	} else {
		is_less = !lua_toboolean(lua, 1) && lua_toboolean(lua, 2);
	}
	lua_pushboolean(lua, is_less);
	return 1;
}

void sandbox_keys(lua_State *lua, int index)
{
	lua_Integer count = 0;

	luaL_checkstack(lua, 6, "a value is nested too deeply");
	lua_newtable(lua);
	lua_pushnil(lua);
	while (lua_next(lua, index)) {
		lua_pop(lua, 1);
		(void)type_rank(lua, -1);
		lua_pushvalue(lua, -1);
		lua_rawseti(lua, -3, ++count);
	}
	sandbox_charge(lua, (uint64_t)count * 8);
	if (count < 2)
		return;
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_SORT]);
	lua_pushvalue(lua, -2);
	lua_pushcfunction(lua, key_less);
	lua_call(lua, 2, 0);
}

/* --- what the run knows */

static struct str key_arg(lua_State *lua)
{
	struct str key = STR_NONE;

	if (lua_type(lua, 2) == LUA_TSTRING)
		key.ptr = lua_tolstring(lua, 2, &key.len);
	return key;
}

static bool is_secret(const struct model *model, struct str name)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (str_eq(model->params[i].name, name))
			return model->params[i].type == VALUE_SECRET;
	}
	return false;
}

static int params_get(lua_State *lua)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;
	struct str key = key_arg(lua);
	struct str json;

	if (!scope || !scope->run || !key.ptr)
		return 0;
	if (is_secret(scope->run->model, key))
		return luaL_error(lua, "a secret cannot be used in an expression");
	json = context_param(scope->run, key);
	if (!json.ptr)
		return 0;
	value_push(lua, json);
	return 1;
}

/* Set the member `name` of the table on top to params[name]. */
static void params_add(lua_State *lua, const struct run_state *run, struct str name)
{
	struct str json = context_param(run, name);

	if (!json.ptr || is_secret(run->model, name))
		return;
	lua_pushlstring(lua, name.ptr, name.len);
	value_push(lua, json);
	lua_rawset(lua, -3);
}

static int params_all(lua_State *lua)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;

	lua_newtable(lua);
	if (!scope || !scope->run)
		return 1;
	for (uint32_t i = 0; i < scope->run->model->params_count; i++)
		params_add(lua, scope->run, scope->run->model->params[i].name);
	sandbox_charge(lua, scope->run->updates_count);
	for (size_t i = 0; i < scope->run->updates_count; i++)
		params_add(lua, scope->run, scope->run->updates[i].name);
	return 1;
}

/* Pushes what an expression sees of a step; false, and nothing, when there is nothing to see. */
typedef bool step_push_fn(lua_State *lua, const struct expr_scope *scope, uint32_t step);

static int step_get(lua_State *lua, step_push_fn *push)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;
	struct str key = key_arg(lua);
	uint32_t step;

	if (!scope || !scope->run || !key.ptr)
		return 0;
	step = model_find(scope->run->model, key);
	return step != STEP_NONE && push(lua, scope, step) ? 1 : 0;
}

static int step_all(lua_State *lua, step_push_fn *push)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;

	lua_newtable(lua);
	if (!scope || !scope->run)
		return 1;
	sandbox_charge(lua, scope->run->model->steps_count / 8);
	for (uint32_t i = 0; i < scope->run->model->steps_count; i++) {
		struct str id = scope->run->model->steps[i].id;

		if (!push(lua, scope, i))
			continue;
		lua_pushlstring(lua, id.ptr, id.len);
		lua_insert(lua, -2);
		lua_rawset(lua, -3);
	}
	return 1;
}

static bool outputs_push(lua_State *lua, const struct expr_scope *scope, uint32_t step)
{
	const struct step_state *state = &scope->run->steps[step];

	if (state->state != STEP_SUCCEEDED)
		return false;
	if (state->outputs.ptr)
		value_push(lua, state->outputs);
	else
		lua_newtable(lua);
	return true;
}

static int outputs_get(lua_State *lua)
{
	return step_get(lua, outputs_push);
}

static int outputs_all(lua_State *lua)
{
	return step_all(lua, outputs_push);
}

static bool quality_push(lua_State *lua, const struct expr_scope *scope, uint32_t step)
{
	struct str quality = scope->run->steps[step].quality;

	if (step == scope->step && scope->quality.ptr)
		quality = scope->quality;
	if (!quality.ptr)
		return false;
	value_push(lua, quality);
	return true;
}

static int quality_get(lua_State *lua)
{
	return step_get(lua, quality_push);
}

static int quality_all(lua_State *lua)
{
	return step_all(lua, quality_push);
}

static int run_all(lua_State *lua)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;
	const struct run_state *run = scope ? scope->run : NULL;

	lua_newtable(lua);
	if (!run)
		return 1;
	lua_pushlstring(lua, run->run_id.ptr ? run->run_id.ptr : "", run->run_id.len);
	lua_setfield(lua, -2, "id");
	lua_pushlstring(lua, run->model->pipeline.ptr ? run->model->pipeline.ptr : "",
			run->model->pipeline.len);
	lua_setfield(lua, -2, "pipeline");
	lua_pushinteger(lua, (lua_Integer)run->seed);
	lua_setfield(lua, -2, "seed");
	if (scope->step < run->model->steps_count) {
		struct str id = run->model->steps[scope->step].id;

		lua_pushlstring(lua, id.ptr, id.len);
		lua_setfield(lua, -2, "step");
		lua_pushinteger(lua, run->steps[scope->step].attempt);
		lua_setfield(lua, -2, "attempt");
	}
	return 1;
}

static int run_get(lua_State *lua)
{
	(void)run_all(lua);
	lua_pushvalue(lua, 2);
	lua_rawget(lua, -2);
	return 1;
}

static int env_all(lua_State *lua)
{
	const struct expr_scope *scope = sandbox_of(lua)->scope;

	lua_newtable(lua);
	for (size_t i = 0; scope && scope->env && scope->env[i]; i++) {
		struct str entry = str_of(scope->env[i]);
		size_t equals = str_find(entry, "=", 0);

		if (equals == SIZE_MAX)
			continue;
		lua_pushlstring(lua, entry.ptr, equals);
		lua_pushlstring(lua, entry.ptr + equals + 1, entry.len - equals - 1);
		lua_rawset(lua, -3);
	}
	return 1;
}

static int env_get(lua_State *lua)
{
	(void)env_all(lua);
	if (lua_isnil(lua, 2))
		return 0;
	lua_pushvalue(lua, 2);
	lua_rawget(lua, -2);
	return 1;
}

static int refuse_write(lua_State *lua)
{
	return luaL_error(lua, "this table cannot be changed");
}

/* --- the functions of Lua that need a word */

/* Upvalues: table, keys, place. */
static int pairs_next(lua_State *lua)
{
	lua_Integer at = lua_tointeger(lua, lua_upvalueindex(3)) + 1;

	lua_pushinteger(lua, at);
	lua_replace(lua, lua_upvalueindex(3));
	if (lua_rawgeti(lua, lua_upvalueindex(2), at) == LUA_TNIL)
		return 1;
	lua_pushvalue(lua, -1);
	lua_rawget(lua, lua_upvalueindex(1));
	return 2;
}

static int base_pairs(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 1);
	if (luaL_getmetafield(lua, 1, "all") == LUA_TFUNCTION) {
		lua_call(lua, 0, 1);
		lua_replace(lua, 1);
	}
	lua_settop(lua, 1);
	sandbox_keys(lua, 1);
	lua_pushinteger(lua, 0);
	lua_pushcclosure(lua, pairs_next, 3);
	return 1;
}

/* Addresses tell one run from another: tables and functions show only what they are. */
static int base_tostring(lua_State *lua)
{
	luaL_checkany(lua, 1);
	switch (lua_type(lua, 1)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING:
		(void)luaL_tolstring(lua, 1, NULL);
		return 1;
	case LUA_TLIGHTUSERDATA:
		lua_pushliteral(lua, "null");
		return 1;
	default:
		lua_pushstring(lua, luaL_typename(lua, 1));
		return 1;
	}
}

/* A table that may be changed; how long it is. */
static lua_Integer plain_table(lua_State *lua, int index)
{
	luaL_checktype(lua, index, LUA_TTABLE);
	if (luaL_getmetafield(lua, index, "__newindex") != LUA_TNIL)
		return refuse_write(lua);
	return (lua_Integer)lua_rawlen(lua, index);
}

/* Call the library's function (upvalue 1), whose work is at most that many items. */
static int table_call(lua_State *lua, lua_Integer items)
{
	sandbox_charge(lua, (uint64_t)(items < 0 ? 0 : items) + 1);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

static int table_insert(lua_State *lua)
{
	lua_Integer items = plain_table(lua, 1);

	return table_call(lua, lua_gettop(lua) > 2 ? items : 1);
}

static int table_remove(lua_State *lua)
{
	lua_Integer items = plain_table(lua, 1);

	return table_call(lua, lua_gettop(lua) > 1 ? items : 1);
}

static int table_concat(lua_State *lua)
{
	lua_Integer items = plain_table(lua, 1);

	if (luaL_optinteger(lua, 4, items) > items || luaL_optinteger(lua, 3, 1) < 1)
		return luaL_error(lua, "table.concat beyond the table");
	return table_call(lua, items);
}

static int table_sort(lua_State *lua)
{
	lua_Integer items = plain_table(lua, 1);

	if (items > SORT_MAX)
		return luaL_error(lua, "table.sort of more than %d items", SORT_MAX);
	return table_call(lua, items * 16);
}

static int table_unpack(lua_State *lua)
{
	lua_Integer items = plain_table(lua, 1);
	lua_Integer from = luaL_optinteger(lua, 2, 1);
	lua_Integer to = luaL_optinteger(lua, 3, items);

	if (from < -SORT_MAX || to > SORT_MAX)
		return luaL_error(lua, "table.unpack of more than %d items", SORT_MAX);
	return table_call(lua, to - from);
}

static const struct {
	const char *name;
	lua_CFunction function; /* NULL: the library's own */
} base_functions[] = {
    {"assert", NULL},   {"error", NULL}, {"ipairs", NULL},      {"select", NULL},
    {"tonumber", NULL}, {"type", NULL},  {"pairs", base_pairs}, {"tostring", base_tostring},
};

static const struct {
	const char *name;
	lua_CFunction function;
} table_functions[] = {
    {"concat", table_concat}, {"insert", table_insert}, {"remove", table_remove},
    {"sort", table_sort},     {"unpack", table_unpack},
};

static const char *const math_names[] = {
    "abs", "ceil",       "exp",  "floor", "fmod", "huge",      "log",  "max", "maxinteger",
    "min", "mininteger", "modf", "pi",    "sqrt", "tointeger", "type", "ult",
};

static const struct {
	const char *name;
	lua_CFunction get;
	lua_CFunction all;
} views[] = {
    {"params", params_get, params_all},
    {"outputs", outputs_get, outputs_all},
    {"quality", quality_get, quality_all},
    {"run", run_get, run_all},
    {"env", env_get, env_all},
};

/* Replace the table on top by an empty one that shows it and cannot be changed. */
static void seal(lua_State *lua)
{
	lua_newtable(lua);
	lua_createtable(lua, 0, 2);
	lua_pushvalue(lua, -3);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_write);
	lua_setfield(lua, -2, "__newindex");
	lua_setmetatable(lua, -2);
	lua_remove(lua, -2);
}

static void view_push(lua_State *lua, lua_CFunction get, lua_CFunction all)
{
	lua_newtable(lua);
	lua_createtable(lua, 0, 3);
	lua_pushcfunction(lua, get);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_write);
	lua_setfield(lua, -2, "__newindex");
	lua_pushcfunction(lua, all);
	lua_setfield(lua, -2, "all");
	lua_setmetatable(lua, -2);
}

static void table_push(lua_State *lua)
{
	luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 0);
	lua_getfield(lua, -1, "sort");
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_SORT]);
	lua_newtable(lua);
	for (size_t i = 0; i < ARRAY_LEN(table_functions); i++) {
		lua_getfield(lua, -2, table_functions[i].name);
		lua_pushcclosure(lua, table_functions[i].function, 1);
		lua_setfield(lua, -2, table_functions[i].name);
	}
	lua_remove(lua, -2);
}

static void math_push(lua_State *lua)
{
	luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 0);
	lua_newtable(lua);
	for (size_t i = 0; i < ARRAY_LEN(math_names); i++) {
		lua_getfield(lua, -2, math_names[i]);
		lua_setfield(lua, -2, math_names[i]);
	}
	lua_remove(lua, -2);
}

/* The names that every expression sees, in the table on top. */
static void base_fill(lua_State *lua)
{
	int base = lua_gettop(lua);

	luaL_requiref(lua, LUA_GNAME, luaopen_base, 0);
	for (size_t i = 0; i < ARRAY_LEN(base_functions); i++) {
		if (base_functions[i].function)
			lua_pushcfunction(lua, base_functions[i].function);
		else
			lua_getfield(lua, -1, base_functions[i].name);
		lua_setfield(lua, base, base_functions[i].name);
	}
	lua_settop(lua, base);
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		view_push(lua, views[i].get, views[i].all);
		lua_setfield(lua, base, views[i].name);
	}
	sandbox_push_strings(lua);
	lua_pushliteral(lua, ""); /* ("x"):upper() finds the same functions */
	lua_createtable(lua, 0, 1);
	lua_pushvalue(lua, -3);
	lua_setfield(lua, -2, "__index");
	lua_setmetatable(lua, -2);
	lua_pop(lua, 1);
	seal(lua);
	lua_setfield(lua, base, "string");
	table_push(lua);
	seal(lua);
	lua_setfield(lua, base, "table");
	math_push(lua);
	seal(lua);
	lua_setfield(lua, base, "math");
	lua_pushlightuserdata(lua, NULL);
	lua_setfield(lua, base, "null");
}

int sandbox_open(lua_State *lua)
{
	lua_newtable(lua);
	base_fill(lua);
	lua_createtable(lua, 0, 1); /* metatable of an evaluation's own names: base behind them */
	lua_insert(lua, -2);
	lua_setfield(lua, -2, "__index");
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_BASE]);
	lua_newtable(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_LIST]);
	lua_newtable(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE]);
	lua_pushinteger(lua, 0);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &sandbox_slots[SLOT_CACHE_COUNT]);
	return 0;
}
