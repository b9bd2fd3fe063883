/* event.h - one fact of a run, as a struct: what a line of events.jsonl holds.
 *
 * The tables event.def and field.def say which types and fields there are; log/ turns lines into
 * this struct and back, decide() makes it, apply() folds it. An event borrows its texts: from the
 * line it was read from, or from the memory of the tick that made it. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum event_type {
	EVENT_NONE,
#define EVENT(name, text, about, required, optional, what) EVENT_##name,
#include "core/event.def"
	EVENT_USER,    /* `x-...`: recorded, without effect */
	EVENT_UNKNOWN, /* of a newer version: readable, never written behind */
	EVENT_TYPES
};

enum event_field {
#define FIELD(name, text, kind) EVENT_FIELD_##name,
#include "core/field.def"
	EVENT_FIELD_COUNT
};

enum event_field_kind { EVENT_KIND_TEXT, EVENT_KIND_INT, EVENT_KIND_FLAG, EVENT_KIND_RAW };

_Static_assert(EVENT_FIELD_COUNT <= 64, "fields of an event are a 64-bit set");

/* A field's value: `text` for TEXT and RAW (the JSON as written), `number` for INT, FLAG is its
 * presence. */
union event_value {
	struct str text;
	int64_t number;
};

struct event {
	enum event_type type;
	struct str type_text; /* as written; for EVENT_USER and EVENT_UNKNOWN the only name */
	uint64_t seq;         /* 1, 2, 3 ...; 0 until the log gave it one */
	struct str run_id;    /* empty until the log filled it in */
	int64_t time_utc_ms;  /* for people; order comes from seq */
	struct str actor;     /* "runner", "manual:<name>", "api:<token>", "schedule" */
	uint32_t attempt;     /* of the step; 0 for events about the run */
	uint64_t has;         /* set of enum event_field */
	union event_value field[EVENT_FIELD_COUNT];
};

#define EVENT_ACTOR_RUNNER STR("runner")

/* An event of this type by the runner, without a number, a time or any field. */
void event_init(struct event *event, enum event_type type);
/* Set a field, of the kind that field.def gives it; a text is borrowed. A flag is true when it is
 * there. */
void event_put_text(struct event *event, enum event_field field, struct str text);
void event_put_int(struct event *event, enum event_field field, int64_t number);
void event_put_flag(struct event *event, enum event_field field);

/* Is the field there? */
static inline bool event_has(const struct event *event, enum event_field field)
{
	return event->has >> field & 1;
}

/* The text of a field, STR_NONE when it is absent. */
static inline struct str event_text(const struct event *event, enum event_field field)
{
	return event_has(event, field) ? event->field[field].text : STR_NONE;
}

/* The number of a field, `otherwise` when it is absent. */
int64_t event_int(const struct event *event, enum event_field field, int64_t otherwise);

/* Names and tables. EVENT_UNKNOWN for a type that is not in the table (EVENT_USER for `x-`). */
const char *event_type_name(enum event_type type);
enum event_type event_type_of(struct str name);
bool event_is_about_step(enum event_type type);
const char *event_field_name(enum event_field field);
enum event_field_kind event_field_kind(enum event_field field);
/* EVENT_FIELD_COUNT when there is no such field. */
enum event_field event_field_of(struct str name);

/* Does the event have what its type requires and nothing else? CORRUPT with the field's name. */
MUST_CHECK enum err_code event_check(const struct event *event, struct err *err);

#endif
