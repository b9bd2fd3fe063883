/* made_run.c - see made_run.h */
#include "support/made_run.h"

#include "base/mem.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

struct model *made_run_model(const struct limits *limits, const char *definition)
{
	AUTO(diags_fini) struct diags diags;
	struct model *model = NULL;
	struct err err = ERR_INIT;

	diags_init(&diags, 10);
	assert_ok(lang_load(str_of(definition), STR("/"), limits, &diags, &model, &err), &err);
	return model;
}

static void freeze(const struct limits *limits, const char *definition, struct buf *out)
{
	AUTO(model_drop) struct model *model = made_run_model(limits, definition);
	struct err err = ERR_INIT;

	assert_ok(lang_freeze(model, out, &err), &err);
}

void made_run_hash(struct str text, char hex[SHA256_HEX_BYTES + 1])
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(text.ptr, text.len, digest);
	sha256_hex(digest, hex);
}

static void put_blob(struct made_run *made, struct str content, char ref[SHA256_HEX_BYTES + 1])
{
	assert_ok(rundir_blob_put(made->dir, content, ref, &made->err), &made->err);
}

static void make_created(struct made_run *made, const struct made_birth *birth,
			 const char *given_ref, struct event *event)
{
	event_init(event, EVENT_RUN_CREATED);
	event->time_utc_ms = made->now_ms;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, LOG_FORMAT + birth->later);
	event_put_text(event, EVENT_FIELD_PIPELINE, STR("demo"));
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, str_of(made->hash));
	if (birth->selection)
		event_put_text(event, EVENT_FIELD_SELECTION, str_of(birth->selection));
	if (birth->given)
		event_put_text(event, EVENT_FIELD_GIVEN_REF, str_of(given_ref));
	event_put_text(event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(event, EVENT_FIELD_SEED, 1);
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR(MADE_BOOT));
	event_put_text(event, EVENT_FIELD_CWD, birth->folder ? str_of(birth->folder) : STR("/"));
}

void made_run_open(struct made_run *made, const struct made_birth *birth)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	AUTO(buf_fini) struct buf next = BUF_INIT;
	char given_ref[SHA256_HEX_BYTES + 1] = "";
	struct event event;
	struct rundir_birth whole = {
	    .run_id = STR("r1"),
	    .source = str_of(birth->definition),
	    .given = str_of(birth->given),
	    .created = &event,
	};

	*made = (struct made_run){.log = NULL, .now_ms = MADE_T0_MS};
	limits_default(&made->limits);
	temp_dir_make(&made->home);
	if (birth->frozen)
		buf_text(&frozen, birth->frozen);
	else
		freeze(&made->limits, birth->definition, &frozen);
	made_run_hash(buf_view(&frozen), made->hash);
	if (birth->given)
		made_run_hash(whole.given, given_ref);
	make_created(made, birth, given_ref, &event);
	whole.home = made->home.path;
	whole.frozen = buf_view(&frozen);
	whole.limits = &made->limits;
	assert_ok(rundir_create(&vfs_os, &whole, &made->dir, &made->lock, &made->log, &made->err),
		  &made->err);
	(void)snprintf(made->run.path, sizeof(made->run.path), "%.240s/runs/r1", made->home.path);
	made->run.fd = rundir_fd(made->dir);
	if (birth->next) {
		freeze(&made->limits, birth->next, &next);
		put_blob(made, buf_view(&next), made->next_hash);
	}
}

void made_run_release(struct made_run *made)
{
	log_drop(&made->log);
	if (made->lock.fd >= 0)
		run_lock_release(&vfs_os, &made->lock);
}

void made_run_close(struct made_run *made)
{
	made_run_release(made);
	rundir_close(made->dir);
	temp_dir_remove(&made->home);
}

/* ------------------------------------------------------------------------------------ telling */

/* The next word of a line; empty at its end. */
static struct str next_word(struct str *line)
{
	size_t len = 0;
	struct str word;

	while (len < line->len && line->ptr[len] != ' ')
		len++;
	word = str_cut(*line, 0, len);
	*line = str_cut(*line, len < line->len ? len + 1 : len, line->len);
	return word;
}

static int64_t number_of(struct str text)
{
	uint64_t number = 0;

	assert_true(str_to_u64(text, &number));
	return (int64_t)number;
}

#define ROOM_BYTES 300 /* for the name of a blob, or a path: it lives as long as the event */

static struct str text_of(struct made_run *made, struct str value, char room[ROOM_BYTES])
{
	if (str_starts(value, "~/")) {
		(void)snprintf(room, ROOM_BYTES, "%s%.*s", made->home.path,
			       STR_ARG(str_cut(value, 1, value.len)));
		return str_of(room);
	}
	if (str_is(value, "@birth"))
		return str_of(made->hash);
	if (str_is(value, "@next"))
		return str_of(made->next_hash);
	if (!str_starts(value, "@"))
		return value;
	put_blob(made, str_cut(value, 1, value.len), room);
	return str_of(room);
}

static void put_field(struct made_run *made, struct event *event, struct str word,
		      char room[ROOM_BYTES])
{
	size_t at = str_find(word, "=", 0);
	enum event_field field;
	struct str value;

	assert_int_not_equal(at, SIZE_MAX);
	field = event_field_of(str_cut(word, 0, at));
	assert_int_not_equal(field, EVENT_FIELD_COUNT);
	value = str_cut(word, at + 1, word.len);
	switch (event_field_kind(field)) {
	case EVENT_KIND_INT:
		event_put_int(event, field, number_of(value));
		break;
	case EVENT_KIND_FLAG:
		event_put_flag(event, field);
		break;
	case EVENT_KIND_TEXT:
	case EVENT_KIND_RAW:
		event_put_text(event, field, text_of(made, value, room));
		break;
	}
}

static void tell_one(struct made_run *made, struct str line)
{
	char rooms[EVENT_FIELD_COUNT][ROOM_BYTES];
	struct event event;
	struct str word;
	size_t i = 0;

	event_init(&event, event_type_of(next_word(&line)));
	if (event_is_about_step(event.type)) {
		event_put_text(&event, EVENT_FIELD_STEP_ID, next_word(&line));
		event.attempt = (uint32_t)number_of(next_word(&line));
	}
	made->now_ms += 1000;
	while ((word = next_word(&line)).len) {
		if (str_starts(word, "+"))
			made->now_ms += number_of(str_cut(word, 1, word.len));
		else
			put_field(made, &event, word, rooms[i++]);
	}
	event.time_utc_ms = made->now_ms;
	assert_ok(log_add(made->log, &event, &made->err), &made->err);
}

void made_run_tell(struct made_run *made, const char *lines)
{
	struct str left = str_of(lines);

	while (left.len) {
		size_t end = str_find(left, "\n", 0);

		if (end == SIZE_MAX)
			end = left.len;
		if (end)
			tell_one(made, str_cut(left, 0, end));
		left = str_cut(left, end < left.len ? end + 1 : end, left.len);
	}
	assert_ok(log_commit(made->log, true, &made->err), &made->err);
}
