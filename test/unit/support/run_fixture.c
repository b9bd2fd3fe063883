/* run_fixture.c - see run_fixture.h */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "base/timefmt.h"
#include "core/effect.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES ((uint32_t)1 << CLASS_TRANSIENT_IO | (uint32_t)1 << CLASS_TIMEOUT)

/* --------------------------------------------------------------------------------- the model */

static struct str word_next(struct str text, size_t *at, char divider)
{
	size_t from = *at;
	size_t to = from;

	while (to < text.len && text.ptr[to] != divider)
		to++;
	*at = to + 1;
	return str_cut(text, from, to);
}

static bool value_of(struct str word, const char *key, struct str *ret_value)
{
	size_t len = strlen(key);

	if (!str_starts(word, key) || word.len <= len || word.ptr[len] != '=')
		return false;
	*ret_value = str_cut(word, len + 1, word.len);
	return true;
}

static uint32_t number_of(struct str text)
{
	uint64_t value;

	assert_true(str_to_u64(text, &value));
	return (uint32_t)value;
}

static uint32_t *steps_of(struct model *model, struct str ids, uint32_t *ret_count)
{
	uint32_t *list = arena_new(&model->arena, ids.len + 1, sizeof(*list));
	size_t at = 0;

	*ret_count = 0;
	while (ids.len && at <= ids.len) {
		uint32_t step = model_find(model, word_next(ids, &at, ','));

		assert_int_not_equal(step, STEP_NONE);
		list[(*ret_count)++] = step;
	}
	return list;
}

static struct str *names_of(struct model *model, struct str names, uint32_t *ret_count)
{
	struct str *list = arena_new(&model->arena, names.len + 1, sizeof(*list));
	size_t at = 0;

	*ret_count = 0;
	while (at <= names.len)
		list[(*ret_count)++] = arena_str(&model->arena, word_next(names, &at, ','));
	return list;
}

static int choose(struct str value, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_is(value, names[i]))
			return (int)i;
	}
	fail_msg("'%.*s' is not a value", STR_ARG(value));
	return 0;
}

#define CHOOSE(value, ...) \
	choose(value, (const char *const[]){__VA_ARGS__}, \
	       ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void read_word(struct model *model, struct step *step, struct retry *retry,
		      struct approval *approval, struct str word)
{
	struct str value;

	if (value_of(word, "needs", &value)) {
		step->needs = steps_of(model, value, &step->needs_count);
		step->needs_implicit = false;
	} else if (value_of(word, "any", &value)) {
		step->needs_any = steps_of(model, value, &step->needs_any_count);
		if (step->needs_implicit)
			step->needs_count = 0;
		step->needs_implicit = false;
	} else if (value_of(word, "gate", &value)) {
		step->gate = (enum gate_kind)CHOOSE(value, "none", "hard", "soft", "manual");
	} else if (value_of(word, "on", &value)) {
		step->on_failure = (enum on_failure)CHOOSE(value, "stop", "skip", "continue",
							   "ignore", "compensate");
	} else if (value_of(word, "lost", &value)) {
		step->on_lost = (enum on_lost)CHOOSE(value, "fail", "rerun", "ask");
	} else if (value_of(word, "retry", &value)) {
		retry->max_attempts = number_of(value);
	} else if (value_of(word, "prio", &value)) {
		step->priority = (int32_t)number_of(value);
	} else if (value_of(word, "undo", &value)) {
		struct retry *undo = arena_new(&model->arena, 1, sizeof(*undo));

		*undo = *retry;
		undo->max_attempts = number_of(value);
		step->compensate_retry = undo;
		step->compensate = arena_new(&model->arena, 1, sizeof(*step->compensate));
	} else if (value_of(word, "count", &value)) {
		approval->count = number_of(value);
	} else if (value_of(word, "by", &value)) {
		approval->by = names_of(model, value, &approval->by_count);
	} else if (value_of(word, "timeout", &value)) {
		approval->timeout_ns = (int64_t)number_of(value) * NS_PER_MS;
	} else if (str_is(word, "when")) {
		step->when = STR("true");
	} else if (str_is(word, "pass")) {
		step->pass = STR("true");
	} else if (str_is(word, "inputs")) {
		step->inputs = arena_new(&model->arena, 1, sizeof(*step->inputs));
		step->inputs_count = 1;
	} else {
		fail_msg("'%.*s' is not a word", STR_ARG(word));
	}
}

static void read_step(struct model *model, uint32_t index, struct str text)
{
	struct step *step = &model->steps[index];
	struct retry *retry = arena_new(&model->arena, 1, sizeof(*retry));
	struct approval *approval = arena_new(&model->arena, 1, sizeof(*approval));
	size_t at = 0;

	*retry =
	    (struct retry){1, CLASSES, BACKOFF_EXPONENTIAL, 2 * NS_PER_S, 60 * NS_PER_S, 2, 0.1};
	approval->count = 1;
	step->retry = retry;
	step->needs = arena_new(&model->arena, 1, sizeof(*step->needs));
	step->needs_implicit = index > 0;
	step->needs_count = index > 0;
	if (index > 0)
		step->needs[0] = index - 1;
	(void)word_next(text, &at, ' ');
	while (at <= text.len) {
		struct str word = word_next(text, &at, ' ');

		if (word.len)
			read_word(model, step, retry, approval, word);
	}
	if (step->gate == GATE_MANUAL)
		step->approval = approval;
}

enum err_code fixture_model(const char *steps, struct model **ret_model, uint32_t *ret_cycle,
			    struct err *err)
{
	struct str text = str_of(steps);
	struct model *model = model_new();
	uint32_t count = 0;

	assert_non_null(model);
	map_init(&model->step_index, 1);
	model->format = 1;
	model->pipeline = STR("p");
	model->concurrency = 1000;
	for (size_t at = 0; at <= text.len; count++)
		(void)word_next(text, &at, ';');
	model->steps = arena_new(&model->arena, count, sizeof(*model->steps));
	model->steps_count = count;
	assert_non_null(model->steps);
	for (size_t at = 0, i = 0; i < count; i++) {
		size_t in_step = 0;
		struct str step = str_trim(word_next(text, &at, ';'));
		struct str id = arena_str(&model->arena, word_next(step, &in_step, ' '));

		assert_true(name_valid(id));
		model->steps[i].id = id;
		assert_ok(map_add(&model->step_index, id, (uint32_t)i, err), err);
	}
	for (size_t at = 0, i = 0; i < count; i++)
		read_step(model, (uint32_t)i, str_trim(word_next(text, &at, ';')));
	*ret_model = model;
	return graph_build(model, ret_cycle, err);
}

void fixture_open(struct fixture *f, const char *steps)
{
	uint32_t cycle;
	size_t n;

	*f = (struct fixture){.now_ms = 1000000};
	assert_ok(fixture_model(steps, &f->model, &cycle, &f->err), &f->err);
	n = f->model->steps_count;
	f->items = mem_new(DECIDE_EVENTS_MAX, sizeof(*f->items));
	f->when = mem_new(n, 1);
	f->inputs = mem_new(n, 1);
	f->barred = mem_new(n, 1);
	f->marks = mem_new(n, 1);
	f->scratch = mem_new(n, sizeof(*f->scratch));
	assert_true(f->items && f->when && f->inputs && f->barred && f->marks && f->scratch);
	assert_ok(run_state_init(&f->run, f->model, &f->err), &f->err);
	assert_ok(decider_init(&f->decider, &f->run, &f->err), &f->err);
}

void fixture_close(struct fixture *f)
{
	decider_fini(&f->decider);
	run_state_fini(&f->run);
	model_free(f->model);
	arena_fini(&f->texts);
	mem_free(f->items);
	mem_free(f->when);
	mem_free(f->inputs);
	mem_free(f->barred);
	mem_free(f->marks);
	mem_free(f->scratch);
	mem_free(f->log);
}

/* -------------------------------------------------------------------------------- the events */

static struct event *keep_event(struct fixture *f, const struct event *event)
{
	struct event *kept = arena_new(&f->texts, 1, sizeof(*kept));
	void *log = f->log;

	assert_non_null(kept);
	*kept = *event;
	kept->type_text = arena_str(&f->texts, event->type_text);
	kept->actor = arena_str(&f->texts, event->actor);
	kept->run_id = arena_str(&f->texts, event->run_id);
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		enum event_field_kind kind = event_field_kind(field);

		if (event_has(event, field) && (kind == EVENT_KIND_TEXT || kind == EVENT_KIND_RAW))
			kept->field[field].text = arena_str(&f->texts, event->field[field].text);
	}
	assert_ok(mem_grow(&log, &f->log_capacity, f->log_count + 1, sizeof(*f->log), &f->err),
		  &f->err);
	f->log = log;
	f->log[f->log_count++] = kept;
	return kept;
}

/* S1.4 by what the log says, not by what the state holds. */
static void guard_gates(struct fixture *f, const struct event *event)
{
	uint32_t step = event_is_about_step(event->type)
			    ? model_find(f->model, event_text(event, EVENT_FIELD_STEP_ID))
			    : STEP_NONE;

	if (event->type == EVENT_GATE_FAILED && !event_has(event, EVENT_FIELD_SOFT))
		f->barred[step] = 1;
	if (event->type == EVENT_RUN_OVERRIDE_APPLIED)
		f->barred[model_find(f->model, event_text(event, EVENT_FIELD_GATE))] = 0;
	if (event->type != EVENT_STEP_STARTED)
		return;
	memset(f->marks, 0, f->model->steps_count);
	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		if (f->barred[i])
			graph_mark_downstream(f->model, i, f->marks, f->scratch);
	}
	if (f->marks[step])
		fail_msg("S1.4: '%.*s' started below a failed gate",
			 STR_ARG(f->model->steps[step].id));
}

/* S10 by what the log says: nothing is undone that something undoable below it still stands on,
 * nothing starts once a rollback has begun, and nothing is undone twice. */
static void guard_undo(struct fixture *f, const struct event *event)
{
	uint32_t step;

	if (event->type == EVENT_STEP_STARTED && f->run.undo.is_begun)
		fail_msg("S10: a step started in a run that is rolled back");
	if (event->type != EVENT_COMPENSATION_STARTED)
		return;
	step = model_find(f->model, event_text(event, EVENT_FIELD_STEP_ID));
	if (f->run.steps[step].state != STEP_SUCCEEDED)
		fail_msg("S10: '%.*s' is undone, and had not succeeded",
			 STR_ARG(f->model->steps[step].id));
	if (f->run.steps[step].is_given)
		fail_msg("S10: '%.*s' is undone, and was not executed here",
			 STR_ARG(f->model->steps[step].id));
	memset(f->marks, 0, f->model->steps_count);
	graph_mark_downstream(f->model, step, f->marks, f->scratch);
	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		if (i != step && f->marks[i] && f->run.steps[i].state == STEP_SUCCEEDED &&
		    !f->run.steps[i].is_given && f->model->steps[i].compensate)
			fail_msg("S10: '%.*s' is undone before '%.*s'",
				 STR_ARG(f->model->steps[step].id), STR_ARG(f->model->steps[i].id));
	}
}

static void check_counts(const struct fixture *f)
{
	uint32_t count[ARRAY_LEN(f->run.count)] = {0};
	uint32_t held = 0, retries = 0, barred = 0, waived = 0, overridden = 0, warnings = 0;

	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		const struct step_state *at = &f->run.steps[i];

		count[at->state]++;
		held += at->is_held;
		retries += at->is_retry;
		barred += at->is_gate_failed;
		waived += at->is_waived;
		overridden += at->is_overridden;
		warnings += at->warnings;
	}
	assert_memory_equal(count, f->run.count, sizeof(count));
	assert_int_equal(held, f->run.held);
	assert_int_equal(retries, f->run.retries_due);
	assert_int_equal(barred, f->run.gates_barred);
	assert_int_equal(waived, f->run.waived);
	assert_int_equal(overridden, f->run.overridden);
	assert_int_equal(warnings + fixture_count(f, EVENT_PROJECTION_FAILED), f->run.warnings);
}

static void apply_event(struct fixture *f, struct event *event)
{
	event->seq = f->run.seq + 1;
	event->run_id = STR("r1");
	assert_ok(event_check(event, &f->err), &f->err);
	event = keep_event(f, event);
	guard_gates(f, event);
	guard_undo(f, event);
	assert_ok(apply(&f->run, event, ERR_CONFLICT, &f->err), &f->err);
	decider_observe(&f->decider, event);
	if (event->type == EVENT_STEP_STARTED && effect_of(&f->run, event) == EFFECT_START)
		f->started_with_effect++;
	check_counts(f);
}

enum err_code fixture_tell(struct fixture *f, const struct input *input)
{
	struct decide_events events = {f->items, 0};

	if (decide_input(&f->decider, input, f->now_ms, &events, &f->err) != ERR_OK)
		return f->err.code;
	for (size_t i = 0; i < events.count; i++)
		apply_event(f, &events.items[i]);
	return ERR_OK;
}

static void answer(struct fixture *f, const struct decide_query *query)
{
	bool is_when = query->kind == QUERY_WHEN;
	enum fixture_answer how =
	    (enum fixture_answer)(is_when ? f->when[query->step] : f->inputs[query->step]);
	struct input input = {
	    .kind = is_when ? INPUT_WHEN : INPUT_INPUTS,
	    .step = query->step,
	    .is_true = how == ANSWER_YES,
	    .class = CLASS_CONTRACT_INPUT_MISSING,
	};

	if (how == ANSWER_NEVER)
		return;
	if (!is_when)
		input.text = STR("0123");
	if (how == ANSWER_ERROR)
		input.error = STR("it errs");
	assert_ok(fixture_tell(f, &input), &f->err);
}

void fixture_settle(struct fixture *f)
{
	size_t bound = 100 + 20 * (size_t)f->model->steps_count;

	for (;;) {
		struct event event;
		struct decide_query query;
		enum decide_answer what = decide_next(&f->decider, f->now_ms, &event, &query);

		if (what == DECIDE_NOTHING)
			break;
		if (what == DECIDE_EVENT)
			apply_event(f, &event);
		else
			answer(f, &query);
		if (bound-- == 0)
			fail_msg("what follows from the state does not come to an end");
	}
	decider_forget(&f->decider);
}

enum err_code fixture_feed(struct fixture *f, const struct input *input)
{
	enum err_code code = fixture_tell(f, input);

	fixture_settle(f);
	return code;
}

void fixture_start(struct fixture *f)
{
	struct event event;

	event_init(&event, EVENT_RUN_CREATED);
	event.time_utc_ms = f->now_ms;
	event_put_text(&event, EVENT_FIELD_NEW_STATE, STR("created"));
	event_put_int(&event, EVENT_FIELD_FORMAT, 1);
	event_put_text(&event, EVENT_FIELD_PIPELINE, STR("p"));
	event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, STR("d1"));
	event_put_text(&event, EVENT_FIELD_SYNC, STR("always"));
	event_put_int(&event, EVENT_FIELD_SEED, 42);
	event_put_text(&event, EVENT_FIELD_BOOT_ID, STR("b1"));
	event_put_text(&event, EVENT_FIELD_CWD, STR("/"));
	if (f->selection)
		event_put_text(&event, EVENT_FIELD_SELECTION, str_of(f->selection));
	if (f->given)
		event_put_text(&event, EVENT_FIELD_GIVEN, str_of(f->given));
	apply_event(f, &event);
	fixture_settle(f);
}

/* -------------------------------------------------------------------------------- the inputs */

static uint32_t index_of(const struct fixture *f, const char *step)
{
	uint32_t index = model_find(f->model, str_of(step));

	assert_int_not_equal(index, STEP_NONE);
	return index;
}

static void feed_end(struct fixture *f, const char *step, const struct decide_result *result)
{
	uint32_t index = index_of(f, step);
	struct input input = {
	    .kind = INPUT_ENDED,
	    .step = index,
	    .attempt = f->run.steps[index].attempt,
	    .result = result,
	};

	if (f->run.steps[index].state != STEP_RUNNING)
		fail_msg("'%s' does not run", step);
	f->now_ms += 10;
	assert_ok(fixture_feed(f, &input), &f->err);
}

void fixture_ok(struct fixture *f, const char *step)
{
	struct decide_result result = {.is_ok = true, .has_exit_code = true, .duration_ms = 10};

	if (f->model->steps[index_of(f, step)].pass.ptr) {
		result.verdict = VERDICT_PASSED;
		result.evidence = STR("{\"value\":true}");
	}
	feed_end(f, step, &result);
}

void fixture_verdict(struct fixture *f, const char *step, enum gate_verdict verdict)
{
	struct decide_result result = {
	    .is_ok = true,
	    .has_exit_code = true,
	    .duration_ms = 10,
	    .verdict = verdict,
	    .verdict_reason = STR("too low"),
	};

	if (verdict != VERDICT_NONE)
		result.evidence = STR("{\"value\":0}");
	feed_end(f, step, &result);
}

void fixture_fail(struct fixture *f, const char *step, enum error_class class)
{
	struct decide_result result = {
	    .class = class,
	    .reason = STR("it failed"),
	    .has_exit_code = true,
	    .exit_code = 1,
	    .duration_ms = 10,
	};

	feed_end(f, step, &result);
}

static void feed_step(struct fixture *f, enum input_kind kind, const char *step)
{
	uint32_t index = index_of(f, step);
	struct input input = {.kind = kind, .step = index, .attempt = f->run.steps[index].attempt};

	assert_ok(fixture_feed(f, &input), &f->err);
}

void fixture_lose(struct fixture *f, const char *step)
{
	feed_step(f, INPUT_LOST, step);
}

void fixture_leftovers(struct fixture *f, const char *step)
{
	feed_step(f, INPUT_LEFTOVERS, step);
}

void fixture_retry_due(struct fixture *f, const char *step)
{
	int64_t due_ms = fixture_step(f, step)->due_ms;

	if (f->now_ms < due_ms)
		f->now_ms = due_ms;
	feed_step(f, INPUT_RETRY_DUE, step);
}

void fixture_wait_over(struct fixture *f, const char *step)
{
	int64_t due_ms = fixture_step(f, step)->due_ms;

	if (f->now_ms < due_ms)
		f->now_ms = due_ms;
	feed_step(f, INPUT_WAIT_OVER, step);
}

void fixture_deadline(struct fixture *f)
{
	struct input input = {.kind = INPUT_RUN_DEADLINE};

	assert_ok(fixture_feed(f, &input), &f->err);
}

static enum err_code feed_person(struct fixture *f, enum input_kind kind, const char *step,
				 const char *name)
{
	struct decide_person person = {str_of(name), STR("looked at it"), 1000, -1};
	struct input input = {.kind = kind, .step = index_of(f, step), .person = &person};

	return fixture_feed(f, &input);
}

enum err_code fixture_approve(struct fixture *f, const char *step, const char *name)
{
	return feed_person(f, INPUT_APPROVE, step, name);
}

enum err_code fixture_reject(struct fixture *f, const char *step, const char *name)
{
	return feed_person(f, INPUT_REJECT, step, name);
}

enum err_code fixture_stop(struct fixture *f, bool now)
{
	struct input input = {.kind = INPUT_STOP, .is_true = now};

	return fixture_feed(f, &input);
}

enum err_code fixture_resume(struct fixture *f, const char *from, const char *override)
{
	struct str gate = str_of(override);
	struct decide_resume resume = {
	    .from = str_of(from),
	    .boot_id = STR("b2"),
	    .definition_hash = STR("d1"),
	    .overrides = &gate,
	    .overrides_count = override ? 1 : 0,
	    .person = {STR("olga"), STR("known to be harmless"), -1, -1},
	};
	struct input input = {.kind = INPUT_RESUME, .resume = &resume};

	return fixture_feed(f, &input);
}

enum err_code fixture_rollback(struct fixture *f)
{
	struct decide_person person = {STR("olga"), STR("wrong input"), -1, -1};
	struct input input = {.kind = INPUT_ROLLBACK, .person = &person, .text = STR("b2")};

	decider_rebuild(&f->decider); /* by an engine of its own */
	return fixture_feed(f, &input);
}

static void tell_undo(struct fixture *f, enum input_kind kind, const struct decide_result *result)
{
	struct input input = {.kind = kind, .attempt = f->run.undo.attempt, .result = result};

	assert_ok(fixture_feed(f, &input), &f->err);
}

void fixture_undo_ok(struct fixture *f)
{
	struct decide_result result = {.is_ok = true, .duration_ms = 1};

	tell_undo(f, INPUT_UNDO_ENDED, &result);
}

void fixture_undo_fail(struct fixture *f, enum error_class class)
{
	struct decide_result result = {.class = class, .reason = STR("no"), .duration_ms = 1};

	tell_undo(f, INPUT_UNDO_ENDED, &result);
}

void fixture_undo_lose(struct fixture *f)
{
	tell_undo(f, INPUT_UNDO_LOST, NULL);
}

void fixture_undo_leftovers(struct fixture *f)
{
	tell_undo(f, INPUT_UNDO_LEFTOVERS, NULL);
}

void fixture_undo_due(struct fixture *f)
{
	tell_undo(f, INPUT_UNDO_DUE, NULL);
}

/* -------------------------------------------------------------------------------- the report */

void fixture_line(const struct fixture *f, size_t i, struct buf *out)
{
	static const enum event_field shown[] = {
	    EVENT_FIELD_STEP_ID,
	    EVENT_FIELD_GATE,
	    EVENT_FIELD_NEW_STATE,
	    EVENT_FIELD_OUTCOME,
	};
	const struct event *event = f->log[i];
	bool is_attempt =
	    event->type == EVENT_STEP_STARTED || event->type == EVENT_STEP_SUCCEEDED ||
	    event->type == EVENT_STEP_FAILED || event->type == EVENT_STEP_RETRIED ||
	    event->type == EVENT_STEP_LOST || event->type == EVENT_GATE_FAILED ||
	    event->type == EVENT_GATE_PASSED || event->type == EVENT_COMPENSATION_STARTED ||
	    event->type == EVENT_STEP_COMPENSATED || event->type == EVENT_COMPENSATION_FAILED;
	bool is_class =
	    event->type == EVENT_STEP_FAILED || event->type == EVENT_COMPENSATION_FAILED;
	bool is_run = event->type == EVENT_RUN_STATE_CHANGED || event->type == EVENT_RUN_COMPLETED;

	buf_str(out, event->type_text);
	for (size_t s = 0; s < ARRAY_LEN(shown); s++) {
		if (event_has(event, shown[s]) && (shown[s] != EVENT_FIELD_NEW_STATE || is_run))
			buf_fmt(out, " %.*s", STR_ARG(event_text(event, shown[s])));
	}
	if (is_attempt)
		buf_fmt(out, " %u", event->attempt);
	if (is_class)
		buf_fmt(out, " %.*s", STR_ARG(event_text(event, EVENT_FIELD_ERROR_CLASS)));
	if (event->type == EVENT_STEP_SKIPPED)
		buf_fmt(out, " %.*s", STR_ARG(event_text(event, EVENT_FIELD_REASON)));
	if (event_has(event, EVENT_FIELD_SOFT))
		buf_text(out, " soft");
	if (event_has(event, EVENT_FIELD_NOW))
		buf_text(out, " now");
}

void fixture_expect(struct fixture *f, const char *lines)
{
	AUTO(buf_fini) struct buf got = BUF_INIT;

	for (; f->seen < f->log_count; f->seen++) {
		if (got.len)
			buf_byte(&got, '\n');
		fixture_line(f, f->seen, &got);
	}
	if (!str_is(buf_view(&got), lines))
		fail_msg("expected:\n%s\ngot:\n%.*s", lines, STR_ARG(buf_view(&got)));
}

void fixture_forget(struct fixture *f)
{
	f->seen = f->log_count;
}

const struct step_state *fixture_step(const struct fixture *f, const char *step)
{
	return &f->run.steps[index_of(f, step)];
}

const struct event *fixture_last(const struct fixture *f)
{
	return f->log[f->log_count - 1];
}

size_t fixture_count(const struct fixture *f, enum event_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < f->log_count; i++)
		count += f->log[i]->type == type;
	return count;
}

void fixture_replay(struct fixture *fresh, const char *steps, const struct fixture *f, size_t count)
{
	fixture_open(fresh, steps);
	fresh->model->concurrency = f->model->concurrency;
	memcpy(fresh->when, f->when, f->model->steps_count);
	memcpy(fresh->inputs, f->inputs, f->model->steps_count);
	fresh->now_ms = f->now_ms;
	for (size_t i = 0; i < count; i++) {
		struct event *event = keep_event(fresh, f->log[i]);

		guard_gates(fresh, event);
		assert_ok(apply(&fresh->run, event, ERR_CORRUPT, &fresh->err), &fresh->err);
	}
	decider_rebuild(&fresh->decider);
	fixture_forget(fresh);
}

static void dump_undo(const struct undo_state *undo, struct buf *out)
{
	buf_fmt(out, "undo %d%d%d%d%d%d step %u attempt %u failures %u left %u class %d",
		undo->is_wanted, undo->is_begun, undo->is_active, undo->is_running, undo->is_retry,
		undo->is_failed, undo->step, undo->attempt, undo->failures, undo->left,
		undo->class);
	buf_fmt(out, " times %lld %lld boot %.*s reason %.*s\n", (long long)undo->started_ms,
		(long long)undo->due_ms, STR_ARG(undo->boot_id), STR_ARG(undo->reason));
}

static void dump_step(const struct step_state *at, struct buf *out)
{
	buf_fmt(out,
		"%d skip %d doom %d %u class %d attempt %u %u failures %u losses %u retries %u",
		at->state, at->skip, at->doom, at->doom_cause, at->class, at->attempt, at->attempts,
		at->failures, at->losses, at->retries);
	buf_fmt(out, " unmet %u any %u %u flags %d%d%d%d%d%d%d%d%d%d%d times %lld %lld %lld %lld",
		at->unmet, at->any_unresolved, at->any_succeeded, at->is_final, at->is_retry,
		at->is_approved, at->is_rejected, at->is_held, at->is_gate_failed,
		at->is_gate_recorded, at->is_waived, at->is_stillborn, at->is_excluded,
		at->is_given, (long long)at->started_ms, (long long)at->ended_ms,
		(long long)at->duration_ms, (long long)at->due_ms);
	buf_fmt(out, " boot %.*s reason %.*s outputs %.*s by", STR_ARG(at->boot_id),
		STR_ARG(at->reason), STR_ARG(at->outputs));
	for (const struct approver *by = at->approvers; by; by = by->next)
		buf_fmt(out, " %.*s", STR_ARG(by->name));
	buf_byte(out, '\n');
}

void fixture_dump(const struct run_state *run, struct buf *out)
{
	buf_fmt(out, "%d outcome %d seq %llu epoch %llu seed %llu id %.*s reason %.*s", run->state,
		run->outcome, (unsigned long long)run->seq, (unsigned long long)run->epoch,
		(unsigned long long)run->seed, STR_ARG(run->run_id), STR_ARG(run->reason));
	buf_fmt(out, " sync %.*s boot %.*s definition %.*s times %lld %lld %lld %lld",
		STR_ARG(run->sync), STR_ARG(run->boot_id), STR_ARG(run->definition_hash),
		(long long)run->created_ms, (long long)run->changed_ms, (long long)run->last_ms,
		(long long)run->duration_ms);
	buf_fmt(out,
		" flags %d%d%d%d%d%d%d failing %u warnings %u barred %u waived %u held %u due %u\n",
		run->is_completed, run->is_resumed, run->is_resuming, run->is_stopping,
		run->is_stop_now, run->is_stop_late, run->is_failing, run->failing_step,
		run->warnings, run->gates_barred, run->waived, run->held, run->retries_due);
	dump_undo(&run->undo, out);
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		dump_step(&run->steps[i], out);
	for (uint32_t i = 0; i < run->model->params_count; i++)
		buf_fmt(out, "param %.*s\n", STR_ARG(run->params[i]));
	for (size_t i = 0; i < run->updates_count; i++)
		buf_fmt(out, "update %.*s %.*s\n", STR_ARG(run->updates[i].name),
			STR_ARG(run->updates[i].value));
}
