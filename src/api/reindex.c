/* reindex.c - projections made anew from the logs */
#include "api/history.h"

#include "base/json.h"
#include "log/run_lock.h"
#include "report/pretty.h"
#include "store/rebuild.h"
#include "store/runs_index.h"

#include <stdio.h>
#include <stdlib.h>

/* A line of the new runs.jsonl. */
struct fresh_line {
	struct str run_id;
	struct str line;
	int64_t ended_ms;
};

/* A run directory that was left as it is. */
struct left {
	struct str run_id;
	struct str reason;
	enum err_code code; /* LOCKED = a live process owns the run, which is no error */
};

struct damage {
	struct str run_id;
	struct str reason;
};

struct reindex {
	struct sluice *sluice;
	struct arena arena; /* owns the texts */
	struct fresh_line *lines;
	size_t lines_count, lines_capacity;
	struct damage *damages;
	size_t damages_count, damages_capacity;
	struct map fresh; /* run ids that have a line */
	uint64_t seed;
	uint64_t runs;
	uint64_t unfinished;
	uint64_t kept; /* records that the logs do not give */
	bool has_database;
	bool is_all;      /* the projections in each run directory too */
	uint64_t rebuilt; /* runs whose were made anew */
	/* Runs whose were not: somebody owns them, or what is wrong. */
	struct left *lefts;
	size_t lefts_count, lefts_capacity;
};

static void reindex_fini(struct reindex *reindex)
{
	mem_free(reindex->lines);
	mem_free(reindex->damages);
	mem_free(reindex->lefts);
	map_fini(&reindex->fresh);
	arena_fini(&reindex->arena);
}

/* ---- what the logs give */

static enum err_code add_line(struct reindex *reindex, struct str run_id, struct str line,
			      int64_t ended_ms, struct err *err)
{
	struct fresh_line fresh = {.ended_ms = ended_ms};
	void *lines = reindex->lines;

	if (mem_grow(&lines, &reindex->lines_capacity, reindex->lines_count + 1,
		     sizeof(*reindex->lines), err) != ERR_OK)
		return err->code;
	reindex->lines = lines;
	fresh.run_id = arena_str(&reindex->arena, run_id);
	fresh.line = arena_str(&reindex->arena, line);
	if (!fresh.run_id.ptr || !fresh.line.ptr)
		return mem_err(err);
	reindex->lines[reindex->lines_count] = fresh;
	return map_set(&reindex->fresh, fresh.run_id, (uint32_t)reindex->lines_count++, err);
}

static enum err_code add_damage(struct reindex *reindex, const struct run_row *run, struct err *err)
{
	void *damages = reindex->damages;
	struct damage damage;

	if (mem_grow(&damages, &reindex->damages_capacity, reindex->damages_count + 1,
		     sizeof(*reindex->damages), err) != ERR_OK)
		return err->code;
	reindex->damages = damages;
	damage.run_id = arena_str(&reindex->arena, run->run_id);
	damage.reason = arena_str(&reindex->arena, run->failure_reason);
	if (!damage.run_id.ptr || !damage.reason.ptr)
		return mem_err(err);
	reindex->damages[reindex->damages_count++] = damage;
	return ERR_OK;
}

/* A JSON list of names as slices of `arena`. */
static enum err_code names_of(struct str list, struct arena *arena, const struct str **ret_names,
			      size_t *ret_count, struct err *err)
{
	struct str *names;
	struct str value;
	size_t count = 0;
	size_t at = 0;

	while (json_item(list, &at, &value))
		count++;
	names = arena_new(arena, count, sizeof(*names));
	if (!names)
		return mem_err(err);
	count = 0;
	for (at = 0; json_item(list, &at, &value); count++) {
		AUTO(buf_fini) struct buf name = BUF_INIT;

		json_decode(value, &name);
		if (buf_check(&name, "step", err) != ERR_OK)
			return err->code;
		names[count] = arena_str(arena, buf_view(&name));
		if (!names[count].ptr)
			return mem_err(err);
	}
	*ret_names = names;
	*ret_count = count;
	return ERR_OK;
}

static enum err_code add_record(struct reindex *reindex, const struct run_row *run, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(buf_fini) struct buf line = BUF_INIT;
	struct run_record record = {.run_id = run->run_id,
				    .started_ms = run->started_ms,
				    .ended_ms = run->ended_ms,
				    .result = run->result,
				    .failure_reason = run->failure_reason,
				    .retry_count = run->retries,
				    .pipeline = run->pipeline,
				    .outcome = run->outcome,
				    .trigger = run->trigger};

	if (names_of(run->executed, &arena, &record.stages_executed, &record.stages_executed_count,
		     err) != ERR_OK ||
	    names_of(run->failed, &arena, &record.stages_failed, &record.stages_failed_count,
		     err) != ERR_OK)
		return err->code;
	runs_index_encode(&record, &line);
	if (buf_check(&line, RUNS_INDEX_FILE, err) != ERR_OK)
		return err->code;
	return add_line(reindex, run->run_id, buf_view(&line), run->ended_ms, err);
}

static enum err_code add_run(void *arg, const struct run_row *run, struct err *err)
{
	struct reindex *reindex = arg;

	reindex->runs++;
	if (str_is(run->state, "corrupt"))
		return add_damage(reindex, run, err);
	if (run->result.ptr)
		return add_record(reindex, run, err);
	reindex->unfinished++;
	return ERR_OK;
}

static enum err_code add_facts(void *arg, const struct run_facts *facts, struct err *err)
{
	return add_run(arg, &facts->run, err);
}

static enum err_code gather(void *arg, struct run_index *index, struct err *err)
{
	const struct run_filter all = {.limit = 0};
	struct reindex *reindex = arg;
	size_t matched;

	reindex->lines_count = 0;
	reindex->damages_count = 0;
	reindex->runs = 0;
	reindex->unfinished = 0;
	map_fini(&reindex->fresh);
	map_init(&reindex->fresh, reindex->seed);
	reindex->has_database = index != NULL;
	if (!index)
		return history_read(reindex->sluice, NULL, add_facts, reindex, err);
	if (run_index_clear(index, err) != ERR_OK ||
	    run_index_update(index, INDEX_ALL, err) != ERR_OK)
		return err->code;
	return run_index_list(index, &all, add_run, reindex, &matched, err);
}

/* ---- what only the old file has */

static bool is_damaged(const struct reindex *reindex, struct str run_id)
{
	for (size_t i = 0; i < reindex->damages_count; i++) {
		if (str_eq(reindex->damages[i].run_id, run_id))
			return true;
	}
	return false;
}

/* The record of a run whose directory is gone, or whose log is damaged, is all that is left of
 * it. */
static enum err_code keep_record(void *arg, const struct run_record *record, struct err *err)
{
	struct reindex *reindex = arg;
	AUTO(buf_fini) struct buf line = BUF_INIT;

	if (map_get(&reindex->fresh, record->run_id) != MAP_NONE ||
	    (history_has_dir(reindex->sluice, record->run_id) &&
	     !is_damaged(reindex, record->run_id)))
		return ERR_OK;
	buf_str(&line, record->line);
	buf_byte(&line, '\n');
	if (buf_check(&line, RUNS_INDEX_FILE, err) != ERR_OK)
		return err->code;
	reindex->kept++;
	return add_line(reindex, record->run_id, buf_view(&line), record->ended_ms, err);
}

/* In the order in which live runs would have written them. */
static int by_end(const void *a, const void *b)
{
	const struct fresh_line *left = a;
	const struct fresh_line *right = b;

	if (left->ended_ms != right->ended_ms)
		return left->ended_ms < right->ended_ms ? -1 : 1;
	return str_cmp(left->run_id, right->run_id);
}

static enum err_code write_records(struct reindex *reindex, const struct runs_index_mark *mark,
				   struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	uint64_t later = 0;

	if (runs_index_read(reindex->sluice->vfs, reindex->sluice->home, keep_record, reindex,
			    err) != ERR_OK)
		return err->code;
	if (reindex->lines_count == 0 && mark->inode == 0)
		return ERR_OK; /* there was no such file, and nothing is to go into it */
	if (reindex->lines_count > 0)
		qsort(reindex->lines, reindex->lines_count, sizeof(*reindex->lines), by_end);
	for (size_t i = 0; i < reindex->lines_count; i++)
		buf_str(&text, reindex->lines[i].line);
	if (buf_check(&text, RUNS_INDEX_FILE, err) != ERR_OK)
		return err->code;
	return runs_index_replace(reindex->sluice->vfs, reindex->sluice->home, mark,
				  buf_view(&text), &later, err);
}

static enum err_code rebuild(struct reindex *reindex, struct err *err)
{
	struct runs_index_mark mark = {.inode = 0};
	struct err absent = ERR_INIT;

	if (random_bytes(&reindex->seed, sizeof(reindex->seed), err) != ERR_OK)
		return err->code;
	/* First: what is appended from now on is behind the mark. */
	if (runs_index_look(reindex->sluice->vfs, reindex->sluice->home, &mark, &absent) !=
	    ERR_OK) {
		if (absent.code == ERR_NOT_FOUND)
			return ERR_OK; /* no state directory: nothing was ever run */
		*err = absent;
		return err->code;
	}
	if (history_ask(reindex->sluice, INDEX_NONE, gather, reindex, err) != ERR_OK)
		return err->code;
	return write_records(reindex, &mark, err);
}

/* ---- what lies in each run directory */

static enum err_code add_left(struct reindex *reindex, struct str run_id, const struct err *why,
			      struct err *err)
{
	struct left left = {.code = why->code};
	void *lefts = reindex->lefts;

	if (mem_grow(&lefts, &reindex->lefts_capacity, reindex->lefts_count + 1,
		     sizeof(*reindex->lefts), err) != ERR_OK)
		return err->code;
	reindex->lefts = lefts;
	left.run_id = arena_str(&reindex->arena, run_id);
	left.reason = arena_str(&reindex->arena, str_of(why->text));
	if (!left.run_id.ptr || !left.reason.ptr)
		return mem_err(err);
	reindex->lefts[reindex->lefts_count++] = left;
	return ERR_OK;
}

/* NOT_FOUND: it is no run, or gone by now. LOCKED: it is owned. */
static enum err_code rebuild_run(const struct reindex *reindex, struct str run_id, struct err *err)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	const struct sluice *sluice = reindex->sluice;
	struct run_lock lock;
	enum err_code code;

	buf_fmt(&path, "%s/runs/%.*s", sluice->home, STR_ARG(run_id));
	if (buf_check(&path, "path", err) != ERR_OK ||
	    rundir_open(sluice->vfs, path.ptr, &dir, err) != ERR_OK ||
	    run_lock_take(sluice->vfs, rundir_fd(dir), &lock, err) != ERR_OK)
		return err->code;
	code = projections_rebuild(dir, &sluice->limits, err);
	run_lock_release(sluice->vfs, &lock);
	return code;
}

static enum err_code rebuild_runs(struct reindex *reindex, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	struct str *ids;
	size_t count;

	if (!reindex->is_all)
		return ERR_OK;
	if (rundir_list(reindex->sluice->vfs, reindex->sluice->home, &arena, &ids, &count, err) !=
	    ERR_OK)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		struct err why = ERR_INIT;

		if (rebuild_run(reindex, ids[i], &why) == ERR_OK) {
			reindex->rebuilt++;
			continue;
		}
		if (why.code == ERR_MEMORY) {
			*err = why;
			return err->code;
		}
		if (why.code != ERR_NOT_FOUND && add_left(reindex, ids[i], &why, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* ---- the answer */

static void answer_text(const struct reindex *reindex, struct buf *out)
{
	buf_fmt(out, "Runs: %llu (%llu not ended, %zu damaged)\n",
		(unsigned long long)reindex->runs, (unsigned long long)reindex->unfinished,
		reindex->damages_count);
	buf_fmt(out, "Records: %zu in " RUNS_INDEX_FILE, reindex->lines_count);
	if (reindex->kept > 0)
		buf_fmt(out, ", %llu of them of runs that are gone or damaged",
			(unsigned long long)reindex->kept);
	buf_fmt(out, "\nDatabase: %s\n", reindex->has_database ? RUN_INDEX_FILE : "none");
	for (size_t i = 0; i < reindex->damages_count; i++)
		buf_fmt(out, "Damaged: %.*s: %.*s\n", STR_ARG(reindex->damages[i].run_id),
			STR_ARG(reindex->damages[i].reason));
	if (reindex->is_all)
		buf_fmt(out, "Projections: made anew in %llu runs, not in %zu\n",
			(unsigned long long)reindex->rebuilt, reindex->lefts_count);
	for (size_t i = 0; i < reindex->lefts_count; i++)
		buf_fmt(out, "%s: %.*s: %.*s\n",
			reindex->lefts[i].code == ERR_LOCKED ? "Left alone" : "Not made anew",
			STR_ARG(reindex->lefts[i].run_id), STR_ARG(reindex->lefts[i].reason));
}

static void left_members(const struct reindex *reindex, struct buf *json)
{
	field_i64(json, "rebuilt", (int64_t)reindex->rebuilt);
	field_open(json, "not_rebuilt", '[');
	for (size_t i = 0; i < reindex->lefts_count; i++) {
		field_comma(json);
		buf_byte(json, '{');
		field_str(json, "run_id", reindex->lefts[i].run_id);
		field_bool(json, "live", reindex->lefts[i].code == ERR_LOCKED);
		field_str(json, "reason", reindex->lefts[i].reason);
		buf_byte(json, '}');
	}
	buf_byte(json, ']');
}

static void answer_json(const struct reindex *reindex, struct buf *out)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	buf_byte(&json, '{');
	field_i64(&json, "runs", (int64_t)reindex->runs);
	field_i64(&json, "unfinished", (int64_t)reindex->unfinished);
	field_i64(&json, "records", (int64_t)reindex->lines_count);
	field_i64(&json, "records_kept", (int64_t)reindex->kept);
	field_bool(&json, "database", reindex->has_database);
	field_open(&json, "damaged", '[');
	for (size_t i = 0; i < reindex->damages_count; i++) {
		field_comma(&json);
		buf_byte(&json, '{');
		field_str(&json, "run_id", reindex->damages[i].run_id);
		field_str(&json, "reason", reindex->damages[i].reason);
		buf_byte(&json, '}');
	}
	buf_byte(&json, ']');
	if (reindex->is_all)
		left_members(reindex, &json);
	buf_byte(&json, '}');
	if (json.failed != ERR_OK)
		out->failed = json.failed;
	pretty_json(out, buf_view(&json));
	buf_byte(out, '\n');
}

/* A log that is damaged matters more than a file that could not be written. */
static enum err_code left_error(const struct reindex *reindex, struct err *err)
{
	const struct left *worst = NULL;

	for (size_t i = 0; i < reindex->lefts_count; i++) {
		const struct left *left = &reindex->lefts[i];

		if (left->code != ERR_LOCKED &&
		    (!worst || (left->code == ERR_CORRUPT && worst->code != ERR_CORRUPT)))
			worst = left;
	}
	if (!worst)
		return ERR_OK;
	(void)err_set(err, worst->code,
		      "what run '%.*s' keeps beside its log is not made anew: %.*s",
		      STR_ARG(worst->run_id), STR_ARG(worst->reason));
	return err_hint(err, "sluice verify %.*s", STR_ARG(worst->run_id));
}

static enum err_code damage_error(const struct reindex *reindex, struct err *err)
{
	if (reindex->damages_count == 0)
		return left_error(reindex, err);
	(void)err_set(err, ERR_CORRUPT, "%zu of %llu runs are damaged", reindex->damages_count,
		      (unsigned long long)reindex->runs);
	return err_hint(err, "sluice verify %.*s", STR_ARG(reindex->damages[0].run_id));
}

static enum sluice_code answer(struct sluice *sluice, bool is_all, enum sluice_format format,
			       char **ret_text, struct sluice_error *err)
{
	AUTO(reindex_fini) struct reindex reindex = {.sluice = sluice, .is_all = is_all};
	AUTO(buf_fini) struct buf out = BUF_INIT;
	struct err cause = ERR_INIT;

	if (!sluice || !ret_text)
		return api_usage(err, "sluice_reindex needs a handle and an answer");
	if (format != SLUICE_TEXT && format != SLUICE_JSON)
		return api_usage(err, "the answer is text or json");
	history_note_clear(sluice);
	if (rebuild(&reindex, &cause) != ERR_OK || rebuild_runs(&reindex, &cause) != ERR_OK)
		return api_err(err, &cause);
	if (format == SLUICE_JSON)
		answer_json(&reindex, &out);
	else
		answer_text(&reindex, &out);
	if (api_text(&out, ret_text, err) != SLUICE_OK)
		return err->code;
	return damage_error(&reindex, &cause) == ERR_OK ? SLUICE_OK : api_err(err, &cause);
}

enum sluice_code sluice_reindex(struct sluice *sluice, enum sluice_format format, char **ret_text,
				struct sluice_error *err)
{
	return answer(sluice, false, format, ret_text, err);
}

enum sluice_code sluice_reindex_all(struct sluice *sluice, enum sluice_format format,
				    char **ret_text, struct sluice_error *err)
{
	return answer(sluice, true, format, ret_text, err);
}
