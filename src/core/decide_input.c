/* decide_input.c - what an input means for a run: a table from the kind of input to a function. */
#include "core/decide.h"
#include "core/decide_intern.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/graph.h"
#include "core/retry.h"

#include <string.h>

/* One input being decided. */
struct ask {
	struct decider *decider;
	const struct run_state *run;
	const struct input *in;
	int64_t now_ms;
	struct decide_events *events;
};

static struct event *add(const struct ask *ask, enum event_type type)
{
	BUG_IF(ask->events->count >= DECIDE_EVENTS_MAX);
	return decider_event(ask->decider, &ask->events->items[ask->events->count++], type,
			     ask->now_ms);
}

static struct event *add_step(const struct ask *ask, enum event_type type)
{
	BUG_IF(ask->events->count >= DECIDE_EVENTS_MAX);
	return decider_step_event(ask->decider, &ask->events->items[ask->events->count++], type,
				  ask->in->step, ask->now_ms);
}

static void put_some(struct event *event, enum event_field field, struct str text)
{
	if (text.len)
		event_put_text(event, field, text);
}

static const struct step_state *state_of(const struct ask *ask)
{
	return &ask->run->steps[ask->in->step];
}

static const struct step *step_of(const struct ask *ask)
{
	return &ask->run->model->steps[ask->in->step];
}

/* Does the input speak of the attempt that is running? */
static bool is_current(const struct ask *ask)
{
	return state_of(ask)->state == STEP_RUNNING && state_of(ask)->attempt == ask->in->attempt;
}

/* ------------------------------------------------------------------------ ends of attempts */

static void add_artifacts(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;

	for (size_t i = 0; i < result->artifacts_count; i++) {
		const struct decide_artifact *artifact = &result->artifacts[i];
		struct event *event = add_step(ask, artifact->is_quarantined
							    ? EVENT_ARTIFACT_QUARANTINED
							    : EVENT_ARTIFACT_EMITTED);

		event_put_text(event, EVENT_FIELD_ARTIFACT_PATH, artifact->path);
		put_some(event, EVENT_FIELD_NAME, artifact->name);
		put_some(event, EVENT_FIELD_OUTPUTS_HASH, artifact->sha256);
		if (artifact->sha256.ptr)
			event_put_int(event, EVENT_FIELD_BYTES, (int64_t)artifact->bytes);
		if (artifact->is_mocked)
			event_put_flag(event, EVENT_FIELD_MOCKED);
		if (artifact->is_quarantined)
			put_some(event, EVENT_FIELD_REASON, artifact->reason);
	}
}

static void add_quality(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	const struct quality *quality = step_of(ask)->quality;
	struct event *event;

	if (!result->quality.ptr)
		return;
	event = add_step(ask, EVENT_QUALITY_RECORDED);
	event_put_text(event, EVENT_FIELD_DATA, result->quality);
	put_some(event, EVENT_FIELD_REASON, result->quality_reason);
	if (result->quality_reason.len && quality && quality->is_soft)
		event_put_flag(event, EVENT_FIELD_SOFT);
	if (result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
}

static void add_user_events(const struct ask *ask)
{
	for (size_t i = 0; i < ask->in->result->user_events_count; i++) {
		const struct event *user = &ask->in->result->user_events[i];
		struct event *event = add(ask, EVENT_USER);

		event->type_text = user->type_text;
		event->attempt = ask->in->attempt;
		event_put_text(event, EVENT_FIELD_STEP_ID, step_of(ask)->id);
		if (event_has(user, EVENT_FIELD_DATA))
			event_put_text(event, EVENT_FIELD_DATA, event_text(user, EVENT_FIELD_DATA));
	}
}

static void put_exit(const struct ask *ask, struct event *event)
{
	const struct decide_result *result = ask->in->result;

	if (result->has_exit_code)
		event_put_int(event, EVENT_FIELD_EXIT_CODE, result->exit_code);
	if (result->has_signal)
		event_put_int(event, EVENT_FIELD_SIGNAL, result->signal);
	if (result->core)
		event_put_flag(event, EVENT_FIELD_CORE);
	if (result->has_errno)
		event_put_int(event, EVENT_FIELD_ERRNO, result->errno_value);
	if (result->duration_ms >= 0)
		event_put_int(event, EVENT_FIELD_DURATION_MS, result->duration_ms);
}

static void add_gate_failed(const struct ask *ask, struct str class, struct str reason, bool is_soft)
{
	struct event *event = add_step(ask, EVENT_GATE_FAILED);

	event_put_text(event, EVENT_FIELD_ERROR_CLASS, class);
	put_some(event, EVENT_FIELD_REASON, reason);
	put_some(event, EVENT_FIELD_EVIDENCE, ask->in->result->evidence);
	if (is_soft)
		event_put_flag(event, EVENT_FIELD_SOFT);
}

/* Would a failure of this class now be the step's last (S5.4: gate.failed follows at once)? */
static bool is_last_failure(const struct ask *ask, enum error_class class)
{
	const struct retry *retry = step_of(ask)->retry;

	return ask->run->state == RUN_FAILED || !error_class_may_be_listed(class) ||
	       !(retry->classes >> class & 1) || state_of(ask)->failures + 1 >= retry->max_attempts;
}

/* A command's own word for it, when there is none of ours. */
static struct str class_shown(enum error_class class, struct str text)
{
	return text.len ? text : str_of(error_class_name(class));
}

static void add_failed(const struct ask *ask, enum error_class class, struct str class_text,
		       struct str reason)
{
	struct str name = class_shown(class, class_text);
	struct event *event = add_step(ask, EVENT_STEP_FAILED);

	event->attempt = ask->in->attempt;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, name);
	event_put_text(event, EVENT_FIELD_REASON, reason.len ? reason : STR("Step failed"));
	if (ask->in->result)
		put_exit(ask, event);
}

static void add_succeeded(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	struct event *event = add_step(ask, EVENT_STEP_SUCCEEDED);

	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("succeeded"));
	put_some(event, EVENT_FIELD_OUTPUTS_HASH, result->outputs_hash);
	if (result->outputs_ref.len)
		event_put_text(event, EVENT_FIELD_OUTPUTS_REF, result->outputs_ref);
	else
		put_some(event, EVENT_FIELD_OUTPUTS, result->outputs);
	if (result->updates_ref.len)
		event_put_text(event, EVENT_FIELD_CONTEXT_UPDATES_REF, result->updates_ref);
	else
		put_some(event, EVENT_FIELD_CONTEXT_UPDATES, result->updates);
	put_exit(ask, event);
	put_some(event, EVENT_FIELD_CACHED_FROM, result->cached_from);
	put_some(event, EVENT_FIELD_CACHE_KEY, result->cache_key);
	if (result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
}

/* -------------------------------------------------------------------------------- rollback */

/* Does the input speak of the compensation that runs? */
static bool is_current_undo(const struct ask *ask)
{
	return ask->run->undo.is_running && ask->run->undo.attempt == ask->in->attempt;
}

static struct event *add_undo(const struct ask *ask, enum event_type type)
{
	struct input in = {.step = ask->run->undo.step};
	struct ask about = *ask;
	struct event *event;

	about.in = &in;
	event = add_step(&about, type);
	event->attempt = ask->run->undo.attempt;
	return event;
}

static enum err_code on_undo_ended(const struct ask *ask, struct err *err)
{
	const struct decide_result *result = ask->in->result;
	const struct undo_state *undo = &ask->run->undo;
	struct str class = class_shown(result->class, result->class_text);
	struct event *event;

	(void)err;
	if (!is_current_undo(ask))
		return ERR_OK;
	event = add_undo(ask, result->is_ok ? EVENT_STEP_COMPENSATED : EVENT_COMPENSATION_FAILED);
	put_exit(ask, event);
	if (result->is_ok && result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
	if (result->is_ok)
		return ERR_OK;
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, class);
	event_put_text(event, EVENT_FIELD_REASON,
		       result->reason.len ? result->reason : STR("the compensation failed"));
	if (!ask->run->is_stopping &&
	    run_may_retry_undo(ask->run, undo->step, result->class, undo->failures))
		event_put_int(event, EVENT_FIELD_DELAY_MS,
			      retry_delay_ms(ask->run->model->steps[undo->step].compensate_retry,
					     undo->failures, ask->run->seed, undo->step));
	return ERR_OK;
}

/* Whether it took effect cannot be known: a person looks, and asks for the rollback again (S8.2). */
static enum err_code on_undo_lost(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (!is_current_undo(ask))
		return ERR_OK;
	event = add_undo(ask, EVENT_COMPENSATION_FAILED);
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, str_of(error_class_name(CLASS_LOST)));
	event_put_text(event, EVENT_FIELD_REASON, STR("the outcome cannot be known"));
	return ERR_OK;
}

static enum err_code on_undo_leftovers(const struct ask *ask, struct err *err)
{
	(void)err;
	if (is_current_undo(ask))
		ask->decider->is_undo_stuck = true;
	return ERR_OK;
}

static enum err_code on_undo_due(const struct ask *ask, struct err *err)
{
	(void)err;
	if (ask->run->undo.is_retry)
		ask->decider->is_undo_due = true;
	return ERR_OK;
}

/* ------------------------------------------------------------------------ ends of attempts */

static void end_with_failure(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	enum error_class class = result->class;
	struct str reason = result->reason;

	if (ask->run->state == RUN_FAILED && class == CLASS_CANCELLED) {
		class = CLASS_TIMEOUT;
		reason = STR("the run's own deadline passed");
	}
	add_failed(ask, class, result->class_text, reason);
	if (step_of(ask)->gate == GATE_HARD && class != CLASS_CANCELLED &&
	    class != CLASS_INTERRUPTED && is_last_failure(ask, class))
		add_gate_failed(ask, class_shown(class, result->class_text), reason, false);
}

static void end_with_verdict(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	struct str class = str_of(error_class_name(CLASS_HARD_GATE_FAILED));
	enum gate_verdict verdict = result->verdict;
	struct str reason = result->verdict_reason;
	struct event *event;

	if (step_of(ask)->pass.ptr && verdict == VERDICT_NONE) {
		verdict = VERDICT_FAILED; /* S5.5: only an explicit pass passes */
		reason = STR("`pass` was not evaluated");
	}
	if (verdict == VERDICT_PASSED) {
		event = add_step(ask, EVENT_GATE_PASSED);
		event_put_text(event, EVENT_FIELD_EVIDENCE, result->evidence);
		if (result->is_verdict_mocked)
			event_put_flag(event, EVENT_FIELD_MOCKED);
	} else if (verdict == VERDICT_FAILED && step_of(ask)->gate == GATE_SOFT) {
		add_gate_failed(ask, class, reason, true);
	} else if (verdict == VERDICT_FAILED) {
		add_failed(ask, CLASS_HARD_GATE_FAILED, STR_NONE, reason);
		add_gate_failed(ask, class, reason, false);
		return;
	}
	add_succeeded(ask);
}

static enum err_code on_ended(const struct ask *ask, struct err *err)
{
	const struct decide_result *result = ask->in->result;

	if (!is_current(ask))
		return ERR_OK;
	if (result->artifacts_count + result->user_events_count + 5 > DECIDE_EVENTS_MAX)
		return err_set(err, ERR_LIMIT, "an attempt has more than %d artifacts and events",
			       DECIDE_EVENTS_MAX - 5);
	ask->decider->is_unblocked = true;
	add_user_events(ask);
	add_artifacts(ask);
	add_quality(ask);
	if (result->is_ok)
		end_with_verdict(ask);
	else
		end_with_failure(ask);
	return ERR_OK;
}

static enum err_code on_lost(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (!is_current(ask))
		return ERR_OK;
	ask->decider->is_unblocked = true;
	event = add_step(ask, EVENT_STEP_LOST);
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, STR("lost"));
	event_put_text(event, EVENT_FIELD_REASON,
		       ask->in->text.len ? ask->in->text : STR("the outcome cannot be known"));
	return ERR_OK;
}

static enum err_code on_leftovers(const struct ask *ask, struct err *err)
{
	(void)err;
	if (is_current(ask))
		decider_set_phase(ask->decider, ask->in->step, PHASE_STUCK);
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- answers */

/* A step that cannot even begin still leaves both lines: started and failed (DEFECT-A-A). The first one
 * says so too: a log that was cut behind it must not let the command run (S5.3, S11.2). */
static void start_and_fail(const struct ask *ask, enum error_class class, struct str reason)
{
	uint32_t attempt = decider_next_attempt(state_of(ask));
	struct event *event = add_step(ask, EVENT_STEP_STARTED);
	struct ask failing = *ask;
	struct input in = *ask->in;

	event->attempt = attempt;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("running"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, str_of(error_class_name(class)));
	event_put_text(event, EVENT_FIELD_REASON, reason);
	in.attempt = attempt;
	in.result = NULL;
	failing.in = &in;
	add_failed(&failing, class, STR_NONE, reason);
}

static enum err_code on_when(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (ask->decider->phase[ask->in->step] != PHASE_ASKED)
		return ERR_OK;
	decider_set_phase(ask->decider, ask->in->step, PHASE_IDLE);
	if (state_of(ask)->state != STEP_PENDING || ask->run->is_failing || ask->run->is_stopping)
		return ERR_OK;
	if (ask->in->error.ptr) {
		start_and_fail(ask, CLASS_CONFIGURATION,
			       decider_say(ask->decider, "when: %.*s", STR_ARG(ask->in->error)));
		return ERR_OK;
	}
	if (!ask->in->is_true) {
		event = add_step(ask, EVENT_STEP_SKIPPED);
		event_put_text(event, EVENT_FIELD_REASON, str_of(skip_reason_name(SKIP_CONDITION)));
		return ERR_OK;
	}
	decider_set_phase(ask->decider, ask->in->step, PHASE_CLEARED);
	decide_set_push(&ask->decider->look, ask->in->step);
	return ERR_OK;
}

static enum err_code on_inputs(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (ask->decider->phase[ask->in->step] != PHASE_PREPARING)
		return ERR_OK;
	decider_set_phase(ask->decider, ask->in->step, PHASE_IDLE);
	if (ask->run->is_failing || ask->run->is_stopping)
		return ERR_OK;
	if (ask->in->error.ptr) {
		start_and_fail(ask, ask->in->class, ask->in->error);
		return ERR_OK;
	}
	event = add_step(ask, EVENT_STEP_STARTED);
	event->attempt = decider_next_attempt(state_of(ask));
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("running"));
	event_put_text(event, EVENT_FIELD_INPUTS_HASH, ask->in->text);
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- timers */

static enum err_code on_retry_due(const struct ask *ask, struct err *err)
{
	uint32_t step = ask->in->step;

	(void)err;
	if (!state_of(ask)->is_retry || state_of(ask)->state != STEP_PENDING ||
	    ask->decider->phase[step] != PHASE_IDLE)
		return ERR_OK;
	decider_set_phase(ask->decider, step, PHASE_CLEARED);
	decide_set_push(&ask->decider->look, step); /* a resume may have opened what it needs */
	return ERR_OK;
}

static enum err_code on_wait_over(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (state_of(ask)->state != STEP_WAITING || state_of(ask)->is_approved ||
	    state_of(ask)->is_rejected || ask->run->undo.is_begun)
		return ERR_OK;
	event = add_step(ask, EVENT_GATE_REJECTED);
	event_put_text(event, EVENT_FIELD_REASON, STR("nobody approved in time"));
	return ERR_OK;
}

static enum err_code on_run_deadline(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if ((ask->run->state != RUN_EXECUTING && ask->run->state != RUN_BLOCKED) ||
	    ask->run->undo.is_begun) /* a rollback takes the time that it needs */
		return ERR_OK;
	if (run_ends_stopped(ask->run)) { /* S3.3: it still ends in stopped, but now */
		if (ask->run->is_stop_now)
			return ERR_OK;
		event = add(ask, EVENT_RUN_STOP_REQUESTED);
		event_put_flag(event, EVENT_FIELD_NOW);
		event_put_text(event, EVENT_FIELD_REASON, STR("the run's own deadline passed"));
		return ERR_OK;
	}
	event = add(ask, EVENT_RUN_STATE_CHANGED);
	event_put_text(event, EVENT_FIELD_PREVIOUS_STATE, str_of(run_state_name(ask->run->state)));
	event_put_text(event, EVENT_FIELD_NEW_STATE, str_of(run_state_name(RUN_FAILED)));
	event_put_text(event, EVENT_FIELD_REASON, STR("the run's own deadline passed"));
	return ERR_OK;
}

/* ---------------------------------------------------------------------------------- people */

static void put_person(struct ask const *ask, struct event *event)
{
	const struct decide_person *person = ask->in->person;

	event->actor = decider_say(ask->decider, "manual:%.*s", STR_ARG(person->name));
	put_some(event, EVENT_FIELD_REASON, person->reason);
	if (person->uid >= 0)
		event_put_int(event, EVENT_FIELD_PEER_UID, person->uid);
	if (person->pid >= 0)
		event_put_int(event, EVENT_FIELD_PEER_PID, person->pid);
}

static enum err_code on_stop(const struct ask *ask, struct err *err)
{
	struct event *event;

	if (run_state_is_end(ask->run->state) && !ask->run->is_resuming && !run_is_undoing(ask->run))
		return err_set(err, ERR_REFUSED, "the run is %s already",
			       run_state_name(ask->run->state));
	if (ask->run->is_stopping && (ask->run->is_stop_now || !ask->in->is_true))
		return ERR_OK; /* nothing new is asked */
	event = add(ask, EVENT_RUN_STOP_REQUESTED);
	if (ask->in->is_true)
		event_put_flag(event, EVENT_FIELD_NOW);
	if (ask->in->person)
		put_person(ask, event);
	return ERR_OK;
}

static enum err_code check_person(const struct ask *ask, struct err *err)
{
	const struct decide_person *person = ask->in->person;

	if (!person->name.len)
		return err_set(err, ERR_REFUSED, "a decision on a gate needs a name (--as NAME)");
	if (!person->reason.len)
		return err_set(err, ERR_REFUSED, "a decision on a gate needs a reason (--reason TEXT)");
	return ERR_OK;
}

/* Is there something to decide: an approval that is asked for, or a lost attempt that is held? */
static enum err_code check_asked(const struct ask *ask, struct err *err)
{
	const struct step_state *at = state_of(ask);
	bool is_asked = (at->state == STEP_WAITING && !at->is_rejected && !at->is_approved) ||
			(at->is_held && !at->is_approved);

	if (is_asked && at->due_ms && ask->now_ms >= at->due_ms)
		return err_set(err, ERR_REFUSED, "the time to decide on '%.*s' is over",
			       STR_ARG(step_of(ask)->id)); /* S7.6: whoever owns the run next rejects */
	if (ask->run->undo.is_begun)
		return err_set(err, ERR_REFUSED, "the run is being rolled back, or was: '%.*s' waits for no decision",
			       STR_ARG(step_of(ask)->id));
	if (is_asked && run_state_is_end(ask->run->state) && !ask->run->is_resuming)
		return err_set(err, ERR_REFUSED,
			       "the run is %s: '%.*s' waits for no decision until it is resumed",
			       run_state_name(ask->run->state), STR_ARG(step_of(ask)->id));
	if (is_asked)
		return ERR_OK;
	return err_set(err, ERR_REFUSED, "step '%.*s' is %s and waits for no decision",
		       STR_ARG(step_of(ask)->id),
		       at->is_approved ? "approved already" : step_state_name(at->state));
}

static bool has_approved(const struct ask *ask, struct str name)
{
	for (const struct approver *other = state_of(ask)->approvers; other; other = other->next) {
		if (str_eq(str_cut(other->name, strlen("manual:"), other->name.len), name))
			return true;
	}
	return false;
}

/* Say who may decide and has not yet; nothing when that is anybody. */
static enum err_code hint_approvers(const struct ask *ask, struct err *err)
{
	const struct approval *approval = step_of(ask)->approval;
	AUTO(buf_fini) struct buf names = BUF_INIT;

	for (uint32_t i = 0; approval && i < approval->by_count; i++) {
		if (!has_approved(ask, approval->by[i]))
			buf_fmt(&names, "%s%.*s", names.len > 0 ? ", " : "", STR_ARG(approval->by[i]));
	}
	return names.len > 0 ? err_hint(err, "who may: %.*s (--as NAME)", STR_ARG(buf_view(&names)))
			     : err->code;
}

static enum err_code check_may_approve(const struct ask *ask, struct err *err)
{
	const struct approval *approval = step_of(ask)->approval;
	const struct decide_person *person = ask->in->person;
	bool is_allowed = !approval || approval->by_count == 0;

	for (uint32_t i = 0; approval && i < approval->by_count; i++)
		is_allowed = is_allowed || str_eq(approval->by[i], person->name);
	if (is_allowed)
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "'%.*s' is not among those who may decide on '%.*s'",
		      STR_ARG(person->name), STR_ARG(step_of(ask)->id));
	return hint_approvers(ask, err);
}

static enum err_code on_approve(const struct ask *ask, struct err *err)
{
	const struct decide_person *person = ask->in->person;

	if (check_person(ask, err) != ERR_OK || check_asked(ask, err) != ERR_OK ||
	    check_may_approve(ask, err) != ERR_OK)
		return err->code;
	if (has_approved(ask, person->name)) {
		(void)err_set(err, ERR_REFUSED, "'%.*s' has approved '%.*s' already",
			      STR_ARG(person->name), STR_ARG(step_of(ask)->id));
		return hint_approvers(ask, err);
	}
	put_person(ask, add_step(ask, EVENT_GATE_APPROVED));
	return ERR_OK;
}

static enum err_code on_reject(const struct ask *ask, struct err *err)
{
	if (check_person(ask, err) != ERR_OK || check_asked(ask, err) != ERR_OK ||
	    check_may_approve(ask, err) != ERR_OK)
		return err->code;
	put_person(ask, add_step(ask, EVENT_GATE_REJECTED));
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- resume */

/* Is the id among the first `count` overrides? */
static bool is_overridden(const struct decide_resume *resume, size_t count, struct str id)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(resume->overrides[i], id))
			return true;
	}
	return false;
}

static enum err_code check_overrides(const struct run_state *run,
				     const struct decide_resume *resume, struct err *err)
{
	if (resume->overrides_count > DECIDE_EVENTS_MAX / 2)
		return err_set(err, ERR_LIMIT, "more than %d overrides", DECIDE_EVENTS_MAX / 2);
	for (size_t i = 0; i < resume->overrides_count; i++) {
		uint32_t step = model_find(run->model, resume->overrides[i]);

		if (step == STEP_NONE)
			return err_set(err, ERR_NOT_FOUND, "there is no step '%.*s' to override",
				       STR_ARG(resume->overrides[i]));
		if (!run->steps[step].is_gate_failed && !run->steps[step].is_waived)
			return err_set(err, ERR_REFUSED, "'%.*s' is not a failed gate: nothing to override",
				       STR_ARG(resume->overrides[i]));
	}
	if (resume->overrides_count && !resume->person.reason.len)
		return err_set(err, ERR_REFUSED, "an override needs a reason (--reason TEXT)");
	if (resume->overrides_count && !resume->person.name.len)
		return err_set(err, ERR_REFUSED, "an override needs a name (--as NAME)");
	return ERR_OK;
}

static enum err_code check_gates(const struct run_state *run, const struct decide_resume *resume,
				 struct err *err)
{
	AUTO(buf_fini) struct buf names = BUF_INIT;
	AUTO(buf_fini) struct buf options = BUF_INIT;
	struct str all; /* as it would be typed; a hint that was cut would name too few */

	for (uint32_t i = 0; run->gates_barred && i < run->model->steps_count; i++) {
		struct str id = run->model->steps[i].id;

		if (!run->steps[i].is_gate_failed)
			continue;
		buf_fmt(&options, " --override %.*s", STR_ARG(id));
		if (!is_overridden(resume, resume->overrides_count, id))
			buf_fmt(&names, "%s%.*s", names.len ? ", " : "", STR_ARG(id));
	}
	if (!names.len)
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "Hard gate failures: %.*s", STR_ARG(buf_view(&names)));
	all = options.len <= 64 ? buf_view(&options) : STR(" --override GATE (for each)");
	return err_hint(err, "look at the evidence, then: sluice resume %.*s%.*s --reason TEXT",
			STR_ARG(run->run_id), STR_ARG(all));
}

static enum err_code check_from(const struct run_state *run, struct str from, struct err *err)
{
	uint32_t step = model_find(run->model, from);
	const struct step *def;
	bool has_any = false;

	if (step == STEP_NONE)
		return err_set(err, ERR_NOT_FOUND, "there is no step '%.*s'", STR_ARG(from));
	if (run->steps[step].is_excluded || run->steps[step].is_given) {
		(void)err_set(err, ERR_REFUSED, "'%.*s' is not among the steps of this run",
			      STR_ARG(from));
		return err_hint(err, "it was started for a part of its pipeline; start another run for "
				     "the rest");
	}
	if (run->count[STEP_RUNNING] > 0)
		return err_set(err, ERR_REFUSED,
			       "--from needs a run without running steps: resume it first");
	def = &run->model->steps[step];
	for (uint32_t i = 0; i < def->needs_any_count; i++)
		has_any = has_any || run->steps[def->needs_any[i]].state == STEP_SUCCEEDED;
	if (def->needs_any_count && !has_any)
		return err_set(err, ERR_REFUSED, "none of what '%.*s' needs succeeded", STR_ARG(from));
	for (uint32_t i = 0; i < def->needs_count; i++) {
		uint32_t need = def->needs[i];

		if (run->steps[need].state != STEP_SUCCEEDED)
			return err_set(err, ERR_REFUSED, "'%.*s' needs '%.*s', which is %s",
				       STR_ARG(from), STR_ARG(run->model->steps[need].id),
				       step_state_name(run->steps[need].state));
	}
	return ERR_OK;
}

/* A rollback that is under way goes on with a resume, one that rests with another rollback: nothing runs
 * forward any more (S10). */
static enum err_code check_undo(const struct run_state *run, const struct decide_resume *resume,
				struct err *err)
{
	if (!run_is_undoing(run)) {
		(void)err_set(err, ERR_REFUSED, "the run was rolled back in part: it cannot go forward again");
		return err_hint(err, "go on with it: sluice rollback %.*s", STR_ARG(run->run_id));
	}
	if (resume->from.ptr || resume->params.ptr || resume->overrides_count || resume->next)
		return err_set(err, ERR_REFUSED,
			       "the run is being rolled back: --from, --file, --override and -p mean nothing "
			       "now");
	return ERR_OK;
}

enum err_code decide_rollback_check(const struct run_state *run, struct err *err)
{
	if (run->state == RUN_ROLLED_BACK)
		return err_set(err, ERR_REFUSED, "the run is rolled_back already");
	if (run->state == RUN_FAILED || run->state == RUN_STOPPED || run->state == RUN_BLOCKED)
		return ERR_OK;
	(void)err_set(err, ERR_REFUSED, "the run is %s: only what failed, was stopped or is blocked can be rolled back",
		      run_state_name(run->state));
	if (run->state == RUN_SUCCEEDED)
		return err->code;
	return err_hint(err, "bring it to rest first: sluice resume %.*s, or sluice stop %.*s", STR_ARG(run->run_id),
			STR_ARG(run->run_id));
}

static enum err_code on_rollback(const struct ask *ask, struct err *err)
{
	struct event *event;

	if (decide_rollback_check(ask->run, err) != ERR_OK)
		return err->code;
	event = add(ask, EVENT_RUN_ROLLBACK_STARTED);
	event_put_text(event, EVENT_FIELD_BOOT_ID, ask->in->text);
	put_person(ask, event);
	return ERR_OK;
}

static enum err_code check_params(const struct model *model, struct str params, struct err *err)
{
	struct str name;
	struct str value;
	size_t at = 0;

	while (params.ptr && json_member(params, &at, &name, &value)) {
		uint32_t i = 0;

		while (i < model->params_count && !str_eq(model->params[i].name, name))
			i++;
		if (i == model->params_count)
			return err_set(err, ERR_USAGE, "the pipeline has no parameter '%.*s'",
				       STR_ARG(name));
	}
	return ERR_OK;
}

enum err_code decide_resume_check(const struct run_state *run, const struct decide_resume *resume,
				  struct err *err)
{
	if (run->state == RUN_SUCCEEDED || run->state == RUN_ROLLED_BACK)
		return err_set(err, ERR_REFUSED, "the run is in the terminal state %s",
			       run_state_name(run->state));
	if (run->undo.is_begun || run_is_undoing(run))
		return check_undo(run, resume, err);
	if (resume->next && decide_check_change(run, resume, err) != ERR_OK)
		return err->code;
	if (run->is_stopping && run->state != RUN_FAILED && run->state != RUN_STOPPED && resume->from.ptr)
		return err_set(err, ERR_REFUSED,
			       "the run is being stopped: let a resume without --from end that first");
	if (check_params(resume->next ? resume->next : run->model, resume->params, err) != ERR_OK ||
	    check_overrides(run, resume, err) != ERR_OK)
		return err->code;
	/* A run that fails at this moment may be taken over: it goes on failing. But --from would open the
	 * gate again. */
	if ((run->state == RUN_FAILED || run->state == RUN_STOPPED || resume->from.ptr || resume->next) &&
	    check_gates(run, resume, err) != ERR_OK)
		return err->code;
	if (!resume->from.ptr)
		return ERR_OK;
	return resume->next ? decide_check_from(run, resume, err) : check_from(run, resume->from, err);
}

/* The log was cut between the two lines of a step that could not begin: the second one comes before
 * anybody asks for what runs. There is one at most, as the two are made together. */
static void add_stillborn(const struct ask *ask)
{
	uint32_t running = ask->run->count[STEP_RUNNING];

	for (uint32_t i = 0; running && i < ask->run->model->steps_count; i++) {
		if (!ask->run->steps[i].is_stillborn)
			continue;
		decider_stillborn_event(ask->decider, &ask->events->items[ask->events->count++], i,
					ask->now_ms);
		return;
	}
}

static enum err_code on_resume(const struct ask *ask, struct err *err)
{
	const struct decide_resume *resume = ask->in->resume;
	struct event *event;

	if (decide_resume_check(ask->run, resume, err) != ERR_OK)
		return err->code;
	add_stillborn(ask);
	for (size_t i = 0; i < resume->overrides_count; i++) {
		uint32_t step = model_find(ask->run->model, resume->overrides[i]);

		if (ask->run->steps[step].is_waived || is_overridden(resume, i, resume->overrides[i]))
			continue; /* recorded already */
		event = add(ask, EVENT_RUN_OVERRIDE_APPLIED);
		event->actor = decider_say(ask->decider, "manual:%.*s", STR_ARG(resume->person.name));
		event_put_text(event, EVENT_FIELD_GATE, resume->overrides[i]);
		event_put_text(event, EVENT_FIELD_OVERRIDE_REASON, resume->person.reason);
	}
	event = add(ask, EVENT_RUN_RESUMED);
	event_put_text(event, EVENT_FIELD_DEFINITION_HASH, resume->definition_hash);
	event_put_text(event, EVENT_FIELD_BOOT_ID, resume->boot_id);
	put_some(event, EVENT_FIELD_FROM, resume->from);
	put_some(event, EVENT_FIELD_PARAMS, resume->params);
	put_some(event, EVENT_FIELD_REASON, resume->reason);
	if (resume->next) {
		event_put_text(event, EVENT_FIELD_CHANGES, resume->changes);
		put_some(event, EVENT_FIELD_SOURCE_REF, resume->source_ref);
		put_some(event, EVENT_FIELD_FILE, resume->file);
	}
	return ERR_OK;
}

uint32_t decide_resume_point(const struct run_state *run)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];

		if (at->state == STEP_SUCCEEDED || at->state == STEP_COMPENSATED)
			continue;
		if (at->state == STEP_SKIPPED &&
		    (at->skip == SKIP_CONDITION || at->skip == SKIP_CHOICE_NOT_TAKEN))
			continue;
		if (at->state == STEP_FAILED && at->is_waived &&
		    run->model->steps[i].gate != GATE_MANUAL)
			continue;
		return i;
	}
	return STEP_NONE;
}

/* ----------------------------------------------------------------------------- the engine's own */

static enum err_code on_projection_failed(const struct ask *ask, struct err *err)
{
	struct event *event = add(ask, EVENT_PROJECTION_FAILED);

	(void)err;
	event_put_text(event, EVENT_FIELD_WHICH, ask->in->text);
	event_put_text(event, EVENT_FIELD_REASON, ask->in->error);
	return ERR_OK;
}

static enum err_code on_repaired(const struct ask *ask, struct err *err)
{
	struct event *event = add(ask, EVENT_LOG_REPAIRED);

	(void)err;
	event_put_int(event, EVENT_FIELD_BYTES, ask->in->number);
	event_put_text(event, EVENT_FIELD_SHA256, ask->in->text);
	return ERR_OK;
}

typedef enum err_code ask_fn(const struct ask *ask, struct err *err);

static ask_fn *const asks[] = {
	[INPUT_ENDED] = on_ended,
	[INPUT_LOST] = on_lost,
	[INPUT_LEFTOVERS] = on_leftovers,
	[INPUT_WHEN] = on_when,
	[INPUT_INPUTS] = on_inputs,
	[INPUT_RETRY_DUE] = on_retry_due,
	[INPUT_WAIT_OVER] = on_wait_over,
	[INPUT_RUN_DEADLINE] = on_run_deadline,
	[INPUT_STOP] = on_stop,
	[INPUT_APPROVE] = on_approve,
	[INPUT_REJECT] = on_reject,
	[INPUT_RESUME] = on_resume,
	[INPUT_ROLLBACK] = on_rollback,
	[INPUT_UNDO_ENDED] = on_undo_ended,
	[INPUT_UNDO_LOST] = on_undo_lost,
	[INPUT_UNDO_LEFTOVERS] = on_undo_leftovers,
	[INPUT_UNDO_DUE] = on_undo_due,
	[INPUT_PROJECTION_FAILED] = on_projection_failed,
	[INPUT_REPAIRED] = on_repaired,
};

enum err_code decide_input(struct decider *decider, const struct input *input, int64_t now_ms,
			   struct decide_events *events, struct err *err)
{
	struct ask ask = {decider, decider->run, input, now_ms, events};

	events->count = 0;
	return asks[input->kind](&ask, err);
}
