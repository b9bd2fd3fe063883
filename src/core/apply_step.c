/* apply_step.c - events about a step: its attempts, what they mean for the run, its gate */
#include "core/apply_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"

static enum err_code keep_failure(const struct fold *f, enum error_class fallback, struct err *err)
{
	if (apply_keep_class(f, fallback, &f->step->class, &f->step->class_text, err) != ERR_OK)
		return err->code;
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err);
}

/* S1.3, S1.4: a log that starts what must not start is not ours. */
static enum err_code check_start(const struct fold *f, bool is_stillborn, struct err *err)
{
	const struct run_state *run = f->run;
	const struct step_state *step = f->step;
	uint32_t expected = step->is_retry ? step->attempt : step->attempts ? step->attempt + 1 : 0;
	struct str id = run->model->steps[f->index].id;

	if (f->event->attempt != expected)
		return err_set(err, f->refused, "attempt %u of '%.*s' cannot start, %u comes next",
			       f->event->attempt, STR_ARG(id), expected);
	if (run->state != RUN_EXECUTING || run_starts_nothing(run))
		return err_set(err, f->refused, "'%.*s' cannot start: the run is %s", STR_ARG(id),
			       run->is_failing    ? "failing"
			       : run->is_stopping ? "stopping"
						  : run_state_name(run->state));
	if (step->is_excluded)
		return err_set(err, f->refused, "'%.*s' cannot start: it is not selected",
			       STR_ARG(id));
	if (!step_needs_met(step))
		return err_set(err, f->refused, "'%.*s' cannot start: what it needs is not there",
			       STR_ARG(id));
	if (run->model->steps[f->index].gate == GATE_MANUAL && !step->is_approved && !is_stillborn)
		return err_set(err, f->refused, "'%.*s' cannot start: nobody approved it",
			       STR_ARG(id));
	return ERR_OK;
}

enum err_code apply_started(const struct fold *f, struct err *err)
{
	struct step_state *step = f->step;
	bool is_stillborn = event_has(f->event, EVENT_FIELD_ERROR_CLASS);

	if (check_start(f, is_stillborn, err) != ERR_OK)
		return err->code;
	if (apply_move(f, f->index, STEP_EVENT_START, err) != ERR_OK)
		return err->code;
	set_flag(&step->is_retry, false, &f->run->retries_due);
	step->attempt = f->event->attempt;
	step->attempts++;
	step->started_ms = f->event->time_utc_ms;
	step->ended_ms = 0;
	step->due_ms = 0;
	step->is_final = false;
	step->is_stillborn = is_stillborn;
	step->is_quality_warned = false;
	step->cached_from = STR_NONE;
	step->quality = STR_NONE;
	step->boot_id = f->run->boot_id;
	return is_stillborn ? keep_failure(f, CLASS_UNKNOWN, err) : ERR_OK;
}

/* The attempt is over. One that did not start (rejected while waiting) has no duration. */
static void end_attempt(const struct fold *f)
{
	struct step_state *step = f->step;
	int64_t elapsed = f->event->time_utc_ms - step->started_ms;
	bool did_run = step->attempts && !step->ended_ms;

	step->is_stillborn = false;
	step->ended_ms = f->event->time_utc_ms;
	if (did_run)
		step->duration_ms =
		    time_after(step->duration_ms, event_int(f->event, EVENT_FIELD_DURATION_MS,
							    elapsed > 0 ? elapsed : 0));
}

static enum err_code check_attempt(const struct fold *f, struct err *err)
{
	if (f->event->attempt == f->step->attempt || f->step->state == STEP_WAITING)
		return ERR_OK;
	return err_set(err, f->refused, "attempt %u of '%.*s' is not the one that runs (%u)",
		       f->event->attempt, STR_ARG(f->run->model->steps[f->index].id),
		       f->step->attempt);
}

static enum err_code keep_updates(struct run_state *run, struct str updates, struct err *err)
{
	struct str key;
	struct str value;
	size_t at = 0;

	while (updates.ptr && json_member(updates, &at, &key, &value)) {
		struct context_update update = {STR_NONE, STR_NONE};
		void *list = run->updates;

		if (mem_grow(&list, &run->updates_capacity, run->updates_count + 1, sizeof(update),
			     err) != ERR_OK)
			return err->code;
		run->updates = list;
		if (apply_keep(run, key, &update.name, err) != ERR_OK ||
		    apply_keep(run, value, &update.value, err) != ERR_OK)
			return err->code;
		run->updates[run->updates_count++] = update;
	}
	return ERR_OK;
}

enum err_code apply_succeeded(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    apply_move(f, f->index, STEP_EVENT_SUCCEED, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->losses = 0;
	f->step->reason = STR_NONE;
	if (f->run->undo.is_active) /* it ran before the rollback began */
		apply_find_undo(f->run, f->run->model->steps_count);
	if (apply_keep(f->run, event_text(f->event, EVENT_FIELD_CACHED_FROM), &f->step->cached_from,
		       err) != ERR_OK ||
	    apply_keep(f->run, event_text(f->event, EVENT_FIELD_OUTPUTS), &f->step->outputs, err) !=
		ERR_OK ||
	    keep_updates(f->run, event_text(f->event, EVENT_FIELD_CONTEXT_UPDATES), err) != ERR_OK)
		return err->code;
	run_state_resolve(f->run, f->index);
	return ERR_OK;
}

/* Cancelled and interrupted attempts do not fail a gate: it is asked again at resume (S5.5).
 * Whoever gives a lost attempt up rejects no gate: the step fails as `lost` (S8.4). */
static bool fails_gate(const struct step *def, const struct step_state *step)
{
	if (step->is_rejected && step->class != CLASS_LOST)
		return true;
	return def->gate == GATE_HARD && step->class != CLASS_CANCELLED &&
	       step->class != CLASS_INTERRUPTED;
}

static void warn(const struct fold *f)
{
	f->run->warnings++;
	f->step->warnings++;
}

/* A failure that no retry follows: what it means for the run (S5.4, S5.7). */
static void fail_for_good(const struct fold *f)
{
	struct run_state *run = f->run;
	struct step_state *step = f->step;
	const struct step *def = &run->model->steps[f->index];

	step->is_final = true;
	if (fails_gate(def, step))
		set_flag(&step->is_gate_failed, true, &run->gates_barred);
	if (!run->is_failing && step_stops_run(run, f->index) &&
	    !(run->is_stopping && step->class == CLASS_CANCELLED)) {
		run->is_failing = true;
		run->failing_step = f->index;
	}
	if (!step_stops_run(run, f->index) && def->on_failure == ON_FAILURE_IGNORE)
		warn(f);
	if (def->on_failure == ON_FAILURE_COMPENSATE && def->gate != GATE_HARD &&
	    !step->is_gate_failed && step->class != CLASS_CANCELLED &&
	    step->class != CLASS_INTERRUPTED)
		run->undo.is_wanted = true;
	run_state_resolve(run, f->index);
}

static void settle_failure(const struct fold *f)
{
	if (!step_may_retry(f->run, f->index))
		fail_for_good(f);
}

enum err_code apply_failed(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    apply_move(f, f->index, STEP_EVENT_FAIL, err) != ERR_OK ||
	    keep_failure(f, CLASS_UNKNOWN, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->failures++;
	f->step->losses = 0;
	settle_failure(f);
	return ERR_OK;
}

enum err_code apply_lost(const struct fold *f, struct err *err)
{
	if (check_attempt(f, err) != ERR_OK ||
	    apply_move(f, f->index, STEP_EVENT_LOSE, err) != ERR_OK ||
	    keep_failure(f, CLASS_LOST, err) != ERR_OK)
		return err->code;
	end_attempt(f);
	f->step->class = CLASS_LOST;
	f->step->class_text = STR_NONE;
	f->step->losses++;
	if (f->run->model->steps[f->index].on_lost == ON_LOST_ASK) {
		set_flag(&f->step->is_held, true, &f->run->held);
		f->step->is_approved = false; /* what was approved was the attempt that is lost */
		f->step->approvers = NULL;
	} else
		settle_failure(f);
	return ERR_OK;
}

struct retry_due apply_retry_due(const struct fold *f)
{
	int64_t delay_ms = event_int(f->event, EVENT_FIELD_DELAY_MS, 0);
	int64_t boot_ms = event_int(f->event, EVENT_FIELD_BOOT_MS, 0);

	return (struct retry_due){
	    .boot_ms = boot_ms > 0 ? time_after(boot_ms, delay_ms) : 0,
	    .delay_ms = delay_ms,
	    .boot_id = f->run->boot_id,
	};
}

enum err_code apply_retried(const struct fold *f, struct err *err)
{
	struct step_state *step = f->step;

	if (f->event->attempt != step->attempt + 1)
		return err_set(err, f->refused, "the next attempt is %u, not %u", step->attempt + 1,
			       f->event->attempt);
	if (step->is_final)
		return err_set(err, f->refused, "the failure of '%.*s' is final",
			       STR_ARG(f->run->model->steps[f->index].id));
	if (step->is_held && !step->is_approved)
		return err_set(err, f->refused, "nobody decided on the lost attempt of '%.*s'",
			       STR_ARG(f->run->model->steps[f->index].id));
	if (apply_move(f, f->index, STEP_EVENT_RETRY, err) != ERR_OK)
		return err->code;
	set_flag(&step->is_held, false, &f->run->held);
	set_flag(&step->is_retry, true, &f->run->retries_due);
	step->attempt = f->event->attempt;
	step->retries++;
	step->due_ms =
	    time_after(f->event->time_utc_ms, event_int(f->event, EVENT_FIELD_DELAY_MS, 0));
	step->retry_due = apply_retry_due(f);
	return ERR_OK;
}

enum err_code apply_waiting(const struct fold *f, struct err *err)
{
	struct str until = event_text(f->event, EVENT_FIELD_UNTIL);

	if (apply_move(f, f->index, STEP_EVENT_WAIT, err) != ERR_OK)
		return err->code;
	f->step->due_ms = 0;
	if (until.ptr && !stamp_read(until, &f->step->due_ms))
		return err_set(err, f->refused, "'%.*s' is not a time", STR_ARG(until));
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err);
}

enum err_code apply_skipped(const struct fold *f, struct err *err)
{
	struct str reason = event_text(f->event, EVENT_FIELD_REASON);
	enum skip_reason skip;

	if (!skip_reason_of(reason, &skip))
		return err_set(err, f->refused, "'%.*s' is not a reason to skip", STR_ARG(reason));
	if (apply_move(f, f->index, STEP_EVENT_SKIP, err) != ERR_OK)
		return err->code;
	set_flag(&f->step->is_retry, false, &f->run->retries_due);
	f->step->skip = skip;
	f->step->due_ms = 0;
	run_state_resolve(f->run, f->index);
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_CAUSE), &f->step->reason, err);
}

enum err_code apply_gate_failed(const struct fold *f, struct err *err)
{
	(void)err;
	/* Once: a log that was cut behind it has it again when the result is taken again. */
	if (event_has(f->event, EVENT_FIELD_SOFT) && !f->step->is_gate_recorded)
		warn(f);
	f->step->is_gate_recorded = true;
	return ERR_OK;
}

/* Is there something that a person is asked for? */
static enum err_code check_asked(const struct fold *f, struct err *err)
{
	const struct step_state *step = f->step;

	if ((step->state == STEP_WAITING || step->is_held) && !step->is_rejected)
		return ERR_OK;
	return err_set(err, f->refused, "step '%.*s' is %s and waits for no decision",
		       STR_ARG(f->run->model->steps[f->index].id), step_state_name(step->state));
}

enum err_code apply_approved(const struct fold *f, struct err *err)
{
	const struct approval *approval = f->run->model->steps[f->index].approval;
	struct approver *approver;
	uint32_t count = 1;

	if (check_asked(f, err) != ERR_OK)
		return err->code;
	for (const struct approver *other = f->step->approvers; other; other = other->next) {
		if (str_eq(other->name, f->event->actor)) /* S5.6: distinct names */
			return err_set(err, f->refused, "'%.*s' approved '%.*s' twice",
				       STR_ARG(other->name),
				       STR_ARG(f->run->model->steps[f->index].id));
		count++;
	}
	approver = arena_new(&f->run->arena, 1, sizeof(*approver));
	if (!approver)
		return mem_err(err);
	if (apply_keep(f->run, f->event->actor, &approver->name, err) != ERR_OK)
		return err->code;
	approver->next = f->step->approvers;
	f->step->approvers = approver;
	f->step->is_approved = !approval || count >= approval->count;
	return ERR_OK;
}

enum err_code apply_rejected(const struct fold *f, struct err *err)
{
	if (check_asked(f, err) != ERR_OK)
		return err->code;
	f->step->is_rejected = true;
	if (apply_keep(f->run, event_text(f->event, EVENT_FIELD_REASON), &f->step->reason, err) !=
	    ERR_OK)
		return err->code;
	if (f->step->is_held) { /* a lost attempt that a person gave up */
		set_flag(&f->step->is_held, false, &f->run->held);
		fail_for_good(f);
	}
	return ERR_OK;
}

enum err_code apply_artifact(const struct fold *f, struct err *err)
{
	struct run_state *run = f->run;
	struct emitted_artifact artifact = {.step = f->index};
	void *list = run->artifacts;

	if (mem_grow(&list, &run->artifacts_capacity, run->artifacts_count + 1, sizeof(artifact),
		     err) != ERR_OK)
		return err->code;
	run->artifacts = list;
	if (apply_keep(run, event_text(f->event, EVENT_FIELD_ARTIFACT_PATH), &artifact.path, err) !=
		ERR_OK ||
	    apply_keep(run, event_text(f->event, EVENT_FIELD_OUTPUTS_HASH), &artifact.sha256,
		       err) != ERR_OK)
		return err->code;
	run->artifacts[run->artifacts_count++] = artifact;
	return ERR_OK;
}

enum err_code apply_quality(const struct fold *f, struct err *err)
{
	if (f->step->state != STEP_RUNNING || f->event->attempt != f->step->attempt)
		return err_set(err, f->refused,
			       "attempt %u of '%.*s' does not run and has no quality",
			       f->event->attempt, STR_ARG(f->run->model->steps[f->index].id));
	/* Once an attempt: a log that was cut behind it has it again when the result is taken
	 * again. */
	if (event_has(f->event, EVENT_FIELD_SOFT) && !f->step->is_quality_warned) {
		f->step->is_quality_warned = true;
		warn(f);
	}
	return apply_keep(f->run, event_text(f->event, EVENT_FIELD_DATA), &f->step->quality, err);
}
