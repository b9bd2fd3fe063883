/* list.c - many runs: which there are, and what came of them */
#include "api/history.h"

#include "base/json.h"
#include "report/list.h"
#include "store/runs_index.h"

#define LIMIT_DEFAULT 100

struct listing {
	struct sluice *sluice;
	const struct list_filter *filter;
	bool with_removed;
	struct list_rows *rows;
};

static enum err_code add_run(void *arg, const struct run_row *run, struct err *err)
{
	struct listing *listing = arg;
	const struct list_row row = {.run_id = run->run_id,
				     .pipeline = run->pipeline,
				     .state = run->state,
				     .result = run->result,
				     .outcome = run->outcome,
				     .failure_reason = run->failure_reason,
				     .executed = run->executed,
				     .failed = run->failed,
				     .trigger = run->trigger,
				     .started_ms = run->started_ms,
				     .ended_ms = run->ended_ms,
				     .retries = run->retries};

	return list_add(listing->rows, &row, err);
}

static enum err_code add_facts(void *arg, const struct run_facts *facts, struct err *err)
{
	return add_run(arg, &facts->run, err);
}

/* ---- runs whose directory is gone: their records in runs.jsonl are all that is left */

static void names_put(struct buf *out, const struct str *names, size_t count)
{
	buf_byte(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_byte(out, ',');
		json_put_str(out, names[i]);
	}
	buf_byte(out, ']');
}

static enum err_code add_removed(void *arg, const struct run_record *record, struct err *err)
{
	struct listing *listing = arg;
	AUTO(buf_fini) struct buf executed = BUF_INIT;
	AUTO(buf_fini) struct buf failed = BUF_INIT;
	struct list_row row = {.run_id = record->run_id,
			       .pipeline = record->pipeline,
			       .state = STR("removed"),
			       .result = record->result,
			       .outcome = record->outcome.ptr ? record->outcome : record->result,
			       .failure_reason = record->failure_reason,
			       .trigger = record->trigger,
			       .started_ms = record->started_ms,
			       .ended_ms = record->ended_ms,
			       .retries = record->retry_count};

	if (history_has_dir(listing->sluice, record->run_id))
		return ERR_OK;
	names_put(&executed, record->stages_executed, record->stages_executed_count);
	names_put(&failed, record->stages_failed, record->stages_failed_count);
	if (buf_check(&executed, "steps", err) != ERR_OK ||
	    buf_check(&failed, "steps", err) != ERR_OK)
		return err->code;
	row.executed = buf_view(&executed);
	row.failed = buf_view(&failed);
	return list_add(listing->rows, &row, err);
}

/* ---- the list */

static enum err_code gather(void *arg, struct run_index *index, struct err *err)
{
	struct listing *listing = arg;
	const struct list_filter *filter = listing->filter;
	const struct run_filter wanted = {.result = filter->result,
					  .state = filter->state,
					  .pipeline = filter->pipeline,
					  .since_ms = filter->since_ms,
					  .limit = listing->with_removed ? 0 : filter->limit};
	size_t matched = 0;

	list_rows_fini(listing->rows);
	if (index) {
		if (run_index_list(index, &wanted, add_run, listing, &matched, err) != ERR_OK)
			return err->code;
	} else if (history_read(listing->sluice, NULL, add_facts, listing, err) != ERR_OK) {
		return err->code;
	}
	if (listing->with_removed && runs_index_read(listing->sluice->vfs, listing->sluice->home,
						     add_removed, listing, err) != ERR_OK)
		return err->code;
	list_select(listing->rows, filter);
	if (index && !listing->with_removed)
		listing->rows->matched = matched;
	return ERR_OK;
}

static enum err_code list(struct sluice *sluice, const struct sluice_list_opts *options,
			  struct buf *out, struct err *err)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	struct list_filter filter = {.result = str_of(options->result),
				     .state = str_of(options->state),
				     .pipeline = str_of(options->pipeline),
				     .since_ms = options->since_ms,
				     .limit = options->limit > 0 ? (size_t)options->limit
								 : LIMIT_DEFAULT};
	/* When a run began does not change: without these, only what is shown is looked at. */
	const bool by_change = filter.result.ptr || filter.state.ptr || filter.pipeline.ptr;
	const enum index_scope scope = by_change ? INDEX_OPEN : INDEX_NEW;
	struct listing listing = {.sluice = sluice,
				  .filter = &filter,
				  .with_removed =
				      options->removed || str_is(filter.state, "removed"),
				  .rows = &rows};

	if (filter.result.ptr && list_check_result(filter.result, err) != ERR_OK)
		return err->code;
	if (filter.state.ptr && list_check_state(filter.state, err) != ERR_OK)
		return err->code;
	if (history_ask(sluice, scope, gather, &listing, err) != ERR_OK)
		return err->code;
	switch (options->format) {
	case SLUICE_TEXT:
		list_table(&rows, options->columns, out);
		break;
	case SLUICE_JSON:
		list_json(&rows, out);
		break;
	case SLUICE_JSONL:
		list_jsonl(&rows, out);
		break;
	case SLUICE_CSV:
		list_csv(&rows, out);
		break;
	}
	return buf_check(out, "list", err);
}

enum sluice_code sluice_list(struct sluice *sluice, const struct sluice_list_opts *options,
			     char **ret_text, struct sluice_error *err)
{
	static const struct sluice_list_opts defaults = {.format = SLUICE_TEXT};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!sluice || !ret_text)
		return api_usage(err, "sluice_list needs a handle and an answer");
	if (options && (unsigned)options->format > SLUICE_CSV)
		return api_usage(err, "a list is text, json, jsonl or csv");
	history_note_clear(sluice);
	if (list(sluice, options ? options : &defaults, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}
