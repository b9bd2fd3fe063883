/* event.c - see event.h */
#include "core/event.h"

#include "base/mem.h"

struct type_row {
	const char *name;
	bool is_about_step;
	uint64_t required;
	uint64_t allowed;
};

#define F(name)    (UINT64_C(1) << EVENT_FIELD_##name)
#define ABOUT_RUN  false
#define ABOUT_STEP true

static const struct type_row types[] = {
    [EVENT_NONE] = {"", false, 0, 0},
#define EVENT(name, text, about, required, optional, what) \
	[EVENT_##name] = {text, ABOUT_##about, (required), (required) | (optional)},
#include "core/event.def"
    [EVENT_USER] = {"x-", false, 0, F(DATA) | F(STEP_ID)},
    [EVENT_UNKNOWN] = {"unknown", false, 0, 0},
};

struct field_row {
	const char *name;
	enum event_field_kind kind;
};

static const struct field_row fields[] = {
#define FIELD(name, text, kind) {text, EVENT_KIND_##kind},
#include "core/field.def"
};

_Static_assert(ARRAY_LEN(fields) == EVENT_FIELD_COUNT, "a row for each field");

void event_init(struct event *event, enum event_type type)
{
	/* The values of absent fields are never read, so they are not cleared: an event is made
	 * for every line that is read. */
	event->type = type;
	event->type_text = str_of(event_type_name(type));
	event->seq = 0;
	event->run_id = STR_NONE;
	event->time_utc_ms = 0;
	event->actor = EVENT_ACTOR_RUNNER;
	event->attempt = 0;
	event->has = 0;
}

void event_put_text(struct event *event, enum event_field field, struct str text)
{
	event->field[field].text = text;
	event->has |= UINT64_C(1) << field;
}

void event_put_int(struct event *event, enum event_field field, int64_t number)
{
	event->field[field].number = number;
	event->has |= UINT64_C(1) << field;
}

void event_put_flag(struct event *event, enum event_field field)
{
	event->field[field].number = 1;
	event->has |= UINT64_C(1) << field;
}

int64_t event_int(const struct event *event, enum event_field field, int64_t otherwise)
{
	return event_has(event, field) ? event->field[field].number : otherwise;
}

const char *event_type_name(enum event_type type)
{
	return types[type].name;
}

enum event_type event_type_of(struct str name)
{
	for (enum event_type type = EVENT_NONE + 1; type < EVENT_USER; type++) {
		if (str_is(name, types[type].name))
			return type;
	}
	return str_starts(name, "x-") && name.len > 2 ? EVENT_USER : EVENT_UNKNOWN;
}

bool event_is_about_step(enum event_type type)
{
	return types[type].is_about_step;
}

const char *event_field_name(enum event_field field)
{
	return field < EVENT_FIELD_COUNT ? fields[field].name : "";
}

enum event_field_kind event_field_kind(enum event_field field)
{
	return fields[field].kind;
}

enum event_field event_field_of(struct str name)
{
	enum event_field field = 0;

	while (field < EVENT_FIELD_COUNT && !str_is(name, fields[field].name))
		field++;
	return field;
}

static enum event_field lowest(uint64_t set)
{
	return (enum event_field)__builtin_ctzll(set);
}

enum err_code event_check(const struct event *event, struct err *err)
{
	const struct type_row *row = &types[event->type];
	uint64_t missing = row->required & ~event->has;
	uint64_t extra = event->has & ~row->allowed;

	if (event->type == EVENT_UNKNOWN)
		return err_set(err, ERR_NEWER, "event type '%.*s' is not known",
			       STR_ARG(event->type_text));
	if (missing)
		return err_set(err, ERR_CORRUPT, "'%s' lacks '%s'", row->name,
			       event_field_name(lowest(missing)));
	if (extra)
		return err_set(err, ERR_CORRUPT, "'%s' has no '%s'", row->name,
			       event_field_name(lowest(extra)));
	return ERR_OK;
}
