/* decide_end.c - how a run ends, or why it is blocked: its outcome and the reason that people
 * read */
#include "core/decide_intern.h"

struct tally {
	uint32_t failed;    /* not tolerated, not waived */
	uint32_t stopped;   /* of these: under on_failure: stop or a hard gate */
	uint32_t tolerated; /* on_failure: ignore */
	uint32_t succeeded;
	uint32_t skipped_by_choice; /* condition, choice_not_taken */
	uint32_t skipped;
	uint32_t first_failed;
};

static struct tally tally_of(const struct run_state *run)
{
	struct tally tally = {.first_failed = STEP_NONE};

	tally.succeeded = run->count[STEP_SUCCEEDED];
	tally.skipped = run->count[STEP_SKIPPED];
	if (run->count[STEP_SKIPPED] + run->count[STEP_FAILED] == 0)
		return tally;
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];
		enum on_failure policy = run->model->steps[i].on_failure;

		if (at->state == STEP_SKIPPED &&
		    (at->skip == SKIP_CONDITION || at->skip == SKIP_CHOICE_NOT_TAKEN))
			tally.skipped_by_choice++;
		if (at->state != STEP_FAILED || at->is_waived)
			continue;
		if (policy == ON_FAILURE_IGNORE && !step_stops_run(run, i)) {
			tally.tolerated++;
			continue;
		}
		tally.failed++;
		if (step_stops_run(run, i))
			tally.stopped++;
		if (tally.first_failed == STEP_NONE)
			tally.first_failed = i;
	}
	return tally;
}

enum run_outcome decide_outcome(const struct run_state *run)
{
	struct tally tally = tally_of(run);

	if (run->is_failing || tally.stopped)
		return OUTCOME_FAILED;
	if (tally.failed || run->waived || run->overridden)
		return OUTCOME_PARTIAL; /* S9.1: also when an overridden gate was asked again */
	if (tally.succeeded + tally.tolerated == 0 && tally.skipped_by_choice < tally.skipped)
		return OUTCOME_FAILED; /* S3.4: nothing ran, and not because nothing had to */
	return OUTCOME_SUCCESS;
}

struct str decide_failure_reason(struct decider *decider)
{
	const struct run_state *run = decider->run;
	struct tally tally = tally_of(run);
	uint32_t step = run->failing_step != STEP_NONE ? run->failing_step : tally.first_failed;
	struct str id;

	if (step == STEP_NONE)
		return run->waived || run->overridden ? STR("A failed gate was overridden")
						      : STR("Every step was skipped");
	id = run->model->steps[step].id;
	if (run->steps[step].is_gate_failed && run->model->steps[step].gate == GATE_MANUAL)
		return decider_say(decider, "Manual gate rejected: %.*s", STR_ARG(id));
	if (run->steps[step].is_gate_failed)
		return decider_say(decider, "Hard gate failed: %.*s", STR_ARG(id));
	if (tally.failed > 1)
		return decider_say(decider, "%u steps failed, the first is %.*s", tally.failed,
				   STR_ARG(id));
	return decider_say(decider, "Step failed: %.*s", STR_ARG(id));
}

static struct str success_reason(const struct run_state *run)
{
	bool all = run->count[STEP_SUCCEEDED] == run->model->steps_count;

	if (run->is_resumed)
		return all ? STR("All steps succeeded (resume)")
			   : STR("All steps that had to succeed did (resume)");
	return all ? STR("All steps succeeded") : STR("All steps that had to succeed did");
}

/* Nothing runs, nothing is asked, nothing is due. */
static bool is_idle(const struct decider *decider)
{
	const struct run_state *run = decider->run;
	uint32_t retries_ready = 0;

	if (run->count[STEP_RUNNING] > decider->stuck)
		return false;
	if (run_starts_nothing(run))
		return true;
	if (decider->asked || decider->preparing)
		return false;
	if (run->count[STEP_RUNNING] < run->model->concurrency)
		/* not reached: ready beside a free slot, as decide_start_ready was asked before */
		return decider->ready.count == 0 && run->retries_due == 0;
	/* Leftovers hold every slot (S7.4): what is ready cannot start, only timers are to come. */
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		retries_ready +=
		    decide_set_has(&decider->ready, decider->rank[i]) && run->steps[i].is_retry;
	return run->retries_due == retries_ready;
}

bool decide_end_or_block(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;

	if (!is_idle(decider))
		return false;
	decider->is_unblocked = false; /* what was decided so far has had its effect */
	if (decider->stuck) {
		decide_change_state(decider, event, RUN_BLOCKED,
				    STR("processes of a lost attempt still live"), now_ms);
		return true;
	}
	if (run_ends_stopped(run)) {
		decide_change_state(decider, event, RUN_STOPPED, STR("Stopped on request"), now_ms);
		return true;
	}
	if (!run->is_failing && (run->count[STEP_WAITING] || run->held)) {
		decide_change_state(decider, event, RUN_BLOCKED,
				    run->count[STEP_WAITING]
					? STR("waiting for approval")
					: STR("a lost attempt: a person decides"),
				    now_ms);
		return true;
	}
	if (decide_outcome(run) == OUTCOME_SUCCESS)
		decide_change_state(decider, event, RUN_SUCCEEDED, success_reason(run), now_ms);
	else
		decide_change_state(decider, event, RUN_FAILED, decide_failure_reason(decider),
				    now_ms);
	return true;
}

void decide_complete(struct decider *decider, struct event *event, int64_t now_ms)
{
	const struct run_state *run = decider->run;
	enum run_outcome outcome =
	    run->state == RUN_STOPPED ? OUTCOME_STOPPED : decide_outcome(run);
	struct str reason = run->reason;

	decider_event(decider, event, EVENT_RUN_COMPLETED, now_ms);
	decide_put_run_state(event, EVENT_FIELD_NEW_STATE, run->state);
	if (run->undo.is_active) {
		outcome = decide_undo_outcome(decider);
		reason = decide_undo_reason(decider);
	}
	event_put_text(event, EVENT_FIELD_OUTCOME, str_of(outcome_name(outcome)));
	if (reason.len)
		event_put_text(event, EVENT_FIELD_REASON, reason);
	event_put_int(event, EVENT_FIELD_DURATION_MS, event->time_utc_ms - run->created_ms);
	event_put_int(event, EVENT_FIELD_WARNINGS, run->warnings);
}
