/* table_test.c - the .def tables of core by enumeration: every state with every move. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/attempt.h"

#include <string.h>

/* ------------------------------------------------------------------------------------- run.def */

static const enum run_state_id run_states[] = {
#define STATE(name, value, kind, text, what) RUN_##name,
#define ROW(from, to, guard, why)
#include "core/run.def"
};

/* S3, as the page has it: 0 never, 1 always, 2 only by a guarded resume. */
static int s3_allows(enum run_state_id from, enum run_state_id to)
{
	static const struct {
		enum run_state_id from, to;
		int how;
	} rows[] = {
	    {RUN_CREATED, RUN_PREFLIGHT_VALIDATED, 1},
	    {RUN_CREATED, RUN_FAILED, 1},
	    {RUN_CREATED, RUN_STOPPED, 1},
	    {RUN_PREFLIGHT_VALIDATED, RUN_EXECUTING, 1},
	    {RUN_PREFLIGHT_VALIDATED, RUN_FAILED, 1},
	    {RUN_PREFLIGHT_VALIDATED, RUN_STOPPED, 1},
	    {RUN_EXECUTING, RUN_BLOCKED, 1},
	    {RUN_EXECUTING, RUN_SUCCEEDED, 1},
	    {RUN_EXECUTING, RUN_FAILED, 1},
	    {RUN_EXECUTING, RUN_STOPPED, 1},
	    {RUN_BLOCKED, RUN_EXECUTING, 1},
	    {RUN_BLOCKED, RUN_FAILED, 1},
	    {RUN_BLOCKED, RUN_ROLLED_BACK, 1},
	    {RUN_BLOCKED, RUN_STOPPED, 1},
	    {RUN_FAILED, RUN_ROLLED_BACK, 1},
	    {RUN_FAILED, RUN_EXECUTING, 2},
	    {RUN_STOPPED, RUN_ROLLED_BACK, 1},
	    {RUN_STOPPED, RUN_EXECUTING, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].from == from && rows[i].to == to)
			return rows[i].how;
	}
	return 0;
}

static void s3_1_a_run_moves_by_the_table_and_in_no_other_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(run_states); i++) {
		for (size_t j = 0; j < ARRAY_LEN(run_states); j++) {
			enum run_state_id from = run_states[i];
			enum run_state_id to = run_states[j];
			struct err err = ERR_INIT;
			int how = s3_allows(from, to);

			assert_int_equal(run_state_check(from, to, false, ERR_CONFLICT, &err),
					 how == 1 ? ERR_OK : ERR_CONFLICT);
			if (how == 1) {
				assert_int_equal(err.code, ERR_OK);
				continue;
			}
			assert_non_null(strstr(err.text, run_state_name(from)));
			assert_non_null(strstr(err.text, run_state_name(to)));
			err_reset(&err);
			assert_int_equal(run_state_check(from, to, true, ERR_CORRUPT, &err),
					 how == 2 ? ERR_OK : ERR_CORRUPT);
		}
	}
}

static void s3_1_the_text_of_a_refused_change_names_both_states(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(run_state_check(RUN_CREATED, RUN_SUCCEEDED, false, ERR_CONFLICT, &err),
			 ERR_CONFLICT);
	assert_string_equal(err.text, "Invalid run state transition: created -> succeeded");
}

static void s3_every_run_state_is_reached_and_every_live_one_can_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(run_states); i++) {
		bool is_reached = run_states[i] == RUN_CREATED;
		bool can_end = run_state_is_end(run_states[i]);
		bool has_way = false;
		bool can_stop = false;

		for (size_t j = 0; j < ARRAY_LEN(run_states); j++) {
			is_reached = is_reached || s3_allows(run_states[j], run_states[i]);
			has_way = has_way || s3_allows(run_states[i], run_states[j]);
			can_stop = can_stop || (s3_allows(run_states[i], run_states[j]) == 1 &&
						run_states[j] == RUN_STOPPED);
			can_end = can_end || (s3_allows(run_states[i], run_states[j]) == 1 &&
					      run_state_is_end(run_states[j]));
		}
		assert_true(is_reached);
		assert_true(can_end);
		assert_true(can_stop || run_state_is_end(run_states[i]));
		if (run_states[i] == RUN_SUCCEEDED || run_states[i] == RUN_ROLLED_BACK)
			assert_false(has_way);
	}
}

static void names_of_states_and_reasons_go_there_and_back(void **state)
{
	enum run_state_id run;
	enum step_state_id step;
	enum run_outcome outcome;
	enum skip_reason skip;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(run_states); i++) {
		assert_true(run_state_of(str_of(run_state_name(run_states[i])), &run));
		assert_int_equal(run, run_states[i]);
	}
	for (enum step_state_id s = STEP_PENDING; s <= STEP_COMPENSATED; s++) {
		assert_true(step_state_of(str_of(step_state_name(s)), &step));
		assert_int_equal(step, s);
	}
	for (enum run_outcome o = OUTCOME_SUCCESS; o <= OUTCOME_ROLLED_BACK; o++) {
		assert_true(outcome_of(str_of(outcome_name(o)), &outcome));
		assert_int_equal(outcome, o);
	}
	for (enum skip_reason s = SKIP_CONDITION; s <= SKIP_RUN_STOPPED; s++) {
		assert_true(skip_reason_of(str_of(skip_reason_name(s)), &skip));
		assert_int_equal(skip, s);
	}
	assert_false(run_state_of(STR("none"), &run));
	assert_false(run_state_of(STR("Created"), &run));
	assert_false(step_state_of(STR(""), &step));
	assert_false(outcome_of(STR("none"), &outcome));
	assert_false(skip_reason_of(STR("because"), &skip));
}

/* ------------------------------------------------------------------------------------ step.def */

enum move {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what) MOVE_##name,
#define ROW(from, event, to, effect, why)
#include "core/step.def"
	MOVE_COUNT
};

struct step_row {
	enum step_state_id from;
	enum move move;
	enum step_state_id to;
};

static const struct step_row step_rows[] = {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) {STEP_##from, MOVE_##event, STEP_##to},
#include "core/step.def"
};

/* S4, as the page has it. */
static bool s4_allows(enum step_state_id from, enum step_state_id to)
{
	static const struct {
		enum step_state_id from;
		enum step_state_id to[4];
	} rows[] = {
	    {STEP_PENDING, {STEP_RUNNING, STEP_WAITING, STEP_SKIPPED}},
	    {STEP_WAITING, {STEP_RUNNING, STEP_SUCCEEDED, STEP_FAILED, STEP_SKIPPED}},
	    {STEP_RUNNING, {STEP_SUCCEEDED, STEP_FAILED, STEP_WAITING}},
	    {STEP_FAILED, {STEP_PENDING, STEP_COMPENSATED}},
	    {STEP_SUCCEEDED, {STEP_COMPENSATED, STEP_PENDING}},
	    {STEP_SKIPPED, {STEP_PENDING}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t j = 0; j < 4; j++) {
			if (rows[i].from == from && rows[i].to[j] == to)
				return true;
		}
	}
	return false;
}

static void s4_the_rows_of_the_step_machine_are_those_of_the_page(void **state)
{
	(void)state;
	for (enum step_state_id from = STEP_PENDING; from <= STEP_COMPENSATED; from++) {
		for (enum step_state_id to = STEP_PENDING; to <= STEP_COMPENSATED; to++) {
			bool has_row = false;

			for (size_t i = 0; i < ARRAY_LEN(step_rows); i++)
				has_row =
				    has_row || (step_rows[i].from == from && step_rows[i].to == to);
			assert_int_equal(has_row, s4_allows(from, to));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(step_rows); i++) { /* one row for a pair */
		for (size_t j = 0; j < i; j++)
			assert_false(step_rows[i].from == step_rows[j].from &&
				     step_rows[i].move == step_rows[j].move);
	}
}

static const enum event_type event_of_move[MOVE_COUNT] = {
    [MOVE_START] = EVENT_STEP_STARTED, [MOVE_SUCCEED] = EVENT_STEP_SUCCEEDED,
    [MOVE_FAIL] = EVENT_STEP_FAILED,   [MOVE_RETRY] = EVENT_STEP_RETRIED,
    [MOVE_WAIT] = EVENT_STEP_WAITING,  [MOVE_SKIP] = EVENT_STEP_SKIPPED,
    [MOVE_LOSE] = EVENT_STEP_LOST,
};

/* A run that executes, whose one step is in `from` and lets every guard pass. */
static void open_at(struct fixture *f, enum step_state_id from)
{
	struct step_state *step;

	fixture_open(f, "a retry=9");
	f->when[0] = ANSWER_NEVER;
	f->model->steps[0].when = STR("later");
	fixture_start(f);
	step = &f->run.steps[0];
	f->run.count[STEP_PENDING]--;
	f->run.count[from]++;
	step->state = from;
	step->class = CLASS_TRANSIENT_IO;
	step->is_approved = true;
	if (from != STEP_PENDING && from != STEP_WAITING)
		step->attempts = 1;
}

static void make_move(const struct fixture *f, enum move move, struct event *event)
{
	event_init(event, event_of_move[move]);
	event->seq = f->run.seq + 1;
	event->time_utc_ms = f->now_ms;
	event->attempt =
	    move == MOVE_RETRY || (move == MOVE_START && f->run.steps[0].attempts) ? 1 : 0;
	event_put_text(event, EVENT_FIELD_STEP_ID, STR("a"));
	event_put_text(event, EVENT_FIELD_REASON, STR("condition"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, STR("transient_io"));
}

static void s4_a_step_moves_by_the_table_and_in_no_other_way(void **state)
{
	(void)state;
	for (enum step_state_id from = STEP_PENDING; from <= STEP_COMPENSATED; from++) {
		for (enum move move = 0; move < MOVE_COUNT; move++) {
			struct fixture f;
			struct event event;
			enum step_state_id to = 0;
			enum err_code code;

			if (event_of_move[move] == EVENT_NONE)
				continue; /* by run.resumed, and compensation: elsewhere */
			for (size_t i = 0; i < ARRAY_LEN(step_rows); i++) {
				if (step_rows[i].from == from && step_rows[i].move == move)
					to = step_rows[i].to;
			}
			open_at(&f, from);
			make_move(&f, move, &event);
			code = apply(&f.run, &event, ERR_CORRUPT, &f.err);
			if (to) {
				assert_ok(code, &f.err);
				assert_int_equal(f.run.steps[0].state, to);
			} else {
				assert_int_equal(code, ERR_CORRUPT);
				assert_int_equal(f.run.steps[0].state, from);
				assert_non_null(strstr(f.err.text, "'a'"));
			}
			fixture_close(&f);
		}
	}
}

static void s4_every_step_state_is_reached_and_every_open_one_can_end(void **state)
{
	(void)state;
	for (enum step_state_id s = STEP_PENDING; s <= STEP_COMPENSATED; s++) {
		bool is_reached = s == STEP_PENDING;
		bool is_open = s == STEP_PENDING || s == STEP_WAITING || s == STEP_RUNNING;
		bool has_way = false;

		for (size_t i = 0; i < ARRAY_LEN(step_rows); i++) {
			is_reached = is_reached || step_rows[i].to == s;
			has_way = has_way || step_rows[i].from == s;
		}
		assert_true(is_reached);
		assert_true(has_way || !is_open);
		if (s == STEP_COMPENSATED)
			assert_false(has_way);
	}
}

/* --------------------------------------------------------------------------------- attempt.def */

static void s8_3_every_attempt_can_come_to_an_end(void **state)
{
	bool is_reached[ATTEMPT_STUCK + 1] = {[ATTEMPT_NONE] = true};

	(void)state;
	for (int round = 0; round <= ATTEMPT_STUCK; round++) {
		for (enum attempt_state from = ATTEMPT_NONE; from <= ATTEMPT_STUCK; from++) {
			bool can_end = false;

			for (enum attempt_event event = 0; event < ATTEMPT_EV_COUNT; event++) {
				enum attempt_state to = from;
				enum attempt_act act = ATTEMPT_DO_NOTHING;
				struct err err = ERR_INIT;

				if (attempt_move(&to, event, &act, &err) != ERR_OK) {
					assert_int_equal(err.code, ERR_CONFLICT);
					assert_int_equal(to, from);
					assert_non_null(strstr(err.text, attempt_state_name(from)));
					continue;
				}
				can_end = can_end || to == ATTEMPT_NONE;
				if (is_reached[from])
					is_reached[to] = true;
				if (act == ATTEMPT_DO_START) /* provably never executed (S8.2) */
					assert_int_equal(event, ATTEMPT_EV_ABSENT);
			}
			if (from != ATTEMPT_NONE && from != ATTEMPT_STUCK)
				assert_true(can_end);
		}
	}
	for (enum attempt_state s = ATTEMPT_NONE; s <= ATTEMPT_STUCK; s++)
		assert_true(is_reached[s]);
}

/* ----------------------------------------------------------------------------- error_class.def */

static void s6_classes_are_retried_as_the_table_says(void **state)
{
	static const struct {
		const char *name;
		bool by_default, if_listed;
	} rows[] = {
	    {"transient_io", true, true},    {"timeout", true, true},
	    {"dependency", false, true},     {"contract_input_missing", false, false},
	    {"configuration", false, false}, {"validation_failed", false, false},
	    {"data_quality", false, false},  {"hard_gate_failed", false, false},
	    {"infrastructure", false, true}, {"interrupted", false, false},
	    {"cancelled", false, false},     {"lost", false, false},
	    {"internal", false, false},      {"unknown", false, false},
	};
	enum error_class class;

	(void)state;
	assert_int_equal(ARRAY_LEN(rows), CLASS_COUNT);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(error_class_of(str_of(rows[i].name), &class));
		assert_string_equal(error_class_name(class), rows[i].name);
		assert_int_equal(error_class_retried_by_default(class), rows[i].by_default);
		assert_int_equal(error_class_may_be_listed(class), rows[i].if_listed);
	}
	assert_false(error_class_of(STR("TRANSIENT_IO"), &class));
	assert_false(error_class_of(STR(""), &class));
}

/* ---------------------------------------------------------------------- event.def, field.def */

static void s11_names_of_events_and_fields_go_there_and_back(void **state)
{
	(void)state;
	for (enum event_type type = EVENT_NONE + 1; type < EVENT_USER; type++) {
		assert_int_equal(event_type_of(str_of(event_type_name(type))), type);
		assert_non_null(strchr(event_type_name(type), '.'));
	}
	for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
		assert_int_equal(event_field_of(str_of(event_field_name(field))), field);
		for (enum event_field other = 0; other < field; other++)
			assert_string_not_equal(event_field_name(field), event_field_name(other));
	}
	assert_int_equal(event_field_of(STR("h")), EVENT_FIELD_COUNT);
	assert_int_equal(event_field_of(STR("event_id")), EVENT_FIELD_COUNT);
	assert_string_equal(event_field_name(EVENT_FIELD_COUNT), "");
}

/* S11: the common fields come first, in the order of the page. */
static void s11_the_common_fields_come_in_their_order(void **state)
{
	static const char *const names[] = {
	    "step_id",       "error_class",    "reason",    "inputs_hash",     "outputs_hash",
	    "artifact_path", "previous_state", "new_state", "override_reason",
	};

	(void)state;
	for (enum event_field i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(event_field_name(i), names[i]);
}

static void s11_5_a_type_that_is_not_known_is_newer_and_a_users_is_not(void **state)
{
	struct event event;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(event_type_of(STR("x-note")), EVENT_USER);
	assert_int_equal(event_type_of(STR("x-")), EVENT_UNKNOWN);
	assert_int_equal(event_type_of(STR("step.flew")), EVENT_UNKNOWN);
	assert_int_equal(event_type_of(STR("")), EVENT_UNKNOWN);
	event_init(&event, EVENT_UNKNOWN);
	event.type_text = STR("step.flew");
	assert_int_equal(event_check(&event, &err), ERR_NEWER);
	assert_non_null(strstr(err.text, "step.flew"));
}

static void put_any(struct event *event, enum event_field field)
{
	enum event_field_kind kind = event_field_kind(field);

	if (kind == EVENT_KIND_TEXT || kind == EVENT_KIND_RAW)
		event_put_text(event, field, STR("1"));
	else if (kind == EVENT_KIND_INT)
		event_put_int(event, field, 1);
	else
		event_put_flag(event, field);
}

#define F(name) (UINT64_C(1) << EVENT_FIELD_##name)
static const struct {
	enum event_type type;
	uint64_t required, optional;
} event_rows[] = {
#define RUN                                                0
#define STEP                                               0
#define EVENT(name, text, about, required, optional, what) {EVENT_##name, (required), (optional)},
#include "core/event.def"
#undef RUN
#undef STEP
};

static void s11_an_event_has_what_it_requires_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(event_rows); i++) {
		struct event full;

		event_init(&full, event_rows[i].type);
		for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
			if (event_rows[i].required >> field & 1)
				put_any(&full, field);
		}
		for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
			struct event event = full;
			struct err err = ERR_INIT;
			bool is_required = event_rows[i].required >> field & 1;
			bool is_optional = event_rows[i].optional >> field & 1;

			assert_false(is_required && is_optional);
			if (is_required)
				event.has &= ~(UINT64_C(1) << field);
			else
				put_any(&event, field);
			assert_int_equal(event_check(&event, &err),
					 is_optional ? ERR_OK : ERR_CORRUPT);
			if (!is_optional)
				assert_non_null(strstr(err.text, event_field_name(field)));
		}
		assert_int_equal(event_is_about_step(event_rows[i].type),
				 (event_rows[i].required & F(STEP_ID)) != 0);
	}
}

static void an_absent_field_reads_as_nothing(void **state)
{
	struct event event;

	(void)state;
	event_init(&event, EVENT_STEP_FAILED);
	assert_false(event_has(&event, EVENT_FIELD_REASON));
	assert_null(event_text(&event, EVENT_FIELD_REASON).ptr);
	assert_int_equal(event_int(&event, EVENT_FIELD_EXIT_CODE, -7), -7);
	event_put_int(&event, EVENT_FIELD_EXIT_CODE, 3);
	assert_int_equal(event_int(&event, EVENT_FIELD_EXIT_CODE, -7), 3);
	assert_text(event.actor, "runner");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s3_1_a_run_moves_by_the_table_and_in_no_other_way),
	    cmocka_unit_test(s3_1_the_text_of_a_refused_change_names_both_states),
	    cmocka_unit_test(s3_every_run_state_is_reached_and_every_live_one_can_end),
	    cmocka_unit_test(names_of_states_and_reasons_go_there_and_back),
	    cmocka_unit_test(s4_the_rows_of_the_step_machine_are_those_of_the_page),
	    cmocka_unit_test(s4_a_step_moves_by_the_table_and_in_no_other_way),
	    cmocka_unit_test(s4_every_step_state_is_reached_and_every_open_one_can_end),
	    cmocka_unit_test(s8_3_every_attempt_can_come_to_an_end),
	    cmocka_unit_test(s6_classes_are_retried_as_the_table_says),
	    cmocka_unit_test(s11_names_of_events_and_fields_go_there_and_back),
	    cmocka_unit_test(s11_the_common_fields_come_in_their_order),
	    cmocka_unit_test(s11_5_a_type_that_is_not_known_is_newer_and_a_users_is_not),
	    cmocka_unit_test(s11_an_event_has_what_it_requires_and_nothing_else),
	    cmocka_unit_test(an_absent_field_reads_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
