/* any_test.c - whatever comes next: any event at any state of a run is taken whole or refused
 * (S1.3, S11.4), and what is decided on any input is what the fold takes. */
#include "support/run_plan.h"

#include "base/mem.h"

#include <string.h>

#define RUNS   40
#define STATES 10 /* of each run */
#define TRIES  40 /* at each state */

#define F(name) (UINT64_C(1) << EVENT_FIELD_##name)
static const uint64_t fields_required[] = {
#define EVENT(name, text, about, required, optional, what) [EVENT_##name] = (required),
#include "core/event.def"
};
static const uint64_t fields_optional[] = {
#define EVENT(name, text, about, required, optional, what) [EVENT_##name] = (optional),
#include "core/event.def"
};

/* What a field may say: names of all kinds, and what is none. */
static const char *const words[] = {
    "created",
    "preflight_validated",
    "executing",
    "blocked",
    "succeeded",
    "failed",
    "stopped",
    "rolled_back",
    "running",
    "success",
    "partial",
    "none",
    "s0",
    "s1",
    "s2",
    "s3",
    "nowhere",
    "condition",
    "upstream_failed",
    "gate_failed",
    "run_stopped",
    "approval",
    "transient_io",
    "timeout",
    "cancelled",
    "interrupted",
    "lost",
    "hard_gate_failed",
    "a_word_of_its_own",
    "2026-01-01T00:00:00.000Z",
    "tomorrow",
    "manual:anna",
    "",
    "choice_not_taken",
};
static const char *const values[] = {
    "{}",
    "[]",
    "7",
    "\"s0\"",
    "{\"s0\":{}}",
    "{\"s1\":{\"n\":1}}",
    "{\"s0\":1}",
    "{\"from\":\"s1\"}",
    "{\"only\":\"s0\"}",
    "{\"until\":\"nowhere\"}",
    "{\"day\":\"monday\"}",
    "{\"changed\":[],\"added\":[],\"removed\":[]}",
};

static uint64_t below(uint64_t *random, uint64_t bound)
{
	return random_next(random) % bound;
}

/* ------------------------------------------------------------------------------------ events */

static void put_any(struct event *event, enum event_field field, uint64_t *random)
{
	switch (event_field_kind(field)) {
	case EVENT_KIND_TEXT:
		event_put_text(event, field, str_of(words[below(random, ARRAY_LEN(words))]));
		break;
	case EVENT_KIND_RAW:
		event_put_text(event, field, str_of(values[below(random, ARRAY_LEN(values))]));
		break;
	case EVENT_KIND_INT:
		event_put_int(event, field, (int64_t)below(random, 4) - 1);
		break;
	case EVENT_KIND_FLAG:
		event_put_flag(event, field);
		break;
	}
}

/* An event of any type, with what it must have and some of what it may. */
static void event_any(struct event *event, uint64_t *random)
{
	enum event_type type = (enum event_type)(1 + below(random, EVENT_USER - 1));

	event_init(event, type);
	event->attempt = (uint32_t)below(random, 3);
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		uint64_t bit = UINT64_C(1) << field;

		if (fields_required[type] & bit ||
		    (fields_optional[type] & bit && below(random, 3) == 0))
			put_any(event, field, random);
	}
	if (event_is_about_step(type) || event_has(event, EVENT_FIELD_GATE))
		event_put_text(event,
			       event_is_about_step(type) ? EVENT_FIELD_STEP_ID : EVENT_FIELD_GATE,
			       str_of(words[12 + below(random, 5)]));
}

/* One thing about an event is another one. */
static void event_change(struct event *event, uint64_t *random)
{
	enum event_field field = (enum event_field)below(random, EVENT_FIELD_COUNT);
	uint64_t bit = UINT64_C(1) << field;

	switch (below(random, 4)) {
	case 0:
		event->attempt = (uint32_t)below(random, 4);
		break;
	case 1:
		event_put_text(event, EVENT_FIELD_STEP_ID, str_of(words[12 + below(random, 5)]));
		break;
	case 2:
		event->seq += below(random, 3);
		break;
	default:
		if ((fields_required[event->type] | fields_optional[event->type]) & bit)
			put_any(event, field, random);
		else
			event->has &= fields_required[event->type];
	}
}

static void event_next(const struct fixture *f, size_t at, uint64_t *random, struct event *event)
{
	size_t source = below(random, 2) ? at : below(random, f->log_count);

	if (below(random, 3) == 0 || source == f->log_count)
		event_any(event, random);
	else
		*event = *f->log[source];
	event->seq = at + 1;
	event->run_id = STR("r1");
	event_change(event, random);
}

static void check_counts(const struct run_state *run)
{
	uint32_t count[ARRAY_LEN(run->count)] = {0};
	uint32_t held = 0, retries = 0, barred = 0, waived = 0, overridden = 0;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];

		count[at->state]++;
		held += at->is_held;
		retries += at->is_retry;
		barred += at->is_gate_failed;
		waived += at->is_waived;
		overridden += at->is_overridden;
	}
	assert_memory_equal(count, run->count, sizeof(count));
	assert_int_equal(held, run->held);
	assert_int_equal(retries, run->retries_due);
	assert_int_equal(barred, run->gates_barred);
	assert_int_equal(waived, run->waived);
	assert_true(overridden == run->overridden || /* one of a step that is no more stays */
		    (overridden < run->overridden && run->retired_count));
}

/* What follows from a state that the fold took, whoever wrote its log, comes to an end too. */
static void follow(struct fixture *f)
{
	for (int i = 0; i < 200; i++) {
		struct event event;
		struct decide_query query;
		enum decide_answer answer = decide_next(&f->decider, f->now_ms, &event, &query);

		if (answer == DECIDE_NOTHING)
			return;
		if (answer == DECIDE_QUERY)
			continue;
		event.seq = f->run.seq + 1;
		event.run_id = STR("r1");
		if (apply(&f->run, &event, ERR_CONFLICT, &f->err) != ERR_OK)
			return; /* a log that no engine wrote: it halts */
		decider_observe(&f->decider, &event);
		check_counts(&f->run);
	}
	fail_msg("what follows does not come to an end");
}

/* ------------------------------------------------------------------------------------- runs */

/* A run of the seed at rest; some were resumed, some rolled back. */
static void run_make(struct fixture *f, struct plan *plan, uint64_t seed)
{
	plan_make(plan, seed);
	plan_open(f, plan);
	fixture_start(f);
	plan_drive(f, plan);
	if (f->run.state == RUN_SUCCEEDED)
		return;
	if (seed % 3 == 0 && fixture_resume(f, seed % 2 ? "s0" : NULL, NULL) == ERR_OK)
		plan_drive(f, plan);
	if (seed % 3 == 1 && fixture_rollback(f) == ERR_OK)
		plan_drive(f, plan);
}

static void s11_4_any_event_at_any_state_is_taken_or_refused(void **state)
{
	uint64_t random = 1;
	unsigned taken = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		run_make(&f, &plan, seed);
		for (unsigned i = 0; i < STATES * TRIES; i++) {
			AUTO(fixture_close) struct fixture cut;
			size_t at = below(&random, f.log_count + 1);
			struct event event;

			fixture_replay(&cut, plan.steps, &f, at);
			event_next(&f, at, &random, &event);
			err_reset(&cut.err);
			if (event_check(&event, &cut.err) != ERR_OK)
				continue;
			if (apply(&cut.run, &event, ERR_CORRUPT, &cut.err) != ERR_OK) {
				assert_true(cut.err.code == ERR_CORRUPT ||
					    cut.err.code == ERR_NEWER);
				assert_true(cut.err.text[0]);
				assert_int_equal(cut.run.seq, at);
				refused++;
				continue;
			}
			assert_int_equal(cut.run.seq, at + 1);
			check_counts(&cut.run);
			decider_rebuild(&cut.decider);
			follow(&cut);
			taken++;
		}
	}
	assert_true(taken > 500 && refused > 500); /* both were tried */
}

/* ----------------------------------------------------------------------------------- inputs */

struct any_input {
	struct input input;
	struct decide_result result;
	struct decide_person person;
	struct decide_resume resume;
	struct decide_artifact artifact;
	struct event user;
	struct str overrides[2];
};

static struct str maybe(uint64_t *random, const char *text)
{
	return below(random, 2) ? str_of(text) : STR_NONE;
}

static void result_any(struct any_input *any, uint64_t *random)
{
	struct decide_result *result = &any->result;

	*result = (struct decide_result){
	    .is_ok = below(random, 2),
	    .is_mocked = below(random, 4) == 0,
	    .class = (enum error_class)(1 + below(random, 8)),
	    .reason = maybe(random, "it failed"),
	    .class_text = below(random, 4) ? STR_NONE : STR("a_word_of_its_own"),
	    .has_exit_code = below(random, 2),
	    .duration_ms = (int64_t)below(random, 3) - 1,
	    .outputs = maybe(random, "{\"n\":1}"),
	    .outputs_ref = maybe(random, "blobs/1"),
	    .outputs_hash = maybe(random, "0123"),
	    .updates = maybe(random, "{\"day\":\"monday\"}"),
	    .updates_ref = maybe(random, "blobs/2"),
	    .cached_from = maybe(random, "r0/s0/0"),
	    .cache_key = maybe(random, "4567"),
	    .quality = maybe(random, "{\"rows\":1}"),
	    .quality_reason = maybe(random, "too few"),
	    .verdict = (enum gate_verdict)below(random, 3),
	    .is_verdict_mocked = below(random, 2),
	    .evidence = STR("{}"),
	    .verdict_reason = maybe(random, "no"),
	    .artifacts = &any->artifact,
	    .artifacts_count = below(random, 2),
	    .user_events = &any->user,
	    .user_events_count = below(random, 2),
	};
	if (!result->is_ok) {
		result->has_signal = below(random, 2);
		result->has_errno = below(random, 2);
		result->core = below(random, 2);
	}
	any->artifact = (struct decide_artifact){
	    .name = maybe(random, "n"),
	    .path = STR("artifacts/n"),
	    .sha256 = STR("89ab"),
	    .bytes = 3,
	    .is_quarantined = below(random, 2),
	    .reason = maybe(random, "of a failed attempt"),
	    .is_mocked = false,
	};
	event_init(&any->user, EVENT_USER);
	any->user.type_text = STR("x-seen");
	if (below(random, 2))
		event_put_text(&any->user, EVENT_FIELD_DATA, STR("{}"));
}

static void input_any(const struct fixture *f, uint64_t *random, struct any_input *any)
{
	static const char *const names[] = {"anna", "ben", "", "olga"};
	uint32_t step = (uint32_t)below(random, f->model->steps_count);
	const struct step_state *at = &f->run.steps[step];
	struct input *in = &any->input;

	any->person = (struct decide_person){
	    .name = str_of(names[below(random, ARRAY_LEN(names))]),
	    .reason = below(random, 8) ? STR("looked at it") : STR_NONE,
	    .uid = (int64_t)below(random, 2) - 1,
	    .pid = (int64_t)below(random, 2) - 1,
	};
	any->overrides[0] = str_of(words[12 + below(random, 5)]);
	any->overrides[1] = any->overrides[below(random, 2)];
	if (!any->overrides[1].ptr)
		any->overrides[1] = f->model->steps[0].id;
	any->resume = (struct decide_resume){
	    .from = below(random, 3) ? STR_NONE : str_of(words[12 + below(random, 5)]),
	    .params = below(random, 6) ? STR_NONE : STR("{\"day\":\"monday\"}"),
	    .boot_id = STR("b2"),
	    .definition_hash = STR("d1"),
	    .reason = maybe(random, "again"),
	    .overrides = any->overrides,
	    .overrides_count = below(random, 3),
	    .person = any->person,
	};
	result_any(any, random);
	if (!f->model->steps[step].pass.ptr)
		any->result.verdict = VERDICT_NONE;
	*in = (struct input){
	    .kind = (enum input_kind)below(random, INPUT_REPAIRED + 1),
	    .step = step,
	    .attempt = at->attempt + (below(random, 8) == 0),
	    .is_true = below(random, 2),
	    .number = 5,
	    .text = STR("0123"),
	    .error = maybe(random, "it errs"),
	    .class = CLASS_CONFIGURATION,
	    .result = &any->result,
	    .person = &any->person,
	    .resume = &any->resume,
	};
	if (in->kind >= INPUT_UNDO_ENDED && in->kind <= INPUT_UNDO_LEFTOVERS)
		in->attempt = f->run.undo.attempt + (below(random, 8) == 0);
	if (in->kind == INPUT_PROJECTION_FAILED)
		in->error = STR("it errs");
	if (in->kind == INPUT_STOP && below(random, 2))
		in->person = NULL;
}

/* As far as it goes alone; some of its questions stay open. */
static void settle_some(struct fixture *f, uint64_t *random)
{
	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		if (below(random, 2))
			f->when[i] = f->inputs[i] = ANSWER_NEVER;
	}
	fixture_settle(f);
}

static void s1_1_what_is_decided_on_any_input_is_taken_by_the_fold(void **state)
{
	uint64_t random = 2;
	unsigned taken = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 2 * RUNS; seed++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		run_make(&f, &plan, seed);
		for (unsigned i = 0; i < STATES * TRIES; i++) {
			AUTO(fixture_close) struct fixture cut;
			size_t at = 1 + below(&random, f.log_count);
			struct any_input any;

			fixture_replay(&cut, plan.steps, &f, at);
			if (below(&random, 4))
				settle_some(&cut, &random);
			if (below(&random, 8) == 0) /* somebody was late */
				cut.now_ms += (int64_t)1 << 40;
			for (int n = 0; n < 3; n++) {
				input_any(&cut, &random, &any);
				if (any.input.kind == INPUT_ROLLBACK && run_is_undoing(&cut.run))
					any.input.kind = INPUT_RESUME; /* as an engine does */
				err_reset(&cut.err);
				if (fixture_tell(&cut, &any.input) == ERR_OK) {
					taken++;
					continue;
				}
				assert_int_equal(err_class(cut.err.code), ERR_CLASS_CALLER);
				assert_true(cut.err.text[0]);
				refused++;
			}
			settle_some(&cut, &random);
		}
	}
	assert_true(taken > 500 && refused > 500);
}

/* ---------------------------------------------------------------------------------- changes */

/* The steps that `one` has and `other` has not, or with a source of numbers: some of those that
 * both have. Now and then a wrong one. */
static void put_steps(struct buf *out, const char *name, const struct model *one,
		      const struct model *other, uint64_t *random)
{
	const char *comma = "";

	buf_fmt(out, "\"%s\":[", name);
	for (uint32_t i = 0; i < one->steps_count; i++) {
		bool is_in_both = model_find(other, one->steps[i].id) != STEP_NONE;

		if (random ? is_in_both && below(random, 3) == 0 : !is_in_both) {
			buf_fmt(out, "%s\"%.*s\"", comma, STR_ARG(one->steps[i].id));
			comma = ",";
		}
	}
	buf_byte(out, ']');
}

static void changes_any(struct buf *out, const struct model *old, const struct model *next,
			uint64_t *random)
{
	buf_byte(out, '{');
	put_steps(out, "changed", next, old, random);
	buf_byte(out, ',');
	put_steps(out, "added", next, old, NULL);
	buf_byte(out, ',');
	put_steps(out, "removed", old, next, NULL);
	buf_byte(out, '}');
}

static void resume_any(const struct fixture *f, uint64_t *random, struct str gates[PLAN_STEPS_MAX],
		       struct decide_resume *resume)
{
	*resume = (struct decide_resume){
	    .from = below(random, 3) ? STR_NONE : str_of(words[12 + below(random, 5)]),
	    .boot_id = STR("b2"),
	    .definition_hash = STR("d2"),
	    .overrides = gates,
	    .person = {STR("olga"), STR("looked at"), -1, -1},
	    .source_ref = STR("s2"),
	    .file = maybe(random, "p.yaml"),
	};
	for (uint32_t i = 0; below(random, 8) && i < f->model->steps_count; i++) {
		if (f->run.steps[i].is_gate_failed)
			gates[resume->overrides_count++] = f->model->steps[i].id;
	}
}

static bool take_change(struct fixture *cut, const struct model *next, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct event *event = &cut->items[i];

		event->seq = cut->run.seq + 1;
		event->run_id = STR("r1");
		assert_ok(event_check(event, &cut->err), &cut->err);
		if (apply_next(&cut->run, event, event->type == EVENT_RUN_RESUMED ? next : NULL,
			       ERR_CORRUPT, &cut->err) != ERR_OK)
			return false;
	}
	check_counts(&cut->run);
	assert_ok(decider_renew(&cut->decider, &cut->err), &cut->err);
	follow(cut);
	return true;
}

/* What nobody decided, as a forged log has it: taken or refused, and no more. */
static void take_unasked(struct fixture *cut, const struct model *next, struct str changes,
			 uint64_t *random)
{
	struct event *event = &cut->items[0];

	event_init(event, EVENT_RUN_RESUMED);
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, STR("d2"));
	event_put_text(event, EVENT_FIELD_BOOT_ID, STR("b2"));
	if (below(random, 8))
		event_put_text(event, EVENT_FIELD_CHANGES, changes);
	if (below(random, 4) == 0)
		event_put_text(event, EVENT_FIELD_FROM, STR("s1"));
	if (!take_change(cut, below(random, 8) ? next : NULL, 1))
		assert_int_equal(cut->err.code, ERR_CORRUPT);
}

static void s9_3_any_change_at_any_state_that_is_decided_is_taken(void **state)
{
	uint64_t random = 3;
	unsigned taken = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 2 * RUNS; seed++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;
		struct plan other;

		run_make(&f, &plan, seed);
		plan_make(&other, below(&random, 2) ? seed : seed + 1000);
		for (unsigned i = 0; i < STATES * TRIES / 8; i++) {
			AUTO(model_drop) struct model *next = NULL;
			AUTO(fixture_close) struct fixture cut;
			AUTO(buf_fini) struct buf changes = BUF_INIT;
			size_t at =
			    below(&random, 2) ? f.log_count : 1 + below(&random, f.log_count);
			struct str gates[PLAN_STEPS_MAX];
			struct decide_resume resume;
			struct input input = {.kind = INPUT_RESUME, .resume = &resume};
			struct decide_events events;
			uint32_t cycle;

			fixture_replay(&cut, plan.steps, &f, at);
			assert_ok(fixture_model(other.steps, &next, &cycle, &cut.err), &cut.err);
			changes_any(&changes, cut.model, next, &random);
			if (below(&random, 4) == 0) {
				take_unasked(&cut, next, buf_view(&changes), &random);
				continue;
			}
			resume_any(&cut, &random, gates, &resume);
			resume.next = next;
			resume.changes = buf_view(&changes);
			events = (struct decide_events){cut.items, 0};
			if (decide_input(&cut.decider, &input, cut.now_ms, &events, &cut.err) !=
			    ERR_OK) {
				assert_int_equal(err_class(cut.err.code), ERR_CLASS_CALLER);
				refused++;
				continue;
			}
			if (!take_change(&cut, next, events.count))
				fail_msg("%s", cut.err.text);
			taken++;
		}
	}
	assert_true(taken > 500 && refused > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s11_4_any_event_at_any_state_is_taken_or_refused),
	    cmocka_unit_test(s1_1_what_is_decided_on_any_input_is_taken_by_the_fold),
	    cmocka_unit_test(s9_3_any_change_at_any_state_that_is_decided_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
