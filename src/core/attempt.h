/* attempt.h - the machine of attempt.def. Pure. */
#ifndef CORE_ATTEMPT_H
#define CORE_ATTEMPT_H

#include "base/err.h"

enum attempt_state {
#define STATE(name, what) ATTEMPT_##name,
#define EVENT(name, what)
#define ROW(from, event, to, act, why)
#include "core/attempt.def"
};

enum attempt_event {
#define STATE(name, what)
#define EVENT(name, what) ATTEMPT_EV_##name,
#define ROW(from, event, to, act, why)
#include "core/attempt.def"
	ATTEMPT_EV_COUNT
};

/* What the engine does on a row. */
enum attempt_act {
	ATTEMPT_DO_NOTHING,
	ATTEMPT_DO_START,         /* hand the same token over (again) */
	ATTEMPT_DO_CANCEL,        /* tell the executor */
	ATTEMPT_DO_END,           /* gather the result */
	ATTEMPT_DO_END_CANCELLED, /* it ends without ever having run */
	ATTEMPT_DO_LOSE,
	ATTEMPT_DO_HOLD,
	ATTEMPT_DO_HALT, /* a storage failure: stop the run, resumable */
};

/* Move by one row. CONFLICT when there is none: *state stays. */
MUST_CHECK enum err_code attempt_move(enum attempt_state *state, enum attempt_event event,
				      enum attempt_act *ret_act, struct err *err);

/* The name of a state as attempt.def has it; static. */
const char *attempt_state_name(enum attempt_state state);

#endif
