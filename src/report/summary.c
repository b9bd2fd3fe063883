/* summary.c - what a run did, when it is over or so far */
#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/pretty.h"
#include "report/run_report.h"

#include <ctype.h>

#define RULE_COLUMNS 60
#define ID_COLUMNS   30

/* UTF-8 of U+2713, U+2717, U+21BA, U+2298, U+2022: part of the format. */
#define MARK_DONE    "\xe2\x9c\x93"
#define MARK_FAILED  "\xe2\x9c\x97"
#define MARK_UNDONE  "\xe2\x86\xba"
#define MARK_SKIPPED "\xe2\x8a\x98"
#define MARK_OTHER   "\xe2\x80\xa2"

static const char *run_mark(enum run_state_id state)
{
	switch (state) {
	case RUN_SUCCEEDED:
		return MARK_DONE;
	case RUN_FAILED:
		return MARK_FAILED;
	case RUN_ROLLED_BACK:
		return MARK_UNDONE;
	case RUN_CREATED:
	case RUN_PREFLIGHT_VALIDATED:
	case RUN_EXECUTING:
	case RUN_BLOCKED:
	case RUN_STOPPED:
		break;
	}
	return MARK_OTHER;
}

static const char *step_mark(enum step_state_id state)
{
	switch (state) {
	case STEP_SUCCEEDED:
		return MARK_DONE;
	case STEP_FAILED:
		return MARK_FAILED;
	case STEP_SKIPPED:
		return MARK_SKIPPED;
	case STEP_COMPENSATED:
		return MARK_UNDONE;
	case STEP_PENDING:
	case STEP_RUNNING:
	case STEP_WAITING:
		break;
	}
	return MARK_OTHER;
}

struct totals {
	uint64_t attempts;
	uint64_t retries;
};

static struct totals totals_of(const struct run_state *run)
{
	struct totals totals = {0, 0};

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		totals.attempts += run->steps[i].attempts;
		totals.retries += run->steps[i].retries;
	}
	return totals;
}

static void rule(struct buf *out, char byte)
{
	for (int i = 0; i < RULE_COLUMNS; i++)
		buf_byte(out, byte);
	buf_byte(out, '\n');
}

static void stamp_line(struct buf *out, const char *name, int64_t utc_ms)
{
	char stamp[STAMP_BYTES + 1];

	stamp_write(utc_ms, stamp);
	buf_fmt(out, "%s: %s\n", name, stamp);
}

/* Text of another kind, on one line: a reason may have several. */
static void one_line(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_byte(out, text.ptr[i] == '\n' || text.ptr[i] == '\r' ? ' ' : text.ptr[i]);
}

/* Did the last try to undo the step fail, with nothing known to be better since? */
static bool is_undo_failed(const struct run_state *run, uint32_t step)
{
	return run->undo.step == step && (run->undo.is_failed || run->undo.is_retry);
}

static void step_line(struct buf *out, const struct run_state *run, uint32_t index)
{
	const struct step *step = &run->model->steps[index];
	const struct step_state *at = &run->steps[index];

	buf_fmt(out, "  %s %-*.*s %s", step_mark(at->state), ID_COLUMNS, STR_ARG(step->id),
		step_state_name(at->state));
	if (at->attempts > 1)
		buf_fmt(out, " (attempts: %u)", at->attempts);
	if (at->state == STEP_SKIPPED)
		buf_fmt(out, " (%s)", skip_reason_name(at->skip));
	if (at->is_given)
		buf_text(out, " (given, not executed)");
	cached_note(out, at);
	quality_note(out, at);
	buf_byte(out, '\n');
	if (step_shows_error(at) && at->reason.len > 0) {
		buf_text(out, "      Error: ");
		one_line(out, at->reason);
		buf_byte(out, '\n');
	}
	if (is_undo_failed(run, index)) {
		buf_fmt(out, "      Compensation failed (attempt %u, %s): ", run->undo.attempt,
			error_class_name(run->undo.class));
		one_line(out, run->undo.reason);
		buf_byte(out, '\n');
	}
}

static void head_lines(struct buf *out, const struct run_state *run)
{
	int64_t duration_ms = run_duration_ms(run);

	buf_fmt(out, "Run Summary: %.*s\n", STR_ARG(run->run_id));
	rule(out, '=');
	buf_fmt(out, "Status: %s ", run_mark(run->state));
	for (const char *at = run_state_name(run->state); *at; at++)
		buf_byte(out, (char)toupper((unsigned char)*at));
	buf_byte(out, '\n');
	stamp_line(out, "Created", run->created_ms);
	if (duration_ms >= 0) {
		stamp_line(out, "Completed", run->changed_ms);
		buf_fmt(out, "Duration: %lld.%02llds\n", (long long)(duration_ms / 1000),
			(long long)(duration_ms % 1000 / 10));
	}
	/* Ours: where the outcome says more than the state, and what was tolerated. */
	if (run->outcome == OUTCOME_PARTIAL)
		buf_text(out, "Outcome: partial\n");
	if (run->warnings > 0)
		buf_fmt(out, "Warnings: %u\n", run->warnings);
	buf_byte(out, '\n');
}

/* A soft gate that failed: its step succeeded, and the warning is counted (S5.4). */
static bool is_soft_failed(const struct run_state *run, uint32_t step)
{
	const struct step_state *at = &run->steps[step];

	return run->model->steps[step].gate == GATE_SOFT && at->is_gate_recorded &&
	       (at->state == STEP_SUCCEEDED || at->state == STEP_COMPENSATED);
}

static void soft_gates_line(struct buf *out, const struct run_state *run, const uint32_t *order)
{
	const char *title = "Soft gate failures: ";
	const char *before = title;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (!is_soft_failed(run, order[i]))
			continue;
		buf_fmt(out, "%s%.*s", before, STR_ARG(run->model->steps[order[i]].id));
		before = ", ";
	}
	if (before != title)
		buf_byte(out, '\n');
}

/* Only where there is one: the other members are those of system A. */
static void soft_gates_member(struct buf *out, const struct run_state *run, const uint32_t *order)
{
	bool is_open = false;

	for (uint32_t i = 0; i < run->model->steps_count; i++) {
		if (!is_soft_failed(run, order[i]))
			continue;
		if (!is_open)
			field_open(out, "failed_soft_gates", '[');
		is_open = true;
		field_comma(out);
		json_put_str(out, run->model->steps[order[i]].id);
	}
	if (is_open)
		buf_byte(out, ']');
}

enum err_code summary_text(const struct fold_run *fold, struct buf *out, struct err *err)
{
	const struct run_state *run = &fold->state;
	AUTO(mem_drop) uint32_t *order = NULL;

	if (steps_by_id(run->model, &order, err) != ERR_OK)
		return err->code;
	head_lines(out, run);
	buf_fmt(out, "Steps: %u total (%u completed, %u failed, %u skipped)\n",
		run->model->steps_count, run->count[STEP_SUCCEEDED], run->count[STEP_FAILED],
		run->count[STEP_SKIPPED]);
	buf_fmt(out, "Retries: %llu\n", (unsigned long long)totals_of(run).retries);
	failed_gates_line(out, "Hard gate failures: ", run, order);
	soft_gates_line(out, run, order); /* ours */
	buf_text(out, "\nSteps:\n");
	rule(out, '-');
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		step_line(out, run, order[i]);
	if (fold->reading.end != LOG_END_WHOLE) {
		buf_text(out, "\nNote: ");
		reading_note(&fold->reading, out);
		buf_byte(out, '\n');
	}
	return buf_check(out, "summary", err);
}

static void step_member(struct buf *out, const struct run_state *run, uint32_t index)
{
	const struct step *step = &run->model->steps[index];
	const struct step_state *at = &run->steps[index];
	bool is_error = step_shows_error(at);

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "step_id", step->id);
	field_str(out, "state", str_of(step_state_name(at->state)));
	field_i64(out, "attempts", at->attempts);
	field_str(out, "error_class", is_error ? step_class_text(at) : STR_NONE);
	field_str(out, "error_reason", is_error ? at->reason : STR_NONE);
	field_known(out, "duration_ms", step_took_ms(at));
	if (at->cached_from.ptr)
		field_str(out, "cached_from", at->cached_from);
	if (at->quality.ptr) /* only where there is one: the other members are those of system A */
		field_raw(out, "quality", at->quality);
	if (is_undo_failed(run, index)) {
		field_open(out, "compensation_error", '{');
		field_i64(out, "attempt", run->undo.attempt);
		field_str(out, "error_class", str_of(error_class_name(run->undo.class)));
		field_str(out, "error_reason", run->undo.reason);
		buf_byte(out, '}');
	}
	buf_byte(out, '}');
}

static void stats_member(struct buf *out, const struct run_state *run)
{
	struct totals totals = totals_of(run);

	field_open(out, "stats", '{');
	field_i64(out, "total_steps", run->model->steps_count);
	field_i64(out, "completed", run->count[STEP_SUCCEEDED]);
	field_i64(out, "failed", run->count[STEP_FAILED]);
	field_i64(out, "skipped", run->count[STEP_SKIPPED]);
	field_i64(out, "total_attempts", (int64_t)totals.attempts);
	field_i64(out, "total_retries", (int64_t)totals.retries);
	buf_byte(out, '}');
}

enum err_code summary_json(const struct fold_run *fold, struct buf *out, struct err *err)
{
	const struct run_state *run = &fold->state;
	AUTO(mem_drop) uint32_t *order = NULL;
	AUTO(buf_fini) struct buf json = BUF_INIT;
	int64_t duration_ms = run_duration_ms(run);

	if (steps_by_id(run->model, &order, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	field_str(&json, "run_id", run->run_id);
	field_str(&json, "final_state", str_of(run_state_name(run->state)));
	field_stamp(&json, "created_at", run->created_ms);
	field_stamp(&json, "completed_at", run->changed_ms);
	field_known(&json, "duration_ms", duration_ms);
	field_open(&json, "steps", '[');
	for (uint32_t i = 0; i < run->model->steps_count; i++)
		step_member(&json, run, order[i]);
	buf_byte(&json, ']');
	stats_member(&json, run);
	failed_gates_member(&json, run, order);
	field_str(&json, "outcome",
		  run->outcome == OUTCOME_NONE ? STR_NONE : str_of(outcome_name(run->outcome)));
	field_i64(&json, "warnings", run->warnings);
	soft_gates_member(&json, run, order);
	reading_note_member(&json, &fold->reading);
	buf_byte(&json, '}');
	pretty_answer(out, &json);
	return buf_check(out, "summary", err);
}
