/* run_index_read.c - questions to the history database */
#include "store/run_index_intern.h"

#include "base/json.h"
#include "base/mem.h"

#include <limits.h>

#define LIST_DEPTH  2                        /* of names */
#define TIME_MS_MAX INT64_C(253402300799999) /* 9999-12-31: no log says more */

/* The columns of struct run_row, in its order, and what decides whether it is still true. */
#define ROW_COLUMNS \
	"run_id, pipeline, version, partition_key, state, result, outcome, failure_reason," \
	" triggered_by, executed, failed, params, definition_hash, receipt, started_ms," \
	" ended_ms, duration_ms, retries, warnings, gate_failures, is_live, is_settled"

static const struct {
	const char *result;
	const char *where;
} results[] = {
    {"success", " AND result = 'success'"}, {"failed", " AND result = 'failed'"},
    {"stopped", " AND result = 'stopped'"}, {"partial", " AND outcome = 'partial'"},
    {"active", " AND is_live = 1"},         {"blocked", " AND state = 'blocked'"},
};

/* The condition for a result; NULL for one that is none. */
static const char *where_result(struct str result)
{
	if (!result.ptr)
		return "";
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		if (str_is(result, results[i].result))
			return results[i].where;
	}
	return NULL;
}

/* Only what narrows is written, so that each question finds its own index. */
static void put_where(struct buf *sql, const struct run_filter *filter, const char *result)
{
	buf_text(sql, " WHERE 1");
	if (filter->run_id.ptr)
		buf_text(sql, " AND run_id = ?");
	if (filter->state.ptr)
		buf_text(sql, " AND state = ?");
	if (filter->pipeline.ptr)
		buf_text(sql, " AND pipeline = ?");
	if (filter->since_ms > 0)
		buf_text(sql, " AND started_ms >= ?");
	buf_text(sql, result);
}

static void bind_filter(struct sqlite_query *query, const struct run_filter *filter)
{
	if (filter->run_id.ptr)
		sqlite_put_str(query, filter->run_id);
	if (filter->state.ptr)
		sqlite_put_str(query, filter->state);
	if (filter->pipeline.ptr)
		sqlite_put_str(query, filter->pipeline);
	if (filter->since_ms > 0)
		sqlite_put_i64(query, filter->since_ms);
}

/* `head`, the condition of the filter, `tail`. */
static enum err_code prepare(struct run_index *index, const char *head,
			     const struct run_filter *filter, const char *tail,
			     struct sqlite_query *ret_query, struct err *err)
{
	const char *result = where_result(filter->result);
	AUTO(buf_fini) struct buf sql = BUF_INIT;

	if (!result)
		return err_set(err, ERR_USAGE, "'%.*s' is not a result", STR_ARG(filter->result));
	buf_text(&sql, head);
	put_where(&sql, filter, result);
	buf_text(&sql, tail);
	if (buf_check(&sql, "query", err) != ERR_OK ||
	    sqlite_prepare(&index->sqlite, sql.ptr, ret_query, err) != ERR_OK)
		return err->code;
	bind_filter(ret_query, filter);
	return ERR_OK;
}

#define BY_START " ORDER BY started_ms DESC, run_id DESC LIMIT ?"

static int64_t limit_of(const struct run_filter *filter)
{
	return filter->limit > 0 && filter->limit < (size_t)INT_MAX ? (int64_t)filter->limit : -1;
}

/* ---- runs */

struct doubtful {
	struct arena arena;
	struct str *ids;
	uint64_t *inodes;
	size_t count, ids_capacity, inodes_capacity;
};

static enum err_code add_doubtful(struct doubtful *doubtful, const struct sqlite_query *row,
				  struct err *err)
{
	void *ids = doubtful->ids;
	void *inodes = doubtful->inodes;
	size_t need = doubtful->count + 1;

	if (mem_grow(&ids, &doubtful->ids_capacity, need, sizeof(*doubtful->ids), err) != ERR_OK)
		return err->code;
	doubtful->ids = ids;
	if (mem_grow(&inodes, &doubtful->inodes_capacity, need, sizeof(*doubtful->inodes), err) !=
	    ERR_OK)
		return err->code;
	doubtful->inodes = inodes;
	doubtful->ids[doubtful->count] = arena_str(&doubtful->arena, sqlite_str(row, 0));
	if (!doubtful->ids[doubtful->count].ptr)
		return mem_err(err);
	doubtful->inodes[doubtful->count++] = (uint64_t)sqlite_i64(row, 1);
	return ERR_OK;
}

/* Runs that are to be shown, but whose log is not as it was. */
static enum err_code find_doubtful(struct run_index *index, const struct run_filter *filter,
				   struct doubtful *doubtful, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	if (prepare(index, "SELECT " MARK_COLUMNS ", is_settled FROM runs", filter, BY_START,
		    &query, err) != ERR_OK)
		return err->code;
	sqlite_put_i64(&query, limit_of(filter));
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		bool was_looked_at = index->scope == INDEX_OPEN && !sqlite_i64(&query, 6);

		code = index_check_id(&query, err);
		if (code != ERR_OK)
			break;
		if (was_looked_at || !index_has_changed(index, &query))
			continue;
		code = add_doubtful(doubtful, &query, err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

static enum err_code read_doubtful(struct run_index *index, const struct doubtful *doubtful,
				   struct err *err)
{
	bool is_run;

	for (size_t i = 0; i < doubtful->count; i++) {
		if (index_read_run(index, doubtful->ids[i], doubtful->inodes[i], &is_run, err) !=
		    ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code check_shown(struct run_index *index, const struct run_filter *filter,
				 struct err *err)
{
	struct doubtful doubtful = {.count = 0};
	enum err_code code;

	if (index->scope == INDEX_ALL)
		return ERR_OK;
	code = find_doubtful(index, filter, &doubtful, err);
	if (code == ERR_OK && doubtful.count > 0) {
		code = index_begin(index, err);
		if (code == ERR_OK)
			code = index_end(index, read_doubtful(index, &doubtful, err), err);
	}
	mem_free(doubtful.ids);
	mem_free(doubtful.inodes);
	arena_fini(&doubtful.arena);
	return code;
}

static struct run_row row_of(const struct sqlite_query *query)
{
	return (struct run_row){
	    .run_id = sqlite_str(query, 0),
	    .pipeline = sqlite_str(query, 1),
	    .version = sqlite_str(query, 2),
	    .partition = sqlite_str(query, 3),
	    .state = sqlite_str(query, 4),
	    .result = sqlite_str(query, 5),
	    .outcome = sqlite_str(query, 6),
	    .failure_reason = sqlite_str(query, 7),
	    .trigger = sqlite_str(query, 8),
	    .executed = sqlite_str(query, 9),
	    .failed = sqlite_str(query, 10),
	    .params = sqlite_str(query, 11),
	    .definition_hash = sqlite_str(query, 12),
	    .receipt = sqlite_str(query, 13),
	    .started_ms = sqlite_i64(query, 14),
	    .ended_ms = sqlite_i64(query, 15),
	    .duration_ms = sqlite_i64(query, 16),
	    .retries = (uint64_t)sqlite_i64(query, 17),
	    .warnings = (uint64_t)sqlite_i64(query, 18),
	    .gate_failures = (uint64_t)sqlite_i64(query, 19),
	    .is_live = sqlite_i64(query, 20) != 0,
	    .is_settled = sqlite_i64(query, 21) != 0,
	};
}

/* JSON on one line, or nothing. */
static bool is_list(struct str text)
{
	struct err ignored = ERR_INIT;

	return !text.ptr || (json_check(text, LIST_DEPTH, &ignored) == ERR_OK &&
			     json_type_of(text) == JSON_ARRAY && !str_has(text, '\n'));
}

/* The pages may be good and the row none of ours. Texts and numbers are shown as they are, but
 * lists are put into answers as JSON, and times are counted with. */
static enum err_code check_row(const struct run_row *row, struct err *err)
{
	if (id_valid(row->run_id) && row->state.ptr && is_list(row->executed) &&
	    is_list(row->failed) && row->started_ms >= -TIME_MS_MAX &&
	    row->started_ms <= TIME_MS_MAX && row->ended_ms >= -TIME_MS_MAX &&
	    row->ended_ms <= TIME_MS_MAX)
		return ERR_OK;
	return err_set(err, ERR_CORRUPT, "history database: it has a row that is of no run");
}

static enum err_code count_runs(struct run_index *index, const struct run_filter *filter,
				size_t *ret_count, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row = false;

	if (prepare(index, "SELECT count(*) FROM runs", filter, "", &query, err) != ERR_OK)
		return err->code;
	code = sqlite_next(&query, &is_row, err);
	if (code == ERR_OK)
		*ret_count = is_row ? (size_t)sqlite_i64(&query, 0) : 0;
	sqlite_finish(&query);
	return code;
}

static enum err_code visit_runs(struct run_index *index, const struct run_filter *filter,
				run_row_fn *visit, void *arg, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	if (prepare(index, "SELECT " ROW_COLUMNS " FROM runs", filter, BY_START, &query, err) !=
	    ERR_OK)
		return err->code;
	sqlite_put_i64(&query, limit_of(filter));
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		struct run_row row = row_of(&query);

		code = check_row(&row, err);
		if (code == ERR_OK)
			code = visit(arg, &row, err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

enum err_code run_index_list(struct run_index *index, const struct run_filter *filter,
			     run_row_fn *visit, void *arg, size_t *ret_matched, struct err *err)
{
	if (check_shown(index, filter, err) != ERR_OK ||
	    count_runs(index, filter, ret_matched, err) != ERR_OK)
		return err->code;
	return visit_runs(index, filter, visit, arg, err);
}

/* ---- steps, classes */

enum err_code run_index_steps(struct run_index *index, const struct run_filter *filter,
			      step_row_fn *visit, void *arg, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	if (sqlite_prepare(&index->sqlite,
			   "SELECT runs.pipeline, step_id, steps.state, error_class, skip_reason,"
			   " cached_from, attempts, steps.retries, steps.duration_ms, position"
			   " FROM runs JOIN steps USING (run_id) WHERE result IS NOT NULL"
			   " AND (?1 IS NULL OR pipeline = ?1) AND runs.started_ms >= ?2",
			   &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(&query, filter->pipeline);
	sqlite_put_i64(&query, filter->since_ms > 0 ? filter->since_ms : INT64_MIN);
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		struct step_row step = {
		    .step_id = sqlite_str(&query, 1),
		    .state = sqlite_str(&query, 2),
		    .error_class = sqlite_str(&query, 3),
		    .skip_reason = sqlite_str(&query, 4),
		    .cached_from = sqlite_str(&query, 5),
		    .attempts = (uint32_t)sqlite_i64(&query, 6),
		    .retries = (uint32_t)sqlite_i64(&query, 7),
		    .duration_ms = sqlite_i64(&query, 8),
		    .position = (uint32_t)sqlite_i64(&query, 9),
		};

		code = visit(arg, sqlite_str(&query, 0), &step, err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

enum err_code run_index_classes(struct run_index *index, const struct run_filter *filter,
				class_count_fn *visit, void *arg, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	if (sqlite_prepare(&index->sqlite,
			   "SELECT pipeline, event_type = 'retrying', error_class, count(*)"
			   " FROM runs JOIN core_workflow_events USING (run_id)"
			   " WHERE result IS NOT NULL AND (?1 IS NULL OR pipeline = ?1)"
			   " AND started_ms >= ?2 AND error_class IS NOT NULL"
			   " AND event_type IN ('failed', 'cancelled', 'retrying')"
			   " GROUP BY 1, 2, 3",
			   &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(&query, filter->pipeline);
	sqlite_put_i64(&query, filter->since_ms > 0 ? filter->since_ms : INT64_MIN);
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		code = visit(arg, sqlite_str(&query, 0), sqlite_i64(&query, 1) != 0,
			     sqlite_str(&query, 2), (uint64_t)sqlite_i64(&query, 3), err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}

/* ---- durations */

enum err_code run_index_times(struct run_index *index, struct str pipeline, size_t runs,
			      step_time_fn *visit, void *arg, struct err *err)
{
	struct sqlite_query query = {.stmt = NULL};
	enum err_code code;
	bool is_row;

	if (sqlite_prepare(
		&index->sqlite,
		"WITH newest AS (SELECT run_id, duration_ms FROM runs WHERE pipeline = ?1"
		" AND result = 'success' ORDER BY started_ms DESC LIMIT ?2)"
		" SELECT NULL, duration_ms FROM newest UNION ALL"
		" SELECT step_id, steps.duration_ms FROM newest JOIN steps USING (run_id)"
		" WHERE state = 'succeeded' AND cached_from IS NULL",
		&query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(&query, pipeline);
	sqlite_put_i64(&query, (int64_t)runs);
	while ((code = sqlite_next(&query, &is_row, err)) == ERR_OK && is_row) {
		code = visit(arg, sqlite_str(&query, 0), sqlite_i64(&query, 1), err);
		if (code != ERR_OK)
			break;
	}
	sqlite_finish(&query);
	return code;
}
