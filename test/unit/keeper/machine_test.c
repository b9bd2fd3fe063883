/* machine_test.c - the keeper's table by enumeration, and its machine with a virtual system. */
#include "keeper/machine.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define S INT64_C(1000000000)

/* --- the table --- */

static void states_that_are_over_never_execute_again(void **state)
{
	static const enum keeper_state over[] = {KEEPER_ENDED, KEEPER_LOST, KEEPER_UNRECORDED};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (int event = 0; event < KEEPER_EVENTS; event++) {
			enum keeper_state to = over[i];

			if (keeper_row_find(over[i], (enum keeper_event)event, &to))
				assert_int_equal(to, over[i]);
		}
	}
}

/* S8.2: between ARMING and the end there is one way to SPAWNING, and none back. */
static void only_an_armed_attempt_is_spawned(void **state)
{
	(void)state;
	for (int from = 0; from < KEEPER_STATES; from++) {
		for (int event = 0; event < KEEPER_EVENTS; event++) {
			enum keeper_state to;

			if (!keeper_row_find((enum keeper_state)from, (enum keeper_event)event,
					     &to))
				continue;
			if (to == KEEPER_SPAWNING) {
				assert_int_equal(from, KEEPER_ARMING);
				assert_int_equal(event, KEEPER_EVENT_ARMED);
			}
			if (to == KEEPER_NONE || to == KEEPER_ARMING)
				assert_true(from == KEEPER_NONE || from == KEEPER_ARMING);
		}
	}
}

static void every_row_is_the_only_one_for_its_pair(void **state)
{
	static const struct {
		int from, event;
	} rows[] = {
#define STATE(name, value, kind, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) {KEEPER_##from, KEEPER_EVENT_##event},
#include "keeper/keeper.def"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t j = i + 1; j < sizeof(rows) / sizeof(rows[0]); j++)
			assert_false(rows[i].from == rows[j].from &&
				     rows[i].event == rows[j].event);
	}
}

static void every_live_state_is_reached_and_can_end(void **state)
{
	bool reached[KEEPER_STATES] = {[KEEPER_NONE] = true, [KEEPER_LOST] = true};
	bool ends[KEEPER_STATES] = {[KEEPER_ENDED] = true,
				    [KEEPER_LOST] = true,
				    [KEEPER_UNRECORDED] = true,
				    [KEEPER_NONE] = true};

	(void)state;
	for (int round = 0; round < KEEPER_STATES; round++) {
		for (int from = 0; from < KEEPER_STATES; from++) {
			for (int event = 0; event < KEEPER_EVENTS; event++) {
				enum keeper_state to;

				if (!keeper_row_find((enum keeper_state)from,
						     (enum keeper_event)event, &to))
					continue;
				reached[to] = reached[to] || reached[from];
				ends[from] = ends[from] || ends[to];
			}
		}
	}
	for (int i = 0; i < KEEPER_STATES; i++) {
		assert_true(reached[i]);
		assert_true(ends[i]);
	}
}

/* A stop must find a row whenever the driver can deliver one. */
static void every_state_between_inputs_takes_a_cancel(void **state)
{
	(void)state;
	for (int i = KEEPER_RUNNING; i < KEEPER_STATES; i++) {
		enum keeper_state to;

		if (i == KEEPER_RECORDING) /* left before the next input */
			continue;
		assert_true(keeper_row_find((enum keeper_state)i, KEEPER_EVENT_CANCEL, &to));
		assert_true(keeper_row_find((enum keeper_state)i, KEEPER_EVENT_CANCEL_NOW, &to));
	}
}

/* --- the machine, with this file as its driver --- */

struct world {
	struct machine *machine;
	int64_t now_ns;
	int arm_errno;
	int spawn_errno;
	int write_errno;
	uint64_t size_bytes;
	bool is_left; /* what TREE is answered */
	unsigned armed, spawned, recorded, terms, kills, looks, closed, refusals, hellos;
	struct exec_report last;
	unsigned recorded_before; /* the last report came */
	unsigned reports;
};

static void feed(struct world *world, struct machine_input input);

static void act(struct world *world, const struct machine_output *output)
{
	struct machine_input answer = {.attempt = output->attempt};

	switch (output->kind) {
	case MACHINE_OUT_ARM:
		world->armed += !world->arm_errno;
		answer.kind = MACHINE_IN_ARMED;
		answer.errno_value = world->arm_errno;
		break;
	case MACHINE_OUT_SPAWN:
		world->spawned++;
		answer.kind = MACHINE_IN_SPAWNED;
		answer.errno_value = world->spawn_errno;
		answer.pid = 100 + (int32_t)output->attempt;
		break;
	case MACHINE_OUT_TREE:
		answer.kind = MACHINE_IN_TREE;
		answer.is_left = world->is_left;
		break;
	case MACHINE_OUT_LOOK:
		world->looks++;
		answer.kind = MACHINE_IN_SIZE;
		answer.size_bytes = world->size_bytes;
		break;
	case MACHINE_OUT_RECORD:
		world->recorded += !world->write_errno;
		answer.kind = MACHINE_IN_WRITTEN;
		answer.errno_value = world->write_errno;
		break;
	case MACHINE_OUT_SIGNAL:
		world->terms += output->signal == MACHINE_TERM;
		world->kills += output->signal == MACHINE_KILL;
		return;
	case MACHINE_OUT_REPORT:
		world->last = output->report;
		world->recorded_before = world->recorded;
		world->reports++;
		return;
	case MACHINE_OUT_CLOSE:
		world->closed++;
		return;
	case MACHINE_OUT_NO:
		world->refusals++;
		return;
	case MACHINE_OUT_HELLO:
		world->hellos++;
		return;
	case MACHINE_OUT_NOTE:
	case MACHINE_OUT_FORGET:
		return;
	}
	feed(world, answer);
}

static void feed(struct world *world, struct machine_input input)
{
	struct err err = ERR_INIT;
	struct machine_output output;

	input.now_ns = world->now_ns;
	if (machine_take(world->machine, &input, &err) != ERR_OK)
		fail_msg("%s", err.text);
	while (machine_next(world->machine, &output))
		act(world, &output);
}

static void hello(struct world *world, uint32_t conn, uint64_t epoch)
{
	struct wire_frame frame = {.type = WIRE_HELLO, .version = WIRE_VERSION, .epoch = epoch};

	feed(world, (struct machine_input){.kind = MACHINE_IN_OPENED, .conn = conn});
	feed(world,
	     (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = conn, .frame = &frame});
}

static struct world world_make(void)
{
	struct world world = {.now_ns = S};
	struct err err = ERR_INIT;

	assert_int_equal(machine_new(&world.machine, &err), ERR_OK);
	hello(&world, 1, 1);
	assert_int_equal(world.hellos, 1);
	return world;
}

static struct exec_start start_make(const char *path)
{
	return (struct exec_start){.token = {.path = str_of(path), .role = EXEC_ROLE_RUN},
				   .log = "x",
				   .cwd = "/",
				   .grace_ns = 10 * S};
}

static void start_with(struct world *world, const struct exec_start *start)
{
	struct wire_frame frame = {.type = WIRE_START, .start = *start};

	feed(world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 1, .frame = &frame});
}

static void cancel(struct world *world, const char *path, bool now)
{
	struct wire_frame frame = {.type = WIRE_CANCEL,
				   .token = {.path = str_of(path), .role = EXEC_ROLE_RUN},
				   .now = now};

	feed(world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 1, .frame = &frame});
}

static void exited(struct world *world, uint32_t attempt, int code, bool is_left)
{
	feed(world, (struct machine_input){.kind = MACHINE_IN_EXITED,
					   .attempt = attempt,
					   .exit_code = code,
					   .is_left = is_left});
}

static void pass(struct world *world, int64_t span_ns)
{
	int64_t end_ns = world->now_ns + span_ns;

	while (machine_due(world->machine) <= end_ns) {
		if (machine_due(world->machine) > world->now_ns)
			world->now_ns = machine_due(world->machine);
		feed(world, (struct machine_input){.kind = MACHINE_IN_TICK});
	}
	world->now_ns = end_ns;
}

static void a_step_runs_and_ends(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_STARTED);
	assert_int_equal(machine_state(world.machine, 0), KEEPER_RUNNING);
	world.now_ns += 5;
	exited(&world, 0, 3, false);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	assert_int_equal(world.last.exit_code, 3);
	assert_int_equal(world.last.duration_ns, 5);
	assert_int_equal(world.reports, 2);
	assert_int_equal(world.recorded, 1);
	assert_int_equal(world.recorded_before, 1); /* S1.2: the outcome, then word of it */
	assert_int_equal(world.terms + world.kills, 0);
	assert_int_equal(machine_live(world.machine), 0);
	assert_false(machine_is_idle(world.machine)); /* an engine is connected */
	feed(&world, (struct machine_input){.kind = MACHINE_IN_CLOSED, .conn = 1});
	assert_true(machine_is_idle(world.machine));
	machine_free(world.machine);
}

/* S8.2: the same token twice is one execution; a refused one may come again. */
static void a_token_is_spawned_once(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	world.arm_errno = ENOSPC;
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_REFUSED);
	assert_int_equal(world.last.errno_value, ENOSPC);
	assert_int_equal(world.spawned, 0);
	world.arm_errno = 0;
	start_with(&world, &start);
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_STARTED);
	exited(&world, 0, 0, false);
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	assert_int_equal(world.spawned, 1);
	assert_int_equal(world.armed, 1);
	machine_free(world.machine);
}

/* S8.1: kept in memory and retried; the keeper stays for it. */
static void an_end_that_cannot_be_written_is_tried_again(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	world.write_errno = ENOSPC;
	exited(&world, 0, 0, false);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	feed(&world, (struct machine_input){.kind = MACHINE_IN_CLOSED, .conn = 1});
	pass(&world, 10 * S);
	assert_int_equal(world.recorded, 0);
	assert_false(machine_is_idle(world.machine));
	world.write_errno = 0;
	pass(&world, 2 * S);
	assert_int_equal(world.recorded, 1);
	assert_true(machine_is_idle(world.machine));
	assert_int_equal(world.reports, 2); /* the engine heard of it once */
	machine_free(world.machine);
}

/* Our own file size limit (EFBIG) is no room that somebody could make: it does not stay for ever.
 * What it knows it still tells, as long as it lives. */
static void an_end_that_can_never_be_written_is_given_up(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");
	struct exec_report report;

	(void)state;
	start_with(&world, &start);
	world.write_errno = EFBIG;
	exited(&world, 0, 7, false);
	feed(&world, (struct machine_input){.kind = MACHINE_IN_CLOSED, .conn = 1});
	pass(&world, KEEPER_GIVE_UP_NS / 2);
	assert_false(machine_is_idle(world.machine));
	pass(&world, KEEPER_GIVE_UP_NS);
	assert_true(machine_is_idle(world.machine));
	assert_int_equal(machine_state(world.machine, 0), KEEPER_UNRECORDED);
	assert_true(machine_report(world.machine, 0, &report));
	assert_int_equal(report.kind, EXEC_ENDED);
	assert_int_equal(report.exit_code, 7);
	machine_free(world.machine);
}

/* S8.1: an engine of before an upgrade goes on with the keeper of after it. */
static void the_version_before_is_still_spoken(void **state)
{
	struct world world = world_make();
	struct wire_frame frame = {.type = WIRE_HELLO, .version = WIRE_VERSION_LEAST, .epoch = 9};
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	feed(&world, (struct machine_input){.kind = MACHINE_IN_OPENED, .conn = 7});
	feed(&world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 7, .frame = &frame});
	assert_int_equal(machine_epoch(world.machine), 9);
	assert_int_equal(world.refusals, 0);
	frame = (struct wire_frame){.type = WIRE_HELLO, .version = WIRE_VERSION + 1, .epoch = 10};
	feed(&world, (struct machine_input){.kind = MACHINE_IN_OPENED, .conn = 8});
	feed(&world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 8, .frame = &frame});
	assert_int_equal(machine_epoch(world.machine), 9);
	assert_int_equal(world.refusals, 1);
	machine_free(world.machine);
}

/* S7.4 */
static void term_grace_kill_and_no_report_before_the_end(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start.timeout_ns = 60 * S;
	start_with(&world, &start);
	pass(&world, 59 * S);
	assert_int_equal(world.terms, 0);
	pass(&world, S);
	assert_int_equal(world.terms, 1);
	pass(&world, 9 * S);
	assert_int_equal(world.kills, 0);
	pass(&world, 2 * S);
	assert_true(world.kills > 1); /* again and again: children born during a pass */
	assert_int_equal(world.reports, 1);
	exited(&world, 0, 0, false);
	assert_int_equal(world.last.cause, EXEC_CAUSE_TIMEOUT);
	machine_free(world.machine);
}

/* P06: what survives KILL is reported once, and keeps its slot. */
static void what_survives_kill_is_reported_as_leftovers(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	cancel(&world, "a", true);
	pass(&world, KEEPER_PATIENCE_NS + S);
	assert_int_equal(world.last.kind, EXEC_LEFTOVERS);
	assert_int_equal(world.reports, 2);
	assert_int_equal(machine_live(world.machine), 1);
	exited(&world, 0, 0, false);
	assert_int_equal(world.reports, 2);
	assert_int_equal(world.recorded, 1);
	assert_int_equal(machine_live(world.machine), 0);
	machine_free(world.machine);
}

/* P02 */
static void orphans_are_asked_then_killed(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	world.is_left = true;
	exited(&world, 0, 0, true);
	assert_int_equal(world.terms, 1);
	assert_int_equal(world.reports, 1);
	pass(&world, KEEPER_ORPHAN_NS + KEEPER_KILL_NS / 2);
	assert_int_equal(world.kills, 1);
	world.is_left = false;
	pass(&world, KEEPER_KILL_NS);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	assert_int_equal(world.last.cause, EXEC_CAUSE_NONE);
	machine_free(world.machine);
}

/* A tree that only seems to live costs a moment, not the grace. */
static void an_empty_tree_is_noticed_soon(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	exited(&world, 0, 0, true);
	assert_int_equal(world.reports, 1);
	pass(&world, KEEPER_TREE_NS);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	machine_free(world.machine);
}

/* S8.7 */
static void output_is_looked_at_each_second_and_only_when_needed(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	pass(&world, 100 * S);
	assert_int_equal(world.looks, 0); /* neither limit nor silence */
	start = start_make("b");
	start.output_limit_bytes = 1000;
	start_with(&world, &start);
	pass(&world, 10 * S);
	assert_int_equal(world.looks, 10);
	world.size_bytes = 1001;
	pass(&world, S);
	assert_int_equal(world.terms, 1);
	exited(&world, 1, 0, false);
	assert_int_equal(world.last.cause, EXEC_CAUSE_OUTPUT_LIMIT);
	machine_free(world.machine);
}

static void silence_counts_from_the_last_growth(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start.silence_ns = 30 * S;
	start_with(&world, &start);
	for (int i = 0; i < 5; i++) {
		world.size_bytes++;
		pass(&world, 20 * S);
	}
	assert_int_equal(world.terms, 0);
	pass(&world, 31 * S);
	assert_int_equal(world.terms, 1);
	machine_free(world.machine);
}

/* S8.3 */
static void the_newest_engine_is_the_only_one(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	hello(&world, 2, 7);
	assert_int_equal(world.closed, 1);
	start = start_make("b");
	start_with(&world, &start); /* by connection 1: closed, discarded */
	assert_int_equal(world.spawned, 1);
	hello(&world, 3, 6);
	assert_int_equal(world.refusals, 1);
	assert_int_equal(world.closed, 2);
	assert_int_equal(world.hellos, 2);
	machine_free(world.machine);
}

static void a_stranger_is_cut_off(void **state)
{
	struct world world = world_make();
	struct wire_frame frame = {.type = WIRE_CANCEL, .token = {.path = STR("a")}};

	(void)state;
	feed(&world, (struct machine_input){.kind = MACHINE_IN_OPENED, .conn = 2});
	feed(&world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 2, .frame = &frame});
	assert_int_equal(world.closed, 1);
	frame.type = WIRE_REPORT;
	feed(&world, (struct machine_input){.kind = MACHINE_IN_FRAME, .conn = 1, .frame = &frame});
	assert_int_equal(world.closed, 2);
	machine_free(world.machine);
}

/* S8.2, S8.3: what an earlier keeper armed is never executed again. */
static void the_records_of_an_earlier_keeper_count(void **state)
{
	struct world world = {.now_ns = S};
	struct err err = ERR_INIT;
	struct record record = {
	    .kind = RECORD_ARMED, .epoch = 9, .token = {.path = STR("a"), .role = EXEC_ROLE_RUN}};
	struct exec_start start = start_make("a");

	(void)state;
	assert_int_equal(machine_new(&world.machine, &err), ERR_OK);
	feed(&world, (struct machine_input){.kind = MACHINE_IN_RECORD, .record = &record});
	record.token.path = STR("b");
	feed(&world, (struct machine_input){.kind = MACHINE_IN_RECORD, .record = &record});
	record.kind = RECORD_ENDED;
	record.exit_code = 4;
	feed(&world, (struct machine_input){.kind = MACHINE_IN_RECORD, .record = &record});
	assert_true(machine_is_idle(world.machine));
	hello(&world, 1, 8);
	assert_int_equal(world.refusals, 1); /* its epoch counts as well */
	hello(&world, 1, 10);
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_LOST);
	start = start_make("b");
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	assert_int_equal(world.last.exit_code, 4);
	assert_int_equal(world.spawned, 0);
	machine_free(world.machine);
}

static void a_directory_that_is_gone_ends_everything(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	start_with(&world, &start);
	feed(&world, (struct machine_input){.kind = MACHINE_IN_GONE});
	assert_int_equal(world.kills, 1);
	world.write_errno = ENOENT;
	exited(&world, 0, 0, false);
	assert_int_equal(machine_live(world.machine), 0);
	start = start_make("b");
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_REFUSED);
	machine_free(world.machine);
}

static void a_failed_exec_is_an_end(void **state)
{
	struct world world = world_make();
	struct exec_start start = start_make("a");

	(void)state;
	world.spawn_errno = ENOENT;
	start_with(&world, &start);
	assert_int_equal(world.last.kind, EXEC_ENDED);
	assert_int_equal(world.last.end, EXEC_END_SPAWN_FAILED);
	assert_int_equal(world.last.errno_value, ENOENT);
	assert_int_equal(world.recorded, 1);
	machine_free(world.machine);
}

/* P23: timer and exit in the same instant, many attempts: one terminal report each. */
static void timer_and_exit_at_once_give_one_end_each(void **state)
{
	struct world world = world_make();
	char path[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct exec_start start;

		(void)snprintf(path, sizeof(path), "a%d", i);
		start = start_make(path);
		start.timeout_ns = S;
		start.grace_ns = i % 2 ? 0 : S;
		start_with(&world, &start);
	}
	assert_int_equal(world.reports, 1000);
	world.now_ns += S;
	for (uint32_t i = 0; i < 1000; i++) {
		if (i == 500)
			feed(&world, (struct machine_input){.kind = MACHINE_IN_TICK});
		exited(&world, i, 0, false);
	}
	pass(&world, 100 * S);
	assert_int_equal(world.reports, 2000);
	assert_int_equal(world.recorded, 1000);
	assert_int_equal(machine_live(world.machine), 0);
	assert_true(machine_due(world.machine) == INT64_MAX);
	machine_free(world.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(states_that_are_over_never_execute_again),
	    cmocka_unit_test(only_an_armed_attempt_is_spawned),
	    cmocka_unit_test(every_row_is_the_only_one_for_its_pair),
	    cmocka_unit_test(every_live_state_is_reached_and_can_end),
	    cmocka_unit_test(every_state_between_inputs_takes_a_cancel),
	    cmocka_unit_test(a_step_runs_and_ends),
	    cmocka_unit_test(a_token_is_spawned_once),
	    cmocka_unit_test(an_end_that_cannot_be_written_is_tried_again),
	    cmocka_unit_test(an_end_that_can_never_be_written_is_given_up),
	    cmocka_unit_test(the_version_before_is_still_spoken),
	    cmocka_unit_test(term_grace_kill_and_no_report_before_the_end),
	    cmocka_unit_test(what_survives_kill_is_reported_as_leftovers),
	    cmocka_unit_test(orphans_are_asked_then_killed),
	    cmocka_unit_test(an_empty_tree_is_noticed_soon),
	    cmocka_unit_test(output_is_looked_at_each_second_and_only_when_needed),
	    cmocka_unit_test(silence_counts_from_the_last_growth),
	    cmocka_unit_test(the_newest_engine_is_the_only_one),
	    cmocka_unit_test(a_stranger_is_cut_off),
	    cmocka_unit_test(the_records_of_an_earlier_keeper_count),
	    cmocka_unit_test(a_directory_that_is_gone_ends_everything),
	    cmocka_unit_test(a_failed_exec_is_an_end),
	    cmocka_unit_test(timer_and_exit_at_once_give_one_end_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
