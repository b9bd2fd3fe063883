/* graph.h - the dependencies of a model: dependents, order, cycles, what lies downstream. */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include "core/model.h"

/* Fill model->dependents and model->order from needs and needs_any (duplicates kept once each).
 * Linear. INVALID when there is a cycle: *ret_cycle is then a step on it, and the error's text
 * names the cycle as "a -> b -> a". */
MUST_CHECK enum err_code graph_build(struct model *model, uint32_t *ret_cycle, struct err *err);

/* Mark `from` and everything that depends on it, directly or not. `marks` has steps_count bytes,
 * zero where nothing is marked yet; `queue` is scratch for steps_count indexes. */
void graph_mark_downstream(const struct model *model, uint32_t from, uint8_t *marks,
			   uint32_t *queue);

/* The same for `from` and everything that it needs (needs and needs_any), directly or not. */
void graph_mark_upstream(const struct model *model, uint32_t from, uint8_t *marks, uint32_t *queue);

#endif
