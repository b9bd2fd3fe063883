/* expr.h - Lua expressions: `when`, `pass`, and the `${}` parts of texts, in a sandbox.
 *
 * One Lua state per engine, made at the first expression. Text chunks only; no io, os, debug, load,
 * require, coroutine, rawset of the environment, string.dump, collectgarbage, metatables of strings
 * are sealed; `pairs` in sorted order, no addresses in tostring, C locale; pattern functions are
 * bounded; an instruction hook (re-armed with count 1 when it fires) and an allocator with a cap.
 * No expression has an effect: names it sets are gone at its end. An expression has at most 16 KiB
 * of text; besides instructions, bytes and the steps of functions in C, a tenth of a second of
 * processor time ends it.
 *
 * Values: JSON integers are integers, numbers with a fraction or an exponent are floats, and a
 * float is written in its shortest form, so 100.0 becomes 100. Null members of objects are absent,
 * null items of lists are the value `null`. `outputs.<step>` is nil until the step succeeded. A
 * secret is an error. */
#ifndef LANG_EXPR_H
#define LANG_EXPR_H

#include "base/buf.h"
#include "base/limit.h"
#include "core/run_state.h"

struct expr; /* the sandbox */

/* What an expression can see. */
struct expr_scope {
	const struct run_state *run; /* params, outputs.<step>.<key>, run.{id,pipeline,seed} */
	uint32_t step;               /* whose expression it is; run.step, run.attempt */
	struct str output;  /* JSON object of the step's own outputs for `pass` and `reason`;
			     * ptr NULL = `output` is not defined */
	struct str quality; /* the step's own figures, just given; ptr NULL = those of the state */
	char *const *env;   /* allow-listed environment for `env.X`; NULL-ended; may be NULL */
};

/* A sandbox of its own, with the limits lua_bytes and lua_instructions; free it with expr_free.
 * MEMORY. */
MUST_CHECK enum err_code expr_new(const struct limits *limits, struct expr **ret_expr,
				  struct err *err);
/* Accepts NULL; expr_drop is for AUTO(). */
void expr_free(struct expr *expr);
void expr_drop(struct expr **expr);

/* Does it parse? For lang_load. The error's text is Lua's, without chunk name and line. */
MUST_CHECK enum err_code expr_check(struct expr *expr, struct str source, struct err *err);

/* Evaluate a bare expression; the value as JSON is appended to out. INVALID with a text for a
 * person when it errors, exceeds a limit, or has a value that JSON does not have (function,
 * NaN). */
MUST_CHECK enum err_code expr_eval(struct expr *expr, struct str source,
				   const struct expr_scope *scope, struct buf *out_json,
				   struct err *err);

/* Evaluate to exactly true or false; anything else is INVALID ("is a string, not a boolean"). */
MUST_CHECK enum err_code expr_eval_bool(struct expr *expr, struct str source,
					const struct expr_scope *scope, bool *ret_value,
					struct err *err);

/* Fill the `${}` parts of a text. A text that is one `${}` gives the value's own text: strings as
 * they are, numbers in shortest form, booleans true/false, lists and objects as JSON; nil is
 * INVALID. A value with a NUL byte is INVALID. */
MUST_CHECK enum err_code expr_fill(struct expr *expr, const struct tmpl *tmpl,
				   const struct expr_scope *scope, struct buf *out_text,
				   struct err *err);

#endif
