/* list.c - see list.h */
#include "report/list.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/csv.h"
#include "report/pretty.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void list_rows_fini(struct list_rows *rows)
{
	mem_free(rows->items);
	arena_fini(&rows->arena);
	*rows = (struct list_rows){.count = 0};
}

/* ---------------------------------------------------------------------------------- rows */

static enum err_code add_row(struct list_rows *rows, const struct list_row *row, struct err *err)
{
	void *items = rows->items;

	if (mem_grow(&items, &rows->capacity, rows->count + 1, sizeof(*rows->items), err) != ERR_OK)
		return err->code;
	rows->items = items;
	rows->items[rows->count++] = *row;
	return ERR_OK;
}

/* A copy in the arena; absent stays absent. */
static bool keep(struct list_rows *rows, struct str text, struct str *ret_kept)
{
	*ret_kept = STR_NONE;
	if (!text.ptr)
		return true;
	*ret_kept = arena_str(&rows->arena, text);
	return ret_kept->ptr != NULL;
}

enum err_code list_add(struct list_rows *rows, const struct list_row *given, struct err *err)
{
	struct list_row row = *given;

	if (!keep(rows, given->run_id, &row.run_id) || !keep(rows, given->state, &row.state) ||
	    !keep(rows, given->result, &row.result) ||
	    !keep(rows, given->failure_reason, &row.failure_reason) ||
	    !keep(rows, given->pipeline, &row.pipeline) ||
	    !keep(rows, given->outcome, &row.outcome) ||
	    !keep(rows, given->trigger, &row.trigger) ||
	    !keep(rows, given->executed, &row.executed) || !keep(rows, given->failed, &row.failed))
		return mem_err(err);
	return add_row(rows, &row, err);
}

/* ------------------------------------------------------------------------------- filter */

static const char *const results[] = {"success", "partial", "failed",
				      "stopped", "active",  "blocked"};

enum err_code list_check_result(struct str result, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		if (str_is(result, results[i]))
			return ERR_OK;
	}
	(void)err_set(err, ERR_USAGE, "'%.*s' is not a result", STR_ARG(result));
	return err_hint(err, "results are success, partial, failed, stopped, active, blocked");
}

enum err_code list_check_state(struct str state, struct err *err)
{
	static const char *const more[] = {"interrupted", "corrupt", "removed"};
	enum run_state_id ignored;

	if (run_state_of(state, &ignored))
		return ERR_OK;
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		if (str_is(state, more[i]))
			return ERR_OK;
	}
	(void)err_set(err, ERR_USAGE, "'%.*s' is not a state of a run", STR_ARG(state));
	return err_hint(err, "states are executing, blocked, succeeded, failed, stopped, "
			     "rolled_back, interrupted, corrupt, removed");
}

static bool has_result(const struct list_row *row, struct str result)
{
	if (str_is(result, "active"))
		return !row->result.ptr && !str_is(row->state, "blocked") &&
		       !str_is(row->state, "corrupt") && !str_is(row->state, "removed");
	if (str_is(result, "blocked"))
		return str_is(row->state, "blocked");
	if (str_is(result, "partial"))
		return str_is(row->outcome, "partial");
	return str_eq(row->result, result) && row->result.ptr;
}

/* Newest first; the id decides between equal times. */
static int by_start(const void *a, const void *b)
{
	const struct list_row *left = a;
	const struct list_row *right = b;

	if (left->started_ms != right->started_ms)
		return left->started_ms < right->started_ms ? 1 : -1;
	return str_cmp(right->run_id, left->run_id);
}

void list_select(struct list_rows *rows, const struct list_filter *filter)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct list_row *row = &rows->items[i];

		if (filter->result.ptr && !has_result(row, filter->result))
			continue;
		if (filter->state.ptr && !str_eq(row->state, filter->state))
			continue;
		if (filter->pipeline.ptr && !str_eq(row->pipeline, filter->pipeline))
			continue;
		if (filter->since_ms > 0 && row->started_ms < filter->since_ms)
			continue;
		rows->items[kept++] = *row;
	}
	if (kept > 0)
		qsort(rows->items, kept, sizeof(*rows->items), by_start);
	rows->matched = kept;
	rows->count = kept < filter->limit ? kept : filter->limit;
}

/* --------------------------------------------------------------------------------- forms */

static int64_t duration_of(const struct list_row *row)
{
	if (row->ended_ms == 0)
		return -1;
	return row->ended_ms > row->started_ms ? row->ended_ms - row->started_ms : 0;
}

static size_t width_of(const struct list_rows *rows, size_t offset, size_t least)
{
	size_t width = least;

	for (size_t i = 0; i < rows->count; i++) {
		const struct str *text = (const void *)((const char *)&rows->items[i] + offset);

		if (text->len > width)
			width = text->len;
	}
	return width;
}

static void cell(struct buf *out, struct str text, size_t width)
{
	buf_str(out, text);
	for (size_t i = text.len; i < width; i++)
		buf_byte(out, ' ');
	buf_text(out, "  ");
}

/* What the run has come to: its outcome, else its state. */
static struct str word_of(const struct list_row *row)
{
	if (str_is(row->state, "removed"))
		return row->state;
	return row->outcome.ptr ? row->outcome : row->state;
}

void list_table(const struct list_rows *rows, struct buf *out)
{
	size_t id = width_of(rows, offsetof(struct list_row, run_id), sizeof("RUN") - 1);
	size_t pipeline =
	    width_of(rows, offsetof(struct list_row, pipeline), sizeof("PIPELINE") - 1);
	char stamp[STAMP_BYTES + 1];

	cell(out, STR("RUN"), id);
	cell(out, STR("PIPELINE"), pipeline);
	cell(out, STR("RESULT"), sizeof("interrupted") - 1);
	cell(out, STR("STARTED (UTC)"), sizeof("2026-01-31T12:00:00") - 1);
	cell(out, STR("DURATION"), 8);
	buf_text(out, "REASON\n");
	for (size_t i = 0; i < rows->count; i++) {
		const struct list_row *row = &rows->items[i];
		AUTO(buf_fini) struct buf duration = BUF_INIT;

		if (duration_of(row) >= 0)
			duration_human(&duration, duration_of(row) * NS_PER_MS);
		stamp_write(row->started_ms, stamp);
		if (row->started_ms == 0)
			memset(stamp, ' ', STAMP_BYTES);
		cell(out, row->run_id, id);
		cell(out, row->pipeline, pipeline);
		cell(out, word_of(row), sizeof("interrupted") - 1);
		cell(out, str_from(stamp, sizeof("2026-01-31T12:00:00") - 1), 0);
		cell(out, buf_view(&duration), 8);
		for (size_t at = 0; at < row->failure_reason.len; at++) {
			char byte = row->failure_reason.ptr[at];

			buf_byte(out, byte == '\n' || byte == '\t' ? ' ' : byte);
		}
		while (out->len > 0 && out->ptr[out->len - 1] == ' ')
			buf_cut(out, out->len - 1);
		buf_byte(out, '\n');
	}
}

static void record_put(struct buf *out, const struct list_row *row)
{
	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "run_id", row->run_id);
	field_stamp(out, "started_at", row->started_ms);
	field_stamp(out, "ended_at", row->ended_ms);
	field_str(out, "result", row->result);
	field_str(out, "failure_reason", row->failure_reason);
	field_raw(out, "stages_executed", row->executed);
	field_raw(out, "stages_failed", row->failed);
	field_i64(out, "retry_count", (int64_t)row->retries);
	field_open(out, "metadata", '{');
	field_str(out, "pipeline", row->pipeline);
	field_str(out, "outcome", row->outcome);
	field_str(out, "trigger", row->trigger);
	buf_byte(out, '}');
	field_str(out, "state", row->state);
	field_known(out, "duration_ms", duration_of(row));
	buf_byte(out, '}');
}

void list_json(const struct list_rows *rows, struct buf *out)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	buf_byte(&json, '{');
	field_open(&json, "runs", '[');
	for (size_t i = 0; i < rows->count; i++)
		record_put(&json, &rows->items[i]);
	buf_byte(&json, ']');
	field_i64(&json, "total", (int64_t)rows->count);
	field_i64(&json, "matched", (int64_t)rows->matched);
	buf_byte(&json, '}');
	pretty_answer(out, &json);
}

void list_jsonl(const struct list_rows *rows, struct buf *out)
{
	for (size_t i = 0; i < rows->count; i++) {
		AUTO(buf_fini) struct buf record = BUF_INIT;

		record_put(&record, &rows->items[i]);
		if (record.failed != ERR_OK)
			out->failed = record.failed;
		buf_str(out, buf_view(&record));
		buf_byte(out, '\n');
	}
}

void list_csv(const struct list_rows *rows, struct buf *out)
{
	buf_text(out, "run_id,pipeline,state,result,outcome,started_at,ended_at,duration_ms,"
		      "retry_count,failure_reason\n");
	for (size_t i = 0; i < rows->count; i++) {
		const struct list_row *row = &rows->items[i];

		csv_cell(out, row->run_id, ',');
		csv_cell(out, row->pipeline, ',');
		csv_cell(out, row->state, ',');
		csv_cell(out, row->result, ',');
		csv_cell(out, row->outcome, ',');
		csv_stamp(out, row->started_ms, ',');
		csv_stamp(out, row->ended_ms, ',');
		if (duration_of(row) >= 0)
			buf_i64(out, duration_of(row));
		buf_byte(out, ',');
		buf_u64(out, row->retries);
		buf_byte(out, ',');
		csv_cell(out, row->failure_reason, '\n');
	}
}
