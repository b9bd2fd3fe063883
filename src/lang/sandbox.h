/* sandbox.h - inside of expr: the Lua state, its limits, and values between Lua and JSON. */
#ifndef LANG_SANDBOX_H
#define LANG_SANDBOX_H

#include "lang/expr.h"

#include <locale.h>
#include <lua.h>

#define TEXT_BYTES_MAX ((size_t)1 << 20) /* of one string that an expression makes */

struct expr {
	lua_State *lua;
	const struct expr_scope *scope; /* of the evaluation that goes on; may be NULL */
	uint64_t bytes, bytes_max;      /* held by Lua now */
	uint64_t volume, volume_max;    /* allocated by this evaluation, freed or not */
	uint64_t instructions, instructions_max;
	uint64_t steps; /* work that functions in C may still do for this evaluation */
	uint64_t steps_max;
	int64_t time_end_ns;     /* processor time of this thread */
	bool is_short_of_memory; /* the program's memory, not the sandbox's */
	locale_t locale;         /* C */
	struct buf scratch;      /* survives the jumps of Lua's errors */
};

/* Keys of the registry. */
enum sandbox_slot {
	SLOT_CACHE,
	SLOT_CACHE_COUNT,
	SLOT_BASE,
	SLOT_CURRENT,
	SLOT_SORT,
	SLOT_LIST,
	SLOT_COUNT
};
extern const char sandbox_slots[SLOT_COUNT];

/* Build the world of expressions; runs protected inside Lua. */
int sandbox_open(lua_State *lua);
struct expr *sandbox_of(lua_State *lua);
/* Take `steps` off the budget of functions in C; an error of Lua when it is used up. */
void sandbox_charge(lua_State *lua, uint64_t steps);
/* Begin an evaluation: all budgets are fresh. */
void sandbox_begin(struct expr *expr, const struct expr_scope *scope);
/* lua_Alloc with a cap. */
void *sandbox_alloc(void *arg, void *block, size_t old_bytes, size_t new_bytes);

/* Push the keys of the table at `index` as a sorted list: numbers, then strings, then booleans. */
void sandbox_keys(lua_State *lua, int index);
/* Push the safe `string` functions. */
void sandbox_push_strings(lua_State *lua);

/* Push a JSON text as a value; an error of Lua when it is not well-formed. Null members of objects
 * are absent, null items of lists are `null`. */
void value_push(lua_State *lua, struct str json);
/* Append the value at `index` as JSON; an error of Lua when it is none. */
void value_put(lua_State *lua, int index, struct buf *out);

#endif
