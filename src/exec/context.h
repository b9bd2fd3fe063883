/* context.h - what functions on other threads may know of a run: parameters and outputs, as they
 * were when the attempt began.
 *
 * The engine publishes what an event brought, with the event's number; a reader names the number
 * that its attempt began with and sees nothing newer. So a start costs nothing, however large the
 * context is, and nobody reads the state that the engine changes. Texts are borrowed: they must
 * outlive the context, unchanged (the arena of a run's state keeps them). */
#ifndef EXEC_CONTEXT_H
#define EXEC_CONTEXT_H

#include "base/buf.h"
#include "core/model.h"

struct exec_context;

struct exec_context_options {
	const struct model *model; /* not changed while the context lives */
	struct str run_id;
	uint64_t seed;
	const struct str *params;  /* model->params_count, JSON; ptr NULL = not given */
	const struct str *secrets; /* model->params_count, the values; NULL when none were read */
	const struct str *masks;   /* texts that become *** in whatever is printed */
	size_t masks_count;
};

/* The options are copied, what they point to is borrowed. Free with exec_context_free. MEMORY. */
MUST_CHECK enum err_code exec_context_new(const struct exec_context_options *options,
					  struct exec_context **ret_context, struct err *err);
/* Accepts NULL. No attempt may be under way. */
void exec_context_free(struct exec_context *context);

/* The engine's side. A step succeeded: its outputs, as one JSON object. */
void exec_context_put_outputs(struct exec_context *context, uint32_t step, struct str outputs,
			      uint64_t seq);
/* A context update: the newest of a name stands in the place of the parameter. MEMORY. */
MUST_CHECK enum err_code exec_context_put_update(struct exec_context *context, struct str name,
						 struct str value, uint64_t seq, struct err *err);

/* Any thread. JSON; ptr NULL when there is none as of `seq`. */
struct str exec_context_param(struct exec_context *context, uint64_t seq, struct str name);
struct str exec_context_outputs(struct exec_context *context, uint64_t seq, uint32_t step);
/* All parameters and updates as one JSON object, appended. */
void exec_context_params(struct exec_context *context, uint64_t seq, struct buf *out);
/* Does not change while the context lives. */
const struct exec_context_options *exec_context_options(const struct exec_context *context);

#endif
