/* apply.c - the fold: a table from event type to a function, one function for each kind of fact.
 *
 * The functions are in apply_run.c, apply_step.c, apply_resume.c, apply_change.c and apply_undo.c.
 * The machines of run.def and step.def are asked before anything changes. */
#include "core/apply.h"
#include "core/apply_intern.h"

#include "base/mem.h"

static const char *const step_event_names[] = {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what) what,
#define ROW(from, event, to, effect, why)
#include "core/step.def"
};

struct step_row {
	enum step_state_id from;
	enum step_event event;
	enum step_state_id to;
};

static const struct step_row step_rows[] = {
#define STATE(name, value, kind, text, what)
#define EVENT(name, what)
#define ROW(from, event, to, effect, why) {STEP_##from, STEP_EVENT_##event, STEP_##to},
#include "core/step.def"
};

enum err_code apply_keep(struct run_state *run, struct str text, struct str *ret_kept,
			 struct err *err)
{
	struct str kept;

	if (!text.ptr) {
		*ret_kept = STR_NONE;
		return ERR_OK;
	}
	if (str_eq(*ret_kept, text) && ret_kept->ptr)
		return ERR_OK; /* the same text again needs no second copy */
	kept = arena_str(&run->arena, text);
	if (!kept.ptr)
		return mem_err(err);
	*ret_kept = kept;
	return ERR_OK;
}

void apply_set_state(struct run_state *run, struct step_state *step, enum step_state_id to)
{
	run->count[step->state]--;
	run->count[to]++;
	step->state = to;
}

enum err_code apply_move(const struct fold *f, uint32_t index, enum step_event event,
			 struct err *err)
{
	struct step_state *step = &f->run->steps[index];

	for (size_t i = 0; i < ARRAY_LEN(step_rows); i++) {
		if (step_rows[i].from == step->state && step_rows[i].event == event) {
			apply_set_state(f->run, step, step_rows[i].to);
			return ERR_OK;
		}
	}
	return err_set(err, f->refused, "step '%.*s' is %s and refuses %s",
		       STR_ARG(f->run->model->steps[index].id), step_state_name(step->state),
		       step_event_names[event]);
}

enum err_code apply_keep_class(const struct fold *f, enum error_class fallback,
			       enum error_class *ret_class, struct str *ret_text, struct err *err)
{
	struct str name = event_text(f->event, EVENT_FIELD_ERROR_CLASS);

	if (error_class_of(name, ret_class)) {
		*ret_text = STR_NONE;
		return ERR_OK;
	}
	*ret_class = fallback;
	return apply_keep(f->run, name, ret_text, err);
}

static enum err_code on_nothing(const struct fold *f, struct err *err)
{
	(void)f;
	(void)err;
	return ERR_OK;
}

static apply_fn *const folds[] = {
    [EVENT_RUN_CREATED] = apply_created,
    [EVENT_RUN_STATE_CHANGED] = apply_state_changed,
    [EVENT_RUN_COMPLETED] = apply_completed,
    [EVENT_RUN_RESUMED] = apply_resumed,
    [EVENT_RUN_STOP_REQUESTED] = apply_stop_requested,
    [EVENT_RUN_OVERRIDE_APPLIED] = apply_override,
    [EVENT_STEP_STARTED] = apply_started,
    [EVENT_STEP_SUCCEEDED] = apply_succeeded,
    [EVENT_STEP_FAILED] = apply_failed,
    [EVENT_STEP_RETRIED] = apply_retried,
    [EVENT_STEP_WAITING] = apply_waiting,
    [EVENT_STEP_SKIPPED] = apply_skipped,
    [EVENT_STEP_LOST] = apply_lost,
    [EVENT_RUN_ROLLBACK_STARTED] = apply_rollback_started,
    [EVENT_COMPENSATION_STARTED] = apply_compensation_started,
    [EVENT_STEP_COMPENSATED] = apply_compensated,
    [EVENT_COMPENSATION_FAILED] = apply_compensation_failed,
    [EVENT_GATE_PASSED] = on_nothing,
    [EVENT_GATE_FAILED] = apply_gate_failed,
    [EVENT_GATE_APPROVED] = apply_approved,
    [EVENT_GATE_REJECTED] = apply_rejected,
    [EVENT_QUALITY_RECORDED] = apply_quality,
    [EVENT_ARTIFACT_EMITTED] = apply_artifact,
    [EVENT_ARTIFACT_QUARANTINED] = on_nothing,
    [EVENT_PROJECTION_FAILED] = apply_projection_failed,
    [EVENT_LOG_REPAIRED] = on_nothing,
    [EVENT_USER] = on_nothing,
    [EVENT_UNKNOWN] = NULL,
};

enum err_code apply(struct run_state *run, const struct event *event, enum err_code refused,
		    struct err *err)
{
	return apply_next(run, event, NULL, refused, err);
}

enum err_code apply_next(struct run_state *run, const struct event *event, const struct model *next,
			 enum err_code refused, struct err *err)
{
	struct fold f = {
	    .run = run, .event = event, .index = STEP_NONE, .refused = refused, .next = next};

	if (event->seq != run->seq + 1)
		return err_set(err, refused, "event %llu comes after %llu",
			       (unsigned long long)event->seq, (unsigned long long)run->seq);
	if (run->seq == 0 && event->type != EVENT_RUN_CREATED)
		return err_set(err, refused, "the first event is '%.*s', not run.created",
			       STR_ARG(event->type_text));
	if (!folds[event->type]) /* reserved for later kinds of steps, or of a newer version */
		return err_set(err, ERR_NEWER, "'%.*s' is not in this version",
			       STR_ARG(event->type_text));
	if (event_is_about_step(event->type)) {
		f.index = model_find_near(run->model, event_text(event, EVENT_FIELD_STEP_ID),
					  &run->likely[event->type]);
		if (f.index == STEP_NONE)
			return err_set(err, refused, "the definition has no step '%.*s'",
				       STR_ARG(event_text(event, EVENT_FIELD_STEP_ID)));
		f.step = &run->steps[f.index];
	}
	if (folds[event->type](&f, err) != ERR_OK)
		return err->code;
	run->seq = event->seq;
	run->last_ms = event->time_utc_ms;
	run->last_step = f.index;
	return ERR_OK;
}
