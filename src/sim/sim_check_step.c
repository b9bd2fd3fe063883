/* sim_check_step.c - the rules that a line about a step must keep: attempts, gates,
 * compensations */
#include "sim/sim_check_intern.h"

#include "base/mem.h"

#include <string.h>

static uint32_t approvals_of(const struct fact *fact)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PEOPLE; i++)
		count += fact->has_approved[i];
	return count;
}

/* S5.2: a skipped need skips the step; only an implicit one lets a condition's skip pass. */
static void check_needs(struct sim_check *check, uint32_t step)
{
	const struct sim_step *def = &check->plan->steps[step];
	const struct fact *facts = check->facts.steps;

	for (uint32_t i = 0; i < def->needs_count; i++) {
		if (facts[def->needs[i]].state == 'K')
			sim_check_fail(check, "S5.2", "%s starts, and its need %s was skipped",
				       def->id, check->plan->steps[def->needs[i]].id);
	}
	if (!def->has_needs && step > 0 && facts[step - 1].state == 'K' &&
	    facts[step - 1].skip != 'c')
		sim_check_fail(check, "S5.2", "%s starts behind %s, which was skipped", def->id,
			       check->plan->steps[step - 1].id);
}

/* S10: nothing goes forward in a run that was rolled back, be it only in part. */
static void check_forward(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	if (check->facts.is_rolling_back)
		sim_check_fail(check, "S10", "%.*s of %s after run.rollback_started",
			       STR_ARG(line->type), check->plan->steps[step].id);
}

static void on_started(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	struct fact *fact = &check->facts.steps[step];

	if (fact->is_running || line->attempt >= ATTEMPTS_MAX ||
	    (fact->started && line->attempt <= fact->attempt))
		sim_check_fail(check, "S7.1", "%s.%u starts although attempt %u was", def->id,
			       line->attempt, fact->attempt);
	check_forward(check, step, line);
	if (fact->state == 'S')
		sim_check_fail(check, "S9.2", "%s.%u starts, and %s has succeeded", def->id,
			       line->attempt, def->id);
	if (check->facts.is_stopping)
		sim_check_fail(check, "S7.5", "%s.%u starts after a stop", def->id, line->attempt);
	if (check->facts.is_failing)
		sim_check_fail(check, "S5.7", "%s.%u starts in a failing run", def->id,
			       line->attempt);
	if (fact->is_gate_bad)
		sim_check_fail(check, "S1.4", "gate %s is asked again without an override",
			       def->id);
	check_needs(check, step);
	fact->is_running = true;
	fact->is_undo_wanted = fact->is_undo_due = false;
	fact->is_gate_closed = false; /* it is asked again */
	fact->is_passed = false;
	fact->is_judged = false;
	fact->figures = 0;
	fact->attempt = line->attempt;
	fact->started++;
	fact->state = 'R';
}

/* The attempt is over: once, and only the one that runs. A manual gate may fail before it ran. */
static bool ends(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];

	if (!fact->is_running && fact->state == 'W' && str_is(line->type, "step.failed"))
		return true;
	if (!fact->is_running || fact->attempt != line->attempt ||
	    fact->ended[line->attempt % ATTEMPTS_MAX]) {
		sim_check_fail(check, "S7.1", "%.*s of %s.%u, which does not run",
			       STR_ARG(line->type), check->plan->steps[step].id, line->attempt);
		return false;
	}
	fact->is_running = false;
	fact->is_lost = str_is(line->type, "step.lost");
	fact->ended[line->attempt] = 1;
	return true;
}

/* Could the attempt have succeeded, by what it did? */
bool sim_check_may_succeed(const struct sim_plan *plan, uint32_t step, uint32_t attempt)
{
	const struct sim_step *def = &plan->steps[step];
	struct sim_act act;

	if (def->is_noop)
		return true;
	sim_plan_act(plan, step, attempt, &act);
	switch (act.deed) {
	case SIM_DEED_SUCCEED:
		return true;
	case SIM_DEED_NO_RESULT:
		return !def->has_result;
	case SIM_DEED_SAY_NO:
		return !(def->has_pass && def->gate == GATE_HARD);
	case SIM_DEED_POOR:
		return attempt >= def->bad_attempts || def->is_quality_soft;
	case SIM_DEED_FAIL:
	case SIM_DEED_TRANSIENT:
	case SIM_DEED_CRASH:
	case SIM_DEED_HANG:
	case SIM_DEED_FLOOD:
	case SIM_DEED_MISSING:
	case SIM_DEED_BUSY:
	case SIM_DEED_GARBLED:
	case SIM_DEED_COUNT:
		break;
	}
	return false;
}

void sim_check_approvals(struct sim_check *check, uint32_t step, uint32_t attempt)
{
	const struct sim_step *def = &check->plan->steps[step];
	uint32_t approvals = approvals_of(&check->facts.steps[step]);

	if (def->gate == GATE_MANUAL && approvals < def->approvals)
		sim_check_fail(check, "S5.6", "%s.%u runs with %u of %u approvals", def->id,
			       attempt, approvals, def->approvals);
}

static void check_own_success(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];

	if (!sim_check_may_succeed(check->plan, step, line->attempt))
		sim_check_fail(check, "S1.3", "%s.%u succeeded, and did not", def->id,
			       line->attempt);
	if (!def->is_noop && !check->is_vague && !check->executed[step][line->attempt])
		sim_check_fail(check, "S1.3", "%s.%u succeeded without having run", def->id,
			       line->attempt);
}

static void on_succeeded(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	struct fact *fact = &check->facts.steps[step];

	if (!ends(check, step, line))
		return;
	fact->state = 'S';
	fact->is_gate_bad = false;
	fact->is_gate_closed = false;
	sim_check_approvals(check, step, line->attempt);
	sim_check_note_values(check, step, line);
	if (line->cached_from.len)
		sim_check_read_taken(check, step, line);
	else
		check_own_success(check, step, line);
	if (def->has_quality && !fact->is_judged)
		sim_check_fail(check, "S5.5", "%s.%u succeeded, and its figures are not recorded",
			       def->id, line->attempt);
	if (def->gate == GATE_HARD && def->has_pass && !fact->is_passed)
		sim_check_fail(check, "S5.5", "gate %s.%u is open without a recorded pass", def->id,
			       line->attempt);
}

/* By class and budget (S7.1); whether the run lets it is another question. */
static bool may_be_retried(const struct sim_step *def, uint32_t failures, struct str class)
{
	return failures < def->max_attempts &&
	       (str_is(class, "transient_io") || str_is(class, "timeout") ||
		str_is(class, "infrastructure"));
}

/* S10.1: the failure of a gate is for a person; a manual gate fails by a rejection. */
static bool asks_for_undo(const struct sim_step *def, const struct fact *fact)
{
	return def->on_failure == ON_FAILURE_COMPENSATE && def->gate != GATE_HARD &&
	       !(def->gate == GATE_MANUAL && fact->is_rejected);
}

static void on_failed(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	struct fact *fact = &check->facts.steps[step];

	if (!ends(check, step, line))
		return;
	fact->state = 'F';
	fact->failures++;
	fact->lost_in_row = 0;
	fact->is_undo_wanted = asks_for_undo(def, fact) && !str_is(line->class, "cancelled") &&
			       !str_is(line->class, "interrupted");
	fact->is_undo_due =
	    fact->is_undo_wanted && !may_be_retried(def, fact->failures, line->class);
	if (def->gate == GATE_MANUAL && fact->is_rejected)
		fact->is_gate_bad = true;
	if (def->gate != GATE_HARD)
		return;
	fact->is_gate_closed = true;
	if (!str_is(line->class, "cancelled") && !str_is(line->class, "interrupted") &&
	    (!may_be_retried(def, fact->failures, line->class) ||
	     strcmp(check->facts.state, "failed") ==
		 0)) /* the run's own deadline is never retried */
		fact->is_gate_bad = true;
}

static void on_lost(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	struct fact *fact = &check->facts.steps[step];

	if (!ends(check, step, line))
		return;
	fact->state = 'F';
	fact->is_undo_wanted = asks_for_undo(def, fact);
	fact->is_undo_due = fact->is_undo_wanted && def->on_lost == ON_LOST_FAIL;
	fact->lost++;
	fact->is_gate_closed = def->gate == GATE_HARD && def->on_lost != ON_LOST_ASK;
	fact->lost_in_row++;
	if (def->gate == GATE_HARD && def->on_lost != ON_LOST_ASK &&
	    (def->on_lost == ON_LOST_FAIL || strcmp(check->facts.state, "failed") == 0 ||
	     (def->on_lost == ON_LOST_RERUN && fact->lost_in_row >= LOSSES_MAX)))
		fact->is_gate_bad = true;
}

static void on_retried(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];

	check_forward(check, step, line);
	fact->is_undo_wanted = fact->is_undo_due = false;
	if (fact->state != 'F')
		sim_check_fail(check, "S7.1", "%s is retried and had not failed",
			       check->plan->steps[step].id);
	if (str_is(line->class, "lost") && check->plan->steps[step].on_lost == ON_LOST_FAIL)
		sim_check_fail(check, "S8.4",
			       "%s runs again after it was lost, and nobody asked for that",
			       check->plan->steps[step].id);
	if (str_is(line->class, "lost") && check->plan->steps[step].on_lost == ON_LOST_ASK &&
	    approvals_of(fact) == 0)
		sim_check_fail(check, "S8.4", "%s runs again after it was lost, and nobody decided",
			       check->plan->steps[step].id);
	fact->state = 'P';
	fact->is_gate_bad = false;
}

static void on_skipped(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];

	if (fact->is_running)
		sim_check_fail(check, "S4", "%s is skipped while it runs",
			       check->plan->steps[step].id);
	fact->state = 'K';
	fact->skip = line->reason.len ? line->reason.ptr[0] : '?';
	if (str_is(line->reason, "run_stopped"))
		check->facts.is_failing = true;
}

static void on_waiting(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	check_forward(check, step, line);
	check->facts.steps[step].state = 'W';
}

static void on_passed(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	check->facts.steps[step].is_passed = line->attempt == check->facts.steps[step].attempt;
}

static void on_judged(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];

	fact->is_judged = fact->is_running && line->attempt == fact->attempt;
	fact->figures = hash_text(1, sim_scan_object(line->text, "data"));
}

static void on_approved(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	uint32_t person = sim_check_person(line->actor);

	check_forward(check, step, line);
	if (def->gate == GATE_MANUAL && def->is_limited_to_names && person > 1)
		sim_check_fail(check, "S5.6", "'%.*s' may not approve %s", STR_ARG(line->actor),
			       def->id);
	if (!str_starts(line->actor, "manual:"))
		sim_check_fail(check, "S5.6", "%s is approved by '%.*s', who is nobody", def->id,
			       STR_ARG(line->actor));
	check->facts.steps[step].has_approved[person] = true;
}

static void on_rejected(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct fact *fact = &check->facts.steps[step];
	enum gate_kind gate = check->plan->steps[step].gate;

	fact->is_rejected = true;
	/* A lost attempt that is given up is no gate, unless its step is one. What waits for an
	 * approval fails with its step.failed. */
	if (gate == GATE_HARD || (gate == GATE_MANUAL && !fact->is_lost))
		fact->is_gate_closed = true;
	if (gate == GATE_HARD)
		fact->is_gate_bad = true;
	fact->is_lost = false;
	(void)line;
	memset(check->facts.steps[step].has_approved, 0,
	       sizeof(check->facts.steps[step].has_approved));
}

bool sim_check_is_to_undo(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].state == 'S' && check->plan->steps[step].undo.is_there &&
	       !sim_plan_is_given(check->plan, step);
}

/* S10.2: whatever was made on top of it, by the shape of the plan, is undone before. */
static void check_order(struct sim_check *check, uint32_t step)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		if (sim_check_is_to_undo(check, i) && sim_plan_is_downstream(check->plan, step, i))
			sim_check_fail(check, "S10.2", "%s is undone before %s, which needs it",
				       check->plan->steps[step].id, check->plan->steps[i].id);
	}
}

static void on_undo_started(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	struct fact *fact = &facts->steps[step];
	const char *id = check->plan->steps[step].id;

	if (!facts->is_rolling_back || facts->is_completed)
		sim_check_fail(check, "S10.1", "%s is undone, and no rollback was begun", id);
	if (!sim_check_is_to_undo(check, step))
		sim_check_fail(check, "S10.2", "%s is undone, and there is nothing to undo", id);
	if (facts->undoing != STEP_NONE)
		sim_check_fail(check, "S10.2", "%s is undone while another one is", id);
	if (facts->is_undo_over)
		sim_check_fail(check, "S10.3", "%s is undone after a compensation failed", id);
	if (facts->is_stopping)
		sim_check_fail(check, "S10.4", "%s is undone after a stop", id);
	if (line->attempt != fact->undos || line->attempt >= ATTEMPTS_MAX)
		sim_check_fail(check, "S10.2", "attempt %u to undo %s comes after %u others",
			       line->attempt, id, fact->undos);
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		if (facts->steps[i].is_running)
			sim_check_fail(check, "S10.5", "%s is undone while %s runs", id,
				       check->plan->steps[i].id);
	}
	check_order(check, step);
	facts->undoing = step;
	fact->undos++;
}

static bool ends_undo(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct fact *fact = &check->facts.steps[step];

	if (check->facts.undoing != step || line->attempt + 1 != fact->undos) {
		sim_check_fail(check, "S10.2", "%.*s of %s, attempt %u, which does not run",
			       STR_ARG(line->type), check->plan->steps[step].id, line->attempt);
		return false;
	}
	check->facts.undoing = STEP_NONE;
	return true;
}

static void on_compensated(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct sim_act act;

	if (!ends_undo(check, step, line))
		return;
	check->facts.steps[step].state = 'C';
	sim_plan_undo_act(check->plan, step, line->attempt, &act);
	if (act.deed != SIM_DEED_SUCCEED)
		sim_check_fail(check, "S10.2", "attempt %u to undo %s succeeded, and did not",
			       line->attempt, check->plan->steps[step].id);
	if (!check->is_vague && !check->undone[step][line->attempt])
		sim_check_fail(check, "S10.2", "%s is undone, and nothing ran",
			       check->plan->steps[step].id);
}

static void on_undo_failed(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	struct fact *fact = &facts->steps[step];

	if (!ends_undo(check, step, line))
		return;
	fact->undo_failures++;
	facts->is_undo_over = !line->has_delay;
	if (str_is(line->class, "lost")) {
		fact->lost++;
		if (line->has_delay)
			sim_check_fail(check, "S10.3", "a lost attempt to undo %s is repeated",
				       check->plan->steps[step].id);
	}
	if (line->has_delay && fact->undo_failures >= check->plan->steps[step].undo.max_attempts)
		sim_check_fail(check, "S10.2", "%s is undone more often than it may be",
			       check->plan->steps[step].id);
}

typedef void on_step_fn(struct sim_check *check, uint32_t step, const struct sim_line *line);

static const struct {
	const char *type;
	on_step_fn *fn;
} on_step[] = {
    {"step.started", on_started},         {"step.succeeded", on_succeeded},
    {"step.failed", on_failed},           {"step.lost", on_lost},
    {"step.retried", on_retried},         {"step.skipped", on_skipped},
    {"step.waiting", on_waiting},         {"gate.passed", on_passed},
    {"quality.recorded", on_judged},      {"gate.approved", on_approved},
    {"gate.rejected", on_rejected},       {"compensation.started", on_undo_started},
    {"step.compensated", on_compensated}, {"compensation.failed", on_undo_failed},
};

void sim_check_read_step(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	for (size_t i = 0; i < ARRAY_LEN(on_step); i++) {
		if (str_is(line->type, on_step[i].type))
			on_step[i].fn(check, step, line);
	}
}
