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

/* One cell of a table and the gap behind it: cut to its width, or followed by blanks. */
static void cell(struct buf *out, struct str text, size_t width)
{
	size_t shown = text.len <= width ? text.len : width - 1;

	if (width == 0)
		return;
	buf_str(out, str_cut(text, 0, shown));
	if (shown < text.len)
		buf_byte(out, '~');
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

/* How wide the columns are; 0 = left out. */
struct layout {
	size_t id, pipeline, result, started, duration, reason;
};

#define GAP            2
#define PIPELINE_LEAST 12 /* of a name that is cut */
#define REASON_LEAST   24 /* below that it says nothing */
#define RESULT_COLUMNS (sizeof("interrupted") - 1)
#define STAMP_COLUMNS  (sizeof("2026-01-31T12:00:00") - 1)
#define SHORT_STAMP    (sizeof("01-31T12:00") - 1)

static size_t taken(const struct layout *layout)
{
	const size_t widths[] = {layout->id, layout->pipeline, layout->result, layout->started,
				 layout->duration};
	size_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(widths); i++)
		sum += widths[i] > 0 ? widths[i] + GAP : 0;
	return sum;
}

/* Take from the names of pipelines what the line is too long for `columns`. */
static bool is_fit(struct layout *layout, size_t columns, size_t reason)
{
	size_t room = columns + (reason ? 0 : GAP); /* the last gap is not written */
	size_t sum = taken(layout) + reason;

	if (sum > room && layout->pipeline > PIPELINE_LEAST) {
		size_t over = sum - room;
		size_t spare = layout->pipeline - PIPELINE_LEAST;

		layout->pipeline -= over < spare ? over : spare;
		sum = taken(layout) + reason;
	}
	return sum <= room;
}

/* No line wider than `columns`: shorter times and names first, then fewer columns; ids are never
 * cut, for they are what is typed. */
static void layout_fit(struct layout *layout, size_t columns)
{
	const struct layout wanted = *layout;

	if (columns == 0 || taken(layout) + layout->reason <= columns)
		return;
	layout->started = SHORT_STAMP;
	if (is_fit(layout, columns, REASON_LEAST)) {
		layout->reason = columns - taken(layout);
		return;
	}
	*layout = wanted;
	layout->reason = 0;
	layout->started = SHORT_STAMP;
	if (!is_fit(layout, columns, 0))
		layout->started = 0;
	if (!is_fit(layout, columns, 0))
		layout->duration = 0;
	if (!is_fit(layout, columns, 0))
		layout->pipeline = 0;
}

static void end_line(struct buf *out)
{
	while (out->len > 0 && out->ptr[out->len - 1] == ' ')
		buf_cut(out, out->len - 1);
	buf_byte(out, '\n');
}

/* The rest of the line: a reason may have several lines and characters beyond ASCII. */
static void reason_put(struct buf *out, struct str reason, size_t width)
{
	size_t shown = reason.len;

	if (reason.len > width && width > 0) {
		shown = width - 1;
		while (shown > 0 && ((unsigned char)reason.ptr[shown] & 0xc0) == 0x80)
			shown--;
	}
	for (size_t at = 0; width > 0 && at < shown; at++) {
		char byte = reason.ptr[at];

		buf_byte(out, byte == '\n' || byte == '\t' ? ' ' : byte);
	}
	if (width > 0 && shown < reason.len)
		buf_byte(out, '~');
}

static void heading_put(struct buf *out, const struct layout *layout)
{
	cell(out, STR("RUN"), layout->id);
	cell(out, STR("PIPELINE"), layout->pipeline);
	cell(out, STR("RESULT"), layout->result);
	cell(out, layout->started == SHORT_STAMP ? STR("START (UTC)") : STR("STARTED (UTC)"),
	     layout->started);
	cell(out, STR("DURATION"), layout->duration);
	if (layout->reason > 0)
		buf_text(out, "REASON");
	end_line(out);
}

static void row_put(struct buf *out, const struct list_row *row, const struct layout *layout)
{
	AUTO(buf_fini) struct buf duration = BUF_INIT;
	char stamp[STAMP_BYTES + 1];

	if (duration_of(row) >= 0)
		duration_human(&duration, duration_of(row));
	buf_needs(out, &duration);
	stamp_write(row->started_ms, stamp);
	if (row->started_ms == 0)
		memset(stamp, ' ', STAMP_BYTES);
	cell(out, row->run_id, layout->id);
	cell(out, row->pipeline, layout->pipeline);
	cell(out, word_of(row), layout->result);
	cell(out,
	     layout->started == SHORT_STAMP ? str_from(stamp + sizeof("2026-") - 1, SHORT_STAMP)
					    : str_from(stamp, STAMP_COLUMNS),
	     layout->started);
	cell(out, buf_view(&duration), layout->duration);
	reason_put(out, row->failure_reason, layout->reason);
	end_line(out);
}

void list_table(const struct list_rows *rows, size_t columns, struct buf *out)
{
	struct layout layout = {
	    .id = width_of(rows, offsetof(struct list_row, run_id), sizeof("RUN") - 1),
	    .pipeline = width_of(rows, offsetof(struct list_row, pipeline), sizeof("PIPELINE") - 1),
	    .result = RESULT_COLUMNS,
	    .started = STAMP_COLUMNS,
	    .duration = sizeof("DURATION") - 1,
	    .reason =
		width_of(rows, offsetof(struct list_row, failure_reason), sizeof("REASON") - 1),
	};

	layout_fit(&layout, columns);
	heading_put(out, &layout);
	for (size_t i = 0; i < rows->count; i++)
		row_put(out, &rows->items[i], &layout);
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
		buf_needs(out, &record);
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
