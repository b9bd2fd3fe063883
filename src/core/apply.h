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

#endif
