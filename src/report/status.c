/* status.c - where a run stands, who owns it, and what to do next */
#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/pretty.h"
#include "report/run_report.h"

#define ID_COLUMNS 30

static void step_lines(struct buf *out, const struct run_state *run, const uint32_t *order)
{
	buf_text(out, "Steps:\n");
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[order[i]];

		buf_fmt(out, "  %-*.*s %s", ID_COLUMNS, STR_ARG(run->model->steps[order[i]].id),
			step_state_name(at->state));
		if (at->attempt > 0)
			buf_fmt(out, " (attempt %u)", at->attempt);
		if (at->state == STEP_SKIPPED)
			buf_fmt(out, " (%s)", skip_reason_name(at->skip));
		if (at->is_given)
			buf_text(out, " (given)");
		cached_note(out, at);
		quality_note(out, at);
		buf_byte(out, '\n');
	}
	buf_fmt(out, "Completed: %u\n", run->count[STEP_SUCCEEDED]);
}

static void owner_line(struct buf *out, const struct run_state *run,
		       const struct run_lock_info *owner)
{
	if (owner->is_held)
		buf_fmt(out, "Owner: process %d\n", owner->pid);
	else if (!run_state_is_end(run->state) && run->state != RUN_BLOCKED)
		buf_text(out, "Owner: none, the run was interrupted\n");
}

/* How far a rollback came. */
static void rollback_line(struct buf *out, const struct run_state *run)
{
	const struct undo_state *undo = &run->undo;

	if (!undo->is_begun)
		return;
	buf_fmt(out, "Rollback: %u undone", run->count[STEP_COMPENSATED]);
	if (undo->step != STEP_NONE && (undo->is_running || undo->is_failed || undo->is_retry)) {
		buf_fmt(out, ", compensation %u of %.*s %s", undo->attempt,
			STR_ARG(run->model->steps[undo->step].id),
			undo->is_running ? "runs" : "failed");
		if (!undo->is_running && undo->reason.len)
			buf_fmt(out, ": %.*s", STR_ARG(undo->reason));
	}
	buf_byte(out, '\n');
}

/* What people have answered so far. */
static void answers_put(struct buf *out, const struct step_state *at)
{
	const char *before = at->is_approved ? ", approved by " : ", so far approved by ";

	for (const struct approver *who = at->approvers; who; who = who->next) {
		buf_fmt(out, "%s%.*s", before, STR_ARG(person_of(who->name)));
		before = ", ";
	}
}

/* A request to stop that is not carried out yet. */
static void stop_line(struct buf *out, const struct run_state *run)
{
	if (run->is_stopping && !run_state_is_end(run->state))
		buf_fmt(out, "Stop: requested%s\n",
			run->is_stop_now ? ", running steps are killed" : "");
}

/* Who may approve what a step waits for, and who has. */
static void wait_line(struct buf *out, const struct step *step, const struct step_state *at)
{
	char stamp[STAMP_BYTES + 1];

	if (at->is_rejected) {
		buf_fmt(out, "Rejected: %.*s (%.*s)\n", STR_ARG(step->id), STR_ARG(at->reason));
		return;
	}
	buf_fmt(out, "Waiting: %.*s", STR_ARG(step->id));
	if (at->reason.len > 0)
		buf_fmt(out, " (%.*s)", STR_ARG(at->reason));
	if (step->approval) {
		const char *before = " by ";

		for (uint32_t i = 0; i < step->approval->by_count; i++) {
			buf_fmt(out, "%s%.*s", before, STR_ARG(step->approval->by[i]));
			before = ", ";
		}
		if (step->approval->count > 1)
			buf_fmt(out, ", %u needed", step->approval->count);
	}
	answers_put(out, at);
	if (at->due_ms > 0) {
		stamp_write(at->due_ms, stamp);
		buf_fmt(out, ", until %s", stamp);
	}
	buf_byte(out, '\n');
}

static void next_lines(struct buf *out, const struct fold_run *fold,
		       const struct run_lock_info *owner)
{
	AUTO(buf_fini) struct buf next = BUF_INIT;
	size_t from = 0;

	next_commands(fold, owner, &next);
	buf_needs(out, &next);
	for (size_t i = 0; i < next.len; i++) {
		if (next.ptr[i] != '\n')
			continue;
		buf_fmt(out, "Next: %.*s\n", (int)(i - from), next.ptr + from);
		from = i + 1;
	}
}

static void view_lines(struct buf *out, const struct fold_run *fold, const struct at_view *view)
{
	char stamp[STAMP_BYTES + 1];

	stamp_write(view->time_ms, stamp);
	buf_fmt(out, "As of: event %llu of %llu, %s, %.*s", (unsigned long long)fold->state.seq,
		(unsigned long long)view->head_seq, stamp, STR_ARG(view->event));
	if (view->step.ptr)
		buf_fmt(out, " [%.*s]", STR_ARG(view->step));
	buf_byte(out, '\n');
	if (view->is_beyond)
		buf_text(out, "Note: the log does not go that far: this is its end\n");
}

/* `owner` and `view`: one of them is NULL. */
static enum err_code put_text(const struct fold_run *fold, const struct run_lock_info *owner,
			      const struct at_view *view, struct buf *out, struct err *err)
{
	const struct run_state *run = &fold->state;
	AUTO(mem_drop) uint32_t *order = NULL;

	if (steps_by_id(run->model, &order, err) != ERR_OK)
		return err->code;
	buf_fmt(out, "Run ID: %.*s\n", STR_ARG(run->run_id));
	buf_fmt(out, "State: %s\n", run_state_name(run->state));
	step_lines(out, run, order);
	failed_gates_line(out, "Failed hard gates: ", run, order);
	buf_fmt(out, "Pipeline: %.*s\n", STR_ARG(run->model->pipeline));
	if (run->reason.len > 0)
		buf_fmt(out, "Reason: %.*s\n", STR_ARG(run->reason));
	rollback_line(out, run);
	stop_line(out, run);
	if (owner)
		owner_line(out, run, owner);
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (run->steps[order[i]].state == STEP_WAITING && !run->undo.is_begun)
			wait_line(out, &run->model->steps[order[i]], &run->steps[order[i]]);
	}
	if (owner)
		next_lines(out, fold, owner);
	if (view)
		view_lines(out, fold, view);
	if (fold->reading.end != LOG_END_WHOLE) {
		buf_text(out, "Note: ");
		reading_note(&fold->reading, out);
		buf_byte(out, '\n');
	}
	return buf_check(out, "status", err);
}

/* ---------------------------------------------------------------------------------- JSON */

static void needs_member(struct buf *out, const char *name, const struct model *model,
			 const uint32_t *needs, uint32_t count)
{
	field_open(out, name, '[');
	for (uint32_t i = 0; i < count; i++) {
		field_comma(out);
		json_put_str(out, model->steps[needs[i]].id);
	}
	buf_byte(out, ']');
}

static void names_member(struct buf *out, const char *name, const struct step_state *at)
{
	field_open(out, name, '[');
	for (const struct approver *who = at->approvers; who; who = who->next) {
		field_comma(out);
		json_put_str(out, who->name);
	}
	buf_byte(out, ']');
}

static void step_member(struct buf *out, const struct run_state *run, uint32_t index)
{
	const struct step *step = &run->model->steps[index];
	const struct step_state *at = &run->steps[index];
	bool is_error = step_shows_error(at);

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "step_id", step->id);
	field_i64(out, "position", index);
	needs_member(out, "needs", run->model, step->needs, step->needs_count);
	needs_member(out, "needs_any", run->model, step->needs_any, step->needs_any_count);
	field_str(out, "state", str_of(step_state_name(at->state)));
	field_i64(out, "attempt", at->attempt);
	field_i64(out, "attempts", at->attempts);
	field_str(out, "gate",
		  step->gate == GATE_NONE ? STR_NONE : str_of(gate_kind_name(step->gate)));
	field_str(out, "error_class", is_error ? step_class_text(at) : STR_NONE);
	field_str(out, "reason", at->reason.len > 0 ? at->reason : STR_NONE);
	field_str(out, "skip_reason",
		  at->state == STEP_SKIPPED ? str_of(skip_reason_name(at->skip)) : STR_NONE);
	field_stamp(out, "started_at", at->started_ms);
	field_stamp(out, "ended_at", at->ended_ms);
	field_known(out, "duration_ms", step_took_ms(at));
	field_stamp(out, "due_at", at->due_ms);
	field_bool(out, "waived", at->is_waived);
	field_bool(out, "given", at->is_given);
	if (at->cached_from.ptr)
		field_str(out, "cached_from", at->cached_from);
	if (at->quality.ptr)
		field_raw(out, "quality", at->quality);
	names_member(out, "approved_by", at);
	field_known(out, "approvals_needed",
		    step->gate != GATE_MANUAL ? -1
		    : step->approval          ? (int64_t)step->approval->count
					      : 1);
	buf_byte(out, '}');
}

static void rollback_member(struct buf *out, const struct run_state *run)
{
	const struct undo_state *undo = &run->undo;

	if (!undo->is_begun) {
		field_null(out, "rollback");
		return;
	}
	field_open(out, "rollback", '{');
	field_bool(out, "active", undo->is_active);
	field_i64(out, "undone", run->count[STEP_COMPENSATED]);
	field_str(out, "step",
		  undo->step == STEP_NONE ? STR_NONE : run->model->steps[undo->step].id);
	field_i64(out, "attempt", undo->attempt);
	field_bool(out, "running", undo->is_running);
	field_bool(out, "failed", undo->is_failed);
	field_str(out, "error_class", undo->is_failed ? undo_class_text(undo) : STR_NONE);
	field_str(out, "reason", undo->reason.len ? undo->reason : STR_NONE);
	buf_byte(out, '}');
}

static void next_member(struct buf *out, const struct fold_run *fold,
			const struct run_lock_info *owner)
{
	AUTO(buf_fini) struct buf next = BUF_INIT;
	size_t from = 0;

	if (owner)
		next_commands(fold, owner, &next);
	buf_needs(out, &next);
	field_open(out, "next", '[');
	for (size_t i = 0; i < next.len; i++) {
		if (next.ptr[i] != '\n')
			continue;
		field_comma(out);
		buf_fmt(out, "\"%.*s\"", (int)(i - from), next.ptr + from);
		from = i + 1;
	}
	buf_byte(out, ']');
}

static void run_members(struct buf *out, const struct fold_run *fold,
			const struct run_lock_info *owner, const struct at_view *view)
{
	const struct run_state *run = &fold->state;

	field_str(out, "run_id", run->run_id);
	field_str(out, "pipeline", run->model->pipeline);
	field_str(out, "state", str_of(run_state_name(run->state)));
	field_str(out, "outcome",
		  run->outcome == OUTCOME_NONE ? STR_NONE : str_of(outcome_name(run->outcome)));
	field_str(out, "reason", run->reason.len > 0 ? run->reason : STR_NONE);
	field_stamp(out, "created_at", run->created_ms);
	field_stamp(out, "changed_at", run->changed_ms);
	if (owner && owner->is_held)
		field_i64(out, "owner_pid", owner->pid);
	else
		field_null(out, "owner_pid");
	field_i64(out, "concurrency", run->model->concurrency);
	field_i64(out, "seq", (int64_t)run->seq);
	field_str(out, "receipt", str_of(view ? view->h : fold->reading.head.h));
}

static void view_member(struct buf *out, const struct at_view *view)
{
	field_open(out, "at", '{');
	field_i64(out, "head_seq", (int64_t)view->head_seq);
	field_stamp(out, "time", view->time_ms);
	field_str(out, "event_type", view->event);
	field_str(out, "step_id", view->step);
	field_bool(out, "beyond_head", view->is_beyond);
	buf_byte(out, '}');
}

static enum err_code put_json(const struct fold_run *fold, const struct run_lock_info *owner,
			      const struct at_view *view, struct buf *out, struct err *err)
{
	const struct run_state *run = &fold->state;
	AUTO(mem_drop) uint32_t *order = NULL;
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (steps_by_id(run->model, &order, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	run_members(&json, fold, owner, view);
	field_open(&json, "steps", '[');
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		step_member(&json, run, order[i]);
	buf_byte(&json, ']');
	field_i64(&json, "completed", run->count[STEP_SUCCEEDED]);
	failed_gates_member(&json, run, order);
	field_i64(&json, "warnings", run->warnings);
	rollback_member(&json, run);
	next_member(&json, fold, owner);
	if (view)
		view_member(&json, view);
	reading_note_member(&json, &fold->reading);
	buf_byte(&json, '}');
	pretty_answer(out, &json);
	return buf_check(out, "status", err);
}

/* -------------------------------------------------------------------------------- answers */

enum err_code status_text(const struct fold_run *fold, const struct run_lock_info *owner,
			  struct buf *out, struct err *err)
{
	return put_text(fold, owner, NULL, out, err);
}

enum err_code status_json(const struct fold_run *fold, const struct run_lock_info *owner,
			  struct buf *out, struct err *err)
{
	return put_json(fold, owner, NULL, out, err);
}

enum err_code status_at_text(const struct fold_run *fold, const struct at_view *view,
			     struct buf *out, struct err *err)
{
	return put_text(fold, NULL, view, out, err);
}

enum err_code status_at_json(const struct fold_run *fold, const struct at_view *view,
			     struct buf *out, struct err *err)
{
	return put_json(fold, NULL, view, out, err);
}
