/* decide_attempt.c - inputs about an attempt: whether it may begin, how it ended, that it is
 * lost */
#include "core/decide_intern.h"

#include "core/retry.h"

/* Does the input speak of the attempt that is running? */
static bool is_current(const struct ask *ask)
{
	return ask_state(ask)->state == STEP_RUNNING && ask_state(ask)->attempt == ask->in->attempt;
}

static void add_artifacts(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;

	for (size_t i = 0; i < result->artifacts_count; i++) {
		const struct decide_artifact *artifact = &result->artifacts[i];
		struct event *event =
		    ask_add_step(ask, artifact->is_quarantined ? EVENT_ARTIFACT_QUARANTINED
							       : EVENT_ARTIFACT_EMITTED);

		event_put_text(event, EVENT_FIELD_ARTIFACT_PATH, artifact->path);
		ask_put_some(event, EVENT_FIELD_NAME, artifact->name);
		ask_put_some(event, EVENT_FIELD_OUTPUTS_HASH, artifact->sha256);
		if (artifact->sha256.ptr)
			event_put_int(event, EVENT_FIELD_BYTES, (int64_t)artifact->bytes);
		if (artifact->is_mocked)
			event_put_flag(event, EVENT_FIELD_MOCKED);
		if (artifact->is_quarantined)
			ask_put_some(event, EVENT_FIELD_REASON, artifact->reason);
	}
}

static void add_quality(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	const struct quality *quality = ask_step(ask)->quality;
	struct event *event;

	if (!result->quality.ptr)
		return;
	event = ask_add_step(ask, EVENT_QUALITY_RECORDED);
	event_put_text(event, EVENT_FIELD_DATA, result->quality);
	ask_put_some(event, EVENT_FIELD_REASON, result->quality_reason);
	if (result->quality_reason.len && quality && quality->is_soft)
		event_put_flag(event, EVENT_FIELD_SOFT);
	if (result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
}

static void add_user_events(const struct ask *ask)
{
	for (size_t i = 0; i < ask->in->result->user_events_count; i++) {
		const struct event *user = &ask->in->result->user_events[i];
		struct event *event = ask_add(ask, EVENT_USER);

		event->type_text = user->type_text;
		event->attempt = ask->in->attempt;
		event_put_text(event, EVENT_FIELD_STEP_ID, ask_step(ask)->id);
		if (event_has(user, EVENT_FIELD_DATA))
			event_put_text(event, EVENT_FIELD_DATA, event_text(user, EVENT_FIELD_DATA));
	}
}

void ask_put_exit(const struct ask *ask, struct event *event)
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

static void add_gate_failed(const struct ask *ask, struct str class, struct str reason,
			    bool is_soft)
{
	struct event *event = ask_add_step(ask, EVENT_GATE_FAILED);

	event_put_text(event, EVENT_FIELD_ERROR_CLASS, class);
	ask_put_some(event, EVENT_FIELD_REASON, reason);
	ask_put_some(event, EVENT_FIELD_EVIDENCE, ask->in->result->evidence);
	if (is_soft)
		event_put_flag(event, EVENT_FIELD_SOFT);
}

/* Would a failure of this class now be the step's last (S5.4: gate.failed follows at once)? */
static bool is_last_failure(const struct ask *ask, enum error_class class)
{
	const struct retry *retry = ask_step(ask)->retry;

	return ask->run->state == RUN_FAILED || !error_class_may_be_listed(class) ||
	       !(retry->classes >> class & 1) ||
	       ask_state(ask)->failures + 1 >= retry->max_attempts;
}

/* A command's own word for it, when there is none of ours. */
struct str ask_class_shown(enum error_class class, struct str text)
{
	return text.len ? text : str_of(error_class_name(class));
}

static void add_failed(const struct ask *ask, enum error_class class, struct str class_text,
		       struct str reason)
{
	struct str name = ask_class_shown(class, class_text);
	struct event *event = ask_add_step(ask, EVENT_STEP_FAILED);

	event->attempt = ask->in->attempt;
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("failed"));
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, name);
	event_put_text(event, EVENT_FIELD_REASON, reason.len ? reason : STR("Step failed"));
	if (ask->in->result)
		ask_put_exit(ask, event);
}

static void add_succeeded(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	struct event *event = ask_add_step(ask, EVENT_STEP_SUCCEEDED);

	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("succeeded"));
	ask_put_some(event, EVENT_FIELD_OUTPUTS_HASH, result->outputs_hash);
	if (result->outputs_ref.len)
		event_put_text(event, EVENT_FIELD_OUTPUTS_REF, result->outputs_ref);
	else
		ask_put_some(event, EVENT_FIELD_OUTPUTS, result->outputs);
	if (result->updates_ref.len)
		event_put_text(event, EVENT_FIELD_CONTEXT_UPDATES_REF, result->updates_ref);
	else
		ask_put_some(event, EVENT_FIELD_CONTEXT_UPDATES, result->updates);
	ask_put_exit(ask, event);
	ask_put_some(event, EVENT_FIELD_CACHED_FROM, result->cached_from);
	ask_put_some(event, EVENT_FIELD_CACHE_KEY, result->cache_key);
	if (result->is_mocked)
		event_put_flag(event, EVENT_FIELD_MOCKED);
}

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
	if (ask_step(ask)->gate == GATE_HARD && class != CLASS_CANCELLED &&
	    class != CLASS_INTERRUPTED && is_last_failure(ask, class))
		add_gate_failed(ask, ask_class_shown(class, result->class_text), reason, false);
}

static void end_with_verdict(const struct ask *ask)
{
	const struct decide_result *result = ask->in->result;
	struct str class = str_of(error_class_name(CLASS_HARD_GATE_FAILED));
	enum gate_verdict verdict = result->verdict;
	struct str reason = result->verdict_reason;
	struct event *event;

	if (ask_step(ask)->pass.ptr && verdict == VERDICT_NONE) {
		verdict = VERDICT_FAILED; /* S5.5: only an explicit pass passes */
		reason = STR("`pass` was not evaluated");
	}
	if (verdict == VERDICT_PASSED) {
		event = ask_add_step(ask, EVENT_GATE_PASSED);
		event_put_text(event, EVENT_FIELD_EVIDENCE, result->evidence);
		if (result->is_verdict_mocked)
			event_put_flag(event, EVENT_FIELD_MOCKED);
	} else if (verdict == VERDICT_FAILED && ask_step(ask)->gate == GATE_SOFT) {
		add_gate_failed(ask, class, reason, true);
	} else if (verdict == VERDICT_FAILED) {
		add_failed(ask, CLASS_HARD_GATE_FAILED, STR_NONE, reason);
		add_gate_failed(ask, class, reason, false);
		return;
	}
	add_succeeded(ask);
}

enum err_code decide_on_ended(const struct ask *ask, struct err *err)
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

enum err_code decide_on_lost(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (!is_current(ask))
		return ERR_OK;
	ask->decider->is_unblocked = true;
	event = ask_add_step(ask, EVENT_STEP_LOST);
	event_put_text(event, EVENT_FIELD_ERROR_CLASS, STR("lost"));
	event_put_text(event, EVENT_FIELD_REASON,
		       ask->in->text.len ? ask->in->text : STR("the outcome cannot be known"));
	return ERR_OK;
}

enum err_code decide_on_leftovers(const struct ask *ask, struct err *err)
{
	(void)err;
	if (is_current(ask))
		decider_set_phase(ask->decider, ask->in->step, PHASE_STUCK);
	return ERR_OK;
}

/* A step that cannot even begin still leaves both lines: started and failed (DEFECT-A-A). The first
 * one says so too: a log that was cut behind it must not let the command run (S5.3, S11.2). */
static void start_and_fail(const struct ask *ask, enum error_class class, struct str reason)
{
	uint32_t attempt = decider_next_attempt(ask_state(ask));
	struct event *event = ask_add_step(ask, EVENT_STEP_STARTED);
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

enum err_code decide_on_when(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (ask->decider->phase[ask->in->step] != PHASE_ASKED)
		return ERR_OK;
	decider_set_phase(ask->decider, ask->in->step, PHASE_IDLE);
	/* not reached: not pending, as what moves a step ends its phase too */
	if (ask_state(ask)->state != STEP_PENDING || run_starts_nothing(ask->run))
		return ERR_OK;
	if (ask->in->error.ptr) {
		start_and_fail(ask, CLASS_CONFIGURATION,
			       decider_say(ask->decider, "when: %.*s", STR_ARG(ask->in->error)));
		return ERR_OK;
	}
	if (!ask->in->is_true) {
		event = ask_add_step(ask, EVENT_STEP_SKIPPED);
		event_put_text(event, EVENT_FIELD_REASON, str_of(skip_reason_name(SKIP_CONDITION)));
		return ERR_OK;
	}
	decider_set_phase(ask->decider, ask->in->step, PHASE_CLEARED);
	decide_set_push(&ask->decider->look, ask->in->step);
	return ERR_OK;
}

enum err_code decide_on_inputs(const struct ask *ask, struct err *err)
{
	struct event *event;

	(void)err;
	if (ask->decider->phase[ask->in->step] != PHASE_PREPARING)
		return ERR_OK;
	decider_set_phase(ask->decider, ask->in->step, PHASE_IDLE);
	if (run_starts_nothing(ask->run))
		return ERR_OK;
	if (ask->in->error.ptr) {
		start_and_fail(ask, ask->in->class, ask->in->error);
		return ERR_OK;
	}
	event = ask_add_step(ask, EVENT_STEP_STARTED);
	event->attempt = decider_next_attempt(ask_state(ask));
	event_put_text(event, EVENT_FIELD_NEW_STATE, STR("running"));
	event_put_text(event, EVENT_FIELD_INPUTS_HASH, ask->in->text);
	return ERR_OK;
}
