/* gc.c - old runs go: what is asked for, and what came of it as text and JSON */
#include "api/api.h"

#include "base/arena.h"
#include "base/timefmt.h"
#include "report/pretty.h"
#include "rundir/retention.h"

#include <string.h>

struct row {
	struct retention_row told;
	struct str why;
};

struct rows {
	struct arena arena;
	struct row *items;
	size_t count, capacity;
	uint64_t removed, kept, refused; /* runs */
	uint64_t leftovers;              /* births and rests that went */
	uint64_t forgotten;              /* removed runs that later starts were held against */
	uint64_t bytes;
};

static void rows_fini(struct rows *rows)
{
	arena_fini(&rows->arena);
	mem_free(rows->items);
}

static bool copy(struct rows *rows, struct str *text)
{
	if (text->ptr)
		*text = arena_str(&rows->arena, *text);
	else
		return true;
	return text->ptr != NULL;
}

/* Was it looked at when a run is started: the success of a partition, or the answer to a key? */
static bool counts(const struct retention_row *told)
{
	return told->key.ptr || (told->partition.ptr && str_is(told->outcome, "success"));
}

static enum err_code take_row(void *arg, const struct retention_row *told, struct err *err)
{
	struct rows *rows = arg;
	struct row row = {.told = *told, .why = str_of(told->why)};
	void *items = rows->items;

	if (!copy(rows, &row.told.name) || !copy(rows, &row.told.pipeline) ||
	    !copy(rows, &row.told.outcome) || !copy(rows, &row.told.partition) ||
	    !copy(rows, &row.told.key) || !copy(rows, &row.why))
		return mem_err(err);
	row.told.why = row.why.ptr;
	if (mem_grow(&items, &rows->capacity, rows->count + 1, sizeof(*rows->items), err) != ERR_OK)
		return err->code;
	rows->items = items;
	rows->items[rows->count++] = row;
	rows->bytes += told->sum.bytes;
	if (told->verdict == RETENTION_REMOVED && counts(told))
		rows->forgotten++;
	if (told->verdict == RETENTION_REFUSED)
		rows->refused++;
	else if (told->verdict == RETENTION_KEPT)
		rows->kept++;
	else if (told->kind == RETENTION_RUN)
		rows->removed++;
	else
		rows->leftovers++;
	return ERR_OK;
}

/* -------------------------------------------------------------------------------- shown */

static void bytes_put(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double size = (double)bytes;
	size_t unit = 0;

	while (size >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		size /= 1024;
		unit++;
	}
	buf_fmt(out, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static const char *verdict_word(const struct retention_row *row, bool is_dry)
{
	switch (row->verdict) {
	case RETENTION_REMOVED:
		return is_dry ? "would go" : "removed";
	case RETENTION_KEPT:
		return "kept";
	case RETENTION_REFUSED:
		break;
	}
	return "refused";
}

static const char *kind_text(enum retention_kind kind)
{
	switch (kind) {
	case RETENTION_RUN:
		break;
	case RETENTION_BIRTH:
		return "rest of a start that was cut short";
	case RETENTION_REST:
		return "rest of a removal that was cut short";
	}
	return "";
}

static void pad(struct buf *out, struct str text, size_t width)
{
	buf_str(out, text);
	for (size_t i = text.len; i < width; i++)
		buf_byte(out, ' ');
	buf_text(out, "  ");
}

static void row_text(struct buf *out, const struct row *row, size_t width, bool is_dry)
{
	const struct retention_row *told = &row->told;
	char stamp[STAMP_BYTES + 1] = "";

	pad(out, str_of(verdict_word(told, is_dry)), sizeof("would go") - 1);
	pad(out, told->name, width);
	if (told->ended_ms) {
		stamp_write(told->ended_ms, stamp);
		pad(out, str_from(stamp, 10), 10);
	}
	if (told->outcome.ptr)
		pad(out, told->outcome, sizeof("success") - 1);
	if (told->pipeline.ptr)
		pad(out, told->pipeline, 0);
	if (told->verdict == RETENTION_REMOVED)
		bytes_put(out, told->sum.bytes);
	if (told->partition.ptr)
		buf_fmt(out, "  partition %.*s", STR_ARG(told->partition));
	if (told->key.ptr)
		buf_fmt(out, "  key %.*s", STR_ARG(told->key));
	if (told->kind != RETENTION_RUN)
		buf_fmt(out, "  (%s)", kind_text(told->kind));
	if (row->why.ptr)
		buf_fmt(out, "%.*s", STR_ARG(row->why));
	buf_byte(out, '\n');
}

static void rows_text(struct buf *out, const struct rows *rows, bool is_dry)
{
	size_t width = 0;

	for (size_t i = 0; i < rows->count; i++)
		width = rows->items[i].told.name.len > width ? rows->items[i].told.name.len : width;
	for (size_t i = 0; i < rows->count; i++)
		row_text(out, &rows->items[i], width, is_dry);
	buf_fmt(out, "%llu run%s %s", (unsigned long long)rows->removed,
		rows->removed == 1 ? "" : "s", is_dry ? "would go" : "removed");
	if (rows->leftovers)
		buf_fmt(out, ", and %llu leftover%s", (unsigned long long)rows->leftovers,
			rows->leftovers == 1 ? "" : "s");
	buf_text(out, ": ");
	bytes_put(out, rows->bytes);
	if (rows->kept)
		buf_fmt(out, "; %llu kept", (unsigned long long)rows->kept);
	if (rows->refused)
		buf_fmt(out, "; %llu refused", (unsigned long long)rows->refused);
	buf_byte(out, '\n');
	if (rows->forgotten)
		buf_fmt(
		    out,
		    "%llu of them %s for a partition or an idempotency key: what %s done may be "
		    "started again\n",
		    (unsigned long long)rows->forgotten, is_dry ? "count" : "counted",
		    is_dry ? "they have" : "they had");
}

static void row_json(struct buf *out, const struct row *row)
{
	static const char *const kinds[] = {
	    [RETENTION_RUN] = "run", [RETENTION_BIRTH] = "start", [RETENTION_REST] = "removal"};
	const struct retention_row *told = &row->told;

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "kind", str_of(kinds[told->kind]));
	field_str(out, "verdict", str_of(verdict_word(told, false)));
	field_str(out, "run_id", told->name);
	field_str(out, "pipeline", told->pipeline);
	field_str(out, "result", told->outcome);
	field_stamp(out, "ended_at", told->ended_ms);
	field_str(out, "partition", told->partition);
	field_str(out, "idempotency_key", told->key);
	field_i64(out, "bytes", (int64_t)told->sum.bytes);
	field_i64(out, "entries", (int64_t)told->sum.entries);
	field_str(out, "reason", row->why);
	buf_byte(out, '}');
}

static void rows_json(struct buf *out, const struct rows *rows, bool is_dry)
{
	AUTO(buf_fini) struct buf compact = BUF_INIT;

	buf_byte(&compact, '{');
	field_bool(&compact, "dry_run", is_dry);
	field_i64(&compact, "removed", (int64_t)rows->removed);
	field_i64(&compact, "forgotten", (int64_t)rows->forgotten);
	field_i64(&compact, "leftovers", (int64_t)rows->leftovers);
	field_i64(&compact, "kept", (int64_t)rows->kept);
	field_i64(&compact, "refused", (int64_t)rows->refused);
	field_i64(&compact, "bytes", (int64_t)rows->bytes);
	field_open(&compact, "runs", '[');
	for (size_t i = 0; i < rows->count; i++)
		row_json(&compact, &rows->items[i]);
	buf_text(&compact, "]}");
	out->failed = compact.failed;
	if (compact.failed == ERR_OK)
		pretty_json(out, buf_view(&compact));
	buf_byte(out, '\n');
}

/* --------------------------------------------------------------------------------- asked */

static enum err_code check(const struct sluice_gc_opts *options, struct err *err)
{
	static const char *const results[] = {"success", "partial", "failed", "stopped",
					      "rolled_back"};

	if (options->older_than_ms < 0)
		return err_set(err, ERR_USAGE, "an age is not negative");
	if (options->older_than_ms == 0 && options->keep == 0) {
		(void)err_set(err, ERR_USAGE, "it has to be said which runs are old");
		return err_hint(err, "such as --older-than 30d, or --keep 100");
	}
	if (!options->result)
		return ERR_OK;
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		if (strcmp(options->result, results[i]) == 0)
			return ERR_OK;
	}
	(void)err_set(err, ERR_USAGE, "'%s' is not how a run ends", options->result);
	return err_hint(err, "runs end in success, partial, failed, stopped or rolled_back");
}

enum sluice_code sluice_gc(struct sluice *sluice, const struct sluice_gc_opts *options,
			   char **ret_text, struct sluice_error *err)
{
	AUTO(rows_fini) struct rows rows = {.arena = ARENA_INIT};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;
	struct retention_ask ask;
	enum sluice_code code;

	if (!sluice || !options || !ret_text)
		return api_usage(err, "sluice_gc needs a handle, options and an answer");
	if (options->format != SLUICE_TEXT && options->format != SLUICE_JSON)
		return api_usage(err, "what was removed is told as text or json");
	if (check(options, &cause) != ERR_OK)
		return api_err(err, &cause);
	ask = (struct retention_ask){
	    .home = sluice->home,
	    .limits = &sluice->limits,
	    .now_ms = clock_utc_ms(sluice->clock),
	    .older_than_ms = options->older_than_ms > 0 ? options->older_than_ms : -1,
	    .keep = options->keep,
	    .outcome = str_of(options->result),
	    .pipeline = str_of(options->pipeline),
	    .takes_damaged = options->damaged,
	    .is_dry = options->dry_run,
	};
	if (retention_apply(sluice->vfs, &ask, take_row, &rows, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (options->format == SLUICE_JSON)
		rows_json(&out, &rows, options->dry_run);
	else
		rows_text(&out, &rows, options->dry_run);
	code = api_text(&out, ret_text, err);
	if (code != SLUICE_OK || rows.refused == 0)
		return code;
	(void)err_set(&cause, ERR_REFUSED, "%llu of them could not be removed",
		      (unsigned long long)rows.refused);
	(void)err_hint(&cause, "the list says why; what is not ours is not touched");
	return api_err(err, &cause);
}
