/* fixture.c - see fixture.h */
#include "fixture.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "lang/lang.h"

#include <stdio.h>

#define T0_MS INT64_C(1769860800000) /* 2026-01-31T12:00:00Z */

static const char definition[] = "pipeline: demo\n"
				 "steps:\n"
				 "  first: {run: 'true', retry: {max_attempts: 2}}\n"
				 "  gate: {gate: hard, run: 'true'}\n"
				 "  last: {run: 'true'}\n";

static void freeze(const struct limits *limits, struct buf *out, char hex[SHA256_HEX_BYTES + 1])
{
	AUTO(diags_fini) struct diags diags;
	AUTO(model_drop) struct model *model = NULL;
	struct err err = ERR_INIT;
	uint8_t digest[SHA256_BYTES];

	diags_init(&diags, 10);
	assert_ok(lang_load(str_of(definition), STR("/"), limits, &diags, &model, &err), &err);
	assert_ok(lang_freeze(model, out, &err), &err);
	sha256_of(out->ptr, out->len, digest);
	sha256_hex(digest, hex);
}

void made_open(struct made *made)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	char hash[SHA256_HEX_BYTES + 1];
	struct event event;
	struct rundir_birth birth = {.run_id = STR("run_1"), .source = str_of(definition)};

	*made = (struct made){.log = NULL};
	limits_default(&made->limits);
	temp_dir_make(&made->home);
	freeze(&made->limits, &frozen, hash);
	event_init(&event, EVENT_RUN_CREATED);
	event.time_utc_ms = T0_MS;
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(&event, EVENT_FIELD_FORMAT, 1);
	event_put_text(&event, EVENT_FIELD_PIPELINE, STR("demo"));
	event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, str_of(hash));
	event_put_text(&event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(&event, EVENT_FIELD_SEED, 1);
	event_put_text(&event, EVENT_FIELD_BOOT_ID, STR("boot"));
	event_put_text(&event, EVENT_FIELD_CWD, STR("/"));
	birth.home = made->home.path;
	birth.frozen = buf_view(&frozen);
	birth.created = &event;
	birth.limits = &made->limits;
	assert_ok(rundir_create(&vfs_os, &birth, &made->dir, &made->lock, &made->log, &made->err),
		  &made->err);
}

void made_release(struct made *made)
{
	log_close(made->log);
	made->log = NULL;
	run_lock_release(&vfs_os, &made->lock);
}

void made_close(struct made *made)
{
	made_release(made);
	rundir_close(made->dir);
	temp_dir_remove(&made->home);
}

void made_add(struct made *made, struct event *event)
{
	event->time_utc_ms = T0_MS + (int64_t)log_head(made->log)->seq * 1000;
	assert_ok(log_add(made->log, event, &made->err), &made->err);
	assert_ok(log_commit(made->log, true, &made->err), &made->err);
}

void made_state(struct made *made, const char *from, const char *to)
{
	struct event event;

	event_init(&event, EVENT_RUN_STATE_CHANGED);
	event_put_text(&event, EVENT_FIELD_PREVIOUS_STATE, str_of(from));
	event_put_text(&event, EVENT_FIELD_NEW_STATE, str_of(to));
	made_add(made, &event);
}

static void step_event(struct event *event, enum event_type type, const char *step,
		       uint32_t attempt, const char *state)
{
	event_init(event, type);
	event->attempt = attempt;
	event_put_text(event, EVENT_FIELD_STEP_ID, str_of(step));
	if (state)
		event_put_text(event, EVENT_FIELD_NEW_STATE, str_of(state));
}

void made_start(struct made *made, const char *step, uint32_t attempt)
{
	struct event event;

	step_event(&event, EVENT_STEP_STARTED, step, attempt, "running");
	made_add(made, &event);
}

void made_succeed(struct made *made, const char *step, uint32_t attempt)
{
	struct event event;

	step_event(&event, EVENT_STEP_SUCCEEDED, step, attempt, "succeeded");
	event_put_int(&event, EVENT_FIELD_DURATION_MS, 250);
	made_add(made, &event);
}

void made_fail(struct made *made, const char *step, uint32_t attempt, const char *class,
	       const char *reason)
{
	struct event event;

	step_event(&event, EVENT_STEP_FAILED, step, attempt, "failed");
	event_put_text(&event, EVENT_FIELD_ERROR_CLASS, str_of(class));
	event_put_text(&event, EVENT_FIELD_REASON, str_of(reason));
	event_put_int(&event, EVENT_FIELD_DURATION_MS, 100);
	made_add(made, &event);
}

void made_retry(struct made *made, const char *step, uint32_t attempt)
{
	struct event event;

	step_event(&event, EVENT_STEP_RETRIED, step, attempt, NULL);
	event_put_text(&event, EVENT_FIELD_ERROR_CLASS, STR("timeout"));
	event_put_int(&event, EVENT_FIELD_DELAY_MS, 2000);
	made_add(made, &event);
}

void made_skip(struct made *made, const char *step, const char *reason)
{
	struct event event;

	step_event(&event, EVENT_STEP_SKIPPED, step, 0, NULL);
	event_put_text(&event, EVENT_FIELD_REASON, str_of(reason));
	made_add(made, &event);
}

void made_complete(struct made *made, const char *state, const char *outcome)
{
	struct event event;

	event_init(&event, EVENT_RUN_COMPLETED);
	event_put_text(&event, EVENT_FIELD_NEW_STATE, str_of(state));
	event_put_text(&event, EVENT_FIELD_OUTCOME, str_of(outcome));
	event_put_int(&event, EVENT_FIELD_DURATION_MS, 1);
	made_add(made, &event);
}

void made_begin(struct made *made)
{
	made_state(made, "created", "preflight_validated");
	made_state(made, "preflight_validated", "executing");
}

void made_failed_run(struct made *made)
{
	struct event event;

	made_begin(made);
	made_start(made, "first", 0);
	made_fail(made, "first", 0, "timeout", "too slow");
	made_retry(made, "first", 1);
	made_start(made, "first", 1);
	made_succeed(made, "first", 1);
	made_start(made, "gate", 0);
	made_fail(made, "gate", 0, "hard_gate_failed", "two\nlines \"quoted\"");
	step_event(&event, EVENT_GATE_FAILED, "gate", 0, NULL);
	event_put_text(&event, EVENT_FIELD_ERROR_CLASS, STR("hard_gate_failed"));
	made_add(made, &event);
	made_skip(made, "last", "gate_failed");
	made_state(made, "executing", "failed");
	made_complete(made, "failed", "failed");
}

static void path_of(char path[64], const char *name)
{
	(void)snprintf(path, 64, "runs/run_1/%s", name);
}

void made_read(struct made *made, const char *name, struct buf *out)
{
	char path[64];

	path_of(path, name);
	temp_dir_read(&made->home, path, out);
}

void made_write(struct made *made, const char *name, struct str bytes)
{
	char path[64];

	path_of(path, name);
	temp_dir_write(&made->home, path, bytes.ptr, bytes.len);
}
