/* run_plan.c - see run_plan.h */
#include "support/run_plan.h"

#include "base/mem.h"
#include "core/select.h"

#include <stdio.h>
#include <string.h>

uint64_t plan_number(const struct plan *plan, uint32_t step, uint32_t attempt, uint32_t what)
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

	if (plan_number(plan, i, 0, 8) % 5 == 0)
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
	if (plan_number(plan, i, 0, 9) % 3)
		buf_fmt(out, " undo=%u", (unsigned)(1 + plan_number(plan, i, 0, 10) % 3));
}

void plan_make(struct plan *plan, uint64_t seed)
{
	AUTO(buf_fini) struct buf steps = BUF_INIT;
	uint64_t random = seed;

	*plan = (struct plan){.seed = seed, .stop_after = STEP_NONE};
	plan->count = (uint32_t)(1 + random_next(&random) % PLAN_STEPS_MAX);
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
	uint64_t random = plan_number(plan, 0, 0, 9);
	AUTO(buf_fini) struct buf selection = BUF_INIT;
	AUTO(buf_fini) struct buf given = BUF_INIT;
	uint8_t marks[PLAN_STEPS_MAX] = {0};
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

void plan_open(struct fixture *f, const struct plan *plan)
{
	static const enum fixture_answer answers[] = {ANSWER_YES, ANSWER_YES, ANSWER_YES,
						      ANSWER_NO,  ANSWER_NO,  ANSWER_ERROR};

	fixture_open(f, plan->steps);
	f->model->concurrency = plan->concurrency;
	for (uint32_t i = 0; i < plan->count; i++) {
		f->when[i] = (uint8_t)answers[plan_number(plan, i, 0, 1) % ARRAY_LEN(answers)];
		f->inputs[i] = plan_number(plan, i, 0, 2) % 6 ? ANSWER_YES : ANSWER_ERROR;
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
	uint64_t random = plan_number(plan, step, at->attempt, 3);
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
	uint64_t random = plan_number(plan, f->run.undo.step, f->run.undo.attempt, 11);

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
	uint64_t random = plan_number(plan, step, at->attempt + at->attempts, 4);
	const char *name = at->approvers ? "ben" : "anna";

	if (random % 4 == 0)
		assert_ok(fixture_reject(f, id, name), &f->err);
	else
		assert_ok(fixture_approve(f, id, name), &f->err);
}

bool plan_act(struct fixture *f, const struct plan *plan)
{
	uint32_t chosen = STEP_NONE;
	uint64_t least = UINT64_MAX;
	char id[PLAN_STEPS_MAX];

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
	    plan_number(plan, 0, 0, 12) % 4 == 0) {
		assert_ok(fixture_rollback(f), &f->err);
		return true;
	}
	for (uint32_t i = 0; i < plan->count; i++) {
		uint64_t key = plan_number(plan, i, f->run.steps[i].attempt, 5);

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

void plan_show(const struct fixture *f, const struct plan *plan)
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

void plan_drive(struct fixture *f, const struct plan *plan)
{
	for (int acts = 0; !f->run.is_completed; acts++) {
		if (acts < 2000 && plan_act(f, plan))
			continue;
		plan_show(f, plan);
		fail_msg("%s", acts < 2000 ? "the run hangs" : "the run goes on for ever");
	}
}
