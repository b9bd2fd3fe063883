/* birth.c - an engine comes and goes: start a run, open one for a decision, let go. */
#include "engine/engine_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "engine/given.h"
#include "lang/lang.h"

#include <stdio.h>
#include <string.h>

enum err_code engine_new(const struct engine_ports *ports, struct engine_observer observer,
			 struct engine **ret_engine, struct err *err)
{
	AUTO(engine_drop) struct engine *engine = mem_new(1, sizeof(*engine));

	if (!engine)
		return mem_err(err);
	engine->lock.fd = -1;
	engine->ports = *ports;
	engine->observer = observer;
	engine->events = mem_resize(NULL, DECIDE_EVENTS_MAX, sizeof(*engine->events));
	if (!engine->events)
		return mem_err(err);
	if (prepare_inherited(engine, err) != ERR_OK)
		return err->code;
	engine_read_clocks(engine);
	*ret_engine = TAKE(engine, NULL);
	return ERR_OK;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	if (engine->exec.ops)
		engine->exec.ops->close(engine->exec.self);
	exec_context_free(engine->context); /* no function is under way any more */
	log_close(engine->log);
	if (engine->lock.fd >= 0)
		run_lock_release(engine->ports.vfs, &engine->lock);
	decider_fini(&engine->decider);
	fold_fini(&engine->fold);
	model_free(engine->next);
	expr_free(engine->expr);
	cache_free(engine->cache);
	secrets_fini(&engine->secrets);
	rundir_close(engine->dir);
	heap_fini(&engine->timers);
	for (size_t i = 0; i < engine->asks_count; i++)
		buf_fini(&engine->asks[i].texts);
	mem_free(engine->asks);
	mem_free(engine->events);
	mem_free(engine->effects);
	mem_free(engine->attempts);
	mem_free(engine->done);
	buf_fini(&engine->lines);
	buf_fini(&engine->projections.audit);
	buf_fini(&engine->outputs_text);
	buf_fini(&engine->updates_text);
	arena_fini(&engine->tick);
	arena_fini(&engine->life);
	mem_free(engine);
}

void engine_drop(struct engine **engine)
{
	engine_free(*engine);
}

enum err_code engine_begin(struct engine *engine, struct err *err)
{
	const struct model *model = engine->fold.model;

	engine->attempts = mem_new(model->steps_count, sizeof(*engine->attempts));
	if (!engine->attempts)
		return mem_err(err);
	return decider_init(&engine->decider, &engine->fold.state, err);
}

enum err_code engine_arm_deadline(struct engine *engine, int64_t left_ns, struct err *err)
{
	if (!engine->fold.model->timeout_ns || engine->ports.is_dry)
		return ERR_OK;
	engine->deadline_ns = time_after(engine->now_ns, left_ns > 0 ? left_ns : 0);
	return engine_arm_timer(engine, TIMER_RUN, STEP_NONE, engine->deadline_ns, err);
}

/* ---------------------------------------------------------------------------------- start */

static void put_params(struct buf *out, const struct model *model, const struct str *params)
{
	buf_byte(out, '{');
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (!params[i].ptr)
			continue;
		if (out->len > 1)
			buf_byte(out, ',');
		json_put_str(out, model->params[i].name);
		buf_byte(out, ':');
		buf_str(out, params[i]);
	}
	buf_byte(out, '}');
}

static struct str sync_text(const struct model *model, char text[40])
{
	switch (model->sync) {
	case SYNC_ALWAYS:
		return STR("always");
	case SYNC_INTERVAL:
		(void)snprintf(text, 40, "interval:%lld",
			       (long long)(model->sync_interval_ns / NS_PER_MS));
		return str_of(text);
	case SYNC_NEVER:
		return STR("never");
	}
	BUG_IF(true);
	return STR_NONE;
}

/* Texts of run.created that have to live until it is applied. */
struct created_texts {
	struct buf params;
	struct buf selection;
	char given_ref[SHA256_HEX_BYTES +
		       1]; /* of what was given; empty = it is in the line, or nothing is */
	char hash[SHA256_HEX_BYTES + 1];
	char sync[40];
};

static void make_created(const struct engine *engine, const struct engine_start *start,
			 struct created_texts *texts, struct event *event)
{
	const struct model *model = engine->fold.model;

	event_init(event, EVENT_RUN_CREATED);
	event->time_utc_ms = engine->now_ms;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(event, EVENT_FIELD_FORMAT, 1);
	event_put_text(event, EVENT_FIELD_PIPELINE, model->pipeline);
	if (model->version.len)
		event_put_text(event, EVENT_FIELD_VERSION, model->version);
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, str_of(texts->hash));
	if (model->params_count)
		event_put_text(event, EVENT_FIELD_PARAMS, buf_view(&texts->params));
	if (engine->ports.is_dry)
		event_put_flag(event, EVENT_FIELD_DRY_RUN);
	if (start->partition.len)
		event_put_text(event, EVENT_FIELD_PARTITION, start->partition);
	if (start->key.len)
		event_put_text(event, EVENT_FIELD_IDEMPOTENCY_KEY, start->key);
	if (texts->selection.len)
		event_put_text(event, EVENT_FIELD_SELECTION, buf_view(&texts->selection));
	if (texts->given_ref[0])
		event_put_text(event, EVENT_FIELD_GIVEN_REF, str_of(texts->given_ref));
	else if (start->given.len)
		event_put_text(event, EVENT_FIELD_GIVEN, start->given);
	event_put_text(event, EVENT_FIELD_SYNC, sync_text(model, texts->sync));
	event_put_int(event, EVENT_FIELD_SEED, (int64_t)(start->seed >> 1));
	event_put_text(event, EVENT_FIELD_BOOT_ID, engine->ports.boot_id);
	event_put_text(event, EVENT_FIELD_CWD, model->folder);
	if (start->file.len)
		event_put_text(event, EVENT_FIELD_FILE, start->file);
	if (start->trace_id.len)
		event_put_text(event, EVENT_FIELD_TRACE_ID, start->trace_id);
	if (start->traceparent.len)
		event_put_text(event, EVENT_FIELD_TRACEPARENT, start->traceparent);
	if (start->reason.len)
		event_put_text(event, EVENT_FIELD_REASON, start->reason);
}

static enum err_code give_birth(struct engine *engine, const struct engine_start *start,
				struct str frozen, struct created_texts *texts,
				struct event *created, struct err *err)
{
	struct rundir_birth birth = {
	    .home = engine->ports.home,
	    .run_id = start->run_id,
	    .source = start->source,
	    .frozen = frozen,
	    .created = created,
	    .limits = engine->ports.limits,
	};
	uint8_t digest[SHA256_BYTES];

	sha256_of(frozen.ptr, frozen.len, digest);
	sha256_hex(digest, texts->hash);
	put_params(&texts->params, engine->fold.model, start->params);
	if (selection_is_given(&start->selection))
		selection_put(&start->selection, &texts->selection);
	if (start->given.len > engine->ports.limits->inline_bytes) {
		birth.given = start->given;
		sha256_of(start->given.ptr, start->given.len, digest);
		sha256_hex(digest, texts->given_ref);
	}
	if (buf_check(&texts->params, "the parameters", err) != ERR_OK ||
	    buf_check(&texts->selection, "the selection", err) != ERR_OK)
		return err->code;
	make_created(engine, start, texts, created);
	return rundir_create(engine->ports.vfs, &birth, &engine->dir, &engine->lock, &engine->log,
			     err);
}

/* What runs is what was frozen, read back: a resume will see the same. */
static enum err_code freeze(struct engine *engine, const struct engine_start *start,
			    struct buf *frozen, struct err *err)
{
	if (lang_freeze(start->model, frozen, err) != ERR_OK ||
	    buf_check(frozen, "the definition", err) != ERR_OK)
		return err->code;
	return lang_thaw(buf_view(frozen), &engine->fold.model, err);
}

static enum err_code create(struct engine *engine, const struct engine_start *start,
			    struct err *err)
{
	AUTO(buf_fini) struct buf frozen = BUF_INIT;
	struct created_texts texts = {.params = BUF_INIT, .selection = BUF_INIT};
	struct event created;
	enum err_code code;

	if (freeze(engine, start, &frozen, err) != ERR_OK ||
	    (selection_is_given(&start->selection) &&
	     given_check(engine->fold.model, &start->selection, start->given, err) != ERR_OK) ||
	    (!engine->ports.is_dry && /* S14: secrets need not exist */
	     secrets_read(&engine->secrets, engine->fold.model, err) != ERR_OK) ||
	    run_state_init(&engine->fold.state, engine->fold.model, err) != ERR_OK ||
	    hosted_accept(engine, true, err) != ERR_OK)
		return err->code;
	code = give_birth(engine, start, buf_view(&frozen), &texts, &created, err);
	if (code == ERR_OK &&
	    texts.given_ref[0]) /* the log has the reference, the fold the value */
		event_put_text(&created, EVENT_FIELD_GIVEN, start->given);
	if (code == ERR_OK)
		code = apply(&engine->fold.state, &created, ERR_CONFLICT, err);
	buf_fini(&texts.params);
	buf_fini(&texts.selection);
	return code;
}

/* The observer hears of run.created too, although it was written by the birth. */
static enum err_code tell_birth(struct engine *engine, struct err *err)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;

	if (!engine->observer.on_line)
		return ERR_OK;
	if (vfs_read_all(engine->ports.vfs, rundir_fd(engine->dir), LOG_FILE,
			 engine->ports.limits->line_bytes, &line, err) != ERR_OK)
		return err->code;
	engine->observer.on_line(engine->observer.arg, str_trim(buf_view(&line)));
	return ERR_OK;
}

enum err_code engine_start(const struct engine_ports *ports, const struct engine_start *start,
			   struct engine **ret_engine, struct err *err)
{
	AUTO(engine_drop) struct engine *engine = NULL;

	if (engine_new(ports, start->observer, &engine, err) != ERR_OK ||
	    create(engine, start, err) != ERR_OK || engine_begin(engine, err) != ERR_OK ||
	    engine_arm_deadline(engine, engine->fold.model->timeout_ns, err) != ERR_OK ||
	    hosted_begin(engine, err) != ERR_OK || tell_birth(engine, err) != ERR_OK ||
	    ports->open_exec(ports->arg, engine->dir, engine->fold.state.epoch, &engine->exec,
			     err) != ERR_OK)
		return err->code;
	if (engine->exec.ops && engine->exec.ops->warm_up)
		engine->exec.ops->warm_up(engine->exec.self);
	engine->has_more = true;
	*ret_engine = TAKE(engine, NULL);
	return ERR_OK;
}
