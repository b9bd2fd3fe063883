/* attempt.c - see attempt.h */
#include "core/attempt.h"

#include "base/mem.h"

struct row {
	enum attempt_state from;
	enum attempt_event event;
	enum attempt_state to;
	enum attempt_act act;
};

static const struct row rows[] = {
#define STATE(name, what)
#define EVENT(name, what)
#define ROW(from, event, to, act, why) \
	{ATTEMPT_##from, ATTEMPT_EV_##event, ATTEMPT_##to, ATTEMPT_DO_##act},
#include "core/attempt.def"
};

static const char *const state_names[] = {
#define STATE(name, what) #name,
#define EVENT(name, what)
#define ROW(from, event, to, act, why)
#include "core/attempt.def"
};

static const char *const event_names[] = {
#define STATE(name, what)
#define EVENT(name, what) #name,
#define ROW(from, event, to, act, why)
#include "core/attempt.def"
};

const char *attempt_state_name(enum attempt_state state)
{
	return state_names[state];
}

enum err_code attempt_move(enum attempt_state *state, enum attempt_event event,
			   enum attempt_act *ret_act, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].from == *state && rows[i].event == event) {
			*state = rows[i].to;
			*ret_act = rows[i].act;
			return ERR_OK;
		}
	}
	return err_set(err, ERR_CONFLICT, "an attempt that is %s refuses %s", state_names[*state],
		       event_names[event]);
}
