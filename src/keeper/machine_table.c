/* machine_table.c - keeper.def as a table: names, and the row for a state and an event */
#include "keeper/machine_intern.h"

#include "base/mem.h"

static const struct row rows[] = {
#define STATE(name, value, kind, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) \
	{KEEPER_##from, KEEPER_EVENT_##event, KEEPER_##to, DO_##effect},
#include "keeper/keeper.def"
};

static const char *const state_names[] = {
#define STATE(name, value, kind, what) #name,
#define EVENT(name, what)
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
};

static const char *const event_names[] = {
#define STATE(name, value, kind, what)
#define EVENT(name, what) #name,
#define ROW(from, event, to, effect, why)
#include "keeper/keeper.def"
};

_Static_assert(ARRAY_LEN(state_names) == KEEPER_STATES, "states are numbered without gaps");

const char *keeper_state_name(enum keeper_state state)
{
	return state < KEEPER_STATES ? state_names[state] : "UNKNOWN";
}

const char *keeper_event_name(enum keeper_event event)
{
	return event < KEEPER_EVENTS ? event_names[event] : "UNKNOWN";
}

const struct row *machine_row(enum keeper_state state, enum keeper_event event)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].from == state && rows[i].event == event)
			return &rows[i];
	}
	return NULL;
}

bool keeper_row_find(enum keeper_state state, enum keeper_event event, enum keeper_state *ret_to)
{
	const struct row *row = machine_row(state, event);

	if (!row)
		return false;
	*ret_to = row->to;
	return true;
}
