/* explain_trail.c - see explain_trail.h */
#include "report/explain_trail.h"

#include "base/mem.h"
#include "lang/expr.h"
#include "lang/token.h"

#define CHAIN_MAX       64  /* steps whose conditions are looked at */
#define VALUE_BYTES_MAX 120 /* of a value that is shown */
#define NEAREST_MAX     1024

struct reading {
	struct trail *trail;
	struct str step;
	const struct model *model; /* that trail->steps is of; NULL = none yet */
};

void trail_fini(struct trail *trail)
{
	fold_fini(&trail->fold);
	arena_fini(&trail->arena);
	mem_free(trail->steps);
	mem_free(trail->ends.items);
	mem_free(trail->undos.items);
	mem_free(trail->approvals);
	*trail = (struct trail){.steps = NULL};
}

static enum err_code keep(struct trail *trail, struct str text, struct str *ret_kept,
			  struct err *err)
{
	struct str kept = STR_NONE;

	if (text.ptr) {
		kept = arena_str(&trail->arena, text);
		if (!kept.ptr)
			return mem_err(err);
	}
	*ret_kept = kept;
	return ERR_OK;
}

static enum err_code unknown_step(const struct model *model, struct str step, struct err *err)
{
	AUTO(mem_drop) const char **ids = NULL;
	const char *nearest = NULL;

	(void)err_set(err, ERR_NOT_FOUND, "the run has no step '%.*s'",
		      (int)(step.len < 160 ? step.len : 160), step.ptr);
	if (model->steps_count <= NEAREST_MAX)
		ids = mem_new(model->steps_count, sizeof(*ids));
	for (uint32_t i = 0; ids && i < model->steps_count; i++)
		ids[i] = model->steps[i].id.ptr;
	if (ids)
		nearest = str_nearest(step, ids, model->steps_count);
	return nearest ? err_hint(err, "did you mean '%s'?", nearest)
		       : err_hint(err, "`sluice status RUN` lists the steps");
}

/* ------------------------------------------------------------------ events about the run */

static enum err_code note_run_event(struct trail *trail, const struct run_state *run,
				    const struct event *event, struct err *err)
{
	uint32_t gate;

	if (event->type == EVENT_RUN_CREATED) {
		trail->created_ms = event->time_utc_ms;
		trail->changed = event->seq;
		return keep(trail, event_text(event, EVENT_FIELD_REASON), &trail->created_reason,
			    err);
	}
	if (event->type == EVENT_RUN_STATE_CHANGED)
		trail->changed = event->seq;
	if (event->type == EVENT_RUN_COMPLETED)
		trail->completed = event->seq;
	if (event->type == EVENT_RUN_STOP_REQUESTED) {
		trail->stopped = event->seq;
		if (keep(trail, event->actor, &trail->stop_by, err) != ERR_OK)
			return err->code;
		return keep(trail, event_text(event, EVENT_FIELD_REASON), &trail->stop_reason, err);
	}
	if (event->type == EVENT_RUN_ROLLBACK_STARTED) {
		trail->rollback = event->seq;
		trail->completed = 0;
		trail->stopped = 0;
		if (keep(trail, event->actor, &trail->rollback_by, err) != ERR_OK)
			return err->code;
		return keep(trail, event_text(event, EVENT_FIELD_REASON), &trail->rollback_reason,
			    err);
	}
	if (event->type == EVENT_RUN_RESUMED) {
		trail->resumed = event->seq;
		trail->resumes++;
		if (event_has(event, EVENT_FIELD_CHANGES))
			trail->redefined = event->seq;
		trail->completed = 0;
		trail->stopped = 0;
		return keep(trail, event_text(event, EVENT_FIELD_FROM), &trail->resumed_from, err);
	}
	if (event->type != EVENT_RUN_OVERRIDE_APPLIED)
		return ERR_OK;
	trail->overridden = event->seq;
	trail->overrides++;
	gate = model_find(run->model, event_text(event, EVENT_FIELD_GATE));
	if (gate == STEP_NONE)
		return ERR_OK;
	trail->steps[gate].overridden = event->seq;
	if (keep(trail, event->actor, &trail->steps[gate].override_by, err) != ERR_OK)
		return err->code;
	return keep(trail, event_text(event, EVENT_FIELD_OVERRIDE_REASON),
		    &trail->steps[gate].override_reason, err);
}

/* ------------------------------------------------------------------------ events about steps */

static uint64_t *place_of(struct trail_step *step, enum event_type type)
{
	switch ((int)type) { /* the rest of the many types has no place */
	case EVENT_STEP_STARTED:
		return &step->started;
	case EVENT_STEP_SUCCEEDED:
	case EVENT_STEP_FAILED:
	case EVENT_STEP_LOST:
		return &step->ended;
	case EVENT_STEP_SKIPPED:
		return &step->skipped;
	case EVENT_STEP_WAITING:
		return &step->waiting;
	case EVENT_STEP_RETRIED:
		return &step->retried;
	case EVENT_STEP_COMPENSATED:
		return &step->compensated;
	case EVENT_COMPENSATION_FAILED:
		return &step->undo_failed;
	case EVENT_QUALITY_RECORDED:
		return &step->quality;
	case EVENT_GATE_PASSED:
		return &step->gate_passed;
	case EVENT_GATE_FAILED:
		return &step->gate_failed;
	case EVENT_GATE_APPROVED:
		return &step->approved;
	case EVENT_GATE_REJECTED:
		return &step->rejected;
	default:
		return NULL;
	}
}

static enum err_code ends_add(struct trail_ends *ends, const struct event *event, bool is_start,
			      struct err *err)
{
	void *list = ends->items;

	if (mem_grow(&list, &ends->capacity, ends->count + 1, sizeof(*ends->items), err) != ERR_OK)
		return err->code;
	ends->items = list;
	ends->items[ends->count++] = (struct trail_end){
	    .attempt = event->attempt,
	    .started = is_start ? event->seq : 0,
	};
	return ERR_OK;
}

static enum err_code note_ending(struct trail *trail, struct trail_end *end,
				 const struct event *event, struct err *err)
{
	end->ended = event->seq;
	end->exit_code = event_int(event, EVENT_FIELD_EXIT_CODE, -1);
	end->signal = event_int(event, EVENT_FIELD_SIGNAL, 0);
	end->system_errno = event_int(event, EVENT_FIELD_ERRNO, 0);
	end->duration_ms = event_int(event, EVENT_FIELD_DURATION_MS, -1);
	if (keep(trail, event_text(event, EVENT_FIELD_ERROR_CLASS), &end->class_text, err) !=
	    ERR_OK)
		return err->code;
	return keep(trail, event_text(event, EVENT_FIELD_REASON), &end->reason, err);
}

static enum err_code note_end(struct trail *trail, const struct event *event, struct err *err)
{
	bool is_start = event->type == EVENT_STEP_STARTED;
	struct trail_ends *ends = &trail->ends;
	struct trail_end *end = ends->count > 0 ? &ends->items[ends->count - 1] : NULL;

	if (event->type == EVENT_STEP_RETRIED && end) {
		end->retried = event->seq;
		end->delay_ms = event_int(event, EVENT_FIELD_DELAY_MS, 0);
		return ERR_OK;
	}
	if (event->type != EVENT_STEP_SUCCEEDED && event->type != EVENT_STEP_FAILED &&
	    event->type != EVENT_STEP_LOST && !is_start)
		return ERR_OK;
	if (is_start || !end || end->ended > 0) { /* a rejected step fails without a start */
		if (ends_add(ends, event, is_start, err) != ERR_OK)
			return err->code;
		end = &ends->items[ends->count - 1];
	}
	if (is_start)
		return ERR_OK;
	end->is_ok = event->type == EVENT_STEP_SUCCEEDED;
	end->is_lost = event->type == EVENT_STEP_LOST;
	return note_ending(trail, end, event, err);
}

/* An attempt to undo it: its failure says whether another one follows. */
static enum err_code note_undo(struct trail *trail, const struct event *event, struct err *err)
{
	struct trail_ends *undos = &trail->undos;
	struct trail_end *end;

	if (event->type == EVENT_COMPENSATION_STARTED)
		return ends_add(undos, event, true, err);
	if (event->type != EVENT_STEP_COMPENSATED && event->type != EVENT_COMPENSATION_FAILED)
		return ERR_OK;
	BUG_IF(undos->count == 0); /* apply has seen its start */
	end = &undos->items[undos->count - 1];
	end->is_ok = event->type == EVENT_STEP_COMPENSATED;
	if (event_has(event, EVENT_FIELD_DELAY_MS)) {
		end->retried = event->seq;
		end->delay_ms = event_int(event, EVENT_FIELD_DELAY_MS, 0);
	}
	return note_ending(trail, end, event, err);
}

static enum err_code note_approval(struct trail *trail, const struct event *event, struct err *err)
{
	struct trail_approval approval = {.seq = event->seq};
	void *list = trail->approvals;

	if (mem_grow(&list, &trail->approvals_capacity, trail->approvals_count + 1,
		     sizeof(approval), err) != ERR_OK)
		return err->code;
	trail->approvals = list;
	if (keep(trail, event->actor, &approval.by, err) != ERR_OK ||
	    keep(trail, event_text(event, EVENT_FIELD_REASON), &approval.reason, err) != ERR_OK)
		return err->code;
	trail->approvals[trail->approvals_count++] = approval;
	return ERR_OK;
}

static enum err_code note_step_event(struct trail *trail, const struct run_state *run,
				     const struct event *event, struct err *err)
{
	uint32_t index = model_find(run->model, event_text(event, EVENT_FIELD_STEP_ID));
	struct trail_step *step;
	uint64_t *place;

	BUG_IF(index == STEP_NONE); /* apply has found it */
	step = &trail->steps[index];
	place = place_of(step, event->type);
	if (place)
		*place = event->seq;
	if (event->type == EVENT_STEP_RETRIED)
		step->retry_delay_ms = event_int(event, EVENT_FIELD_DELAY_MS, 0);
	if (event->type == EVENT_STEP_STARTED)
		step->evidence = STR_NONE;
	if ((event->type == EVENT_GATE_PASSED || event->type == EVENT_GATE_FAILED) &&
	    keep(trail, event_text(event, EVENT_FIELD_EVIDENCE), &step->evidence, err) != ERR_OK)
		return err->code;
	if (event->type == EVENT_GATE_FAILED &&
	    keep(trail, event_text(event, EVENT_FIELD_REASON), &step->gate_reason, err) != ERR_OK)
		return err->code;
	if (event->type == EVENT_GATE_REJECTED &&
	    keep(trail, event->actor, &step->rejected_by, err) != ERR_OK)
		return err->code;
	if (event->type == EVENT_STEP_SUCCEEDED &&
	    keep(trail, event_text(event, EVENT_FIELD_CACHED_FROM), &step->cached_from, err) !=
		ERR_OK)
		return err->code;
	if (index != trail->step)
		return ERR_OK;
	if (event->type == EVENT_GATE_APPROVED && note_approval(trail, event, err) != ERR_OK)
		return err->code;
	if (note_undo(trail, event, err) != ERR_OK)
		return err->code;
	return note_end(trail, event, err);
}

/* The definition that the run goes on with, at its birth and when it was changed (S9.3): what is
 * known of its steps stays. */
static enum err_code note_model(struct reading *reading, const struct model *model, struct err *err)
{
	struct trail *trail = reading->trail;
	struct trail_step *steps = mem_new(model->steps_count, sizeof(*steps));

	if (!steps)
		return mem_err(err);
	for (uint32_t i = 0; reading->model && i < model->steps_count; i++) {
		uint32_t from = model_find(reading->model, model->steps[i].id);

		if (from != STEP_NONE)
			steps[i] = trail->steps[from];
	}
	mem_free(trail->steps);
	trail->steps = steps;
	trail->step = reading->step.ptr ? model_find(model, reading->step) : STEP_NONE;
	reading->model = model;
	return ERR_OK;
}

static enum err_code on_event(void *arg, const struct run_state *run, const struct event *event,
			      struct str line, struct err *err)
{
	struct reading *reading = arg;
	struct trail *trail = reading->trail;

	(void)line;
	if (run->model != reading->model && note_model(reading, run->model, err) != ERR_OK)
		return err->code;
	return event_is_about_step(event->type) ? note_step_event(trail, run, event, err)
						: note_run_event(trail, run, event, err);
}

/* -------------------------------------------------------------------- values of conditions */

struct valuing {
	struct trail *trail;
	struct expr *expr;
	uint32_t *chain; /* steps whose conditions were decided, and matter */
	uint32_t count;
	uint64_t last; /* the last event at which one was */
};

static uint64_t decided_at(const struct trail *trail, uint32_t step)
{
	const struct trail_step *at = &trail->steps[step];

	return at->skipped > at->started ? at->skipped : at->started;
}

/* A name that an expression uses, as `params.a` or `outputs.step.key`, from its first token on. */
static bool next_name(struct str source, size_t *at, struct str *ret_name)
{
	struct token token;

	while ((token = token_next(source, at)).kind != TOKEN_END && token.kind != TOKEN_BAD) {
		size_t end = token.at + token.text.len;
		size_t next = *at;

		if (token.kind != TOKEN_NAME ||
		    (!str_is(token.text, "params") && !str_is(token.text, "outputs")))
			continue;
		for (;;) {
			struct token dot = token_next(source, &next);
			struct token name = token_next(source, &next);

			if (!str_is(dot.text, ".") || name.kind != TOKEN_NAME)
				break;
			end = name.at + name.text.len;
			*at = next;
		}
		*ret_name = str_cut(source, token.at, end);
		return true;
	}
	return false;
}

static bool is_secret(const struct model *model, struct str name)
{
	for (uint32_t i = 0; i < model->params_count; i++) {
		if (model->params[i].type == VALUE_SECRET && str_starts(name, "params.") &&
		    str_eq(str_cut(name, sizeof("params.") - 1, name.len), model->params[i].name))
			return true;
	}
	return false;
}

/* "params.full = false, outputs.count.rows = 3": each name once, with its value at this point. */
static enum err_code put_values(const struct valuing *valuing, const struct run_state *run,
				uint32_t step, struct buf *out, struct err *err)
{
	struct expr_scope scope = {.run = run, .step = step};
	struct str when = run->model->steps[step].when;
	struct str name;

	for (size_t at = 0; next_name(when, &at, &name);) {
		AUTO(buf_fini) struct buf value = BUF_INIT;
		AUTO(buf_fini) struct buf shown = BUF_INIT;
		struct err ignored = ERR_INIT; /* what cannot be told is said to be absent */

		if (is_secret(run->model, name))
			buf_text(&value, "***");
		else if (expr_eval(valuing->expr, name, &scope, &value, &ignored) != ERR_OK)
			buf_text(&value, "absent");
		if (value.len > VALUE_BYTES_MAX) {
			buf_cut(&value, VALUE_BYTES_MAX);
			buf_text(&value, "...");
		}
		buf_fmt(&shown, "%.*s = %.*s", STR_ARG(name), STR_ARG(buf_view(&value)));
		if (buf_check(&shown, "value", err) != ERR_OK)
			return err->code;
		if (out->len > 0 && str_find(buf_view(out), shown.ptr, 0) != SIZE_MAX)
			continue;
		buf_fmt(out, "%s%s", out->len > 0 ? ", " : "", shown.ptr);
	}
	return buf_check(out, "values", err);
}

static enum err_code on_decided(void *arg, const struct run_state *run, const struct event *event,
				struct str line, struct err *err)
{
	struct valuing *valuing = arg;

	(void)line;
	for (uint32_t i = 0; i < valuing->count; i++) {
		AUTO(buf_fini) struct buf values = BUF_INIT;
		uint32_t step = valuing->chain[i];
		uint32_t then; /* the definition may have changed since */

		if (event->seq != decided_at(valuing->trail, step))
			continue;
		then = model_find(run->model, valuing->trail->fold.model->steps[step].id);
		if (then == STEP_NONE || !run->model->steps[then].when.ptr)
			continue;
		if (put_values(valuing, run, then, &values, err) != ERR_OK)
			return err->code;
		if (values.len > 0 && keep(valuing->trail, buf_view(&values),
					   &valuing->trail->steps[step].conditions, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

uint32_t trail_cause(const struct trail *trail, uint32_t step)
{
	const struct run_state *run = &trail->fold.state;
	const struct step_state *at = &run->steps[step];
	uint32_t cause = STEP_NONE;

	if (at->state == STEP_SKIPPED && at->reason.len > 0)
		cause = model_find(run->model, at->reason);
	else if (at->state == STEP_PENDING && at->doom != SKIP_NONE)
		cause = at->doom_cause;
	return cause == step ? STEP_NONE : cause;
}

/* Fold once more, up to where the conditions were decided: their values may have changed since. */
static enum err_code find_values(const struct rundir *dir, const struct limits *limits,
				 struct trail *trail, struct err *err)
{
	uint32_t chain[CHAIN_MAX];
	struct valuing valuing = {.trail = trail, .chain = chain};
	struct fold_until until = {0, INT64_MAX};
	struct fold_run fold;
	enum err_code code;

	for (uint32_t step = trail->step, i = 0; step != STEP_NONE && i < CHAIN_MAX;
	     step = trail_cause(trail, step), i++) {
		uint64_t at = decided_at(trail, step);

		if (!trail->fold.model->steps[step].when.ptr || at == 0)
			continue;
		chain[valuing.count++] = step;
		until.seq = at > until.seq ? at : until.seq;
	}
	if (valuing.count == 0)
		return ERR_OK;
	if (expr_new(limits, &valuing.expr, err) != ERR_OK)
		return err->code;
	code = fold_read_until(dir, limits, &until, on_decided, &valuing, &fold, err);
	expr_free(valuing.expr);
	if (code == ERR_OK)
		fold_fini(&fold);
	return code;
}

enum err_code trail_read(const struct rundir *dir, const struct limits *limits, struct str step,
			 struct trail *ret_trail, struct err *err)
{
	struct reading reading = {.trail = ret_trail, .step = step};

	*ret_trail = (struct trail){.step = STEP_NONE};
	if (fold_read(dir, limits, on_event, &reading, &ret_trail->fold, err) != ERR_OK)
		return err->code;
	if (step.ptr && ret_trail->step == STEP_NONE)
		return unknown_step(ret_trail->fold.model, step, err);
	return find_values(dir, limits, ret_trail, err);
}
