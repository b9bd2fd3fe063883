/* fixture.c - see fixture.h */
#include "fixture.h"

#include "log/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct limits fixture_limits;

int fixture_init(void **unused)
{
	(void)unused;
	limits_default(&fixture_limits);
	return 0;
}

static void need(bool fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "fixture: %s\n", what);
		abort();
	}
}

void fixture_created(struct event *event)
{
	event_init(event, EVENT_RUN_CREATED);
	event->time_utc_ms = INT64_C(1790000000123);
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, LOG_FORMAT);
	event_put_text(event, EVENT_FIELD_PIPELINE, STR("demo"));
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, STR("00ff"));
	event_put_text(event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(event, EVENT_FIELD_SEED, 42);
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR("b"));
	event_put_text(event, EVENT_FIELD_CWD, STR("/srv/ä"));
}

void fixture_event(struct event *event, unsigned n)
{
	static const struct str steps[] = {
	    {"extract", 7}, {"load", 4}, {"per_region[17].check", 20}};

	event_init(event, n % 2 ? EVENT_STEP_SUCCEEDED : EVENT_STEP_STARTED);
	event->time_utc_ms = INT64_C(1790000000123) + n * 777;
	event_put_text(event, EVENT_FIELD_STEP_ID, steps[n / 2 % 3]);
	event_put_text(event, EVENT_FIELD_NEW_STATE, n % 2 ? STR("succeeded") : STR("running"));
	if (n % 2) {
		event_put_int(event, EVENT_FIELD_EXIT_CODE, 0);
		event_put_int(event, EVENT_FIELD_DURATION_MS, n);
		event->field[EVENT_FIELD_OUTPUTS].text = STR("{\"rows\":[1,2.5,\"ü\\n\"]}");
		event->has |= UINT64_C(1) << EVENT_FIELD_OUTPUTS;
	}
}

void fixture_log(const struct temp_dir *dir, unsigned lines)
{
	struct err err = ERR_INIT;
	struct event event;
	struct log *log = NULL;

	fixture_created(&event);
	need(log_create(&vfs_os, dir->fd, STR(FIXTURE_RUN), &fixture_limits, &event, &log, &err) ==
		 ERR_OK,
	     err.text);
	for (unsigned n = 0; n + 1 < lines; n++) {
		fixture_event(&event, n);
		need(log_add(log, &event, &err) == ERR_OK, err.text);
	}
	need(log_commit(log, true, &err) == ERR_OK, err.text);
	log_close(log);
}

void fixture_chain_start(struct fixture_chain *chain)
{
	line_chain_start(STR(FIXTURE_RUN), chain->chain);
	chain->text = (struct buf)BUF_INIT;
}

void fixture_chain_add(struct fixture_chain *chain, const char *body)
{
	char h[LOG_H_BYTES + 1];

	line_chain_next(str_of(body), chain->chain);
	line_chain_print(chain->chain, h);
	buf_fmt(&chain->text, "%s,\"h\":\"%s\"}\n", body, h);
}

void fixture_chain_fini(struct fixture_chain *chain)
{
	buf_fini(&chain->text);
}

const char *fixture_head(unsigned seq, const char *type, char text[256])
{
	(void)snprintf(text, 256,
		       "{\"event_id\":\"evt_%u\",\"event_type\":\"%s\",\"run_id\":\"" FIXTURE_RUN
		       "\",\"timestamp_utc\":\"2026-09-21T12:13:14.015Z\",\"actor\":\"runner\","
		       "\"attempt\":0",
		       seq, type);
	return text;
}

const char fixture_created_members[] =
    ",\"new_state\":\"created\",\"format\":1,\"pipeline\":\"p\",\"definition_hash\":\"d\","
    "\"sync\":\"always\",\"seed\":1,\"boot_id\":\"b\",\"cwd\":\"/\"";

enum err_code fixture_visit(void *arg, const struct event *event, struct str line, struct err *err)
{
	struct fixture_seen *seen = arg;

	(void)line;
	seen->lines++;
	seen->unknown += event->type == EVENT_UNKNOWN;
	seen->last_seq = event->seq;
	if (seen->lines == seen->refuse_at)
		return err_set(err, seen->refuse_code, "refused by the test");
	return ERR_OK;
}

enum err_code fixture_read(const struct temp_dir *dir, struct fixture_seen *seen,
			   struct log_reading *reading)
{
	struct err err = ERR_INIT;

	return log_read(&vfs_os, dir->fd, &fixture_limits, 0, fixture_visit, seen, reading, &err);
}

enum err_code fixture_open(const struct temp_dir *dir, struct log_torn *torn)
{
	struct err err = ERR_INIT;
	struct log *log = NULL;
	enum err_code code = log_open(&vfs_os, dir->fd, STR(FIXTURE_RUN), &fixture_limits, NULL,
				      NULL, NULL, &log, torn, &err);

	log_close(log);
	return code;
}
