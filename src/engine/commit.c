/* commit.c - inputs become events, events become durable lines: decide and apply in memory, then
 * one append and one sync. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

enum err_code engine_add_effect(struct engine *engine, struct effect effect, struct err *err)
{
	void *list = engine->effects;

	if (effect.kind == EFFECT_NONE)
		return ERR_OK;
	if (mem_grow(&list, &engine->effects_capacity, engine->effects_count + 1, sizeof(effect),
		     err) != ERR_OK)
		return err->code;
	engine->effects = list;
	engine->effects[engine->effects_count++] = effect;
	return ERR_OK;
}

static enum err_code add_effect(struct engine *engine, const struct event *event, struct err *err)
{
	const struct run_state *run = &engine->fold.state;

	return engine_add_effect(engine, (struct effect){effect_of(run, event), run->last_step},
				 err);
}

/* The log has a reference, the fold has the value. */
static void resolve_refs(const struct engine *engine, struct event *event)
{
	if (event_has(event, EVENT_FIELD_OUTPUTS_REF))
		event_put_text(event, EVENT_FIELD_OUTPUTS, buf_view(&engine->outputs_text));
	if (event_has(event, EVENT_FIELD_CONTEXT_UPDATES_REF))
		event_put_text(event, EVENT_FIELD_CONTEXT_UPDATES, buf_view(&engine->updates_text));
}

/* What is to follow after a delay has the time since boot, for whoever takes the run over (S7.6).
 */
static void note_boot_time(const struct engine *engine, struct event *event)
{
	if (event->type == EVENT_STEP_RETRIED ||
	    (event->type == EVENT_COMPENSATION_FAILED && event_has(event, EVENT_FIELD_DELAY_MS)))
		event_put_int(event, EVENT_FIELD_BOOT_MS, engine->now_ns / NS_PER_MS);
}

enum err_code engine_record(struct engine *engine, struct event *event, struct err *err)
{
	BUG_IF(engine->commit.state == COMMIT_POISONED);
	engine->commit.state = COMMIT_OPEN;
	note_boot_time(engine, event);
	if (event_check(event, err) != ERR_OK)
		return err_while(err, "an event of our own is not legal");
	if (log_add(engine->log, event, err) != ERR_OK)
		return err->code;
	resolve_refs(engine, event);
	if (change_apply(engine, event, err) != ERR_OK)
		return err_while(err, "apply '%s'", event_type_name(event->type));
	decider_observe(&engine->decider, event);
	projections_note(engine, event);
	if (hosted_observe(engine, event, err) != ERR_OK)
		return err->code;
	return add_effect(engine, event, err);
}

enum err_code engine_feed(struct engine *engine, const struct input *input, struct err *err)
{
	struct decide_events events = {engine->events, 0};

	if (decide_input(&engine->decider, input, engine->now_ms, &events, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < events.count; i++) {
		if (engine_record(engine, &events.items[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static bool syncs_now(const struct engine *engine)
{
	return engine->fold.model->sync == SYNC_ALWAYS;
}

enum err_code engine_commit(struct engine *engine, struct err *err)
{
	const struct log_head *head;

	if (engine->commit.state == COMMIT_IDLE)
		return ERR_OK;
	if (engine->observer.on_line)
		buf_str(&engine->lines, log_pending(engine->log));
	if (log_commit(engine->log, syncs_now(engine), err) != ERR_OK) {
		engine->commit.state = COMMIT_POISONED;
		return err_while(err, "write the event log");
	}
	engine->commit.state = COMMIT_IDLE;
	if (engine->fold.model->sync == SYNC_INTERVAL && !engine->commit.is_unsynced) {
		engine->commit.is_unsynced = true;
		engine->commit.sync_due_ns = engine->now_ns + engine->fold.model->sync_interval_ns;
	}
	head = log_head(engine->log);
	return run_lock_publish(engine->ports.vfs, &engine->lock, head->seq, head->offset_bytes,
				err);
}

enum err_code engine_sync_due(struct engine *engine, struct err *err)
{
	bool is_end = engine->fold.state.is_completed || engine->fold.state.state == RUN_BLOCKED;

	if (!engine->commit.is_unsynced || (engine->now_ns < engine->commit.sync_due_ns && !is_end))
		return ERR_OK;
	engine->commit.is_unsynced = false;
	if (log_sync(engine->log, err) != ERR_OK) {
		engine->commit.state = COMMIT_POISONED;
		return err_while(err, "sync the event log");
	}
	return ERR_OK;
}
