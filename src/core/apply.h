/* apply.h - the fold: what one event does to the state of a run. Pure: no clock, no I/O.
 *
 * Live execution and replay run the same function (S1.1). */
#ifndef CORE_APPLY_H
#define CORE_APPLY_H

#include "core/run_state.h"

/* Change `run` by one event, which must be the next in order of seq. The event's texts are copied
 * where the state keeps them. `refused` is the code for an event that the tables do not allow:
 * CONFLICT when live, CORRUPT when replayed. After an error the state must be thrown away. */
MUST_CHECK enum err_code apply(struct run_state *run, const struct event *event,
			       enum err_code refused, struct err *err);
/* The same for a run.resumed with `changes`: from it on the run is one of `next` (borrowed as
 * run->model is, which must live on). Steps keep their state by id; those that changed, and all
 * downstream of them and of those that were added, are open again (S9.3). `refused` also when the
 * changes do not fit the two. */
MUST_CHECK enum err_code apply_next(struct run_state *run, const struct event *event,
				    const struct model *next, enum err_code refused,
				    struct err *err);
/* Does a plain resume open this step again (S9.2)? `was_at_rest`: the run is failed or stopped;
 * while it is not, it goes on by itself, with the budget that it had (S7.3), and no step is opened.
 */
bool apply_opens_on_resume(const struct run_state *run, uint32_t index, bool was_at_rest);

#endif
