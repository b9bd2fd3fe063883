/* random_test.c - properties over generated runs: every prefix of a log is a legal log (S11.2),
 * replay is the live state (S1.1), nothing starts below a failed gate (S1.4), and every run comes
 * to an end.
 *
 * What a run meets - results, answers, people, in which order - is a function of the seed and of
 * the folded state, so that a run that was cut and goes on meets the same. */
#include "support/run_fixture.h"

#include "base/mem.h"
#include "core/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS      400
#define STEPS_MAX 12

struct plan {
	uint64_t seed;
	char steps[2048];
	uint32_t count;
	uint32_t concurrency;
	uint32_t stop_after; /* the run is stopped once this step is resolved; STEP_NONE = never */
	bool is_stop_now;
	bool is_ordered; /* the end does not depend on the order in which slots become free */
};

/* A number that depends on nothing but its arguments. */
static uint64_t number(const struct plan *plan, uint32_t step, uint32_t attempt, uint32_t what)
{
	uint64_t state = plan->seed ^ ((uint64_t)step << 40) ^ ((uint64_t)attempt << 20) ^ what;

	(void)random_next(&state);
	return random_next(&state);
}

/* ------------------------------------------------------------------------------------
 * generation */

static void put_list(struct buf *out, const char *key, uint64_t set, uint32_t below)
{
	bool is_first = true;

	buf_fmt(out, " %s=", key);
	for (uint32_t i = 0; i < below; i++) {
		if (set >> i & 1)
			buf_fmt(out, "%ss%u", is_first ? "" : ",", i);
		is_first = is_first && !(set >> i & 1);
	}
}

static void put_step(struct buf *out, const struct plan *plan, uint32_t i, uint64_t *random)
{
	static const char *const policies[] = {"stop", "skip", "skip", "continue", "ignore"};
	static const char *const gates[] = {"",
					    "",
					    "",
					    "",
					    " gate=hard",
					    " gate=hard pass",
					    " gate=soft pass",
					    " gate=manual",
					    " gate=manual count=2"};
	static const char *const losses[] = {"fail", "rerun", "ask"};
	uint64_t below = ((uint64_t)1 << i) - 1;
	uint64_t needs = random_next(random) & random_next(random) & below;
	uint64_t any = random_next(random) & random_next(random) & below & ~needs;
	const char *policy = policies[random_next(random) % 5];

	if (number(plan, i, 0, 8) % 5 == 0)
		policy = "compensate";
	buf_fmt(out, "%ss%u on=%s lost=%s retry=%u%s", i ? "; " : "", i, policy,
		losses[random_next(random) % 3], (unsigned)(1 + random_next(random) % 3),
		gates[random_next(random) % ARRAY_LEN(gates)]);
	switch (random_next(random) % 5) {
	case 0:
		break; /* the step before it */
	case 1:
		put_list(out, "any", any, i);
		if (!any)
			put_list(out, "needs", 0, i);
		break;
	case 2:
		put_list(out, "needs", needs, i);
		if (any)
			put_list(out, "any", any, i);
		break;
	default:
		put_list(out, "needs", needs, i);
	}
	if (random_next(random) % 6 == 0)
		buf_text(out, " when");
	if (random_next(random) % 8 == 0)
		buf_text(out, " inputs");
	if (number(plan, i, 0, 9) % 3)
		buf_fmt(out, " undo=%u", (unsigned)(1 + number(plan, i, 0, 10) % 3));
}

static void plan_make(struct plan *plan, uint64_t seed)
{
	AUTO(buf_fini) struct buf steps = BUF_INIT;
	uint64_t random = seed;

	*plan = (struct plan){.seed = seed, .stop_after = STEP_NONE};
	plan->count = (uint32_t)(1 + random_next(&random) % STEPS_MAX);
	for (uint32_t i = 0; i < plan->count; i++)
		put_step(&steps, plan, i, &random);
	assert_true(steps.len < sizeof(plan->steps));
	memcpy(plan->steps, steps.ptr, steps.len + 1);
	plan->is_ordered = random_next(&random) % 3 != 0;
	plan->concurrency = plan->is_ordered ? 1000 : (uint32_t)(1 + random_next(&random) % 3);
	if (plan->is_ordered && random_next(&random) % 4 == 0)
		plan->stop_after = (uint32_t)(random_next(&random) % plan->count);
	plan->is_stop_now = random_next(&random) % 2;
}

/* Some runs execute a part of their definition; what it needs of the rest is given. */
static void plan_select(struct fixture *f, const struct plan *plan)
{
	static const char *const kinds[] = {"from", "until", "only"};
	uint64_t random = number(plan, 0, 0, 9);
	AUTO(buf_fini) struct buf selection = BUF_INIT;
	AUTO(buf_fini) struct buf given = BUF_INIT;
	uint8_t marks[STEPS_MAX] = {0};
	struct selection read;

	if (random % 3)
		return;
	random /= 3;
	buf_fmt(&selection, "{\"%s\":\"s%u\"}", kinds[random % 3],
		(unsigned)(random / 3 % plan->count));
	assert_ok(selection_read(buf_view(&selection), &read, &f->err), &f->err);
	assert_ok(selection_mark(f->model, &read, marks, &f->err), &f->err);
	for (uint32_t i = 0; i < plan->count; i++) {
		for (uint32_t d = f->model->dependents_at[i]; d < f->model->dependents_at[i + 1];
		     d++) {
			if (marks[i] || !marks[f->model->dependents[d]])
				continue;
			buf_fmt(&given, "%c\"s%u\":{\"n\":%u}", given.len ? ',' : '{', i, i);
			break;
		}
	}
	if (given.len)
		buf_byte(&given, '}');
	f->selection = arena_str(&f->texts, buf_view(&selection)).ptr;
	f->given = given.len ? arena_str(&f->texts, buf_view(&given)).ptr : NULL;
}

static void plan_open(struct fixture *f, const struct plan *plan)
{
	static const enum fixture_answer answers[] = {ANSWER_YES, ANSWER_YES, ANSWER_YES,
						      ANSWER_NO,  ANSWER_NO,  ANSWER_ERROR};

	fixture_open(f, plan->steps);
	f->model->concurrency = plan->concurrency;
	for (uint32_t i = 0; i < plan->count; i++) {
		f->when[i] = (uint8_t)answers[number(plan, i, 0, 1) % ARRAY_LEN(answers)];
		f->inputs[i] = number(plan, i, 0, 2) % 6 ? ANSWER_YES : ANSWER_ERROR;
	}
	plan_select(f, plan);
}

/* --------------------------------------------------------------------------------------- the
 * world */

static bool needs_person(const struct step_state *at)
{
	return (at->state == STEP_WAITING && !at->is_approved && !at->is_rejected) ||
	       (at->is_held && !at->is_approved);
}

static bool can_act(const struct fixture *f, uint32_t step)
{
	const struct step_state *at = &f->run.steps[step];

	if (at->state == STEP_RUNNING)
		return true;
	if (run_state_is_end(f->run.state) || f->run.undo.is_begun)
		return false;
	return needs_person(at) || (at->is_retry && f->decider.phase[step] == PHASE_IDLE &&
				    !f->run.is_stopping && !f->run.is_failing);
}

static void end_attempt(struct fixture *f, const struct plan *plan, uint32_t step, const char *id)
{
	static const enum error_class classes[] = {CLASS_TRANSIENT_IO, CLASS_TIMEOUT, CLASS_TIMEOUT,
						   CLASS_UNKNOWN, CLASS_VALIDATION_FAILED};
	const struct step_state *at = &f->run.steps[step];
	uint64_t random = number(plan, step, at->attempt, 3);
	bool is_cut_short = f->run.state == RUN_FAILED || f->run.is_stop_now;

	if (f->decider.phase[step] == PHASE_STUCK || random % 16 == 0)
		fixture_lose(f, id);
	else if (random % 16 == 1)
		fixture_leftovers(f, id);
	else if (is_cut_short)
		fixture_fail(f, id, CLASS_CANCELLED);
	else if (random % 16 < 6)
		fixture_fail(f, id, classes[random / 16 % ARRAY_LEN(classes)]);
	else if (random % 16 == 6 && f->model->steps[step].pass.ptr)
		fixture_verdict(f, id, VERDICT_FAILED);
	else
		fixture_ok(f, id);
}

static void end_undo(struct fixture *f, const struct plan *plan)
{
	static const enum error_class classes[] = {CLASS_TRANSIENT_IO, CLASS_TIMEOUT,
						   CLASS_UNKNOWN};
	uint64_t random = number(plan, f->run.undo.step, f->run.undo.attempt, 11);

	if (random % 16 == 0)
		fixture_undo_lose(f);
	else if (random % 16 == 1)
		fixture_undo_leftovers(f);
	else if (random % 16 < 5)
		fixture_undo_fail(f, classes[random / 16 % ARRAY_LEN(classes)]);
	else
		fixture_undo_ok(f);
}

static void ask_person(struct fixture *f, const struct plan *plan, uint32_t step, const char *id)
{
	const struct step_state *at = &f->run.steps[step];
	uint64_t random = number(plan, step, at->attempt + at->attempts, 4);
	const char *name = at->approvers ? "ben" : "anna";

	if (random % 4 == 0)
		assert_ok(fixture_reject(f, id, name), &f->err);
	else
		assert_ok(fixture_approve(f, id, name), &f->err);
}

/* One thing happens. False when nothing can. */
static bool act(struct fixture *f, const struct plan *plan)
{
	uint32_t chosen = STEP_NONE;
	uint64_t least = UINT64_MAX;
	char id[STEPS_MAX];

	if (plan->stop_after != STEP_NONE && !fixture_count(f, EVENT_RUN_STOP_REQUESTED) &&
	    !run_state_is_end(f->run.state) && step_is_resolved(&f->run.steps[plan->stop_after])) {
		assert_ok(fixture_stop(f, plan->is_stop_now), &f->err);
		return true;
	}
	if (f->run.undo.is_running && !f->decider.is_undo_stuck) {
		end_undo(f, plan);
		return true;
	}
	if (f->run.undo.is_active && f->run.undo.is_retry && !f->decider.is_undo_due) {
		fixture_undo_due(f);
		return true;
	}
	if (f->run.state == RUN_BLOCKED && !f->run.undo.is_begun &&
	    number(plan, 0, 0, 12) % 4 == 0) {
		assert_ok(fixture_rollback(f), &f->err);
		return true;
	}
	for (uint32_t i = 0; i < plan->count; i++) {
		uint64_t key = number(plan, i, f->run.steps[i].attempt, 5);

		if (can_act(f, i) && key < least) {
			least = key;
			chosen = i;
		}
	}
	if (chosen == STEP_NONE)
		return false;
	(void)snprintf(id, sizeof(id), "s%u", chosen);
	if (f->run.steps[chosen].state == STEP_RUNNING)
		end_attempt(f, plan, chosen, id);
	else if (needs_person(&f->run.steps[chosen]))
		ask_person(f, plan, chosen, id);
	else
		fixture_retry_due(f, id);
	return true;
}

static void show(const struct fixture *f, const struct plan *plan)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	for (size_t i = 0; i < f->log_count; i++) {
		buf_text(&text, "\n  ");
		fixture_line(f, i, &text);
	}
	print_message("seed %llu, %u at once, stop after %d: %s%.*s\n",
		      (unsigned long long)plan->seed, plan->concurrency, (int)plan->stop_after,
		      plan->steps, STR_ARG(buf_view(&text)));
}

/* Until the run has come to rest. It always does: nothing running, nothing due, nobody asked and
 * not ended is a run that hangs. */
static void drive(struct fixture *f, const struct plan *plan)
{
	for (int acts = 0; !f->run.is_completed; acts++) {
		if (acts < 2000 && act(f, plan))
			continue;
		show(f, plan);
		fail_msg("%s", acts < 2000 ? "the run hangs" : "the run goes on for ever");
	}
}

/* -------------------------------------------------------------------------------------
 * comparison */

static void end_dump(const struct fixture *f, bool is_ordered, struct buf *out)
{
	buf_fmt(out, "%s %s", run_state_name(f->run.state), outcome_name(f->run.outcome));
	if (!is_ordered)
		return;
	buf_fmt(out, " warnings %u barred %u", f->run.warnings, f->run.gates_barred);
	for (uint32_t i = 0; i < f->model->steps_count; i++) {
		const struct step_state *at = &f->run.steps[i];

		buf_fmt(out, "\n  s%u %s skip %s attempt %u of %u failures %u gate %d %d", i,
			step_state_name(at->state), skip_reason_name(at->skip), at->attempt,
			at->attempts, at->failures, at->is_gate_failed, at->is_gate_recorded);
		if (at->state == STEP_FAILED)
			buf_fmt(out, " %s", error_class_name(at->class));
	}
}

static void compare_ends(const struct fixture *whole, const struct fixture *cut,
			 const struct plan *plan, size_t at)
{
	AUTO(buf_fini) struct buf expected = BUF_INIT;
	AUTO(buf_fini) struct buf got = BUF_INIT;

	end_dump(whole, plan->is_ordered, &expected);
	end_dump(cut, plan->is_ordered, &got);
	if (str_eq(buf_view(&expected), buf_view(&got)))
		return;
	show(whole, plan);
	print_message("cut behind event %zu:\n", at);
	show(cut, plan);
	fail_msg("expected %.*s\ngot %.*s", STR_ARG(buf_view(&expected)), STR_ARG(buf_view(&got)));
}

static void compare_replay(const struct fixture *live, const struct plan *plan)
{
	AUTO(fixture_close) struct fixture replayed;
	AUTO(buf_fini) struct buf expected = BUF_INIT;
	AUTO(buf_fini) struct buf got = BUF_INIT;

	fixture_replay(&replayed, plan->steps, live, live->log_count);
	fixture_dump(&live->run, &expected);
	fixture_dump(&replayed.run, &got);
	if (!str_eq(buf_view(&expected), buf_view(&got))) {
		show(live, plan);
		fail_msg("live:\n%.*s\nreplayed:\n%.*s", STR_ARG(buf_view(&expected)),
			 STR_ARG(buf_view(&got)));
	}
	fixture_settle(&replayed); /* nothing follows from a run at rest */
	assert_int_equal(replayed.log_count, live->log_count);
}

/* -------------------------------------------------------------------------------------
 * properties */

/* Seeds that failed once are kept; SLUICE_TEST_SEED gives others to begin with. */
static uint64_t seed_at(uint64_t i)
{
	static const uint64_t kept[] = {2332, 7374, 20346};
	const char *text = getenv("SLUICE_TEST_SEED");

	if (i < ARRAY_LEN(kept))
		return kept[i];
	return i + (text ? strtoull(text, NULL, 10) : 1);
}

static void s11_2_every_prefix_of_a_log_comes_to_the_same_end(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		AUTO(fixture_close) struct fixture whole;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&whole, &plan);
		fixture_start(&whole);
		drive(&whole, &plan);
		for (size_t at = 1; at < whole.log_count; at++) {
			AUTO(fixture_close) struct fixture cut;

			fixture_replay(&cut, plan.steps, &whole, at);
			fixture_settle(&cut);
			drive(&cut, &plan);
			compare_ends(&whole, &cut, &plan, at);
		}
	}
}

/* The same with a new engine that writes run.resumed, as it does after a crash. A stop that was
 * acknowledged stays (S1.5). */
static void s11_2_every_prefix_that_is_resumed_comes_to_the_same_end(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		AUTO(fixture_close) struct fixture whole;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&whole, &plan);
		fixture_start(&whole);
		drive(&whole, &plan);
		for (size_t at = 1; at < whole.log_count; at++) {
			AUTO(fixture_close) struct fixture cut;

			fixture_replay(&cut, plan.steps, &whole, at);
			if (!run_state_is_end(cut.run.state) ||
			    (run_is_undoing(&cut.run) && cut.run.state != RUN_ROLLED_BACK))
				assert_ok(fixture_resume(&cut, NULL, NULL), &cut.err);
			fixture_settle(&cut);
			drive(&cut, &plan);
			compare_ends(&whole, &cut, &plan, at);
		}
	}
}

/* S1.1, S1.4: runs that fail or stop and are resumed, with overrides where they must be. The
 * fixture holds every start against the gates that failed. */
static void s1_4_resumed_runs_start_nothing_below_a_gate_without_an_override(void **state)
{
	uint32_t overrides = 0;

	(void)state;
	for (uint64_t i = 0; i < 4 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		drive(&f, &plan);
		compare_replay(&f, &plan);
		for (int round = 0;
		     round < 4 && f.run.state != RUN_SUCCEEDED && !f.run.undo.is_begun; round++) {
			struct str gates[STEPS_MAX];
			struct decide_resume resume = {
			    .boot_id = STR("b2"),
			    .definition_hash = STR("d1"),
			    .overrides = gates,
			    .person = {STR("olga"), STR("known"), -1, -1},
			};
			struct input input = {.kind = INPUT_RESUME, .resume = &resume};

			for (uint32_t step = 0; step < plan.count; step++) {
				if (f.barred[step])
					gates[resume.overrides_count++] = f.model->steps[step].id;
			}
			overrides += (uint32_t)resume.overrides_count;
			if (resume.overrides_count) {
				size_t before = f.log_count;

				assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
				assert_int_equal(f.log_count, before);
			}
			assert_ok(fixture_feed(&f, &input), &f.err);
			drive(&f, &plan);
			compare_replay(&f, &plan);
		}
	}
	assert_true(overrides > 100); /* the property was tried */
}

/* --from at a random step of a run at rest: refused, or it runs again to an end, and nothing
 * started before what it needs (apply refuses that). */
static void s9_2_from_any_step_comes_to_an_end(void **state)
{
	uint32_t accepted = 0;

	(void)state;
	for (uint64_t i = 0; i < 2 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		drive(&f, &plan);
		for (int round = 0; round < 3; round++) {
			char from[STEPS_MAX];

			(void)snprintf(
			    from, sizeof(from), "s%u",
			    (unsigned)(number(&plan, 0, (uint32_t)round, 6) % plan.count));
			if (fixture_resume(&f, from, NULL) != ERR_OK) {
				assert_int_equal(f.err.code, ERR_REFUSED);
				continue;
			}
			accepted++;
			drive(&f, &plan);
			compare_replay(&f, &plan);
		}
	}
	assert_true(accepted > 50);
}

/* A run at rest is rolled back until nothing is left to undo. The fixture holds the order against
 * the graph; what leftovers of a compensation bar is no end. */
static void s10_a_rollback_undoes_each_step_once_and_ends(void **state)
{
	uint32_t undone = 0;
	uint32_t again = 0;

	(void)state;
	for (uint64_t i = 0; i < 2 * RUNS; i++) {
		AUTO(fixture_close) struct fixture f;
		uint32_t expected = 0;
		struct plan plan;

		plan_make(&plan, seed_at(i));
		plan_open(&f, &plan);
		fixture_start(&f);
		drive(&f, &plan);
		if (f.run.state == RUN_SUCCEEDED) {
			assert_int_equal(fixture_rollback(&f), ERR_REFUSED);
			continue;
		}
		for (uint32_t step = 0; step < plan.count; step++)
			expected += f.run.steps[step].state == STEP_COMPENSATED ||
				    (f.run.steps[step].state == STEP_SUCCEEDED &&
				     f.model->steps[step].compensate);
		for (int round = 0; round < 40 && f.run.state != RUN_ROLLED_BACK; round++) {
			bool has_leftovers = f.run.undo.is_running;

			assert_ok(fixture_rollback(&f), &f.err);
			again += round > 0;
			if (has_leftovers) /* of the last round: gone now */
				fixture_undo_lose(&f);
			drive(&f, &plan);
			compare_replay(&f, &plan);
		}
		if (f.run.count[STEP_RUNNING])
			continue; /* what cannot be killed */
		assert_int_equal(f.run.state, RUN_ROLLED_BACK);
		assert_int_equal(f.run.outcome, OUTCOME_ROLLED_BACK);
		assert_int_equal(f.run.count[STEP_COMPENSATED], expected);
		assert_int_equal(fixture_count(&f, EVENT_STEP_COMPENSATED), expected);
		assert_int_equal(fixture_resume(&f, NULL, NULL), ERR_REFUSED);
		undone += expected;
	}
	assert_true(undone > 500);
	assert_true(again > 100);
}

/* The run's deadline at any moment: the run ends failed, or stopped if it was being stopped. */
static void s7_4_a_deadline_at_any_moment_ends_the_run(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RUNS; i++) {
		struct plan plan;

		plan_make(&plan, seed_at(i));
		for (int acts = 0;; acts++) {
			AUTO(fixture_close) struct fixture f;
			bool ends_stopped;
			int done = 0;

			plan_open(&f, &plan);
			fixture_start(&f);
			while (done < acts && !f.run.is_completed && act(&f, &plan))
				done++;
			if (f.run.is_completed)
				break;
			ends_stopped = run_ends_stopped(&f.run);
			fixture_deadline(&f);
			drive(&f, &plan);
			if (!f.run.undo.is_begun) {
				assert_int_equal(f.run.state,
						 ends_stopped ? RUN_STOPPED : RUN_FAILED);
				assert_int_equal(f.run.outcome,
						 ends_stopped ? OUTCOME_STOPPED : OUTCOME_FAILED);
			}
			assert_int_equal(f.run.count[STEP_RUNNING], f.decider.stuck);
			compare_replay(&f, &plan);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(s11_2_every_prefix_of_a_log_comes_to_the_same_end),
	    cmocka_unit_test(s11_2_every_prefix_that_is_resumed_comes_to_the_same_end),
	    cmocka_unit_test(s1_4_resumed_runs_start_nothing_below_a_gate_without_an_override),
	    cmocka_unit_test(s9_2_from_any_step_comes_to_an_end),
	    cmocka_unit_test(s10_a_rollback_undoes_each_step_once_and_ends),
	    cmocka_unit_test(s7_4_a_deadline_at_any_moment_ends_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
