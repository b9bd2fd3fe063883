/* sim_check.c - see sim_check.h */
#include "sim/sim_check.h"

#include "base/mem.h"
#include "sim/sim_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS_MAX 512
#define END_BYTES    24 /* the end of a line, which no two lines share */
#define LOSSES_MAX   5  /* in a row, under on_lost: rerun (S8.4) */
#define PEOPLE       4  /* anna, bert, cora, and whoever else */

struct fact {
	char state;       /* P R W S F K C */
	char skip;        /* K: first letter of its reason */
	uint32_t attempt; /* the last one started */
	uint32_t started; /* how many were */
	bool is_running;
	bool is_gate_bad;    /* a gate that said no for good, and nobody waived it */
	bool is_gate_closed; /* its last attempt did not pass, for whatever reason */
	uint32_t failures;   /* that used the budget of retries */
	bool is_passed;      /* gate.passed came for the attempt that runs */
	bool has_approved[PEOPLE];
	bool is_rejected;
	bool is_lost; /* the last end was a loss */
	uint32_t lost;
	uint32_t lost_in_row;
	uint8_t ended[ATTEMPTS_MAX];
	bool is_undo_wanted;    /* it failed under `compensate`, and may ask for a rollback */
	bool is_undo_due;       /* it must: nobody has to decide anything about it */
	uint32_t undos;         /* compensation.started */
	uint32_t undo_failures; /* in this rollback */
};

/* What the durable lines say. */
struct facts {
	size_t bytes;        /* of the log, taken in */
	char end[END_BYTES]; /* the last of them */
	uint64_t seq;
	struct fact steps[SIM_STEPS_MAX];
	char state[24];                         /* of the run */
	char outcome[16];                       /* of the last run.completed */
	char first_end[2 * SIM_STEPS_MAX + 64]; /* how it came to rest the first time */
	bool is_completed;
	bool is_stopping;
	bool is_failing;
	uint32_t stops;
	bool is_rolling_back; /* run.rollback_started, at some time */
	bool is_undo_over;    /* in this rollback a compensation failed for good */
	uint32_t undoing;     /* the step whose compensation runs, STEP_NONE */
};

struct ack {
	uint64_t seq;
	uint64_t hash;
};

struct sim_check {
	const struct sim_plan *plan;
	const struct sim_disk *disk;
	char log_path[128];
	struct str run_id;
	struct facts facts;
	uint8_t executed[SIM_STEPS_MAX][ATTEMPTS_MAX];
	uint8_t undone[SIM_STEPS_MAX][ATTEMPTS_MAX]; /* compensations that were executed */
	uint64_t execs;
	uint64_t undos;
	struct ack *acks;
	size_t acks_count, acks_capacity;
	bool is_vague; /* the log lost a tail: not all that was executed is known any more */
	bool has_failed;
	char failure[400];
};

static void forget_facts(struct sim_check *check)
{
	memset(&check->facts, 0, sizeof(check->facts));
	check->facts.undoing = STEP_NONE;
	for (uint32_t i = 0; i < check->plan->steps_count; i++)
		check->facts.steps[i].state = 'P';
}

struct sim_check *sim_check_new(const struct sim_plan *plan, const struct sim_disk *disk,
				const char *run_path, struct str run_id)
{
	struct sim_check *check = mem_new(1, sizeof(*check));

	BUG_IF(!check);
	check->plan = plan;
	check->disk = disk;
	check->run_id = run_id;
	(void)snprintf(check->log_path, sizeof(check->log_path), "%s/events.jsonl", run_path);
	forget_facts(check);
	return check;
}

void sim_check_free(struct sim_check *check)
{
	if (!check)
		return;
	mem_free(check->acks);
	mem_free(check);
}

void sim_check_fail(struct sim_check *check, const char *rule, const char *format, ...)
{
	va_list args;
	int len;

	if (check->has_failed)
		return;
	check->has_failed = true;
	len = snprintf(check->failure, sizeof(check->failure), "%s: ", rule);
	va_start(args, format);
	(void)vsnprintf(check->failure + len, sizeof(check->failure) - (size_t)len, format, args);
	va_end(args);
}

const char *sim_check_failure(const struct sim_check *check)
{
	return check->has_failed ? check->failure : NULL;
}

/* --------------------------------------------------------------------------- lines about steps */

static uint32_t person_of(struct str actor)
{
	static const char *const names[] = {"manual:anna", "manual:bert", "manual:cora"};
	uint32_t i = 0;

	while (i < PEOPLE - 1 && !str_is(actor, names[i]))
		i++;
	return i;
}

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
static bool may_succeed(const struct sim_plan *plan, uint32_t step, uint32_t attempt)
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

static void check_approvals(struct sim_check *check, uint32_t step, uint32_t attempt)
{
	const struct sim_step *def = &check->plan->steps[step];
	uint32_t approvals = approvals_of(&check->facts.steps[step]);

	if (def->gate == GATE_MANUAL && approvals < def->approvals)
		sim_check_fail(check, "S5.6", "%s.%u runs with %u of %u approvals", def->id,
			       attempt, approvals, def->approvals);
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
	check_approvals(check, step, line->attempt);
	if (!may_succeed(check->plan, step, line->attempt))
		sim_check_fail(check, "S1.3", "%s.%u succeeded, and did not", def->id,
			       line->attempt);
	if (!def->is_noop && !check->is_vague && !check->executed[step][line->attempt])
		sim_check_fail(check, "S1.3", "%s.%u succeeded without having run", def->id,
			       line->attempt);
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

static void on_approved(struct sim_check *check, uint32_t step, const struct sim_line *line)
{
	const struct sim_step *def = &check->plan->steps[step];
	uint32_t person = person_of(line->actor);

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

/* ------------------------------------------------------------------------------- compensations */

static bool is_to_undo(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].state == 'S' && check->plan->steps[step].undo.is_there;
}

/* S10.2: whatever was made on top of it, by the shape of the plan, is undone before. */
static void check_order(struct sim_check *check, uint32_t step)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		if (is_to_undo(check, i) && sim_plan_is_downstream(check->plan, step, i))
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
	if (!is_to_undo(check, step))
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
    {"step.started", on_started},
    {"step.succeeded", on_succeeded},
    {"step.failed", on_failed},
    {"step.lost", on_lost},
    {"step.retried", on_retried},
    {"step.skipped", on_skipped},
    {"step.waiting", on_waiting},
    {"gate.passed", on_passed},
    {"gate.approved", on_approved},
    {"gate.rejected", on_rejected},
    {"compensation.started", on_undo_started},
    {"step.compensated", on_compensated},
    {"compensation.failed", on_undo_failed},
};

/* ------------------------------------------------------------------------- lines about the run */

/* S10.1: who may begin a rollback, and when. */
static void on_rollback(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	bool is_wanted = false;

	if (strcmp(facts->state, "failed") != 0 && strcmp(facts->state, "stopped") != 0 &&
	    strcmp(facts->state, "blocked") != 0)
		sim_check_fail(check, "S10.1", "a run that is %s is rolled back", facts->state);
	if (facts->is_rolling_back && !facts->is_completed)
		sim_check_fail(check, "S10.1", "a rollback begins in a rollback");
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		is_wanted = is_wanted || facts->steps[i].is_undo_wanted;
		facts->steps[i].undo_failures = 0;
	}
	if (str_is(line->actor, "runner") &&
	    (!is_wanted || facts->is_stopping || facts->is_rolling_back))
		sim_check_fail(check, "S10.1", "the engine begins a rollback by itself");
	facts->is_rolling_back = true;
	facts->is_undo_over = false;
	facts->is_completed = false;
	facts->is_stopping = false;
}

/* S10.1, S10.3: a failure under `compensate` was answered, and what is rolled_back is so as a
 * whole. */
static void check_undone(struct sim_check *check, const struct sim_line *line)
{
	const struct facts *facts = &check->facts;
	bool is_whole = str_is(line->outcome, "rolled_back");

	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		const char *id = check->plan->steps[i].id;

		if (is_whole && is_to_undo(check, i))
			sim_check_fail(check, "S10.3", "the run is rolled_back, and %s is not", id);
		if (facts->steps[i].is_undo_due && !facts->is_rolling_back && !facts->is_stopping)
			sim_check_fail(check, "S10.1", "%s failed, and nothing is undone", id);
	}
	if (facts->undoing != STEP_NONE &&
	    !check->plan->steps[facts->undoing].undo.awkward_per_mille)
		sim_check_fail(check, "S10.2", "the run is completed while %s is undone",
			       check->plan->steps[facts->undoing].id);
}

/* S9.1, S9.2: what a resume may do, and what it opens. */
static void on_resumed(struct sim_check *check)
{
	struct facts *facts = &check->facts;

	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		struct fact *fact = &facts->steps[i];

		if (facts->is_completed && facts->is_rolling_back)
			sim_check_fail(check, "S10.4", "a rollback that rests was resumed");
		if (facts->is_completed && fact->is_gate_bad)
			sim_check_fail(check, "S9.1", "resumed over the failed gate %s",
				       check->plan->steps[i].id);
		if (facts->is_completed && (fact->state == 'F' || fact->state == 'K')) {
			memset(fact->has_approved, 0, sizeof(fact->has_approved));
			fact->is_rejected = false;
			fact->failures = 0;
			fact->lost_in_row = 0;
			fact->is_undo_wanted = fact->is_undo_due = false;
		}
	}
	if (facts->is_completed || strcmp(facts->state, "stopped") == 0 ||
	    strcmp(facts->state, "failed") == 0)
		facts->is_stopping = false;
	facts->is_completed = false;
	facts->is_failing = false;
}

static void note_end(struct sim_check *check)
{
	char *text = check->facts.first_end;
	size_t at = 0;

	if (text[0])
		return;
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		text[at++] = check->facts.steps[i].state;
		if (check->facts.steps[i].state == 'K')
			text[at++] = check->facts.steps[i].skip;
	}
	(void)snprintf(text + at, sizeof(check->facts.first_end) - at, " %s %s", check->facts.state,
		       check->facts.outcome);
}

static void on_completed(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;

	if (facts->is_completed)
		sim_check_fail(check, "S11.4", "the run is completed twice");
	facts->is_completed = true;
	(void)snprintf(facts->outcome, sizeof(facts->outcome), "%.*s", STR_ARG(line->outcome));
	note_end(check);
	check_undone(check, line);
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		const struct fact *fact = &facts->steps[i];
		/* The run's own deadline does not wait for what cannot be killed. */
		bool may_live = (check->plan->timeout_ns || facts->is_rolling_back) &&
				check->plan->steps[i].awkward_per_mille;
		bool is_open =
		    (!facts->is_rolling_back && (fact->state == 'P' || fact->state == 'W')) ||
		    (fact->state == 'R' && !may_live);

		if (is_open && !str_is(line->outcome, "stopped"))
			sim_check_fail(check, "S4", "the run is %.*s, and %s is still open",
				       STR_ARG(line->outcome), check->plan->steps[i].id);
		if (fact->is_gate_bad && str_is(line->outcome, "success"))
			sim_check_fail(check, "S3.5",
				       "the run is a success over the failed gate %s",
				       check->plan->steps[i].id);
	}
}

static void on_override(struct sim_check *check, const struct sim_line *line)
{
	uint32_t step = sim_plan_find(check->plan, line->gate);

	if (step == STEP_NONE || !str_starts(line->actor, "manual:")) {
		sim_check_fail(check, "S1.4", "an override without a gate or a name");
		return;
	}
	check->facts.steps[step].is_gate_bad = false;
	check->facts.steps[step].is_gate_closed = false;
}

static void on_line(struct sim_check *check, const struct sim_line *line)
{
	struct facts *facts = &check->facts;
	uint32_t step = line->step.len ? sim_plan_find(check->plan, line->step) : STEP_NONE;

	facts->seq = line->seq;
	if (line->step.len && step == STEP_NONE)
		sim_check_fail(check, "S11.4", "an event about '%.*s'", STR_ARG(line->step));
	for (size_t i = 0; step != STEP_NONE && i < ARRAY_LEN(on_step); i++) {
		if (str_is(line->type, on_step[i].type))
			on_step[i].fn(check, step, line);
	}
	if (str_is(line->type, "run.resumed"))
		on_resumed(check);
	else if (str_is(line->type, "run.rollback_started"))
		on_rollback(check, line);
	else if (str_is(line->type, "run.completed"))
		on_completed(check, line);
	else if (str_is(line->type, "run.override_applied"))
		on_override(check, line);
	else if (str_is(line->type, "run.state_changed"))
		(void)snprintf(facts->state, sizeof(facts->state), "%.*s",
			       STR_ARG(line->new_state));
	else if (str_is(line->type, "run.stop_requested")) {
		facts->is_stopping = true;
		facts->stops++;
	}
}

/* ---------------------------------------------------------------------------------- entries */

/* The bytes that count: durable ones, or with a weaker sync those that were written. */
static bool log_bytes(const struct sim_check *check, struct str *ret_content)
{
	return sim_disk_peek(check->disk, check->log_path, check->plan->sync == SIM_SYNC_ALWAYS,
			     ret_content);
}

/* Lines that nobody was told of may be cut off again: then all is taken in anew. */
static bool is_behind(const struct facts *facts, struct str content)
{
	return facts->bytes <= content.len &&
	       (facts->bytes < END_BYTES ||
		memcmp(content.ptr + facts->bytes - END_BYTES, facts->end, END_BYTES) == 0);
}

void sim_check_step(struct sim_check *check)
{
	struct str content = STR_NONE;
	struct sim_line line;

	if (sim_disk_violation(check->disk))
		sim_check_fail(check, "disk", "%s", sim_disk_violation(check->disk));
	if (!log_bytes(check, &content))
		return;
	if (!is_behind(&check->facts, content))
		forget_facts(check);
	while (!check->has_failed && sim_scan_line(content, &check->facts.bytes, &line))
		on_line(check, &line);
	if (check->facts.bytes >= END_BYTES)
		memcpy(check->facts.end, content.ptr + check->facts.bytes - END_BYTES, END_BYTES);
}

void sim_check_exec(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside)
{
	const char *id = check->plan->steps[step].id;
	const struct fact *fact = &check->facts.steps[step];

	check->execs++;
	sim_check_step(check);
	if (!fact->is_running || fact->attempt != attempt)
		sim_check_fail(
		    check, "S1.2",
		    "%s.%u is executed, and its step.started is not durable or it is over", id,
		    attempt);
	if (attempt >= ATTEMPTS_MAX || check->executed[step][attempt])
		sim_check_fail(check, "S8.2", "%s.%u is executed twice", id, attempt);
	check_approvals(check, step, attempt);
	if (is_alive_beside)
		sim_check_fail(check, "S8.3",
			       "%s.%u is executed beside an earlier attempt that lives", id,
			       attempt);
	for (uint32_t gate = 0; gate < check->plan->steps_count; gate++) {
		if (check->facts.steps[gate].is_gate_closed &&
		    sim_plan_is_downstream(check->plan, gate, step))
			sim_check_fail(check, "S1.4", "%s.%u is executed below the failed gate %s",
				       id, attempt, check->plan->steps[gate].id);
	}
	if (attempt < ATTEMPTS_MAX)
		check->executed[step][attempt] = 1;
}

void sim_check_undo(struct sim_check *check, uint32_t step, uint32_t attempt, bool is_alive_beside)
{
	const char *id = check->plan->steps[step].id;

	check->undos++;
	sim_check_step(check);
	if (check->facts.undoing != step || check->facts.steps[step].undos != attempt + 1)
		sim_check_fail(check, "S1.2",
			       "attempt %u to undo %s is executed, and its compensation.started is "
			       "not durable or it is over",
			       attempt, id);
	if (attempt >= ATTEMPTS_MAX || check->undone[step][attempt])
		sim_check_fail(check, "S8.2", "attempt %u to undo %s is executed twice", attempt,
			       id);
	if (is_alive_beside)
		sim_check_fail(check, "S10.5", "%s is undone beside something that lives", id);
	if (attempt < ATTEMPTS_MAX)
		check->undone[step][attempt] = 1;
}

void sim_check_hello(struct sim_check *check, uint64_t epoch)
{
	sim_check_step(check);
	if (check->facts.seq < epoch)
		sim_check_fail(check, "S8.3", "hello(%llu) is said before event %llu is durable",
			       (unsigned long long)epoch, (unsigned long long)epoch);
}

void sim_check_line(struct sim_check *check, struct str text)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	struct err err = ERR_INIT;
	struct sim_line line;
	struct ack ack;
	size_t at = 0;

	buf_str(&whole, text);
	buf_byte(&whole, '\n');
	if (!sim_scan_line(buf_view(&whole), &at, &line)) {
		sim_check_fail(check, "S11.6", "the observer was told something that is no line");
		return;
	}
	ack = (struct ack){line.seq, hash_text(1, text)};
	BUG_IF(mem_grow((void **)&check->acks, &check->acks_capacity, check->acks_count + 1,
			sizeof(ack), &err) != ERR_OK);
	check->acks[check->acks_count++] = ack;
	sim_check_step(check);
	if (check->facts.seq < line.seq)
		sim_check_fail(check, "S1.2", "event %llu was told of before it was durable",
			       (unsigned long long)line.seq);
}

void sim_check_answer(struct sim_check *check, const char *event_type, uint32_t step,
		      const char *actor)
{
	const struct facts *facts = &check->facts;
	bool is_there;

	sim_check_step(check);
	if (strcmp(event_type, "run.stop_requested") == 0)
		is_there = facts->stops > 0;
	else if (strcmp(event_type, "gate.approved") == 0)
		is_there = facts->steps[step].has_approved[person_of(str_of(actor))];
	else
		is_there = facts->steps[step].is_rejected;
	if (!is_there)
		sim_check_fail(check, "S5.6", "'%s' was answered %s, and it is not durable", actor,
			       event_type);
}

/* Every acknowledged line is where it was, byte for byte. */
static void check_acks(struct sim_check *check, struct str content, bool may_lose_tail)
{
	struct sim_line line;
	size_t at = 0;
	size_t next = 0;

	while (sim_scan_line(content, &at, &line)) {
		while (next < check->acks_count && check->acks[next].seq < line.seq)
			next++;
		if (next < check->acks_count && check->acks[next].seq == line.seq &&
		    check->acks[next].hash != hash_text(1, line.text))
			sim_check_fail(check, "S1.5", "acknowledged event %llu has changed",
				       (unsigned long long)line.seq);
	}
	while (next < check->acks_count && (at == 0 || check->acks[next].seq <= line.seq))
		next++;
	if (next == check->acks_count)
		return;
	if (!may_lose_tail)
		sim_check_fail(check, "S1.5", "acknowledged event %llu is lost",
			       (unsigned long long)check->acks[next].seq);
	check->acks_count = next;
}

void sim_check_log(struct sim_check *check, bool may_lose_tail)
{
	struct str content = STR_NONE;
	const char *wrong;
	size_t bytes;

	if (may_lose_tail) { /* tokens that ran may be forgotten, and run again: that was chosen */
		forget_facts(check);
		memset(check->executed, 0, sizeof(check->executed));
		memset(check->undone, 0, sizeof(check->undone));
		check->is_vague = true;
	}
	if (!log_bytes(check, &content)) {
		if (check->acks_count)
			sim_check_fail(check, "S1.5", "the log is gone");
		return;
	}
	wrong = sim_scan_chain(content, check->run_id, &bytes);
	if (wrong)
		sim_check_fail(check, "S11.1", "%s", wrong);
	check_acks(check, content, may_lose_tail);
	sim_check_step(check);
}

/* --------------------------------------------------------------------------------- answers */

const char *sim_check_first_end(const struct sim_check *check)
{
	return check->facts.first_end;
}

bool sim_check_is_gate_bad(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].is_gate_bad;
}

bool sim_check_is_completed(const struct sim_check *check)
{
	return check->facts.is_completed;
}

char sim_check_step_state(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].state;
}

const char *sim_check_run_state(const struct sim_check *check)
{
	return check->facts.state;
}

bool sim_check_is_lost(const struct sim_check *check, uint32_t step)
{
	return check->facts.steps[step].is_lost;
}

bool sim_check_is_undone(const struct sim_check *check)
{
	return check->facts.is_rolling_back;
}

bool sim_check_undo_runs(const struct sim_check *check, uint32_t *ret_step, uint32_t *ret_attempt)
{
	if (check->facts.undoing == STEP_NONE)
		return false;
	*ret_step = check->facts.undoing;
	*ret_attempt = check->facts.steps[check->facts.undoing].undos - 1;
	return true;
}

uint64_t sim_check_undos(const struct sim_check *check)
{
	return check->undos;
}

bool sim_check_has_stop(const struct sim_check *check)
{
	return check->facts.stops > 0;
}

bool sim_check_has_lost(const struct sim_check *check)
{
	for (uint32_t i = 0; i < check->plan->steps_count; i++) {
		if (check->facts.steps[i].lost)
			return true;
	}
	return false;
}

uint64_t sim_check_execs(const struct sim_check *check)
{
	return check->execs;
}
