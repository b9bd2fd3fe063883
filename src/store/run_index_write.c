/* run_index_write.c - a run's facts as rows of the history database */
#include "store/run_index_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"

/* A clock of a file system may stand still for so long (two seconds where times are coarse): what
 * was changed within it may be changed again without a trace. */
#define RACY_NS (2 * NS_PER_S)

static void put_stamp(struct sqlite_query *query, int64_t utc_ms, char stamp[STAMP_BYTES + 1])
{
	stamp_write(utc_ms, stamp);
	sqlite_put_str(query, utc_ms > 0 ? str_from(stamp, STAMP_BYTES) : STR_NONE);
}

/* ---- core_workflow_events */

struct event_writer {
	struct run_index *index;
	struct str run_id;
	bool is_wanted;
	struct buf payload;
	struct buf key;
};

static struct str name_of_end(const struct event *event)
{
	struct str outcome = event_text(event, EVENT_FIELD_OUTCOME);

	if (str_is(outcome, "success") || str_is(outcome, "partial"))
		return STR("completed");
	return str_is(outcome, "stopped") ? STR("cancelled") : STR("failed");
}

/* System B's word for an event; ptr NULL for those that it has none for. */
static struct str name_of(const struct event *event)
{
	switch ((int)event->type) {
	case EVENT_RUN_CREATED:
	case EVENT_STEP_STARTED:
		return STR("started");
	case EVENT_RUN_COMPLETED:
		return name_of_end(event);
	case EVENT_STEP_SUCCEEDED:
		return STR("completed");
	case EVENT_STEP_FAILED:
		return str_is(event_text(event, EVENT_FIELD_ERROR_CLASS), "cancelled")
			   ? STR("cancelled")
			   : STR("failed");
	case EVENT_STEP_LOST:
		return STR("failed");
	case EVENT_STEP_RETRIED:
		return STR("retrying");
	case EVENT_STEP_SKIPPED:
		return STR("skipped");
	default:
		return STR_NONE;
	}
}

static void payload_put(struct buf *out, const struct event *event)
{
	struct str reason = event_text(event, EVENT_FIELD_REASON);

	buf_text(out, "{\"seq\":");
	buf_u64(out, event->seq);
	buf_text(out, ",\"attempt\":");
	buf_u64(out, event->attempt);
	if (event_has(event, EVENT_FIELD_DURATION_MS)) {
		buf_text(out, ",\"duration_ms\":");
		buf_i64(out, event_int(event, EVENT_FIELD_DURATION_MS, 0));
	}
	if (reason.ptr) {
		buf_text(out, ",\"reason\":");
		json_put_str(out, reason);
	}
	buf_byte(out, '}');
}

static enum err_code put_event(void *arg, const struct event *event, struct err *err)
{
	struct event_writer *writer = arg;
	struct str name = name_of(event);
	char stamp[STAMP_BYTES + 1];
	struct sqlite_query *query = NULL;

	if (!writer->is_wanted || !name.ptr)
		return ERR_OK;
	buf_clear(&writer->payload);
	buf_clear(&writer->key);
	payload_put(&writer->payload, event);
	buf_fmt(&writer->key, "%.*s/%llu", STR_ARG(writer->run_id), (unsigned long long)event->seq);
	if (buf_check(&writer->payload, "event", err) != ERR_OK ||
	    buf_check(&writer->key, "event", err) != ERR_OK ||
	    index_query(writer->index, QUERY_EVENT_PUT, &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(query, writer->run_id);
	sqlite_put_str(query, event_text(event, EVENT_FIELD_STEP_ID));
	sqlite_put_str(query, name);
	put_stamp(query, event->time_utc_ms, stamp);
	sqlite_put_str(query, buf_view(&writer->payload));
	sqlite_put_str(query, buf_view(&writer->key));
	sqlite_put_str(query, run_event_class(event));
	return sqlite_do(query, err);
}

/* ---- runs, steps, core_workflow_checkpoints */

static enum err_code put_run(struct run_index *index, const struct run_facts *facts,
			     uint64_t dir_inode, const struct mark *mark, struct err *err)
{
	const struct run_row *run = &facts->run;
	int64_t age_ns = clock_utc_ms(index->clock) * NS_PER_MS - mark->changed_ns;
	bool is_trusted = !facts->is_owned && facts->problem.code == ERR_OK && age_ns >= RACY_NS;
	struct sqlite_query *query = NULL;

	if (index_query(index, QUERY_RUN_PUT, &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(query, run->run_id);
	sqlite_put_str(query, run->pipeline);
	sqlite_put_str(query, run->version);
	sqlite_put_str(query, run->partition);
	sqlite_put_str(query, run->state);
	sqlite_put_str(query, run->result);
	sqlite_put_str(query, run->outcome);
	sqlite_put_str(query, run->failure_reason);
	sqlite_put_str(query, run->trigger);
	sqlite_put_str(query, run->executed);
	sqlite_put_str(query, run->failed);
	sqlite_put_str(query, run->params);
	sqlite_put_str(query, run->definition_hash);
	sqlite_put_str(query, run->receipt);
	sqlite_put_i64(query, run->started_ms);
	sqlite_put_i64(query, run->ended_ms);
	sqlite_put_i64(query, run->duration_ms);
	sqlite_put_i64(query, (int64_t)run->retries);
	sqlite_put_i64(query, (int64_t)run->warnings);
	sqlite_put_i64(query, (int64_t)run->gate_failures);
	sqlite_put_i64(query, run->is_live);
	sqlite_put_i64(query, run->is_settled);
	sqlite_put_i64(query, (int64_t)dir_inode);
	sqlite_put_i64(query, (int64_t)mark->inode);
	sqlite_put_i64(query, (int64_t)mark->size_bytes);
	sqlite_put_i64(query, is_trusted ? mark->changed_ns : 0);
	return sqlite_do(query, err);
}

static enum err_code put_step(struct run_index *index, const struct run_facts *facts, size_t at,
			      struct err *err)
{
	const struct step_row *step = &facts->steps[at];
	struct sqlite_query *query = NULL;

	if (index_query(index, QUERY_STEP_PUT, &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(query, facts->run.run_id);
	sqlite_put_str(query, step->step_id);
	sqlite_put_i64(query, (int64_t)at);
	sqlite_put_str(query, step->state);
	sqlite_put_str(query, step->error_class);
	sqlite_put_str(query, step->skip_reason);
	sqlite_put_str(query, step->reason);
	sqlite_put_str(query, step->outputs_hash);
	sqlite_put_str(query, step->cached_from);
	sqlite_put_i64(query, step->attempts);
	sqlite_put_i64(query, step->retries);
	sqlite_put_i64(query, step->started_ms);
	sqlite_put_i64(query, step->ended_ms);
	sqlite_put_i64(query, step->duration_ms);
	return sqlite_do(query, err);
}

static enum err_code put_checkpoint(struct run_index *index, const struct run_facts *facts,
				    struct err *err)
{
	char stamp[STAMP_BYTES + 1];
	struct sqlite_query *query = NULL;

	if (!facts->last_step.ptr || facts->problem.code != ERR_OK)
		return ERR_OK;
	if (index_query(index, QUERY_CHECKPOINT_PUT, &query, err) != ERR_OK)
		return err->code;
	sqlite_put_str(query, facts->run.run_id);
	sqlite_put_str(query, facts->run.pipeline);
	sqlite_put_str(query, facts->last_step);
	sqlite_put_str(query, facts->context);
	put_stamp(query, facts->last_step_ms, stamp);
	return sqlite_do(query, err);
}

static enum err_code put_facts(struct run_index *index, const struct run_facts *facts,
			       uint64_t dir_inode, const struct mark *mark, struct err *err)
{
	if (put_run(index, facts, dir_inode, mark, err) != ERR_OK)
		return err->code;
	if (facts->is_owned)
		return ERR_OK; /* its steps and events come when it rests */
	for (size_t i = 0; i < facts->steps_count; i++) {
		if (put_step(index, facts, i, err) != ERR_OK)
			return err->code;
	}
	return put_checkpoint(index, facts, err);
}

/* ---- a run */

enum err_code index_remove_run(struct run_index *index, struct str run_id, struct err *err)
{
	for (enum index_query which = QUERY_RUN_REMOVE; which <= QUERY_CHECKPOINTS_REMOVE;
	     which++) {
		struct sqlite_query *query = NULL;

		if (index_query(index, which, &query, err) != ERR_OK)
			return err->code;
		sqlite_put_str(query, run_id);
		if (sqlite_do(query, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static bool is_owned(const struct run_index *index, struct str run_id, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct run_lock_info owner = {.is_held = false};
	int dir = -1;

	buf_fmt(&path, "%.*s", STR_ARG(run_id));
	if (path.failed == ERR_OK &&
	    vfs_open(&vfs_os, index->runs, path.ptr, VFS_DIR, &dir, err) == ERR_OK &&
	    run_lock_look(&vfs_os, dir, &owner, err) != ERR_OK)
		owner.is_held = false; /* reading the run will say what is wrong */
	vfs_close(&vfs_os, dir);
	return owner.is_held;
}

enum err_code index_read_run(struct run_index *index, struct str run_id, uint64_t dir_inode,
			     bool *ret_is_run, struct err *err)
{
	AUTO(run_facts_fini) struct run_facts facts = {.steps = NULL};
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct event_writer writer = {.index = index, .run_id = run_id};
	struct mark mark = {.inode = 0}; /* taken first: what comes later shows next time */
	struct err absent = ERR_INIT;
	struct err problem = ERR_INIT;
	enum err_code code;

	index->reads++;
	*ret_is_run = false;
	(void)index_log_mark(index, run_id, &mark);
	if (index_remove_run(index, run_id, err) != ERR_OK)
		return err->code;
	buf_fmt(&path, "%s/runs/%.*s", index->home.ptr, STR_ARG(run_id));
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	writer.is_wanted = !is_owned(index, run_id, &absent);
	code =
	    run_facts_read(&vfs_os, path.ptr, index->limits, put_event, &writer, &facts, &problem);
	buf_fini(&writer.payload);
	buf_fini(&writer.key);
	if (code == ERR_NOT_FOUND)
		return ERR_OK;
	if (code != ERR_OK) {
		*err = problem;
		return code;
	}
	*ret_is_run = true;
	return put_facts(index, &facts, dir_inode, &mark, err);
}
