/* memory_test.c - memory that is short at any moment of the core is told, and nothing else happens:
 * each allocation of each event and each input fails in turn, in the arenas too. */
#include "support/run_plan.h"

#include "base/mem.h"
#include "core/select.h"

#include <stdlib.h>

#define RUNS     24
#define LEFT_MAX 512 /* bytes in an arena that one event may need */

/* Bytes that an arena still has without asking for more, all of them taken. */
static size_t arena_fill(struct arena *arena)
{
	size_t bytes = 0;

	mem_fail_at(1, 1);
	while (arena_new(arena, 1, 1))
		bytes += _Alignof(max_align_t);
	mem_fail_at(0, 0);
	return bytes;
}

/* Leave only so many of the `room` bytes that it has. */
static void arena_leave(struct arena *arena, size_t room, size_t left)
{
	if (room > left)
		assert_non_null(arena_new(arena, room - left, 1));
}

/* What happened to a run, and the definition that it goes on by when an event has `changes`. */
struct story {
	const struct model *model;
	const struct model *next;
	struct event *const *log;
	size_t count;
};

static enum err_code tell(const struct story *story, struct run_state *run, size_t at,
			  struct err *err)
{
	const struct event *event = story->log[at];

	return apply_next(run, event, event_has(event, EVENT_FIELD_CHANGES) ? story->next : NULL,
			  ERR_CORRUPT, err);
}

/* The state before an event, with an arena that is not empty. */
static void state_at(const struct story *story, size_t at, struct run_state *run)
{
	struct err err = ERR_INIT;

	assert_ok(run_state_init(run, story->model, &err), &err);
	for (size_t i = 0; i < at; i++)
		assert_ok(tell(story, run, i, &err), &err);
	assert_non_null(arena_new(&run->arena, 1, 1));
}

/* One event at the state before it, with `left` bytes in the run's arena and no more, or with the
 * nth allocation failing when there is one. */
static enum err_code tell_short(const struct story *story, size_t at, size_t room, size_t left,
				uint64_t nth)
{
	AUTO(run_state_fini) struct run_state run;
	struct err err = ERR_INIT;
	enum err_code code;

	state_at(story, at, &run);
	if (nth == 0)
		arena_leave(&run.arena, room, left);
	mem_fail_at(nth ? nth : 1, nth == 0);
	code = tell(story, &run, at, &err);
	if (nth && mem_calls() < nth)
		assert_ok(code, &err);
	mem_fail_at(0, 0);
	if (code != ERR_OK && code != ERR_MEMORY)
		fail_msg("%s", err.text);
	return code;
}

/* The same with an arena that has no room, so that each text that is kept is an allocation. */
static enum err_code tell_full(const struct story *story, size_t at, size_t room, size_t left,
			       uint64_t nth)
{
	AUTO(run_state_fini) struct run_state run;
	struct err err = ERR_INIT;
	enum err_code code;

	state_at(story, at, &run);
	arena_leave(&run.arena, room, left);
	mem_fail_at(nth, 1);
	code = tell(story, &run, at, &err);
	mem_fail_at(0, 0);
	assert_true(code == ERR_OK || code == ERR_MEMORY);
	return code;
}

/* How often it was told. */
static unsigned tell_all_short(const struct story *story)
{
	unsigned told = 0;

	for (size_t at = 0; at < story->count; at++) {
		struct run_state run;
		size_t room;

		state_at(story, at, &run);
		room = arena_fill(&run.arena);
		run_state_fini(&run);
		for (size_t left = 0; left < LEFT_MAX && left <= room;
		     left += _Alignof(max_align_t)) {
			if (tell_short(story, at, room, left, 0) == ERR_OK)
				break;
			told++;
		}
		for (uint64_t nth = 1; nth < 40; nth++) {
			told += tell_short(story, at, 0, 0, nth) != ERR_OK;
			told += tell_full(story, at, room, 0, nth) != ERR_OK;
		}
	}
	return told;
}

/* The same for each way to divide what there is between the arena and the rest. */
static unsigned tell_every_way(const struct story *story)
{
	unsigned told = tell_all_short(story);

	for (size_t at = 0; at < story->count; at++) {
		struct run_state run;
		size_t room;

		state_at(story, at, &run);
		room = arena_fill(&run.arena);
		run_state_fini(&run);
		for (size_t left = 0; left < LEFT_MAX; left += _Alignof(max_align_t)) {
			for (uint64_t nth = 1; nth < 16; nth++)
				told += tell_full(story, at, room, left, nth) != ERR_OK;
		}
	}
	return told;
}

/* What is decided on a change of the definition needs memory for marks. */
static void s9_3_a_change_that_finds_no_memory_is_not_decided(void **state)
{
	AUTO(fixture_close) struct fixture f;
	AUTO(model_drop) struct model *next = NULL;
	struct decide_resume resume = {
	    .from = STR("b"),
	    .changes = STR("{\"changed\":[\"b\"],\"added\":[],\"removed\":[]}"),
	};
	uint32_t cycle;
	uint64_t nth = 0;

	(void)state;
	fixture_open(&f, "a; b");
	assert_ok(fixture_model("a; b", &next, &cycle, &f.err), &f.err);
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	resume.next = next;
	for (;;) {
		enum err_code code;

		mem_fail_at(++nth, 0);
		code = decide_resume_check(&f.run, &resume, &f.err);
		mem_fail_at(0, 0);
		if (code == ERR_OK)
			break;
		assert_int_equal(code, ERR_MEMORY);
	}
	assert_true(nth > 4);
}

static void an_event_that_finds_no_memory_is_told_and_its_state_thrown_away(void **state)
{
	unsigned told = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed);
		plan_open(&f, &plan);
		fixture_start(&f);
		plan_drive(&f, &plan);
		if (f.run.state != RUN_SUCCEEDED &&
		    (seed % 2 ? fixture_rollback(&f) : fixture_resume(&f, "s0", NULL)) == ERR_OK)
			plan_drive(&f, &plan);
		told += tell_all_short(&(struct story){f.model, NULL, f.log, f.log_count});
	}
	assert_true(told > 500);
}

/* A field of a made event and its text. */
struct pair {
	enum event_field field;
	const char *text;
};

/* One more event of a story that is made by hand; `texts` end with a NULL. */
static struct event *add(struct fixture *f, enum event_type type, const char *step,
			 const struct pair *texts)
{
	struct event *event = arena_new(&f->texts, 1, sizeof(*event));
	void *log = f->log;

	assert_non_null(event);
	event_init(event, type);
	event->seq = f->log_count + 1;
	event->run_id = STR("r1");
	if (step)
		event_put_text(event, EVENT_FIELD_STEP_ID, str_of(step));
	for (; texts->text; texts++)
		event_put_text(event, texts->field, str_of(texts->text));
	assert_ok(mem_grow(&log, &f->log_capacity, f->log_count + 1, sizeof(*f->log), &f->err),
		  &f->err);
	f->log = log;
	f->log[f->log_count++] = event;
	return event;
}

#define P(name, text) \
	{ \
		EVENT_FIELD_##name, text \
	}
#define TEXTS(...) \
	(const struct pair[]) \
	{ \
		__VA_ARGS__ \
		{ \
			0, NULL \
		} \
	}

/* All that a run can be born with, and all that an attempt can leave. */
static void a_run_with_all_that_there_is_tells_it_too(void **state)
{
	AUTO(fixture_close) struct fixture f;
	AUTO(model_drop) struct model *next = NULL;
	struct param param = {.name = STR("day"), .type = VALUE_STRING};
	uint32_t cycle;
	struct event *event;

	(void)state;
	fixture_open(&f, "a; b; c; d");
	assert_ok(fixture_model("a; c; z", &next, &cycle, &f.err), &f.err);
	f.model->params = next->params = &param;
	f.model->params_count = next->params_count = 1;
	(void)add(&f, EVENT_RUN_CREATED, NULL,
		  TEXTS(P(SYNC, "always"), P(PARTITION, "2026-01-01"), P(IDEMPOTENCY_KEY, "k"),
			P(FILE, "p.yaml"), P(TRACE_ID, "0af7651916cd43dd8448eb211c80319c"),
			P(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
			P(BOOT_ID, "b1"), P(DEFINITION_HASH, "d1"),
			P(PARAMS, "{\"day\":\"monday\"}"), ));
	(void)add(&f, EVENT_RUN_STATE_CHANGED, NULL,
		  TEXTS(P(PREVIOUS_STATE, "created"), P(NEW_STATE, "preflight_validated"), ));
	(void)add(&f, EVENT_RUN_STATE_CHANGED, NULL,
		  TEXTS(P(PREVIOUS_STATE, "preflight_validated"), P(NEW_STATE, "executing"),
			P(REASON, "as planned"), ));
	(void)add(&f, EVENT_STEP_STARTED, "a", TEXTS(P(NEW_STATE, "running"), ));
	(void)add(&f, EVENT_ARTIFACT_EMITTED, "a",
		  TEXTS(P(ARTIFACT_PATH, "artifacts/a"), P(OUTPUTS_HASH, "0123"), ));
	(void)add(&f, EVENT_QUALITY_RECORDED, "a", TEXTS(P(DATA, "{\"rows\":1}"), ));
	(void)add(&f, EVENT_STEP_SUCCEEDED, "a",
		  TEXTS(P(CACHED_FROM, "r0/a/0"), P(OUTPUTS, "{\"n\":1}"),
			P(CONTEXT_UPDATES, "{\"day\":\"sunday\",\"at\":1}"), ));
	(void)add(&f, EVENT_STEP_STARTED, "b", TEXTS(P(NEW_STATE, "running"), ));
	event = add(&f, EVENT_ARTIFACT_EMITTED, "b",
		    TEXTS(P(ARTIFACT_PATH, "artifacts/b"), P(OUTPUTS_HASH, "4567"), ));
	event_put_int(event, EVENT_FIELD_BYTES, 1);
	(void)add(&f, EVENT_STEP_FAILED, "b",
		  TEXTS(P(ERROR_CLASS, "a_word_of_its_own"), P(REASON, "it failed"), ));
	(void)add(&f, EVENT_RUN_STATE_CHANGED, NULL,
		  TEXTS(P(PREVIOUS_STATE, "executing"), P(NEW_STATE, "failed"), ));
	(void)add(
	    &f, EVENT_RUN_COMPLETED, NULL,
	    TEXTS(P(NEW_STATE, "failed"), P(OUTCOME, "failed"), P(REASON, "Step failed: b"), ));
	(void)add(&f, EVENT_RUN_RESUMED, NULL,
		  TEXTS(P(BOOT_ID, "b2"), P(DEFINITION_HASH, "d2"), P(SOURCE_REF, "s2"),
			P(FILE, "other.yaml"), P(PARAMS, "{\"day\":\"friday\"}"), P(FROM, "a"),
			P(CHANGES, "{\"changed\":[\"c\"],\"added\":[\"z\"],"
				   "\"removed\":[\"b\",\"d\"]}"), ));
	assert_true(tell_every_way(&(struct story){f.model, next, f.log, f.log_count}) > 60);
	f.model->params_count = next->params_count = 0;
}

/* A part of a pipeline, with what it needs of the rest. */
static void a_run_of_a_part_that_finds_no_memory_is_told(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a; b; c");
	(void)add(&f, EVENT_RUN_CREATED, NULL,
		  TEXTS(P(SYNC, "always"), P(BOOT_ID, "b1"), P(DEFINITION_HASH, "d1"),
			P(SELECTION, "{\"from\":\"b\"}"), P(GIVEN, "{\"a\":{\"n\":1}}"), ));
	assert_true(tell_every_way(&(struct story){f.model, NULL, f.log, f.log_count}) > 5);
}

/* A retry of a rollback whose reason and class are words of the command's own. */
static void a_compensation_that_finds_no_memory_is_told(void **state)
{
	AUTO(fixture_close) struct fixture f;

	(void)state;
	fixture_open(&f, "a undo=2; b");
	fixture_start(&f);
	fixture_ok(&f, "a");
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	assert_ok(fixture_rollback(&f), &f.err);
	(void)add(&f, EVENT_COMPENSATION_FAILED, "a",
		  TEXTS(P(ERROR_CLASS, "a_word_of_its_own"), P(REASON, "it failed"), ));
	assert_true(tell_every_way(&(struct story){f.model, NULL, f.log, f.log_count}) > 5);
}

static void a_state_and_a_decider_that_find_no_memory_are_none(void **state)
{
	AUTO(fixture_close) struct fixture f;
	unsigned told = 0;

	(void)state;
	fixture_open(&f, "a; b prio=2; c needs=a prio=2");
	for (uint64_t nth = 1; nth < 16; nth++) {
		struct run_state run;
		struct decider decider;
		enum err_code code;

		mem_fail_at(nth, 0);
		code = run_state_init(&run, f.model, &f.err);
		if (code == ERR_OK) {
			code = decider_init(&decider, &run, &f.err);
			if (code == ERR_OK)
				decider_fini(&decider);
			run_state_fini(&run);
		}
		if (code != ERR_OK) {
			assert_int_equal(code, ERR_MEMORY);
			told++;
		}
		mem_fail_at(0, 0);
	}
	assert_true(told > 8);
	for (uint64_t nth = 1; nth < 16; nth++) {
		mem_fail_at(nth, 0);
		if (decider_renew(&f.decider, &f.err) != ERR_OK) {
			assert_int_equal(f.err.code, ERR_MEMORY);
			mem_fail_at(0, 0);
			assert_ok(decider_init(&f.decider, &f.run, &f.err), &f.err);
		}
		mem_fail_at(0, 0);
	}
}

/* A model whose arena has a new block. */
static void graph_open(struct fixture *f)
{
	fixture_open(f, "a; b needs=a; c any=a,b; d needs=b,c");
	(void)arena_fill(&f->model->arena);
	assert_non_null(arena_new(&f->model->arena, 1, 1));
}

static void a_graph_that_finds_no_memory_is_none(void **state)
{
	struct fixture f;
	unsigned told = 0;
	size_t room;

	(void)state;
	graph_open(&f);
	room = arena_fill(&f.model->arena);
	fixture_close(&f);
	for (uint64_t nth = 1; nth <= 3; nth++) {
		for (size_t left = 0; left < LEFT_MAX; left += _Alignof(max_align_t)) {
			uint32_t cycle;
			enum err_code code;

			graph_open(&f);
			arena_leave(&f.model->arena, room, left);
			mem_fail_at(nth, 1);
			code = graph_build(f.model, &cycle, &f.err);
			mem_fail_at(0, 0);
			assert_true(code == ERR_OK || code == ERR_MEMORY);
			told += code != ERR_OK;
			fixture_close(&f);
		}
	}
	assert_true(told > 60);
}

static void a_decision_without_memory_for_its_words_is_the_same_decision(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed);
		plan_open(&f, &plan);
		fixture_start(&f);
		plan_drive(&f, &plan);
		for (size_t at = 1; at < f.log_count; at++) {
			AUTO(fixture_close) struct fixture cut;
			struct decide_query query;
			struct event event, other;
			enum decide_answer first, second;

			fixture_replay(&cut, plan.steps, &f, at);
			mem_fail_at(1, 1);
			first = decide_next(&cut.decider, cut.now_ms, &event, &query);
			mem_fail_at(0, 0);
			decider_rebuild(&cut.decider);
			second = decide_next(&cut.decider, cut.now_ms, &other, &query);
			assert_int_equal(first, second);
			if (first == DECIDE_EVENT)
				assert_int_equal(event.type, other.type);
		}
	}
}

/* S5.6: who approved is on record, or the approval is not. */
static void a_person_whose_name_finds_no_memory_has_not_decided(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct decide_person person = {STR("anna"), STR("looked at it"), -1, -1};
	struct input input = {.kind = INPUT_APPROVE, .person = &person};
	unsigned told = 0;

	(void)state;
	fixture_open(&f, "m gate=manual");
	fixture_start(&f);
	for (uint64_t nth = 1; nth < 4; nth++) {
		struct decide_events events = {f.items, 0};
		enum err_code code;

		decider_fini(&f.decider);
		assert_ok(decider_init(&f.decider, &f.run, &f.err), &f.err);
		mem_fail_at(nth, 1);
		code = decide_input(&f.decider, &input, f.now_ms, &events, &f.err);
		mem_fail_at(0, 0);
		assert_int_equal(events.count, code == ERR_OK);
		if (code == ERR_OK)
			assert_text(events.items[0].actor, "manual:anna");
		else
			assert_int_equal(code, ERR_MEMORY);
		told += code != ERR_OK;
		err_reset(&f.err);
	}
	assert_true(told > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_event_that_finds_no_memory_is_told_and_its_state_thrown_away),
	    cmocka_unit_test(a_run_with_all_that_there_is_tells_it_too),
	    cmocka_unit_test(a_run_of_a_part_that_finds_no_memory_is_told),
	    cmocka_unit_test(a_compensation_that_finds_no_memory_is_told),
	    cmocka_unit_test(s9_3_a_change_that_finds_no_memory_is_not_decided),
	    cmocka_unit_test(a_state_and_a_decider_that_find_no_memory_are_none),
	    cmocka_unit_test(a_graph_that_finds_no_memory_is_none),
	    cmocka_unit_test(a_person_whose_name_finds_no_memory_has_not_decided),
	    cmocka_unit_test(a_decision_without_memory_for_its_words_is_the_same_decision),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
