/* select.h - which steps a run executes: all of its definition, or a part (run --until, --only,
 * --from).
 *
 * The whole definition is frozen. run.created records the selection, and the outputs that stand for
 * steps that are not executed ("given", S9.5). A given step counts as succeeded from the first
 * event on; every other step outside of the selection is skipped by an event, so nothing is left
 * out silently. */
#ifndef CORE_SELECT_H
#define CORE_SELECT_H

#include "base/buf.h"
#include "core/model.h"

/* Ids of steps; ptr NULL = not asked for. `only` stands alone. */
struct selection {
	struct str from;  /* this one and all downstream */
	struct str until; /* this one and all that it needs; with `from`: what lies between */
	struct str only;  /* just this one */
};

/* Is it a part: was any of the three asked for? */
bool selection_is_given(const struct selection *selection);

/* As run.created has it: {"from":"a","until":"b"}. Names of steps need no escapes. */
void selection_put(const struct selection *selection, struct buf *out);
/* Read it back: slices of `json`. CORRUPT when it is none. */
MUST_CHECK enum err_code selection_read(struct str json, struct selection *ret_selection,
					struct err *err);
/* For a person, as it was asked for: `--from a --until b`. */
void selection_say(const struct selection *selection, struct buf *out);

/* Set marks[step] = 1 for each step that runs; `marks` has steps_count zero bytes. NOT_FOUND for a
 * name that is no step; REFUSED when nothing lies between `from` and `until`; MEMORY. */
MUST_CHECK enum err_code selection_mark(const struct model *model,
					const struct selection *selection, uint8_t *marks,
					struct err *err);

/* Has every marked step what it needs: marked too, or given (is_given[step] = 1)? Of needs_any one
 * is enough. REFUSED names the first that has not. */
MUST_CHECK enum err_code selection_check(const struct model *model, const uint8_t *marks,
					 const uint8_t *is_given, struct err *err);

#endif
