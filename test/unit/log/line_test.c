/* line_test.c - our lines against jansson: what we write is JSON that says the same, and comes
 * back. */
#define json_type   our_json_type
#define JSON_OBJECT OUR_JSON_OBJECT
#define JSON_ARRAY  OUR_JSON_ARRAY
#define JSON_STRING OUR_JSON_STRING
#define JSON_NUMBER OUR_JSON_NUMBER
#define JSON_TRUE   OUR_JSON_TRUE
#define JSON_FALSE  OUR_JSON_FALSE
#define JSON_NULL   OUR_JSON_NULL
#include "base/json.h"
#undef json_type
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NUMBER
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/mem.h"
#include "base/timefmt.h"
#include "fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state;

static uint64_t next(void)
{
	uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static struct str random_text(void)
{
	static const struct str texts[] = {
	    {"", 0},
	    {"plain", 5},
	    {"two words and more than sixteen bytes", 37},
	    {"quote \" slash \\ tab \t line \n", 28},
	    {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9},
	    {"\x01\x1F\x7F", 3},
	    {"\xE2\x80\xA8 and \xE2\x80\xA9", 11},
	    {"per_region[17].load", 19},
	};

	return texts[next() % ARRAY_LEN(texts)];
}

static struct str random_raw(void)
{
	static const char *const raws[] = {
	    "{}",
	    "[]",
	    "0",
	    "-1.5e3",
	    "true",
	    "false",
	    "\"x\\u00e4\"",
	    "{\"a\":[1,{\"b\":null}]}",
	    "[\"\\ud83d\\ude00\",\"\"]",
	};

	return str_of(raws[next() % ARRAY_LEN(raws)]);
}

static void random_field(struct event *event, enum event_field field)
{
	switch (event_field_kind(field)) {
	case EVENT_KIND_TEXT:
		event_put_text(event, field, random_text());
		break;
	case EVENT_KIND_INT:
		event_put_int(event, field,
			      next() % 3 ? (int64_t)(next() >> (next() % 64)) : (int64_t)next());
		break;
	case EVENT_KIND_FLAG:
		event_put_flag(event, field);
		break;
	case EVENT_KIND_RAW:
		event_put_text(event, field, random_raw());
		break;
	}
}

/* Every type with its required fields, and some of the others that it may have, by trying. */
static void random_event(struct event *event)
{
	struct err err = ERR_INIT;
	enum event_type type = (enum event_type)(1 + next() % (EVENT_USER));

	event_init(event, type);
	if (type == EVENT_USER)
		event->type_text = next() % 2 ? STR("x-note") : STR("x-\xC3\xA4 \"q\"");
	event->seq = 1 + (next() >> (next() % 64)) % UINT64_C(1000000000000);
	event->run_id = STR(FIXTURE_RUN);
	event->time_utc_ms = (int64_t)(next() % UINT64_C(4000000000000));
	event->actor = next() % 3 ? EVENT_ACTOR_RUNNER : STR("manual:zo\xC3\xAB \"z\"");
	event->attempt = next() % 2 ? 0 : (uint32_t)next();
	/* The check names what is missing, one after the other. */
	while (event_check(event, &err) != ERR_OK) {
		const char *from = strstr(err.text, "lacks '") + 7;

		random_field(event, event_field_of(str_from(from, strcspn(from, "'"))));
		err_reset(&err);
	}
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		struct event with = *event;

		random_field(&with, field);
		if (event_check(&with, &err) == ERR_OK && next() % 2)
			*event = with;
		err_reset(&err);
	}
	assert_int_equal(event_check(event, &err), ERR_OK);
}

static void assert_same_text(const json_t *object, const char *name, struct str text)
{
	json_t *value = json_object_get(object, name);

	assert_true(json_is_string(value));
	assert_int_equal(json_string_length(value), text.len);
	if (text.len)
		assert_memory_equal(json_string_value(value), text.ptr, text.len);
}

static void assert_jansson_reads(const struct event *event, struct str line)
{
	char stamp[STAMP_BYTES + 1];
	char id[32];
	json_error_t problem;
	json_t *object =
	    json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
	size_t members = 7;

	if (!object)
		fail_msg("%s: %.*s", problem.text, STR_ARG(line));
	(void)snprintf(id, sizeof(id), "evt_%llu", (unsigned long long)event->seq);
	stamp_write(event->time_utc_ms, stamp);
	assert_same_text(object, "event_id", str_of(id));
	assert_same_text(object, "event_type", event->type_text);
	assert_same_text(object, "run_id", event->run_id);
	assert_same_text(object, "timestamp_utc", str_of(stamp));
	assert_same_text(object, "actor", event->actor);
	assert_int_equal(json_integer_value(json_object_get(object, "attempt")), event->attempt);
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		json_t *value = json_object_get(object, event_field_name(field));
		json_t *wanted;

		assert_int_equal(value != NULL, event_has(event, field));
		if (!value)
			continue;
		members++;
		switch (event_field_kind(field)) {
		case EVENT_KIND_TEXT:
			assert_same_text(object, event_field_name(field), event_text(event, field));
			break;
		case EVENT_KIND_INT:
			assert_int_equal(json_integer_value(value), event_int(event, field, 0));
			break;
		case EVENT_KIND_FLAG:
			assert_true(json_is_true(value));
			break;
		case EVENT_KIND_RAW:
			wanted = json_loadb(event_text(event, field).ptr,
					    event_text(event, field).len, JSON_DECODE_ANY, NULL);
			assert_true(json_equal(value, wanted));
			json_decref(wanted);
			break;
		}
	}
	assert_int_equal(json_object_size(object), members);
	json_decref(object);
}

static void assert_equal_events(const struct event *a, const struct event *b)
{
	assert_int_equal(a->type, b->type);
	assert_true(str_eq(a->type_text, b->type_text));
	assert_int_equal(a->seq, b->seq);
	assert_true(str_eq(a->run_id, b->run_id));
	assert_int_equal(a->time_utc_ms, b->time_utc_ms);
	assert_true(str_eq(a->actor, b->actor));
	assert_int_equal(a->attempt, b->attempt);
	assert_int_equal(a->has, b->has);
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		if (!event_has(a, field))
			continue;
		if (event_field_kind(field) == EVENT_KIND_INT)
			assert_int_equal(a->field[field].number, b->field[field].number);
		else if (event_field_kind(field) != EVENT_KIND_FLAG)
			assert_true(str_eq(a->field[field].text, b->field[field].text));
	}
}

/* S11.1 */
static void generated_events_come_back_and_jansson_agrees(void **unused)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	struct err err = ERR_INIT;

	(void)unused;
	state = 4711;
	for (unsigned i = 0; i < 20000; i++) {
		struct event event;
		struct event back;

		random_event(&event);
		buf_clear(&line);
		log_encode(&event, &line);
		buf_text(&line, ",\"h\":\"0123456789abcdef\"}");
		assert_jansson_reads(&event, buf_view(&line));
		if (log_decode(buf_view(&line), &scratch, &back, &err) != ERR_OK)
			fail_msg("%s: %s", err.text, line.ptr);
		assert_equal_events(&event, &back);
	}
}

/* S11: what our reader takes, jansson takes. */
static void mutated_lines_are_never_taken_wrongly(void **unused)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	AUTO(buf_fini) struct buf scratch = BUF_INIT;
	unsigned taken = 0;

	(void)unused;
	state = 815;
	for (unsigned i = 0; i < 60000; i++) {
		struct err err = ERR_INIT;
		struct event event;
		struct event back;
		size_t at;

		random_event(&event);
		buf_clear(&line);
		log_encode(&event, &line);
		at = next() % line.len;
		if (next() % 2)
			line.ptr[at] = (char)((unsigned char)line.ptr[at] ^ (1u << next() % 8));
		else
			line.ptr[at] = "\"\\{}[]:,01x \0\n"[next() % 14];
		buf_text(&line, ",\"h\":\"0123456789abcdef\"}");
		if (log_decode(buf_view(&line), &scratch, &back, &err) == ERR_OK) {
			assert_jansson_reads(&back, buf_view(&line));
			taken++;
		}
	}
	assert_true(taken > 6000); /* a changed letter in a text is still an event */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(generated_events_come_back_and_jansson_agrees),
	    cmocka_unit_test(mutated_lines_are_never_taken_wrongly),
	};

	return cmocka_run_group_tests(tests, fixture_init, NULL);
}
