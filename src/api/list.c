/* list.c - many runs: the records of those that ended, and the directories of all others
 *
 * runs.jsonl is a projection: a run that is active, blocked, cut off by a crash, or was resumed
 * since its record was written is told by its own log. */
#include "api/api.h"

#include "base/json.h"
#include "report/list.h"
#include "store/runs_index.h"

#define LIMIT_DEFAULT  100
#define CLOCK_SLACK_MS 2000 /* a record is written just after the log's last line */

struct gather {
	const struct sluice *sluice;
	int home; /* descriptor of the state directory */
	struct list_rows *rows;
	struct map by_id; /* run id -> its row */
};

static void gather_fini(struct gather *gather)
{
	map_fini(&gather->by_id);
	vfs_close(gather->sluice->vfs, gather->home);
}

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

static enum err_code take_record(void *arg, const struct run_record *record, struct err *err)
{
	struct gather *gather = arg;
	struct list_rows *rows = gather->rows;
	AUTO(buf_fini) struct buf executed = BUF_INIT;
	AUTO(buf_fini) struct buf failed = BUF_INIT;
	struct list_row row = {.run_id = record->run_id,
			       .pipeline = record->pipeline,
			       .result = record->result,
			       .outcome = record->outcome,
			       .failure_reason = record->failure_reason,
			       .trigger = record->trigger,
			       .started_ms = record->started_ms,
			       .ended_ms = record->ended_ms,
			       .retries = record->retry_count};

	names_put(&executed, record->stages_executed, record->stages_executed_count);
	names_put(&failed, record->stages_failed, record->stages_failed_count);
	if (buf_check(&executed, "steps", err) != ERR_OK ||
	    buf_check(&failed, "steps", err) != ERR_OK)
		return err->code;
	row.executed = buf_view(&executed);
	row.failed = buf_view(&failed);
	if (list_add_record(rows, &row, err) != ERR_OK)
		return err->code;
	return map_add(&gather->by_id, rows->items[rows->count - 1].run_id,
		       (uint32_t)(rows->count - 1), err);
}

static enum err_code fold_run_dir(struct gather *gather, const char *path, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(fold_fini) struct fold_run fold = {.model = NULL};
	struct run_lock_info owner;

	if (rundir_open(gather->sluice->vfs, path, &dir, err) != ERR_OK ||
	    run_lock_look(rundir_vfs(dir), rundir_fd(dir), &owner, err) != ERR_OK ||
	    fold_read(dir, &gather->sluice->limits, NULL, NULL, &fold, err) != ERR_OK)
		return err->code;
	return list_add_fold(gather->rows, &fold, &owner, err);
}

/* Has the log of a run gone on since its record was written? */
static bool went_on(const struct gather *gather, struct str id, int64_t ended_ms)
{
	const struct vfs *vfs = gather->sluice->vfs;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct err ignored = ERR_INIT; /* then the record is all that is known */
	struct vfs_stat stat;
	bool is_later = false;
	int fd;

	buf_fmt(&path, "runs/%.*s/" LOG_FILE, STR_ARG(id));
	if (path.failed != ERR_OK ||
	    vfs_open(vfs, gather->home, path.ptr, VFS_READ, &fd, &ignored) != ERR_OK)
		return false;
	if (vfs_stat(vfs, fd, &stat, &ignored) == ERR_OK)
		is_later = stat.modified_ms > ended_ms + CLOCK_SLACK_MS;
	vfs_close(vfs, fd);
	return is_later;
}

/* Add the run from its directory, in the place of its record if it has one. */
static enum err_code take_dir(struct gather *gather, struct str id, struct err *err)
{
	struct list_rows *rows = gather->rows;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	uint32_t known = map_get(&gather->by_id, id);
	struct err broken = ERR_INIT;

	if (known != MAP_NONE && (str_is(rows->items[known].result, "success") ||
				  !went_on(gather, id, rows->items[known].ended_ms)))
		return ERR_OK;
	buf_fmt(&path, "%s/runs/%.*s", gather->sluice->home, STR_ARG(id));
	if (buf_check(&path, "path", err) != ERR_OK)
		return err->code;
	if (fold_run_dir(gather, path.ptr, &broken) != ERR_OK) {
		if (broken.code == ERR_NOT_FOUND)
			return ERR_OK; /* no run: it was never born, or is gone by now */
		if (broken.code == ERR_MEMORY) {
			*err = broken;
			return err->code;
		}
		if (list_add_broken(rows, id, broken.text, err) != ERR_OK)
			return err->code;
	}
	if (known != MAP_NONE)
		rows->items[known] = rows->items[--rows->count];
	return ERR_OK;
}

static enum err_code gather_all(const struct sluice *sluice, struct list_rows *rows,
				struct err *err)
{
	AUTO(gather_fini) struct gather gather = {.sluice = sluice, .home = -1, .rows = rows};
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct err missing = ERR_INIT;
	struct str *ids;
	size_t count;
	uint64_t seed;

	if (random_bytes(&seed, sizeof(seed), err) != ERR_OK)
		return err->code;
	map_init(&gather.by_id, seed);
	if (vfs_root(sluice->vfs, sluice->home, false, &gather.home, &missing) != ERR_OK) {
		if (missing.code == ERR_NOT_FOUND)
			return ERR_OK; /* no run was ever started here */
		*err = missing;
		return err->code;
	}
	if (runs_index_read(sluice->vfs, sluice->home, take_record, &gather, err) != ERR_OK ||
	    rundir_list(sluice->vfs, sluice->home, &arena, &ids, &count, err) != ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		if (take_dir(&gather, ids[i], err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code list(const struct sluice *sluice, const struct sluice_list_opts *options,
			  struct buf *out, struct err *err)
{
	AUTO(list_rows_fini) struct list_rows rows = {.count = 0};
	struct list_filter filter = {.result = str_of(options->result),
				     .pipeline = str_of(options->pipeline),
				     .since_ms = options->since_ms,
				     .limit = options->limit > 0 ? (size_t)options->limit
								 : LIMIT_DEFAULT};

	if (filter.result.ptr && list_check_result(filter.result, err) != ERR_OK)
		return err->code;
	if (gather_all(sluice, &rows, err) != ERR_OK)
		return err->code;
	list_select(&rows, &filter);
	switch (options->format) {
	case SLUICE_TEXT:
		list_table(&rows, out);
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
	if (list(sluice, options ? options : &defaults, &out, &cause) != ERR_OK)
		return api_err(err, &cause);
	return api_text(&out, ret_text, err);
}
