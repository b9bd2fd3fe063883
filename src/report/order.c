/* order.c - the facts that status and summary share */
#include "base/json.h"
#include "base/mem.h"
#include "report/pretty.h"
#include "report/run_report.h"

#include <stdlib.h>
#include <string.h>

struct named {
	struct str id;
	uint32_t index;
};

static int by_id(const void *a, const void *b)
{
	return str_cmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

enum err_code steps_by_id(const struct model *model, uint32_t **ret_order, struct err *err)
{
	AUTO(mem_drop) struct named *named = mem_new(model->steps_count, sizeof(*named));
	uint32_t *order = mem_new(model->steps_count, sizeof(*order));

	if (!named || !order) {
		mem_free(order);
		return mem_err(err);
	}
	for (uint32_t i = 0; i < model->steps_count; i++)
		named[i] = (struct named){model->steps[i].id, i};
	qsort(named, model->steps_count, sizeof(*named), by_id);
	for (uint32_t i = 0; i < model->steps_count; i++)
		order[i] = named[i].index;
	*ret_order = order;
	return ERR_OK;
}

void failed_gates_line(struct buf *out, const char *title, const struct run_state *run,
		       const uint32_t *order)
{
	const char *before = title;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (!run->steps[order[i]].is_gate_failed)
			continue;
		buf_fmt(out, "%s%.*s", before, STR_ARG(run->model->steps[order[i]].id));
		before = ", ";
	}
	if (before != title)
		buf_byte(out, '\n');
}

void failed_gates_member(struct buf *out, const struct run_state *run, const uint32_t *order)
{
	field_open(out, "failed_hard_gates", '[');
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (!run->steps[order[i]].is_gate_failed)
			continue;
		field_comma(out);
		json_put_str(out, run->model->steps[order[i]].id);
	}
	buf_byte(out, ']');
}

struct str person_of(struct str actor)
{
	return str_starts(actor, "manual:") ? str_cut(actor, strlen("manual:"), actor.len) : actor;
}

int64_t run_duration_ms(const struct run_state *run)
{
	if (run->changed_ms == 0)
		return -1;
	/* A clock that jumped back makes no negative duration (S7.6). */
	return run->changed_ms > run->created_ms ? run->changed_ms - run->created_ms : 0;
}

bool step_shows_error(const struct step_state *step)
{
	return step->state == STEP_FAILED || (step->state == STEP_PENDING && step->is_retry);
}

void reading_note(const struct log_reading *reading, struct buf *out)
{
	switch (reading->end) {
	case LOG_END_WHOLE:
		break;
	case LOG_END_TORN:
		buf_fmt(out, "torn tail: %llu bytes after event %llu were never acknowledged",
			(unsigned long long)reading->torn_bytes,
			(unsigned long long)reading->head.seq);
		break;
	case LOG_END_DAMAGED:
		buf_fmt(out, "damaged after event %llu: %s", (unsigned long long)reading->head.seq,
			reading->problem.text);
		break;
	case LOG_END_NEWER:
		buf_fmt(out, "of a newer version after event %llu: %s",
			(unsigned long long)reading->head.seq, reading->problem.text);
		break;
	}
}

void reading_note_member(struct buf *out, const struct log_reading *reading)
{
	AUTO(buf_fini) struct buf note = BUF_INIT;

	if (reading->end == LOG_END_WHOLE)
		return;
	reading_note(reading, &note);
	buf_needs(out, &note);
	field_str(out, "note", buf_view(&note));
}

/* A run that waits for people: one line for each step that does. */
static void blocked_commands(const struct fold_run *fold, struct buf *out)
{
	const struct run_state *run = &fold->state;
	bool is_held = false;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (run->steps[i].state == STEP_WAITING && !run->steps[i].is_approved &&
		    !run->steps[i].is_rejected)
			buf_fmt(out, "sluice approve %.*s %.*s --reason TEXT\n",
				STR_ARG(run->run_id), STR_ARG(run->model->steps[i].id));
		is_held = is_held || run->steps[i].is_held;
	}
	if (is_held || run->state == RUN_BLOCKED)
		buf_fmt(out, "sluice resume %.*s\n", STR_ARG(run->run_id));
}

/* Has every step either succeeded, or was it waived by an override, or skipped for good? *ret_first
 * is then the first one that was waived. */
static bool is_settled(const struct run_state *run, uint32_t *ret_first)
{
	bool is_waived = false;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		const struct step_state *at = &run->steps[i];

		if (at->state == STEP_FAILED && at->is_waived) {
			if (!is_waived)
				*ret_first = i;
			is_waived = true;
		} else if (at->state != STEP_SUCCEEDED &&
			   (at->state != STEP_SKIPPED ||
			    (at->skip != SKIP_CONDITION && at->skip != SKIP_CHOICE_NOT_TAKEN))) {
			return false;
		}
	}
	return is_waived;
}

static void failed_commands(const struct fold_run *fold, struct buf *out)
{
	const struct run_state *run = &fold->state;
	uint32_t first = 0;

	if (!fold->is_mute)
		buf_fmt(out, "sluice logs %.*s --failed\n", STR_ARG(run->run_id));
	if (is_settled(run, &first)) { /* a plain resume would run nothing */
		buf_fmt(out, "sluice resume %.*s --from %.*s\n", STR_ARG(run->run_id),
			STR_ARG(run->model->steps[first].id));
		return;
	}
	buf_fmt(out, "sluice resume %.*s", STR_ARG(run->run_id));
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (run->steps[i].is_gate_failed)
			buf_fmt(out, " --override %.*s", STR_ARG(run->model->steps[i].id));
	}
	buf_text(out, run->gates_barred > 0 ? " --reason TEXT\n" : "\n");
}

/* Only where there is something to undo. */
static void rollback_command(const struct run_state *run, struct buf *out)
{
	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (!step_is_undoable(run, i))
			continue;
		buf_fmt(out, "sluice rollback %.*s\n", STR_ARG(run->run_id));
		return;
	}
}

void next_commands(const struct fold_run *fold, const struct run_lock_info *owner, struct buf *out)
{
	const struct run_state *run = &fold->state;

	if (run_is_undoing(run) || (run->undo.is_begun && run->state != RUN_ROLLED_BACK)) {
		buf_fmt(out,
			owner->is_held && run->undo.is_active ? "sluice events %.*s --follow\n"
							      : "sluice rollback %.*s\n",
			STR_ARG(run->run_id));
		return;
	}
	switch (run->state) {
	case RUN_CREATED:
	case RUN_PREFLIGHT_VALIDATED:
	case RUN_EXECUTING:
		if (owner->is_held && run->count[STEP_WAITING] > 0)
			blocked_commands(fold, out);
		else if (owner->is_held)
			buf_fmt(out, "sluice events %.*s --follow\n", STR_ARG(run->run_id));
		else
			buf_fmt(out, "sluice resume %.*s\n", STR_ARG(run->run_id));
		break;
	case RUN_BLOCKED:
		blocked_commands(fold, out);
		break;
	case RUN_FAILED:
		failed_commands(fold, out);
		rollback_command(run, out);
		break;
	case RUN_STOPPED:
		buf_fmt(out, "sluice resume %.*s\n", STR_ARG(run->run_id));
		rollback_command(run, out);
		break;
	case RUN_SUCCEEDED:
	case RUN_ROLLED_BACK:
		break;
	}
}

static bool figure_put(struct buf *out, struct str quality, const char *name, const char *before,
		       const char *after)
{
	struct str value = json_get(quality, name);

	if (value.ptr)
		buf_fmt(out, "%s%.*s%s", before, STR_ARG(value), after);
	return value.ptr != NULL;
}

static void rate_put(struct buf *out, struct str quality, const char *name, const char *what)
{
	struct str value = json_get(quality, name);
	double rate;

	if (value.ptr && str_to_double(value, &rate))
		buf_fmt(out, ", %.4g%% %s", rate * 100, what);
}

int64_t step_took_ms(const struct step_state *step)
{
	return step->attempts > 0 && step->ended_ms > 0 ? step->duration_ms : -1;
}

void cached_note(struct buf *out, const struct step_state *step)
{
	if (step->cached_from.ptr)
		buf_fmt(out, " (cached from %.*s)", STR_ARG(step->cached_from));
}

void quality_note(struct buf *out, const struct step_state *step)
{
	if (!step->quality.ptr)
		return;
	buf_text(out, " (quality: ");
	if (!figure_put(out, step->quality, "record_count", "", " records"))
		buf_text(out, "recorded");
	rate_put(out, step->quality, "valid_rate", "valid");
	rate_put(out, step->quality, "null_rate", "null");
	buf_byte(out, ')');
}
