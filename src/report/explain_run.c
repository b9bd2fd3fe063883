/* explain_run.c - how a run came to where it is, in a few lines; and the two forms of an
 * explanation */
#include "report/explain_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/pretty.h"

#include <string.h>

#define STEPS_SHOWN 2 /* of each kind */
#define CHAIN_SHOWN 2 /* facts below one step */
#define FACTS_MAX   12
#define NEXT_MAX    3 /* commands: with them the story of a run has 15 lines at most */

static void tell_undoing(const struct explaining *x)
{
	const struct undo_state *undo = &run_of(x)->undo;

	tell_rollback(x);
	if (undo->step != STEP_NONE && (undo->is_failed || undo->is_retry))
		facts_add(x->facts, 2, "compensation_failed", id_of(x, undo->step),
			  x->trail->steps[undo->step].undo_failed,
			  "compensation of %.*s failed (%s): %.*s", STR_ARG(id_of(x, undo->step)),
			  error_class_name(undo->class),
			  STR_ARG(undo->reason.len > 0 ? undo->reason : STR("no reason given")));
}

static void tell_start(const struct explaining *x)
{
	const struct run_state *run = &x->trail->fold.state;
	const struct trail *trail = x->trail;
	char stamp[STAMP_BYTES + 1];

	facts_add(x->facts, 0, run_state_name(run->state), STR_NONE,
		  trail->completed > 0 ? trail->completed : trail->changed,
		  "run %.*s of %.*s is %s%s%.*s", STR_ARG(run->run_id),
		  STR_ARG(run->model->pipeline), run_state_name(run->state),
		  run->reason.len > 0 ? ": " : "", STR_ARG(run->reason));
	stamp_write(trail->created_ms, stamp);
	facts_add(x->facts, 1, "created", STR_NONE, 1, "created at %s%s%.*s", stamp,
		  trail->created_reason.len > 0 ? ": " : "", STR_ARG(trail->created_reason));
	if (trail->resumes > 0)
		facts_add(x->facts, 1, "resumed", STR_NONE, trail->resumed,
			  "resumed %u time%s%s%.*s", trail->resumes, trail->resumes == 1 ? "" : "s",
			  trail->resumed_from.ptr ? ", last from " : "",
			  STR_ARG(trail->resumed_from));
	if (trail->redefined > 0)
		facts_add(x->facts, 1, "redefined", STR_NONE, trail->redefined,
			  "its definition was changed on a resume");
	if (trail->stopped > 0)
		facts_add(x->facts, 1, "stop_requested", STR_NONE, trail->stopped,
			  "asked to stop by %.*s%s%.*s",
			  STR_ARG(str_is(trail->stop_by, "runner") ? STR("a signal to its process")
								   : person_of(trail->stop_by)),
			  trail->stop_reason.len > 0 ? ": " : "", STR_ARG(trail->stop_reason));
	tell_undoing(x);
	if (trail->overrides > 0)
		facts_add(x->facts, 1, "overridden", STR_NONE, trail->overridden,
			  "%u override%s of failed gates", trail->overrides,
			  trail->overrides == 1 ? "" : "s");
}

static void tell_counts(const struct explaining *x)
{
	const struct run_state *run = &x->trail->fold.state;
	AUTO(buf_fini) struct buf counts = BUF_INIT;

	for (unsigned s = STEP_PENDING; s <= STEP_COMPENSATED; s++) {
		if (run->count[s] > 0)
			buf_fmt(&counts, "%s%u %s", counts.len > 0 ? ", " : "", run->count[s],
				step_state_name((enum step_state_id)s));
	}
	facts_add(x->facts, 1, "steps", STR_NONE, 0, "%u step%s: %.*s", run->model->steps_count,
		  run->model->steps_count == 1 ? "" : "s", STR_ARG(facts_view(x->facts, &counts)));
	if (run->warnings > 0)
		facts_add(x->facts, 1, "warnings", STR_NONE, 0, "%u warning%s", run->warnings,
			  run->warnings == 1 ? "" : "s");
}

/* The soft gates that failed: warnings that say why. */
static void tell_soft_gates(const struct explaining *x)
{
	const struct run_state *run = &x->trail->fold.state;
	unsigned shown = 0;

	for (uint32_t i = 0; i < run->model->steps_count && shown < STEPS_SHOWN; i++) {
		const struct trail_step *step = &x->trail->steps[i];

		if (run->steps[i].state != STEP_SUCCEEDED || step->gate_failed <= step->started ||
		    step->gate_failed < step->gate_passed)
			continue;
		facts_add(x->facts, 2, "soft_gate_failed", id_of(x, i), step->gate_failed,
			  "soft gate %.*s failed: %.*s", STR_ARG(id_of(x, i)),
			  STR_ARG(step->gate_reason));
		shown++;
	}
}

/* The first steps that are in the state, with a line or two of their causes; first of all the one
 * that ended the run. */
static void tell_steps(const struct explaining *x, enum step_state_id state)
{
	const struct run_state *run = &x->trail->fold.state;
	uint32_t first = state == STEP_FAILED ? run->failing_step : STEP_NONE;
	uint32_t shown = 0;

	for (uint32_t i = 0; i <= run->model->steps_count && shown < STEPS_SHOWN; i++) {
		uint32_t step = i == 0 ? first : i - 1;
		size_t before = x->facts->count;

		if (step == STEP_NONE || run->steps[step].state != state ||
		    (i > 0 && step == first))
			continue;
		explain_cause(x, step, 1);
		if (x->facts->count > before + 1 + CHAIN_SHOWN)
			x->facts->count = before + 1 + CHAIN_SHOWN;
		shown++;
	}
	if (run->count[state] > shown)
		facts_add(x->facts, 1, "and_more", STR_NONE, 0, "and %u more that %s %s",
			  run->count[state] - shown, run->count[state] - shown == 1 ? "is" : "are",
			  step_state_name(state));
}

void explain_run(const struct explaining *x)
{
	const struct run_state *run = &x->trail->fold.state;

	tell_start(x);
	tell_counts(x);
	tell_soft_gates(x);
	tell_steps(x, STEP_FAILED);
	tell_steps(x, STEP_WAITING);
	if (!run_state_is_end(run->state))
		tell_steps(x, STEP_RUNNING);
	if (run->count[STEP_FAILED] == 0 && run->count[STEP_SKIPPED] > 0)
		tell_steps(x, STEP_SKIPPED);
	if (x->owner->is_held)
		facts_add(x->facts, 1, "owned", STR_NONE, 0, "process %d owns it", x->owner->pid);
	else if (!run_state_is_end(run->state) && run->state != RUN_BLOCKED)
		facts_add(x->facts, 1, "not_owned", STR_NONE, 0,
			  "nobody owns it: it was interrupted");
	if (x->facts->count > FACTS_MAX)
		x->facts->count = FACTS_MAX;
}

/* ------------------------------------------------------------------------------------ forms */

static enum err_code explain(const struct trail *trail, const struct run_lock_info *owner,
			     struct facts *facts, struct err *err)
{
	const struct explaining x = {.trail = trail, .owner = owner, .facts = facts};

	if (trail->step == STEP_NONE)
		explain_run(&x);
	else
		explain_step(&x, trail->step);
	return facts_check(facts, err);
}

bool cached_place(struct str from, struct str *ret_run_id, struct str *ret_step_id)
{
	size_t first = from.ptr ? str_find(from, "/", 0) : SIZE_MAX;
	size_t last = first == SIZE_MAX ? SIZE_MAX : str_find(from, "/", first + 1);

	if (last == SIZE_MAX)
		return false;
	*ret_run_id = str_cut(from, 0, first);
	*ret_step_id = str_cut(from, first + 1, last);
	return true;
}

/* What a person types next: the commands that are about the step, else those about the run. */
static void next_put(const struct trail *trail, const struct run_lock_info *owner, struct buf *out)
{
	const struct run_state *run = &trail->fold.state;
	uint32_t step = trail->step;
	struct str run_id;
	struct str other;

	if (step == STEP_NONE) {
		size_t end = 0;

		next_commands(&trail->fold, owner, out);
		for (unsigned i = 0; i < NEXT_MAX && end < out->len; i++)
			end = str_find(buf_view(out), "\n", end) + 1;
		buf_cut(out, end);
		return;
	}
	if (run->undo.is_begun && run->state != RUN_ROLLED_BACK && !owner->is_held)
		buf_fmt(out, "sluice rollback %.*s\n", STR_ARG(run->run_id));
	else if ((run->steps[step].state == STEP_WAITING && !run->steps[step].is_approved &&
		  !run->steps[step].is_rejected) ||
		 run->steps[step].is_held)
		buf_fmt(out, "sluice approve %.*s %.*s --reason TEXT\n", STR_ARG(run->run_id),
			STR_ARG(id_of(&(struct explaining){.trail = trail}, step)));
	if (run->steps[step].state == STEP_SUCCEEDED &&
	    cached_place(run->steps[step].cached_from, &run_id, &other))
		buf_fmt(out, "sluice explain %.*s %.*s\n", STR_ARG(run_id), STR_ARG(other));
	if (run->steps[step].attempts > 0)
		buf_fmt(out, "sluice logs %.*s %.*s\n", STR_ARG(run->run_id),
			STR_ARG(run->model->steps[step].id));
}

static void note_put(const struct trail *trail, struct buf *out)
{
	if (trail->fold.reading.end != LOG_END_WHOLE)
		reading_note(&trail->fold.reading, out);
}

enum err_code explain_text(const struct trail *trail, const struct run_lock_info *owner,
			   struct buf *out, struct err *err)
{
	AUTO(facts_fini) struct facts facts = {.items = NULL};
	AUTO(buf_fini) struct buf next = BUF_INIT;
	AUTO(buf_fini) struct buf note = BUF_INIT;

	if (explain(trail, owner, &facts, err) != ERR_OK)
		return err->code;
	facts_text(&facts, out);
	next_put(trail, owner, &next);
	note_put(trail, &note);
	if (buf_check(&next, "explanation", err) != ERR_OK ||
	    buf_check(&note, "explanation", err) != ERR_OK)
		return err->code;
	for (size_t from = 0; from < next.len;) {
		size_t end = str_find(buf_view(&next), "\n", from);

		buf_fmt(out, "next: %.*s\n", STR_ARG(str_cut(buf_view(&next), from, end)));
		from = end + 1;
	}
	if (note.len > 0)
		buf_fmt(out, "note: %.*s\n", STR_ARG(buf_view(&note)));
	return buf_check(out, "explanation", err);
}

static void step_members(struct buf *out, const struct trail *trail)
{
	const struct step_state *at = &trail->fold.state.steps[trail->step];
	bool is_error = step_shows_error(at);

	field_str(out, "step_id", trail->fold.model->steps[trail->step].id);
	field_str(out, "step_state", str_of(step_state_name(at->state)));
	field_i64(out, "attempt", at->attempt);
	field_i64(out, "attempts", at->attempts);
	field_str(out, "error_class", is_error ? step_class_text(at) : STR_NONE);
	field_str(out, "skip_reason",
		  at->state == STEP_SKIPPED ? str_of(skip_reason_name(at->skip)) : STR_NONE);
}

static void next_member(struct buf *out, struct str next)
{
	field_open(out, "next", '[');
	for (size_t from = 0; from < next.len;) {
		size_t end = str_find(next, "\n", from);

		field_comma(out);
		json_put_str(out, str_cut(next, from, end));
		from = end + 1;
	}
	buf_byte(out, ']');
}

enum err_code explain_json(const struct trail *trail, const struct run_lock_info *owner,
			   struct buf *out, struct err *err)
{
	AUTO(facts_fini) struct facts facts = {.items = NULL};
	AUTO(buf_fini) struct buf json = BUF_INIT;
	AUTO(buf_fini) struct buf next = BUF_INIT;
	AUTO(buf_fini) struct buf note = BUF_INIT;

	if (explain(trail, owner, &facts, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	field_str(&json, "run_id", trail->fold.state.run_id);
	field_str(&json, "pipeline", trail->fold.model->pipeline);
	field_str(&json, "state", str_of(run_state_name(trail->fold.state.state)));
	field_i64(&json, "seq", (int64_t)trail->fold.state.seq);
	if (trail->step != STEP_NONE)
		step_members(&json, trail);
	facts_member(&facts, &json);
	next_put(trail, owner, &next);
	note_put(trail, &note);
	if (buf_check(&next, "explanation", err) != ERR_OK ||
	    buf_check(&note, "explanation", err) != ERR_OK)
		return err->code;
	next_member(&json, buf_view(&next));
	field_str(&json, "note", note.len > 0 ? buf_view(&note) : STR_NONE);
	buf_byte(&json, '}');
	pretty_answer(out, &json);
	return buf_check(out, "explanation", err);
}
