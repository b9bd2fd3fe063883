/* runs_index.c - see runs_index.h */
#include "store/runs_index.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "sys/clock.h"

#include <string.h>

#define INDEX_BYTES_MAX ((size_t)1 << 30)
#define LOCK_NAP_MS     2
#define LOCK_TRIES      2500 /* some five seconds */

/* ---- writing ---- */

static void put_text(struct buf *out, const char *name, struct str text)
{
	buf_text(out, name);
	if (text.ptr)
		json_put_str(out, text);
	else
		buf_text(out, "null");
}

static void put_stamp(struct buf *out, const char *name, int64_t utc_ms)
{
	char stamp[STAMP_BYTES + 1];

	stamp_write(utc_ms, stamp);
	put_text(out, name, str_of(stamp));
}

static void put_list(struct buf *out, const char *name, const struct str *texts, size_t count)
{
	buf_text(out, name);
	buf_byte(out, '[');
	for (size_t i = 0; i < count; i++)
		put_text(out, i ? ", " : "", texts[i]);
	buf_byte(out, ']');
}

void runs_index_encode(const struct run_record *record, struct buf *out)
{
	put_text(out, "{\"run_id\": ", record->run_id);
	put_stamp(out, ", \"started_at\": ", record->started_ms);
	put_stamp(out, ", \"ended_at\": ", record->ended_ms);
	put_text(out, ", \"result\": ", record->result);
	put_text(out, ", \"failure_reason\": ", record->failure_reason);
	put_list(out, ", \"stages_executed\": ", record->stages_executed,
		 record->stages_executed_count);
	put_list(out, ", \"stages_failed\": ", record->stages_failed, record->stages_failed_count);
	buf_text(out, ", \"retry_count\": ");
	buf_u64(out, record->retry_count);
	put_text(out, ", \"metadata\": {\"pipeline\": ", record->pipeline);
	put_text(out, ", \"outcome\": ", record->outcome);
	put_text(out, ", \"trigger\": ", record->trigger);
	buf_text(out, "}}\n");
}

/* Does the file end in the middle of a line? */
static enum err_code end_is_torn(const struct vfs *vfs, int fd, bool *ret_torn, struct err *err)
{
	struct vfs_stat stat = {0};
	size_t got = 0;
	char last = '\n';

	if (vfs_stat(vfs, fd, &stat, err) != ERR_OK)
		return err->code;
	if (stat.size_bytes &&
	    vfs_read(vfs, fd, &last, 1, stat.size_bytes - 1, &got, err) != ERR_OK)
		return err->code;
	*ret_torn = last != '\n';
	return ERR_OK;
}

/* Lock the file of that name; *ret_fd is -1 when it lost its name meanwhile. */
static enum err_code try_lock(const struct vfs *vfs, int dir, int *ret_fd, struct err *err)
{
	struct vfs_stat named = {0};
	struct vfs_stat stat = {0};
	struct err gone = ERR_INIT;
	enum err_code code;
	int fd = -1;

	*ret_fd = -1;
	if (vfs_open(vfs, dir, RUNS_INDEX_FILE, VFS_CREATE_APPEND, &fd, err) != ERR_OK)
		return err->code;
	code = vfs_lock(vfs, fd, err);
	if (code == ERR_OK)
		code = vfs_stat(vfs, fd, &stat, err);
	if (code != ERR_OK) {
		vfs_close(vfs, fd);
		return code;
	}
	code = vfs_stat_at(vfs, dir, RUNS_INDEX_FILE, &named, &gone);
	if (code == ERR_OK && named.inode == stat.inode && named.device == stat.device) {
		*ret_fd = fd;
		return ERR_OK;
	}
	vfs_close(vfs, fd);
	if (code == ERR_OK || code == ERR_NOT_FOUND)
		return ERR_OK;
	*err = gone;
	return code;
}

/* Closing the descriptor ends the lock. */
static enum err_code open_locked(const struct vfs *vfs, int dir, int *ret_fd, struct err *err)
{
	for (int tries = 1;; tries++) {
		struct err problem = ERR_INIT;
		enum err_code code = try_lock(vfs, dir, ret_fd, &problem);

		if (code == ERR_OK && *ret_fd >= 0)
			return ERR_OK;
		if (code == ERR_OK)
			(void)err_set(&problem, ERR_LOCKED, "the file is replaced all the time");
		if (problem.code != ERR_LOCKED || tries == LOCK_TRIES) {
			*err = problem;
			return err->code;
		}
		if (code != ERR_OK)
			nap_ms(LOCK_NAP_MS);
	}
}

enum err_code runs_index_append(const struct vfs *vfs, const char *home,
				const struct run_record *record, struct err *err)
{
	AUTO(buf_fini) struct buf line = BUF_INIT;
	enum err_code code;
	bool is_torn = false;
	int dir = -1;
	int fd = -1;

	buf_byte(&line, '\n'); /* left out when it is not needed */
	runs_index_encode(record, &line);
	if (buf_check(&line, RUNS_INDEX_FILE, err) != ERR_OK ||
	    vfs_home(vfs, home, &dir, err) != ERR_OK)
		return err->code;
	code = open_locked(vfs, dir, &fd, err);
	if (code == ERR_OK)
		code = end_is_torn(vfs, fd, &is_torn, err);
	if (code == ERR_OK)
		code = vfs_write(vfs, fd, line.ptr + !is_torn, line.len - !is_torn, err);
	vfs_close(vfs, fd);
	vfs_close(vfs, dir);
	return code == ERR_OK ? ERR_OK : err_while(err, "append to %s", RUNS_INDEX_FILE);
}

/* ---- replacing ---- */

enum err_code runs_index_look(const struct vfs *vfs, const char *home,
			      struct runs_index_mark *ret_mark, struct err *err)
{
	struct vfs_stat stat = {0};
	struct err gone = ERR_INIT;
	enum err_code code;
	int dir = -1;

	if (vfs_home(vfs, home, &dir, err) != ERR_OK)
		return err->code;
	code = vfs_stat_at(vfs, dir, RUNS_INDEX_FILE, &stat, &gone);
	vfs_close(vfs, dir);
	if (code != ERR_OK && code != ERR_NOT_FOUND) {
		*err = gone;
		return code;
	}
	*ret_mark = (struct runs_index_mark){.inode = 0};
	if (code == ERR_OK)
		*ret_mark = (struct runs_index_mark){stat.inode, stat.size_bytes};
	return ERR_OK;
}

/* What the locked file got since `mark`; all of it when it is another file. */
static enum err_code read_later(const struct vfs *vfs, int fd, const struct runs_index_mark *mark,
				struct buf *out, struct err *err)
{
	struct vfs_stat stat = {0};
	uint64_t from = 0;
	size_t got = 0;
	char *room;

	if (vfs_stat(vfs, fd, &stat, err) != ERR_OK)
		return err->code;
	if (stat.inode == mark->inode && stat.size_bytes >= mark->size_bytes)
		from = mark->size_bytes;
	if (stat.size_bytes - from > INDEX_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "'%s' is too long", RUNS_INDEX_FILE);
	if (stat.size_bytes == from)
		return ERR_OK;
	room = buf_room(out, (size_t)(stat.size_bytes - from));
	if (!room)
		return buf_check(out, RUNS_INDEX_FILE, err);
	if (vfs_read(vfs, fd, room, (size_t)(stat.size_bytes - from), from, &got, err) != ERR_OK)
		return err->code;
	buf_added(out, got);
	return ERR_OK;
}

enum err_code runs_index_replace(const struct vfs *vfs, const char *home,
				 const struct runs_index_mark *mark, struct str lines,
				 uint64_t *ret_later, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	enum err_code code;
	int dir = -1;
	int fd = -1;

	if (vfs_home(vfs, home, &dir, err) != ERR_OK)
		return err->code;
	buf_str(&text, lines);
	code = open_locked(vfs, dir, &fd, err);
	if (code == ERR_OK)
		code = read_later(vfs, fd, mark, &text, err);
	if (code == ERR_OK)
		code = buf_check(&text, RUNS_INDEX_FILE, err);
	if (code == ERR_OK)
		code =
		    vfs_replace(vfs, dir, RUNS_INDEX_FILE, text.ptr ? text.ptr : "", text.len, err);
	vfs_close(vfs, fd); /* only now: who waits for the lock finds the new file */
	vfs_close(vfs, dir);
	if (code != ERR_OK)
		return err_while(err, "replace %s", RUNS_INDEX_FILE);
	*ret_later = text.len - lines.len;
	return ERR_OK;
}

/* ---- reading ---- */

/* The text of a string member; STR_NONE when it is absent or something else. */
static enum err_code take_text(struct str object, const char *name, struct arena *arena,
			       struct str *ret_text, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct str value = json_get(object, name);

	*ret_text = STR_NONE;
	if (!value.ptr || json_type_of(value) != JSON_STRING)
		return ERR_OK;
	json_decode(value, &text);
	if (buf_check(&text, name, err) != ERR_OK)
		return err->code;
	*ret_text = arena_str(arena, buf_view(&text));
	return ret_text->ptr ? ERR_OK : mem_err(err);
}

static enum err_code take_stamp(struct str object, const char *name, struct arena *arena,
				int64_t *ret_utc_ms, struct err *err)
{
	AUTO(buf_fini) struct buf zoned = BUF_INIT;
	struct str text;

	*ret_utc_ms = 0;
	if (take_text(object, name, arena, &text, err) != ERR_OK)
		return err->code;
	if (stamp_read(text, ret_utc_ms))
		return ERR_OK;
	buf_str(&zoned, text);
	buf_byte(&zoned, 'Z');
	if (buf_check(&zoned, name, err) != ERR_OK)
		return err->code;
	(void)stamp_read(buf_view(&zoned), ret_utc_ms); /* else no time, as before */
	return ERR_OK;
}

static enum err_code take_list(struct str object, const char *name, struct arena *arena,
			       const struct str **ret_texts, size_t *ret_count, struct err *err)
{
	struct str list = json_get(object, name);
	struct str value;
	struct str *texts;
	size_t count = 0;
	size_t at = 0;

	*ret_texts = NULL;
	*ret_count = 0;
	if (!list.ptr || json_type_of(list) != JSON_ARRAY)
		return ERR_OK;
	while (json_item(list, &at, &value))
		count += json_type_of(value) == JSON_STRING;
	texts = arena_new(arena, count, sizeof(*texts));
	if (!texts)
		return mem_err(err);
	count = 0;
	for (at = 0; json_item(list, &at, &value);) {
		AUTO(buf_fini) struct buf text = BUF_INIT;

		if (json_type_of(value) != JSON_STRING)
			continue;
		json_decode(value, &text);
		if (buf_check(&text, name, err) != ERR_OK)
			return err->code;
		texts[count] = arena_str(arena, buf_view(&text));
		if (!texts[count++].ptr)
			return mem_err(err);
	}
	*ret_texts = texts;
	*ret_count = count;
	return ERR_OK;
}

/* A line that passed is_record(). Its texts live in `arena`. */
static enum err_code take_record(struct str line, struct arena *arena, struct run_record *record,
				 struct err *err)
{
	struct str metadata = json_get(line, "metadata");

	*record = (struct run_record){.line = line};
	if (!metadata.ptr || json_type_of(metadata) != JSON_OBJECT)
		metadata = STR("{}");
	(void)json_to_u64(json_get(line, "retry_count"), &record->retry_count); /* else 0 */
	if (take_text(line, "run_id", arena, &record->run_id, err) != ERR_OK ||
	    take_stamp(line, "started_at", arena, &record->started_ms, err) != ERR_OK ||
	    take_stamp(line, "ended_at", arena, &record->ended_ms, err) != ERR_OK ||
	    take_text(line, "result", arena, &record->result, err) != ERR_OK ||
	    take_text(line, "failure_reason", arena, &record->failure_reason, err) != ERR_OK ||
	    take_list(line, "stages_executed", arena, &record->stages_executed,
		      &record->stages_executed_count, err) != ERR_OK ||
	    take_list(line, "stages_failed", arena, &record->stages_failed,
		      &record->stages_failed_count, err) != ERR_OK ||
	    take_text(metadata, "pipeline", arena, &record->pipeline, err) != ERR_OK ||
	    take_text(metadata, "outcome", arena, &record->outcome, err) != ERR_OK ||
	    take_text(metadata, "trigger", arena, &record->trigger, err) != ERR_OK)
		return err->code;
	return ERR_OK;
}

/* A JSON object with a run id; *ret_id is decoded, in `arena`. False for a line to pass over. */
static enum err_code is_record(struct str line, struct arena *arena, struct str *ret_id,
			       bool *ret_good, struct err *err)
{
	struct err problem = ERR_INIT;

	*ret_good = false;
	switch ((int)json_check(line, JSON_DEPTH_MAX, &problem)) {
	case ERR_OK:
		break;
	case ERR_MEMORY:
		*err = problem;
		return ERR_MEMORY;
	default:
		return ERR_OK;
	}
	if (json_type_of(line) != JSON_OBJECT)
		return ERR_OK;
	if (take_text(line, "run_id", arena, ret_id, err) != ERR_OK)
		return err->code;
	*ret_good = ret_id->ptr && ret_id->len;
	return ERR_OK;
}

/* The next line from *at, without its newline; false at the end. A torn end counts as a line: it is
 * one if it is whole JSON. */
static bool next_line(struct str text, size_t *at, struct str *ret_line)
{
	const char *newline;
	size_t from = *at;

	if (from >= text.len)
		return false;
	newline = memchr(text.ptr + from, '\n', text.len - from);
	*at = newline ? (size_t)(newline - text.ptr) + 1 : text.len;
	*ret_line = str_from(text.ptr + from, *at - from - (newline != NULL));
	return true;
}

/* Which line is the last of its id: `last` maps ids to numbers of lines. */
static enum err_code lines_rank(struct str text, struct arena *arena, struct map *last,
				struct err *err)
{
	struct str line;
	size_t at = 0;

	for (uint32_t number = 0; next_line(text, &at, &line); number++) {
		struct str id;
		bool is_good;

		if (is_record(line, arena, &id, &is_good, err) != ERR_OK)
			return err->code;
		if (is_good && map_set(last, id, number, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

static enum err_code lines_visit(struct str text, const struct map *last,
				 runs_index_visit_fn *visit, void *arg, struct err *err)
{
	struct arena arena = ARENA_INIT;
	enum err_code code = ERR_OK;
	struct str line;
	size_t at = 0;

	for (uint32_t number = 0; code == ERR_OK && next_line(text, &at, &line); number++) {
		struct run_record record;
		struct str id;
		bool is_good;

		arena_clear(&arena);
		code = is_record(line, &arena, &id, &is_good, err);
		if (code != ERR_OK || !is_good || map_get(last, id) != number)
			continue;
		code = take_record(line, &arena, &record, err);
		if (code == ERR_OK)
			code = visit(arg, &record, err);
	}
	arena_fini(&arena);
	return code;
}

enum err_code runs_index_read(const struct vfs *vfs, const char *home, runs_index_visit_fn *visit,
			      void *arg, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err problem = ERR_INIT;
	struct arena ids = ARENA_INIT;
	struct map last;
	enum err_code code;
	int dir = -1;

	code = vfs_home(vfs, home, &dir, &problem);
	if (code == ERR_OK)
		code = vfs_read_all(vfs, dir, RUNS_INDEX_FILE, INDEX_BYTES_MAX, &text, &problem);
	vfs_close(vfs, dir);
	if (code == ERR_NOT_FOUND)
		return ERR_OK;
	if (code != ERR_OK) {
		*err = problem;
		return code;
	}
	map_init(&last, (uint64_t)(uintptr_t)text.ptr); /* where the text lies is not foreseen */
	code = lines_rank(buf_view(&text), &ids, &last, err);
	if (code == ERR_OK)
		code = lines_visit(buf_view(&text), &last, visit, arg, err);
	map_fini(&last);
	arena_fini(&ids);
	return code;
}
