/* given.h - a context file of `run --from STEP --context FILE` (S9.5): what stands for the results
 * of steps that a run does not execute.
 *
 *   {"outputs": {"extract": {"rows": 42}}, "params": {"day": "2026-01-31"}} */
#ifndef ENGINE_GIVEN_H
#define ENGINE_GIVEN_H

#include "base/buf.h"
#include "core/model.h"
#include "core/select.h"

/* Read one. The outputs of each step are held against what it declares, as a result file is; they
 * are appended to `out` as one compact JSON object by step, nothing when the file gives none.
 * *ret_params is the object of parameters, a slice of `context`, ptr NULL when there is none. USAGE
 * says what is wrong: not JSON, an unknown member or step (with the nearest), a step that the
 * selection executes, outputs that are missing or of another type. */
MUST_CHECK enum err_code given_read(const struct model *model, const struct selection *selection,
				    struct str context, struct buf *out, struct str *ret_params,
				    struct err *err);

/* Has everything that the selection executes what it needs, with the given steps of `given` (as
 * given_read made it; may be empty)? REFUSED, NOT_FOUND for an unknown step, MEMORY. */
MUST_CHECK enum err_code given_check(const struct model *model, const struct selection *selection,
				     struct str given, struct err *err);

#endif
