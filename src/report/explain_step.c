/* explain_step.c - why a step is as it is: one function for each state, its causes below it */
#include "report/explain_intern.h"

#include "base/mem.h"
#include "base/timefmt.h"

#include <string.h>

#define DEPTH_MAX      32 /* of a chain of causes */
#define NEEDS_SHOWN    6
#define ATTEMPTS_SHOWN 6

/* ----------------------------------------------------------------------------- conditions */

static void tell_condition(const struct explaining *x, uint32_t step, unsigned depth, bool was_true)
{
	const struct trail_step *trail = &x->trail->steps[step];

	if (!def_of(x, step)->when.ptr)
		return;
	ADD(x, depth, was_true ? "condition_true" : "condition_false", step, 0,
	    "its condition was %s: %.*s%s%.*s%s", was_true ? "true" : "false",
	    STR_ARG(def_of(x, step)->when), trail->conditions.len > 0 ? " [" : "",
	    STR_ARG(trail->conditions), trail->conditions.len > 0 ? "]" : "");
}

/* ---------------------------------------------------------------------------- failed steps */

/* Why no attempt follows the last failure (S7, S8.4), as step_may_retry decides it. */
static void tell_no_retry(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	const struct step *def = def_of(x, step);
	struct str class = step_class_text(at);

	if (at->is_rejected && at->class != CLASS_LOST)
		ADD(x, depth, "not_retried", step, 0,
		    "what a person or a deadline rejects is not retried");
	else if (at->class == CLASS_LOST && def->on_lost == ON_LOST_RERUN)
		ADD(x, depth, "not_retried", step, 0,
		    "on_lost: rerun gives up after %d losses in a row", LOSSES_IN_ROW_MAX);
	else if (at->class == CLASS_LOST)
		ADD(x, depth, "not_retried", step, 0,
		    "on_lost: %s: what may have run is not run again unasked",
		    def->on_lost == ON_LOST_ASK ? "ask, and a person gave it up" : "fail");
	else if (at->class == CLASS_CANCELLED || at->class == CLASS_INTERRUPTED)
		ADD(x, depth, "not_retried", step, 0, "%.*s: only a resume runs it again",
		    STR_ARG(class));
	else if (!error_class_may_be_listed(at->class))
		ADD(x, depth, "not_retried", step, 0, "no retry: %.*s is never retried",
		    STR_ARG(class));
	else if (!(def->retry->classes >> at->class & 1))
		ADD(x, depth, "not_retried", step, 0,
		    "no retry: %.*s is not among the classes of `retry: on`", STR_ARG(class));
	else if (at->failures >= def->retry->max_attempts)
		ADD(x, depth, "retries_used", step, 0, "no retry: %s",
		    def->retry->max_attempts == 1
			? "the step has one attempt"
			: "all attempts that `max_attempts` allows were used");
	else
		ADD(x, depth, "not_retried", step, 0, "no retry: the run was ending");
}

/* What the failure means for the run (S5.4, S5.7). */
static void tell_consequence(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	const struct trail_step *trail = &x->trail->steps[step];
	const struct step *def = def_of(x, step);
	bool is_undone = def->on_failure == ON_FAILURE_COMPENSATE &&
			 (run_of(x)->undo.is_begun || run_of(x)->undo.is_wanted);

	if (at->is_waived) {
		ADD(x, depth, "overridden", step, trail->overridden,
		    "its effect is waived by %.*s: %.*s", STR_ARG(person_of(trail->override_by)),
		    STR_ARG(trail->override_reason));
		return;
	}
	if (at->is_gate_failed) {
		ADD(x, depth, "gate_closed", step, trail->gate_failed,
		    "it is a %s gate: nothing below it runs without an override",
		    gate_kind_name(def->gate));
		if (trail->evidence.len > 0)
			ADD(x, depth, "evidence", step, trail->gate_failed, "evidence: %.*s",
			    STR_ARG(trail->evidence));
		return;
	}
	if ((at->class == CLASS_CANCELLED || at->class == CLASS_INTERRUPTED) &&
	    run_ends_stopped(run_of(x)))
		return; /* the stop decided about the rest, not its failure */
	ADD(x, depth, "on_failure", step, 0, "on_failure: %s: %s", on_failure_name(def->on_failure),
	    is_undone ? "nothing new started, and what succeeded is to be undone"
	    : step_stops_run(run_of(x), step) ? "nothing new started, the rest was skipped"
	    : def->on_failure == ON_FAILURE_SKIP_DOWNSTREAM
		? "what needs it was skipped, the rest went on"
		: "what needs it went on without its outputs");
}

static void tell_failure(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	const struct trail_step *trail = &x->trail->steps[step];

	ADD(x, depth, "failed", step, trail->ended, "%.*s failed (%.*s): %.*s",
	    STR_ARG(id_of(x, step)), STR_ARG(step_class_text(at)),
	    STR_ARG(at->reason.len > 0 ? at->reason : STR("no reason given")));
	if (at->is_rejected && trail->rejected > 0)
		ADD(x, depth + 1, "rejected", step, trail->rejected, "rejected by %.*s",
		    STR_ARG(str_is(trail->rejected_by, "runner")
				? STR("the deadline of its approval")
				: person_of(trail->rejected_by)));
	if (at->is_held) {
		ADD(x, depth + 1, "held", step, trail->ended,
		    "on_lost: ask: a person decides: approve runs it again, reject gives it up");
		return;
	}
	if (at->is_final)
		tell_no_retry(x, step, depth + 1);
	tell_consequence(x, step, depth + 1);
}

/* --------------------------------------------------------------------------- skipped steps */

static void tell_skip(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	uint32_t cause = trail_cause(x->trail, step);

	ADD(x, depth, "skipped", step, x->trail->steps[step].skipped, "%.*s was skipped (%s)",
	    STR_ARG(id_of(x, step)), skip_reason_name(at->skip));
	if (cause == STEP_NONE && str_starts(at->reason, "not selected"))
		ADD(x, depth + 1, "not_selected", step, x->trail->steps[step].skipped, "%.*s",
		    STR_ARG(at->reason));
	else if (cause == STEP_NONE && at->skip == SKIP_CONDITION)
		tell_condition(x, step, depth + 1, false);
	else if (cause == STEP_NONE && at->skip == SKIP_RUN_STOPPED)
		facts_add(x->facts, depth + 1, "run_deadline", STR_NONE, x->trail->changed,
			  "the run ended first: %.*s", STR_ARG(run_of(x)->reason));
	else if (cause != STEP_NONE)
		explain_cause(x, cause, depth + 1);
}

/* ----------------------------------------------------------------------------------- causes */

static uint64_t last_event(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);
	const struct trail_step *trail = &x->trail->steps[step];

	switch (at->state) {
	case STEP_RUNNING:
		return trail->started;
	case STEP_WAITING:
		return trail->waiting;
	case STEP_SKIPPED:
		return trail->skipped;
	case STEP_COMPENSATED:
		return trail->compensated;
	case STEP_PENDING:
		return at->is_retry ? trail->retried : 0;
	case STEP_SUCCEEDED:
	case STEP_FAILED:
		break;
	}
	return at->is_given ? 1 : trail->ended;
}

/* One line: "load succeeded", "load is waiting". */
static void tell_plain(const struct explaining *x, uint32_t step, unsigned depth)
{
	const struct step_state *at = state_of(x, step);
	const char *state = step_state_name(at->state);
	bool is_open =
	    at->state == STEP_PENDING || at->state == STEP_RUNNING || at->state == STEP_WAITING;
	bool is_done_to = at->state == STEP_SKIPPED || at->state == STEP_COMPENSATED;

	ADD(x, depth, state, step, last_event(x, step), "%.*s %s%s%s%s%s%s",
	    STR_ARG(id_of(x, step)),
	    is_open      ? "is "
	    : is_done_to ? "was "
			 : "",
	    state,
	    at->state == STEP_PENDING && at->is_retry ? ", a retry comes"
	    : at->state != STEP_WAITING               ? ""
	    : at->is_approved                         ? ", approved"
	    : at->is_rejected                         ? ", rejected"
						      : " for approval",
	    at->is_given ? " (given at the start)" : "", at->state == STEP_SKIPPED ? ": " : "",
	    at->state == STEP_SKIPPED ? skip_reason_name(at->skip) : "");
}

void explain_cause(const struct explaining *x, uint32_t step, unsigned depth)
{
	if (depth > DEPTH_MAX)
		ADD(x, depth, "and_so_on", step, 0, "and so on, from %.*s",
		    STR_ARG(id_of(x, step)));
	else if (state_of(x, step)->state == STEP_FAILED)
		tell_failure(x, step, depth);
	else if (state_of(x, step)->state == STEP_SKIPPED)
		tell_skip(x, step, depth);
	else
		tell_plain(x, step, depth);
}

/* ------------------------------------------------------------------------------- attempts */

static void put_ending(struct buf *out, const struct trail_end *end)
{
	if (end->exit_code >= 0)
		buf_fmt(out, ", exit status %lld", (long long)end->exit_code);
	if (end->signal > 0)
		buf_fmt(out, ", killed by signal %lld", (long long)end->signal);
	if (end->system_errno > 0)
		buf_fmt(out, ", %s", strerror((int)end->system_errno));
	if (end->duration_ms >= 0 && end->started > 0) {
		buf_text(out, ", after ");
		duration_human(out, end->duration_ms);
	}
}

static void tell_end(const struct explaining *x, const struct trail_end *end, const char *code,
		     const char *what)
{
	AUTO(buf_fini) struct buf ending = BUF_INIT;
	AUTO(buf_fini) struct buf delay = BUF_INIT;
	uint32_t step = x->trail->step;

	put_ending(&ending, end);
	if (end->ended == 0)
		ADD(x, 1, code, step, end->started, "%s %u runs", what, end->attempt);
	else if (end->is_ok)
		ADD(x, 1, code, step, end->ended, "%s %u succeeded%.*s", what, end->attempt,
		    STR_ARG(facts_view(x->facts, &ending)));
	else
		ADD(x, 1, code, step, end->ended, "%s %u %s (%.*s%.*s): %.*s", what, end->attempt,
		    end->is_lost ? "was lost" : "failed", STR_ARG(end->class_text),
		    STR_ARG(facts_view(x->facts, &ending)), STR_ARG(end->reason));
	if (end->retried == 0)
		return;
	duration_human(&delay, end->delay_ms);
	ADD(x, 2, "retried", step, end->retried, "retried after %.*s: %s",
	    STR_ARG(facts_view(x->facts, &delay)),
	    end->is_lost ? "on_lost allows it"
			 : "its class is one of `retry`, and attempts were left");
}

void tell_ends(const struct explaining *x, const struct trail_ends *ends, const char *code,
	       const char *what)
{
	size_t count = ends->count;

	for (size_t i = 0; i < count; i++) {
		if (count > ATTEMPTS_SHOWN && i > 0 && i < count - ATTEMPTS_SHOWN + 1) {
			ADD(x, 1, "attempts_left_out", x->trail->step, 0,
			    "%zu attempts in between; `sluice events RUN --step %.*s` has them",
			    count - ATTEMPTS_SHOWN, STR_ARG(id_of(x, x->trail->step)));
			i = count - ATTEMPTS_SHOWN;
			continue;
		}
		tell_end(x, &ends->items[i], code, what);
	}
}

static void tell_attempts(const struct explaining *x)
{
	tell_ends(x, &x->trail->ends, "attempt", "attempt");
}

/* -------------------------------------------------------------------------- why it may run */

static bool is_met(const struct explaining *x, uint32_t need)
{
	return step_is_resolved(state_of(x, need));
}

static void list_needs(const struct explaining *x, const uint32_t *needs, uint32_t count,
		       bool is_open, unsigned depth)
{
	uint32_t shown = 0;
	uint32_t left = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (is_open && is_met(x, needs[i]))
			continue;
		if (shown++ < NEEDS_SHOWN)
			tell_plain(x, needs[i], depth);
		else
			left++;
	}
	if (left > 0)
		facts_add(x->facts, depth, "and_more", STR_NONE, 0, "and %u more", left);
}

static void tell_why_it_ran(const struct explaining *x, uint32_t step)
{
	const struct step *def = def_of(x, step);

	if (def->needs_count + def->needs_any_count == 0)
		ADD(x, 1, "needs_nothing", step, 0, "it needs nothing");
	if (def->needs_count > 0) {
		ADD(x, 1, "needs_met", step, 0, "what it needs was there%s:",
		    def->needs_implicit ? " (the step written before it)" : "");
		list_needs(x, def->needs, def->needs_count, false, 2);
	}
	if (def->needs_any_count > 0) {
		ADD(x, 1, "needs_any_met", step, 0, "of `needs_any` at least one succeeded:");
		list_needs(x, def->needs_any, def->needs_any_count, false, 2);
	}
	tell_condition(x, step, 1, true);
	for (size_t i = 0; i < x->trail->approvals_count; i++)
		ADD(x, 1, "approved", step, x->trail->approvals[i].seq, "approved by %.*s: %.*s",
		    STR_ARG(person_of(x->trail->approvals[i].by)),
		    STR_ARG(x->trail->approvals[i].reason));
}

/* --------------------------------------------------------------------------------- by state */

/* A success that was taken is never taken again (ADR 0012), so one link is the whole chain. */
static void tell_cached(const struct explaining *x, uint32_t step)
{
	struct str from = x->trail->steps[step].cached_from;
	struct str run_id;
	struct str other;

	if (!from.ptr)
		return;
	ADD(x, 1, "cached", step, x->trail->steps[step].ended, "its result was taken from %.*s",
	    STR_ARG(from));
	if (cached_place(from, &run_id, &other))
		ADD(x, 2, "cached_origin", step, 0,
		    "%.*s of run %.*s executed it: the chain ends there", STR_ARG(other),
		    STR_ARG(run_id));
}

static void explain_succeeded(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);
	const struct trail_step *trail = &x->trail->steps[step];

	if (at->is_given) {
		ADD(x, 0, "given", step, 1,
		    "%.*s was not executed: its outputs were given at the start",
		    STR_ARG(id_of(x, step)));
		return;
	}
	ADD(x, 0, "succeeded", step, trail->ended, "%.*s succeeded", STR_ARG(id_of(x, step)));
	tell_undo(x, step);
	tell_cached(x, step);
	tell_attempts(x);
	tell_quality(x, step, 1);
	if (trail->gate_passed > trail->gate_failed)
		ADD(x, 1, "gate_passed", step, trail->gate_passed, "its gate passed: %.*s",
		    STR_ARG(trail->evidence));
	else if (trail->gate_failed > trail->started)
		ADD(x, 1, "soft_gate_failed", step, trail->gate_failed,
		    "its soft gate failed, which is a warning: %.*s%s%.*s",
		    STR_ARG(trail->gate_reason), trail->gate_reason.len > 0 ? ": " : "",
		    STR_ARG(trail->evidence));
	tell_why_it_ran(x, step);
}

static void explain_running(const struct explaining *x, uint32_t step)
{
	const struct command *command = def_of(x, step)->command;
	char stamp[STAMP_BYTES + 1];

	stamp_write(state_of(x, step)->started_ms, stamp);
	ADD(x, 0, "running", step, x->trail->steps[step].started, "%.*s runs since %s, attempt %u",
	    STR_ARG(id_of(x, step)), stamp, state_of(x, step)->attempt);
	if (x->owner->is_held)
		ADD(x, 1, "owned", step, 0, "process %d owns the run", x->owner->pid);
	else
		ADD(x, 1, "not_owned", step, 0,
		    "nobody owns the run: a resume finds out what became of the attempt");
	if (command && command->timeout_ns > 0) {
		stamp_write(state_of(x, step)->started_ms + command->timeout_ns / NS_PER_MS, stamp);
		ADD(x, 1, "deadline", step, 0, "it is killed at %s", stamp);
	}
	tell_attempts(x);
	tell_why_it_ran(x, step);
}

static void tell_approval(const struct explaining *x, uint32_t step)
{
	const struct approval *approval = def_of(x, step)->approval;
	const struct step_state *at = state_of(x, step);
	AUTO(buf_fini) struct buf names = BUF_INIT;
	uint32_t given = 0;

	for (const struct approver *who = at->approvers; who; who = who->next)
		buf_fmt(&names, "%s%.*s", given++ > 0 ? ", " : "", STR_ARG(person_of(who->name)));
	if (at->is_approved) {
		ADD(x, 1, "approved", step, x->trail->steps[step].approved,
		    "approved by %.*s; it starts when %s", STR_ARG(facts_view(x->facts, &names)),
		    x->owner->is_held ? "what it needs and a slot are there"
				      : "a resume goes on with the run");
		return;
	}
	ADD(x, 1, "approval_missing", step, x->trail->steps[step].waiting,
	    "%u of %u approvals are given%s%.*s", given, approval ? approval->count : 1,
	    given > 0 ? ", by " : "", STR_ARG(facts_view(x->facts, &names)));
	buf_clear(&names);
	for (uint32_t i = 0; approval && i < approval->by_count; i++)
		buf_fmt(&names, "%s%.*s", i > 0 ? ", " : "", STR_ARG(approval->by[i]));
	ADD(x, 1, "approvers", step, 0, "who may: %.*s",
	    STR_ARG(names.len > 0 ? facts_view(x->facts, &names)
				  : STR("anybody with a name, and a reason")));
}

static void explain_waiting(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);
	char stamp[STAMP_BYTES + 1];

	ADD(x, 0, "waiting", step, x->trail->steps[step].waiting, "%.*s %s: %.*s",
	    STR_ARG(id_of(x, step)), at->is_rejected ? "was rejected" : "waits",
	    STR_ARG(at->reason));
	if (at->is_rejected)
		ADD(x, 1, "rejected", step, x->trail->steps[step].rejected,
		    "rejected by %.*s: it will fail",
		    STR_ARG(person_of(x->trail->steps[step].rejected_by)));
	else if (def_of(x, step)->gate == GATE_MANUAL)
		tell_approval(x, step);
	if (at->due_ms > 0) {
		stamp_write(at->due_ms, stamp);
		ADD(x, 1, "until", step, x->trail->steps[step].waiting, "until %s", stamp);
	}
}

/* Everything that it needs is there: what else holds it up? */
static void tell_ready(const struct explaining *x, uint32_t step)
{
	const struct run_state *run = run_of(x);

	if (run->is_failing)
		ADD(x, 1, "run_failing", step, 0, "the run fails: it will be skipped");
	else if (run->state == RUN_STOPPED || run->is_stopping)
		facts_add(
		    x->facts, 1, "run_stopped", STR_NONE, x->trail->stopped,
		    "the run was stopped%s%.*s before it started",
		    x->trail->stop_by.ptr && !str_is(x->trail->stop_by, "runner") ? " by " : "",
		    STR_ARG(str_is(x->trail->stop_by, "runner") ? STR_NONE
								: person_of(x->trail->stop_by)));
	else if (!x->owner->is_held && !run_state_is_end(run->state))
		ADD(x, 1, "not_owned", step, 0,
		    "nobody owns the run: `sluice resume` goes on with it");
	else if (run->count[STEP_RUNNING] >= run->model->concurrency)
		ADD(x, 1, "no_slot", step, 0, "it waits for a slot: %u of %u are in use",
		    run->count[STEP_RUNNING], run->model->concurrency);
	else if (run->state != RUN_EXECUTING)
		facts_add(x->facts, 1, "run_state", STR_NONE, x->trail->changed, "the run is %s",
			  run_state_name(run->state));
	else
		ADD(x, 1, "ready", step, 0, "all that it needs is there: it is about to start");
}

static void tell_retry(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);
	char stamp[STAMP_BYTES + 1];

	stamp_write(at->due_ms, stamp);
	ADD(x, 1, "retry_due", step, x->trail->steps[step].retried,
	    "attempt %u starts at %s: %.*s may be retried, %u of %u attempts were used",
	    at->attempt, stamp, STR_ARG(step_class_text(at)), at->failures,
	    def_of(x, step)->retry->max_attempts);
}

static void explain_pending(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);
	const struct step *def = def_of(x, step);
	uint32_t cause = trail_cause(x->trail, step);

	ADD(x, 0, "pending", step, 0, "%.*s is pending%s", STR_ARG(id_of(x, step)),
	    at->attempts > 0 ? "" : ", it has not started");
	if (at->is_excluded)
		ADD(x, 1, "not_selected", step, 0, "it is not selected: it will be skipped");
	if (at->doom != SKIP_NONE) {
		ADD(x, 1, "doomed", step, 0,
		    "it will be skipped (%s):", skip_reason_name(at->doom));
		if (cause != STEP_NONE)
			explain_cause(x, cause, 2);
		return;
	}
	if (at->is_retry)
		tell_retry(x, step);
	if (at->unmet > 0) {
		ADD(x, 1, "needs_open", step, 0,
		    "it needs%s:", def->needs_implicit ? " the step written before it" : "");
		list_needs(x, def->needs, def->needs_count, true, 2);
	}
	if (at->any_unresolved > 0) {
		ADD(x, 1, "needs_any_open", step, 0, "of `needs_any` these are not over:");
		list_needs(x, def->needs_any, def->needs_any_count, true, 2);
	}
	if (step_needs_met(at) && !at->is_retry && !at->is_excluded)
		tell_ready(x, step);
	else if (run_of(x)->state == RUN_STOPPED || run_of(x)->is_failing)
		tell_ready(x, step);
	tell_attempts(x);
}

/* ---------------------------------------------------------------------- what a resume would do */

/* Of a run at rest; the rest of the run is opened too (S9.2). */
static const char *after_resume_at_rest(const struct explaining *x, uint32_t step)
{
	const struct step_state *at = state_of(x, step);

	if (at->state == STEP_FAILED)
		return at->is_waived && def_of(x, step)->gate != GATE_MANUAL
			   ? "leave it failed, its effect is waived"
			   : "run it again, with all attempts that `retry` allows";
	return at->skip == SKIP_CONDITION || at->skip == SKIP_CHOICE_NOT_TAKEN
		   ? "leave it skipped; --from a step above decides again"
		   : "open it again: it runs when what it needs is there";
}

/* As apply() opens steps on run.resumed. */
static const char *after_resume(const struct explaining *x, uint32_t step)
{
	const struct run_state *run = run_of(x);
	const struct step_state *at = state_of(x, step);
	bool is_at_rest = run->state == RUN_FAILED || run->state == RUN_STOPPED;

	switch (at->state) {
	case STEP_SUCCEEDED:
		return at->is_given ? "keep what was given"
				    : "keep its result; --from would run it again";
	case STEP_FAILED:
	case STEP_SKIPPED:
		if (is_at_rest)
			return after_resume_at_rest(x, step);
		if (at->is_held)
			return "wait for a decision again";
		if (at->state == STEP_FAILED && !at->is_final)
			return "retry it";
		if (at->state == STEP_FAILED && run_ends_stopped(run) &&
		    (at->class == CLASS_CANCELLED || at->class == CLASS_INTERRUPTED))
			return "run it again";
		return "leave it as it is, and go on with the rest";
	case STEP_RUNNING:
		return "find out what became of the attempt, and go on from there";
	case STEP_WAITING:
		return "go on waiting; the answers that were given count";
	case STEP_COMPENSATED:
		return "leave it undone";
	case STEP_PENDING:
		break;
	}
	return "start it when what it needs is there";
}

static void tell_resume(const struct explaining *x, uint32_t step)
{
	const struct run_state *run = run_of(x);

	if (x->owner->is_held || run->state == RUN_SUCCEEDED || run->state == RUN_ROLLED_BACK)
		return; /* there is nothing to resume */
	if (run_is_undoing(run)) {
		ADD(x, 0, "resume", step, 0, "a resume would go on with the rollback, and %s",
		    step_is_undoable(run, step) ? "undo this step" : "leave this step as it is");
		return;
	}
	if (run->undo.is_begun) {
		ADD(x, 0, "resume_refused", step, x->trail->rollback,
		    "a resume is refused: a rollback was begun, and `sluice rollback %.*s` goes on "
		    "with it",
		    STR_ARG(run->run_id));
		return;
	}
	for (uint32_t i = 0; i < run->model->steps_count && run->gates_barred > 0; i++) {
		if (!run->steps[i].is_gate_failed)
			continue;
		ADD(x, 0, "resume_barred", i, x->trail->steps[i].gate_failed,
		    "a resume is refused without --override %.*s --reason TEXT; with it, it would "
		    "%s",
		    STR_ARG(id_of(x, i)),
		    i == step && def_of(x, i)->gate != GATE_MANUAL
			? "leave this step failed and waive it"
			: after_resume(x, step));
		return;
	}
	ADD(x, 0, "resume", step, 0, "a resume would %s", after_resume(x, step));
}

void explain_step(const struct explaining *x, uint32_t step)
{
	switch (state_of(x, step)->state) {
	case STEP_SUCCEEDED:
		explain_succeeded(x, step);
		break;
	case STEP_FAILED:
		tell_failure(x, step, 0);
		tell_attempts(x);
		tell_quality(x, step, 1);
		break;
	case STEP_SKIPPED:
		tell_skip(x, step, 0);
		tell_attempts(x);
		break;
	case STEP_RUNNING:
		explain_running(x, step);
		break;
	case STEP_WAITING:
		explain_waiting(x, step);
		break;
	case STEP_PENDING:
		explain_pending(x, step);
		break;
	case STEP_COMPENSATED:
		ADD(x, 0, "compensated", step, x->trail->steps[step].compensated,
		    "%.*s was undone by its compensation", STR_ARG(id_of(x, step)));
		tell_undo(x, step);
		tell_attempts(x);
		break;
	}
	tell_resume(x, step);
}
