/* change_test.c - a run goes on by another definition (S9.3): what is carried over, what runs
 * again, what is refused live and in a log */
#include "support/run_fixture.h"

#include "base/mem.h"

#include <string.h>

#define BELOW_CHANGED "{\"changed\":[\"b\"],\"added\":[],\"removed\":[]}"
#define NOTHING       "{\"changed\":[],\"added\":[],\"removed\":[]}"

/* A resume by `next`, decided; the events are in f->items. */
static enum err_code decide_change(struct fixture *f, const struct model *next, const char *changes,
				   const char *override, size_t *ret_count)
{
	struct str gate = str_of(override);
	struct decide_resume resume = {
	    .boot_id = STR("b2"),
	    .definition_hash = STR("d2"),
	    .overrides = &gate,
	    .overrides_count = override ? 1 : 0,
	    .person = {STR("olga"), STR("looked at"), -1, -1},
	    .next = next,
	    .changes = str_of(changes),
	    .source_ref = STR("s2"),
	};
	struct input input = {.kind = INPUT_RESUME, .resume = &resume};
	struct decide_events events = {f->items, 0};
	enum err_code code;

	code = decide_input(&f->decider, &input, f->now_ms, &events, &f->err);
	*ret_count = events.count;
	return code;
}

/* The same, and what was decided is applied. */
static enum err_code change(struct fixture *f, const struct model *next, const char *changes,
			    const char *override)
{
	size_t count = 0;
	enum err_code code = decide_change(f, next, changes, override, &count);

	for (size_t i = 0; code == ERR_OK && i < count; i++) {
		struct event *event = &f->items[i];

		event->seq = f->run.seq + 1;
		event->run_id = STR("r1");
		assert_ok(event_check(event, &f->err), &f->err);
		code = apply_next(&f->run, event, event->type == EVENT_RUN_RESUMED ? next : NULL,
				  ERR_CORRUPT, &f->err);
	}
	return code;
}

static struct model *model_of(const char *steps)
{
	struct model *model = NULL;
	uint32_t cycle;
	struct err err = ERR_INIT;

	assert_ok(fixture_model(steps, &model, &cycle, &err), &err);
	return model;
}

static const struct step_state *step_of(const struct fixture *f, const char *id)
{
	uint32_t index = model_find(f->run.model, str_of(id));

	assert_int_not_equal(index, STEP_NONE);
	return &f->run.steps[index];
}

static void assert_counts(const struct fixture *f)
{
	uint32_t count[ARRAY_LEN(f->run.count)] = {0};

	for (uint32_t i = 0; i < f->run.model->steps_count; i++)
		count[f->run.steps[i].state]++;
	assert_memory_equal(count, f->run.count, sizeof(count));
}

static void begin_failed(struct fixture *f)
{
	fixture_open(f, "a; b; c");
	fixture_start(f);
	fixture_ok(f, "a");
	fixture_fail(f, "b", CLASS_UNKNOWN);
}

static void s9_3_changed_steps_and_all_below_are_open_others_stay(void **state)
{
	AUTO(model_drop) struct model *next = model_of("z needs=; a needs=; b needs=a; c needs=b");
	AUTO(fixture_close) struct fixture f;

	(void)state;
	begin_failed(&f);
	assert_ok(change(&f, next, "{\"changed\":[\"b\"],\"added\":[\"z\"],\"removed\":[]}", NULL),
		  &f.err);
	assert_ptr_equal(f.run.model, next);
	assert_true(str_is(f.run.definition_hash, "d2"));
	assert_int_equal(step_of(&f, "a")->state, STEP_SUCCEEDED);
	assert_int_equal(step_of(&f, "b")->state, STEP_PENDING);
	assert_int_equal(step_of(&f, "b")->attempts, 1);
	assert_int_equal(step_of(&f, "c")->state, STEP_PENDING);
	assert_int_equal(step_of(&f, "z")->state, STEP_PENDING);
	assert_true(step_is_ready(step_of(&f, "b")) && step_is_ready(step_of(&f, "z")));
	assert_false(step_is_ready(step_of(&f, "c")));
	assert_counts(&f);
}

static void s9_3_a_step_that_comes_back_counts_its_attempts_on(void **state)
{
	AUTO(model_drop) struct model *without = model_of("a; c");
	AUTO(model_drop) struct model *with = model_of("a; b; c");
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	begin_failed(&f);
	assert_ok(
	    change(&f, without, "{\"changed\":[\"c\"],\"added\":[],\"removed\":[\"b\"]}", NULL),
	    &f.err);
	assert_counts(&f);
	event_init(&event, EVENT_RUN_RESUMED); /* cut off at once, and resumed by the third one */
	event.seq = f.run.seq + 1;
	event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, STR("d3"));
	event_put_text(&event, EVENT_FIELD_BOOT_ID, STR("b3"));
	event_put_text(&event, EVENT_FIELD_CHANGES,
		       STR("{\"changed\":[\"c\"],\"added\":[\"b\"],\"removed\":[]}"));
	assert_ok(apply_next(&f.run, &event, with, ERR_CORRUPT, &f.err), &f.err);
	assert_int_equal(step_of(&f, "b")->attempts, 1);
	assert_int_equal(step_of(&f, "b")->attempt, 0);
	assert_counts(&f);
}

static void s9_3_lists_that_do_not_fit_the_definitions_are_refused(void **state)
{
	static const char *const wrong[] = {
	    NOTHING,
	    "{\"changed\":[],\"added\":[\"z\"],\"removed\":[]}",
	    "{\"changed\":[],\"added\":[],\"removed\":[\"c\"]}",
	    "{\"changed\":[\"z\"],\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"changed\":[\"c\"],\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"changed\":[\"b\",\"b\"],\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"changed\":[1],\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"changed\":{},\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "{\"changed\":[],\"added\":7,\"removed\":[\"c\"]}",
	    "{\"changed\":[],\"added\":[\"z\"],\"removed\":7}",
	    "{\"changed\":[\"\\u0062\"],\"added\":[\"z\"],\"removed\":[\"c\"]}",
	    "[]",
	    "7",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(model_drop) struct model *next = model_of("a; b; z");
		AUTO(fixture_close) struct fixture f;
		struct event event;

		begin_failed(&f);
		event_init(&event, EVENT_RUN_RESUMED);
		event.seq = f.run.seq + 1;
		event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, STR("d2"));
		event_put_text(&event, EVENT_FIELD_BOOT_ID, STR("b2"));
		event_put_text(&event, EVENT_FIELD_CHANGES, str_of(wrong[i]));
		assert_int_equal(apply_next(&f.run, &event, next, ERR_CORRUPT, &f.err),
				 ERR_CORRUPT);
	}
}

static void s9_3_changes_and_definition_come_together(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; b; c");
	AUTO(fixture_close) struct fixture f;
	size_t count = 0;

	(void)state;
	begin_failed(&f);
	assert_ok(decide_change(&f, next, NOTHING, NULL, &count), &f.err);
	assert_int_equal(count, 1);
	f.items[0].seq = f.run.seq + 1;
	f.items[0].run_id = STR("r1");
	assert_int_equal(apply(&f.run, &f.items[0], ERR_CORRUPT, &f.err), ERR_CORRUPT);
}

static void s9_3_a_failed_gate_bars_the_change_and_is_asked_again(void **state)
{
	AUTO(model_drop) struct model *next = model_of("g gate=hard; c");
	AUTO(fixture_close) struct fixture f;
	const char *changes = "{\"changed\":[\"g\"],\"added\":[],\"removed\":[]}";

	(void)state;
	fixture_open(&f, "g gate=hard; c");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_HARD_GATE_FAILED);
	assert_int_equal(change(&f, next, changes, NULL), ERR_REFUSED);
	assert_ok(change(&f, next, changes, "g"), &f.err);
	assert_int_equal(step_of(&f, "g")->state, STEP_PENDING);
	assert_int_equal(step_of(&f, "c")->state, STEP_PENDING);
	assert_false(step_is_ready(step_of(&f, "c")));
	assert_int_equal(f.run.waived, 0);
	assert_counts(&f);
}

static void s9_3_nothing_changes_below_what_runs_or_waits(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; m gate=manual; c");
	AUTO(model_drop) struct model *without = model_of("a; c");
	AUTO(fixture_close) struct fixture f;
	const char *below = "{\"changed\":[\"c\"],\"added\":[],\"removed\":[]}";
	const char *above = "{\"changed\":[\"a\"],\"added\":[],\"removed\":[]}";
	const char *gone = "{\"changed\":[\"c\"],\"added\":[],\"removed\":[\"m\"]}";

	(void)state;
	fixture_open(&f, "a; m gate=manual; c");
	fixture_start(&f);
	assert_int_equal(change(&f, next, below, NULL), ERR_REFUSED);
	fixture_ok(&f, "a");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	assert_int_equal(change(&f, next, above, NULL), ERR_REFUSED);
	assert_int_equal(change(&f, without, gone, NULL), ERR_REFUSED);
	assert_ok(change(&f, next, below, NULL), &f.err);
	assert_int_equal(step_of(&f, "m")->state, STEP_WAITING);
	assert_counts(&f);
}

/* An engine died behind its run.resumed, before anything followed: the next one may bring another
 * definition again. */
static void s9_3_a_resume_that_was_cut_off_can_be_followed_by_another_change(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; b; c");
	AUTO(model_drop) struct model *again = model_of("a; b; c");
	AUTO(fixture_close) struct fixture f;

	(void)state;
	begin_failed(&f);
	assert_ok(change(&f, next, BELOW_CHANGED, NULL), &f.err);
	assert_int_equal(f.run.state, RUN_FAILED);
	assert_true(f.run.is_resuming);
	assert_ok(change(&f, again, BELOW_CHANGED, NULL), &f.err);
	assert_ptr_equal(f.run.model, again);
	assert_counts(&f);
}

/* A stop that nobody has carried out yet ends the run by the definition that it has. */
static void s9_3_nothing_changes_while_a_stop_is_to_come(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; m gate=manual; c");
	AUTO(fixture_close) struct fixture f;
	const char *below = "{\"changed\":[\"c\"],\"added\":[],\"removed\":[]}";
	struct event event;

	(void)state;
	fixture_open(&f, "a; m gate=manual; c");
	fixture_start(&f);
	fixture_ok(&f, "a");
	assert_int_equal(f.run.state, RUN_BLOCKED);
	event_init(&event, EVENT_RUN_STOP_REQUESTED);
	event.seq = f.run.seq + 1;
	assert_ok(apply(&f.run, &event, ERR_CORRUPT, &f.err), &f.err);
	assert_int_equal(change(&f, next, below, NULL), ERR_REFUSED);
	err_reset(&f.err);
	event_init(&event, EVENT_RUN_RESUMED); /* as no engine would have written it */
	event.seq = f.run.seq + 1;
	event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, STR("d2"));
	event_put_text(&event, EVENT_FIELD_BOOT_ID, STR("b2"));
	event_put_text(&event, EVENT_FIELD_CHANGES, str_of(below));
	assert_int_equal(apply_next(&f.run, &event, next, ERR_CORRUPT, &f.err), ERR_CORRUPT);
}

/* The log ends between the override for another definition and its run.resumed. */
static void cut_behind_the_override(struct fixture *f, const struct model *next)
{
	size_t count = 0;

	fixture_open(f, "a; g gate=hard; b");
	fixture_start(f);
	fixture_ok(f, "a");
	fixture_fail(f, "g", CLASS_UNKNOWN);
	assert_ok(decide_change(f, next, BELOW_CHANGED, "g", &count), &f->err);
	assert_int_equal(count, 2);
	assert_int_equal(f->items[0].type, EVENT_RUN_OVERRIDE_APPLIED);
	f->items[0].seq = f->run.seq + 1;
	f->items[0].run_id = STR("r1");
	assert_ok(event_check(&f->items[0], &f->err), &f->err);
	assert_ok(apply(&f->run, &f->items[0], ERR_CORRUPT, &f->err), &f->err);
	decider_rebuild(&f->decider);
}

/* S1.4: who looked at another definition did not open the gate for this one. */
static void s9_3_an_override_for_another_definition_opens_no_gate_of_this_one(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; g gate=hard; b");
	AUTO(fixture_close) struct fixture f;

	(void)state;
	cut_behind_the_override(&f, next);
	assert_int_equal(f.run.waived, 0);
	assert_int_equal(f.run.gates_barred, 1);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
	assert_string_equal(f.err.text, "Hard gate failures: g");
	err_reset(&f.err);
	assert_int_equal(change(&f, next, BELOW_CHANGED, NULL), ERR_REFUSED);
	err_reset(&f.err);
	assert_int_equal(step_of(&f, "b")->state, STEP_SKIPPED);
	assert_counts(&f);
}

static void s9_3_an_override_counts_from_the_run_resumed_by_its_definition_on(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; g gate=hard; b");
	AUTO(fixture_close) struct fixture f;

	(void)state;
	cut_behind_the_override(&f, next);
	assert_ok(change(&f, next, BELOW_CHANGED, "g"), &f.err);
	assert_int_equal(f.run.waived, 1);
	assert_int_equal(f.run.gates_barred, 0);
	assert_true(step_of(&f, "g")->is_overridden);
	assert_int_equal(step_of(&f, "b")->state, STEP_PENDING);
	assert_counts(&f);
}

static void s9_3_an_override_whose_run_resumed_did_not_come_is_forgotten(void **state)
{
	AUTO(model_drop) struct model *next = model_of("a; g gate=hard; b");
	AUTO(fixture_close) struct fixture f;

	(void)state;
	cut_behind_the_override(&f, next);
	assert_int_equal(fixture_resume(&f, NULL, "g"), ERR_OK); /* by the definition it has */
	assert_int_equal(f.run.waived, 1);
	fixture_fail(&f, "b", CLASS_UNKNOWN);
	assert_int_equal(fixture_resume(&f, "g", NULL), ERR_OK); /* the gate is asked again */
	fixture_fail(&f, "g", CLASS_UNKNOWN);
	assert_int_equal(f.run.gates_barred, 1);
	assert_int_equal(f.run.overrides_open, 0);
	assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
}

/* An override of the failed gate `g`, under the definition of that hash. */
static struct event override_under(const struct fixture *f, struct str hash)
{
	struct event event;

	event_init(&event, EVENT_RUN_OVERRIDE_APPLIED);
	event.seq = f->run.seq + 1;
	event.time_utc_ms = f->now_ms;
	event_put_text(&event, EVENT_FIELD_GATE, STR("g"));
	event_put_text(&event, EVENT_FIELD_OVERRIDE_REASON, STR("looked at"));
	event_put_text(&event, EVENT_FIELD_DEFINITION_HASH, hash);
	return event;
}

static void s9_3_an_override_that_names_the_definition_of_the_run_counts_at_once(void **state)
{
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	fixture_open(&f, "g gate=hard; c");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_HARD_GATE_FAILED);
	event = override_under(&f, f.run.definition_hash);
	assert_ok(event_check(&event, &f.err), &f.err);
	assert_ok(apply(&f.run, &event, ERR_CORRUPT, &f.err), &f.err);
	assert_int_equal(f.run.waived, 1);
	assert_int_equal(f.run.overrides_open, 0);
}

static void an_override_without_memory_is_told(void **state)
{
	static char hash[20000]; /* it takes memory of its own */
	AUTO(fixture_close) struct fixture f;
	struct event event;

	(void)state;
	memset(hash, '7', sizeof(hash));
	fixture_open(&f, "g gate=hard; c");
	fixture_start(&f);
	fixture_fail(&f, "g", CLASS_HARD_GATE_FAILED);
	event = override_under(&f, str_from(hash, sizeof(hash)));
	mem_fail_at(1, 1);
	assert_int_equal(apply(&f.run, &event, ERR_CORRUPT, &f.err), ERR_MEMORY);
	mem_fail_at(0, 0);
	assert_int_equal(f.run.overrides_open, 0);
	err_reset(&f.err);
	assert_ok(apply(&f.run, &event, ERR_CORRUPT, &f.err), &f.err);
	assert_int_equal(f.run.overrides_open, 1);
	assert_int_equal(f.run.waived, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s9_3_changed_steps_and_all_below_are_open_others_stay),
	    cmocka_unit_test(s9_3_a_step_that_comes_back_counts_its_attempts_on),
	    cmocka_unit_test(s9_3_lists_that_do_not_fit_the_definitions_are_refused),
	    cmocka_unit_test(s9_3_changes_and_definition_come_together),
	    cmocka_unit_test(s9_3_a_failed_gate_bars_the_change_and_is_asked_again),
	    cmocka_unit_test(s9_3_nothing_changes_below_what_runs_or_waits),
	    cmocka_unit_test(s9_3_a_resume_that_was_cut_off_can_be_followed_by_another_change),
	    cmocka_unit_test(s9_3_nothing_changes_while_a_stop_is_to_come),
	    cmocka_unit_test(s9_3_an_override_for_another_definition_opens_no_gate_of_this_one),
	    cmocka_unit_test(s9_3_an_override_counts_from_the_run_resumed_by_its_definition_on),
	    cmocka_unit_test(s9_3_an_override_whose_run_resumed_did_not_come_is_forgotten),
	    cmocka_unit_test(s9_3_an_override_that_names_the_definition_of_the_run_counts_at_once),
	    cmocka_unit_test(an_override_without_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
