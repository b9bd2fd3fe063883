/* engine.c - the tick: see engine.h for its phases. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <string.h>

/* 1 now */
void engine_read_clocks(struct engine *engine)
{
	engine->now_ms = clock_utc_ms(engine->ports.clock);
	engine->now_ns = clock_boot_ns(engine->ports.clock);
}

/* ----------------------------------------------------------------------------- 3 timers */

#define TIMER_ATTEMPT_BITS 29

static uint64_t timer_id(enum timer_kind kind, uint32_t attempt, uint32_t step)
{
	uint64_t low = attempt & ((1u << TIMER_ATTEMPT_BITS) - 1);

	return (uint64_t)kind << 61 | low << 32 | step;
}

enum err_code engine_arm_timer(struct engine *engine, enum timer_kind kind, uint32_t step,
			       int64_t due_ns, struct err *err)
{
	uint32_t attempt = step == STEP_NONE ? 0 : engine->fold.state.steps[step].attempt;
	struct heap_item item = {due_ns, timer_id(kind, attempt, step)};

	return heap_push(&engine->timers, item, err);
}

static enum err_code fire_timer(struct engine *engine, uint64_t id, struct err *err)
{
	uint32_t step = (uint32_t)id;
	enum timer_kind kind = (enum timer_kind)(id >> 61);
	struct input input = {.step = step};

	if (kind == TIMER_RUN) {
		input.kind = INPUT_RUN_DEADLINE;
		return engine_feed(engine, &input, err);
	}
	if (kind == TIMER_UNDO) {
		input.kind = INPUT_UNDO_DUE;
		return engine_feed(engine, &input, err);
	}
	if (id != timer_id(kind, engine->fold.state.steps[step].attempt, step))
		return ERR_OK; /* of an earlier attempt */
	input.kind = kind == TIMER_RETRY ? INPUT_RETRY_DUE : INPUT_WAIT_OVER;
	return engine_feed(engine, &input, err);
}

static enum err_code fire_timers(struct engine *engine, struct err *err)
{
	const struct heap_item *top;

	while ((top = heap_top(&engine->timers)) && top->due_ns <= engine->now_ns) {
		if (fire_timer(engine, heap_pop(&engine->timers).id, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- 4 decide */

static enum err_code answer_query(struct engine *engine, const struct decide_query *query,
				  struct err *err)
{
	struct input input;

	if (prepare_answer(engine, query, &input, err) != ERR_OK)
		return err->code;
	return engine_feed(engine, &input, err);
}

enum err_code engine_settle(struct engine *engine, struct err *err)
{
	for (;;) {
		struct event event;
		struct decide_query query;

		switch (decide_next(&engine->decider, engine->now_ms, &event, &query)) {
		case DECIDE_NOTHING:
			return ERR_OK;
		case DECIDE_EVENT:
			if (engine_record(engine, &event, err) != ERR_OK ||
			    (engine->ports.is_dry && event.type == EVENT_STEP_WAITING &&
			     mocked_approve(engine, err) != ERR_OK))
				return err->code;
			break;
		case DECIDE_QUERY:
			if (answer_query(engine, &query, err) != ERR_OK)
				return err->code;
			break;
		}
	}
}

/* -------------------------------------------------------------------- people: 2 and 7 */

static enum input_kind input_of(enum engine_ask_kind kind)
{
	switch (kind) {
	case ENGINE_ASK_STOP:
		return INPUT_STOP;
	case ENGINE_ASK_APPROVE:
		return INPUT_APPROVE;
	case ENGINE_ASK_REJECT:
		return INPUT_REJECT;
	}
	BUG_IF(true);
	return INPUT_STOP;
}

static enum err_code copy_text(struct buf *texts, struct str *text, struct err *err)
{
	size_t at = texts->len;

	buf_str(texts, *text);
	if (buf_check(texts, "a request", err) != ERR_OK)
		return err->code;
	*text = str_from((const char *)at, text->len); /* an offset until all texts are copied */
	return ERR_OK;
}

static void place_text(const struct buf *texts, struct str *text)
{
	*text = str_cut(buf_view(texts), (size_t)text->ptr, (size_t)text->ptr + text->len);
}

enum err_code engine_ask(struct engine *engine, const struct engine_ask *ask, struct err *err)
{
	struct pending_ask pending = {.ask = *ask};
	void *list = engine->asks;

	if (engine->halt.code != ERR_OK) {
		*err = engine->halt;
		return err->code;
	}
	if (ask->kind != ENGINE_ASK_STOP && model_find(engine->fold.model, ask->step) == STEP_NONE)
		return err_set(err, ERR_NOT_FOUND, "there is no step '%.*s'", STR_ARG(ask->step));
	if (mem_grow(&list, &engine->asks_capacity, engine->asks_count + 1, sizeof(pending), err) !=
	    ERR_OK)
		return err->code;
	engine->asks = list;
	if (copy_text(&pending.texts, &pending.ask.step, err) != ERR_OK ||
	    copy_text(&pending.texts, &pending.ask.person.name, err) != ERR_OK ||
	    copy_text(&pending.texts, &pending.ask.person.reason, err) != ERR_OK) {
		buf_fini(&pending.texts);
		return err->code;
	}
	place_text(&pending.texts, &pending.ask.step);
	place_text(&pending.texts, &pending.ask.person.name);
	place_text(&pending.texts, &pending.ask.person.reason);
	engine->asks[engine->asks_count++] = pending;
	engine->has_more = true;
	return ERR_OK;
}

static enum err_code decide_ask(struct engine *engine, struct pending_ask *pending, struct err *err)
{
	const struct engine_ask *ask = &pending->ask;
	struct input input = {
	    .kind = input_of(ask->kind),
	    .step = ask->step.len ? model_find(engine->fold.model, ask->step) : STEP_NONE,
	    .is_true = ask->now,
	    .person = ask->kind == ENGINE_ASK_STOP && !ask->person.name.len ? NULL : &ask->person,
	};

	pending->is_decided = true;
	if (engine_feed(engine, &input, &pending->err) == ERR_OK)
		return ERR_OK;
	if (pending->err.code == ERR_REFUSED)
		return ERR_OK; /* that is its answer */
	*err = pending->err;
	return err->code;
}

static enum err_code decide_asks(struct engine *engine, struct err *err)
{
	for (size_t i = 0; i < engine->asks_count; i++) {
		if (decide_ask(engine, &engine->asks[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static void answer_asks(struct engine *engine)
{
	for (size_t i = 0; i < engine->asks_count; i++) {
		struct pending_ask *pending = &engine->asks[i];

		if (pending->ask.answer)
			pending->ask.answer(pending->ask.arg, &pending->err);
		buf_fini(&pending->texts);
	}
	engine->asks_count = 0;
}

static void tell_observer(struct engine *engine)
{
	struct str lines = buf_view(&engine->lines);
	size_t at = 0;

	while (engine->observer.on_line && at < lines.len) {
		const char *newline = memchr(lines.ptr + at, '\n', lines.len - at);
		size_t end = newline ? (size_t)(newline - lines.ptr) : lines.len;

		engine->observer.on_line(engine->observer.arg, str_cut(lines, at, end));
		at = end + 1;
	}
	buf_clear(&engine->lines);
}

/* ------------------------------------------------------------------------------ 6 effects */

static enum err_code arm_step_timer(struct engine *engine, uint32_t step, struct err *err)
{
	const struct step_state *at = &engine->fold.state.steps[step];
	enum timer_kind kind = at->is_retry ? TIMER_RETRY : TIMER_WAIT;
	int64_t left_ms = time_after(at->due_ms, -engine->fold.state.last_ms);

	if (!at->due_ms && kind == TIMER_WAIT)
		return ERR_OK; /* waits without a deadline */
	if (engine->ports.is_dry)
		left_ms = 0; /* S14: nothing is waited for */
	return engine_arm_timer(engine, kind, step,
				time_after(engine->now_ns, ns_of_ms(left_ms > 0 ? left_ms : 0)),
				err);
}

static enum err_code perform(struct engine *engine, const struct effect *effect, struct err *err)
{
	switch (effect->kind) {
	case EFFECT_NONE:
		return ERR_OK;
	case EFFECT_START:
		if (attempts_intend(engine, effect->step, err) != ERR_OK)
			return err->code;
		return attempts_start(engine, effect->step, err);
	case EFFECT_START_AGAIN:
		return attempts_start(engine, effect->step, err);
	case EFFECT_TIMER:
		return arm_step_timer(engine, effect->step, err);
	case EFFECT_UNDO:
		return undo_start(engine, err);
	case EFFECT_UNDO_TIMER:
		return undo_arm_timer(
		    engine, time_after(engine->fold.state.undo.due_ms, -engine->fold.state.last_ms),
		    err);
	case EFFECT_STOP_RUNNING:
		return attempts_cancel_running(engine, false, err);
	case EFFECT_CANCEL_ALL:
		return attempts_cancel_running(engine, true, err);
	}
	BUG_IF(true);
	return ERR_OK;
}

enum err_code engine_perform(struct engine *engine, struct err *err)
{
	for (size_t i = 0; i < engine->effects_count; i++) {
		if (!engine->is_idle && perform(engine, &engine->effects[i], err) != ERR_OK)
			return err->code;
	}
	engine->effects_count = 0;
	if (engine->exec.ops && engine->exec.ops->flush)
		engine->exec.ops->flush(engine->exec.self);
	return ERR_OK;
}

/* -------------------------------------------------------------------------------- the tick */

static enum err_code collect(struct engine *engine, struct err *err)
{
	if (attempts_collect(engine, err) != ERR_OK || decide_asks(engine, err) != ERR_OK)
		return err->code;
	return fire_timers(engine, err);
}

/* An engine that was opened for one decision starts nothing; it only ends a run that a person stops
 * while nothing of it runs. */
static bool may_settle(const struct engine *engine)
{
	const struct run_state *run = &engine->fold.state;

	return !engine->is_idle ||
	       (run->is_stopping && run->count[STEP_RUNNING] == 0 && !run->undo.is_running);
}

static enum err_code turn(struct engine *engine, struct err *err)
{
	engine_read_clocks(engine); /* 1 */
	engine->has_more = false;
	if (collect(engine, err) != ERR_OK) /* 2, 3 */
		return err->code;
	if (may_settle(engine) && engine_settle(engine, err) != ERR_OK) /* 4 */
		return err->code;
	if (engine_commit(engine, err) != ERR_OK || engine_sync_due(engine, err) != ERR_OK) /* 5 */
		return err->code;
	if (engine_perform(engine, err) != ERR_OK) /* 6 */
		return err->code;
	if (cache_record(engine, err) != ERR_OK || history_record(engine, err) != ERR_OK ||
	    projections_write(engine, err) != ERR_OK)
		return err->code;
	answer_asks(engine); /* 7 */
	tell_observer(engine);
	decider_forget(&engine->decider); /* 8 */
	arena_clear(&engine->tick);
	return ERR_OK;
}

enum err_code engine_tick(struct engine *engine, struct err *err)
{
	struct err own = ERR_INIT;

	if (engine->halt.code == ERR_OK) {
		if (turn(engine, &own) == ERR_OK)
			return ERR_OK;
		/* What half a turn took in is neither decided nor on the disk (S11.3): a host that
		 * calls again is told the same. */
		engine->halt = own;
	}
	*err = engine->halt;
	return err->code;
}

int64_t engine_wait_ns(const struct engine *engine)
{
	const struct heap_item *top = heap_top(&engine->timers);
	int64_t due_ns = top ? top->due_ns : -1;
	int64_t now_ns;

	if (engine->has_more || engine->done_count || engine->asks_count || engine->has_undo_end)
		return 0;
	if (engine->commit.is_unsynced && (due_ns < 0 || engine->commit.sync_due_ns < due_ns))
		due_ns = engine->commit.sync_due_ns;
	if (due_ns < 0)
		return -1;
	now_ns = clock_boot_ns(engine->ports.clock);
	return due_ns > now_ns ? due_ns - now_ns : 0;
}

int engine_exec_fd(const struct engine *engine)
{
	return engine->exec.ops ? engine->exec.ops->fd(engine->exec.self) : -1;
}

bool engine_is_over(const struct engine *engine)
{
	const struct run_state *run = &engine->fold.state;

	if (engine->has_more || engine->asks_count || engine->done_count)
		return false;
	return run->is_completed || (run->state == RUN_BLOCKED && !run->undo.is_active);
}

void engine_observe(struct engine *engine, struct engine_observer observer)
{
	engine->observer = observer;
}

const struct run_state *engine_state(const struct engine *engine)
{
	return &engine->fold.state;
}

const struct rundir *engine_dir(const struct engine *engine)
{
	return engine->dir;
}

const struct log_head *engine_head(const struct engine *engine)
{
	return log_head(engine->log);
}
