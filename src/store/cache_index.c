/* cache_index.c - see cache_index.h */
#include "store/cache_index.h"

#include "base/json.h"
#include "base/mem.h"
#include "log/log.h"
#include "rundir/rundir.h"
#include "sys/clock.h"

#include <string.h>

#define INDEX_BYTES_MAX ((size_t)1 << 28)
#define LOCK_NAP_MS     2
#define LOCK_TRIES      500

/* ---- lines ---- */

static void line_put(struct buf *out, const struct cache_place *place)
{
	buf_text(out, "{\"key\":");
	json_put_str(out, place->key);
	buf_text(out, ",\"run_id\":");
	json_put_str(out, place->run_id);
	buf_text(out, ",\"step_id\":");
	json_put_str(out, place->step_id);
	buf_fmt(out, ",\"attempt\":%u}\n", place->attempt);
}

static bool is_key(struct str text)
{
	if (text.len != SHA256_HEX_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
		      (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
			return false;
	}
	return true;
}

/* A member without escapes: no text of a line needs one. */
static struct str plain(struct str line, const char *name)
{
	struct str value = json_get(line, name);

	if (!value.ptr || json_type_of(value) != JSON_STRING || str_has(value, '\\'))
		return STR_NONE;
	return str_cut(value, 1, value.len - 1);
}

static bool line_take(struct str line, struct cache_place *ret_place)
{
	struct cache_place place = {.attempt = 0};
	struct err err = ERR_INIT;
	uint64_t attempt;

	if (json_check(line, 4, &err) != ERR_OK || json_type_of(line) != JSON_OBJECT)
		return false;
	place.key = plain(line, "key");
	place.run_id = plain(line, "run_id");
	place.step_id = plain(line, "step_id");
	if (!is_key(place.key) || !id_valid(place.run_id) || !name_valid(place.step_id) ||
	    !json_to_u64(json_get(line, "attempt"), &attempt) || attempt > UINT32_MAX)
		return false;
	place.attempt = (uint32_t)attempt;
	*ret_place = place;
	return true;
}

/* ---- the index in memory ---- */

static enum err_code index_add(struct cache_index *index, const struct cache_place *place,
			       struct err *err)
{
	struct cache_place own = {.attempt = place->attempt};
	void *list = index->places;

	if (mem_grow(&list, &index->capacity, index->count + 1, sizeof(own), err) != ERR_OK)
		return err->code;
	index->places = list;
	own.key = arena_str(&index->arena, place->key);
	own.run_id = arena_str(&index->arena, place->run_id);
	own.step_id = arena_str(&index->arena, place->step_id);
	if (!own.key.ptr || !own.run_id.ptr || !own.step_id.ptr)
		return mem_err(err);
	if (map_set(&index->keys, own.key, (uint32_t)index->count, err) != ERR_OK)
		return err->code;
	index->places[index->count++] = own;
	return ERR_OK;
}

/* False when something of it is no line: then all of it is made again. */
static enum err_code index_take(struct cache_index *index, struct str text, bool *ret_whole,
				struct err *err)
{
	size_t at = 0;

	*ret_whole = true;
	while (at < text.len && *ret_whole) {
		size_t end = str_find(text, "\n", at);
		struct cache_place place;

		*ret_whole = end != SIZE_MAX && line_take(str_cut(text, at, end), &place);
		if (*ret_whole && index_add(index, &place, err) != ERR_OK)
			return err->code;
		at = end + 1;
	}
	return ERR_OK;
}

static struct cache_index *index_new(void)
{
	struct cache_index *index = mem_new(1, sizeof(*index));

	if (index)
		map_init(&index->keys, (uint64_t)(uintptr_t)index);
	return index;
}

void cache_index_free(struct cache_index *index)
{
	if (!index)
		return;
	map_fini(&index->keys);
	mem_free(index->places);
	arena_fini(&index->arena);
	mem_free(index);
}

void cache_index_drop(struct cache_index **index)
{
	cache_index_free(*index);
	*index = NULL;
}

const struct cache_place *cache_index_find(const struct cache_index *index, struct str key)
{
	uint32_t at = map_get(&index->keys, key);

	return at == MAP_NONE ? NULL : &index->places[at];
}

/* ---- writing ---- */

static enum err_code lock_wait(const struct vfs *vfs, int fd, struct err *err)
{
	for (int tries = 1;; tries++) {
		struct err problem = ERR_INIT;

		if (vfs_lock(vfs, fd, &problem) == ERR_OK)
			return ERR_OK;
		if (problem.code != ERR_LOCKED || tries == LOCK_TRIES) {
			*err = problem;
			return err->code;
		}
		nap_ms(LOCK_NAP_MS);
	}
}

static enum err_code append_to(const struct vfs *vfs, int fd, struct str lines, struct err *err)
{
	struct vfs_stat stat = {0};
	size_t got = 0;
	char last = '\n';

	if (lock_wait(vfs, fd, err) != ERR_OK || vfs_stat(vfs, fd, &stat, err) != ERR_OK)
		return err->code;
	if (stat.size_bytes &&
	    vfs_read(vfs, fd, &last, 1, stat.size_bytes - 1, &got, err) != ERR_OK)
		return err->code;
	/* The first byte ends a line that somebody left open. */
	if (last == '\n')
		lines = str_cut(lines, 1, lines.len);
	return vfs_write(vfs, fd, lines.ptr, lines.len, err);
}

enum err_code cache_index_append(const struct vfs *vfs, const char *home,
				 const struct cache_place *places, size_t count, struct err *err)
{
	AUTO(buf_fini) struct buf lines = BUF_INIT;
	enum err_code code;
	int dir = -1;
	int fd = -1;

	buf_byte(&lines, '\n');
	for (size_t i = 0; i < count; i++)
		line_put(&lines, &places[i]);
	if (buf_check(&lines, CACHE_INDEX_FILE, err) != ERR_OK ||
	    vfs_root(vfs, home, false, &dir, err) != ERR_OK)
		return err->code;
	code = vfs_open(vfs, dir, CACHE_INDEX_FILE, VFS_CREATE_APPEND, &fd, err);
	if (code == ERR_OK)
		code = append_to(vfs, fd, buf_view(&lines), err);
	vfs_close(vfs, fd);
	vfs_close(vfs, dir);
	return code == ERR_OK ? ERR_OK : err_while(err, "append to %s", CACHE_INDEX_FILE);
}

/* ---- making it again ---- */

struct remaking {
	struct cache_index *index;
	struct str run_id;
	struct err err; /* memory: not the run's fault */
};

static enum err_code remake_visit(void *arg, const struct event *event, struct str line,
				  struct err *err)
{
	struct remaking *remaking = arg;
	struct cache_place place = {
	    .key = event_text(event, EVENT_FIELD_CACHE_KEY),
	    .run_id = remaking->run_id,
	    .step_id = event_text(event, EVENT_FIELD_STEP_ID),
	    .attempt = event->attempt,
	};

	(void)line;
	if (event->type != EVENT_STEP_SUCCEEDED || !is_key(place.key) || !name_valid(place.step_id))
		return ERR_OK;
	if (index_add(remaking->index, &place, &remaking->err) == ERR_OK)
		return ERR_OK;
	*err = remaking->err;
	return err->code;
}

static void remake_run(const struct vfs *vfs, int runs, struct str run_id,
		       const struct limits *limits, struct remaking *remaking)
{
	struct log_reading reading;
	struct err own = ERR_INIT;
	int dir = -1;

	remaking->run_id = run_id;
	/* A run that cannot be read has no place in it; short memory is told by `remaking`. */
	if (!id_valid(run_id) || vfs_open(vfs, runs, run_id.ptr, VFS_DIR, &dir, &own) != ERR_OK ||
	    log_read(vfs, dir, limits, 0, remake_visit, remaking, &reading, &own) != ERR_OK)
		err_reset(&own);
	vfs_close(vfs, dir);
}

static enum err_code remake(const struct vfs *vfs, const char *home, const struct limits *limits,
			    struct cache_index *index, struct err *err)
{
	AUTO(arena_fini) struct arena arena = ARENA_INIT;
	AUTO(buf_fini) struct buf path = BUF_INIT;
	struct remaking remaking = {.index = index, .err = ERR_INIT};
	struct err own = ERR_INIT;
	struct str *ids = NULL;
	size_t count = 0;
	int runs = -1;

	buf_fmt(&path, "%s/runs", home);
	if (buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	if (rundir_list(vfs, home, &arena, &ids, &count, &own) != ERR_OK ||
	    vfs_root(vfs, path.ptr, false, &runs, &own) != ERR_OK) {
		if (own.code == ERR_NOT_FOUND)
			return ERR_OK;
		*err = own;
		return err->code;
	}
	for (size_t i = count; i-- > 0 && remaking.err.code == ERR_OK;) /* newest last */
		remake_run(vfs, runs, ids[i], limits, &remaking);
	vfs_close(vfs, runs);
	if (remaking.err.code != ERR_OK)
		*err = remaking.err;
	return remaking.err.code;
}

static enum err_code remade_write(const struct vfs *vfs, const char *home,
				  const struct cache_index *index, struct err *err)
{
	AUTO(buf_fini) struct buf lines = BUF_INIT;
	enum err_code code;
	int dir = -1;

	for (size_t i = 0; i < index->count; i++)
		line_put(&lines, &index->places[i]);
	if (buf_check(&lines, CACHE_INDEX_FILE, err) != ERR_OK ||
	    vfs_root(vfs, home, false, &dir, err) != ERR_OK)
		return err->code;
	code = vfs_replace(vfs, dir, CACHE_INDEX_FILE, lines.ptr ? lines.ptr : "", lines.len, err);
	vfs_close(vfs, dir);
	return code;
}

/* What is there. Nothing to be read, for whatever cause, is not whole. */
static enum err_code index_read(const struct vfs *vfs, const char *home, struct cache_index *index,
				bool *ret_whole, struct err *err)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;
	enum err_code code;
	int dir = -1;

	*ret_whole = false;
	if (vfs_root(vfs, home, false, &dir, err) != ERR_OK)
		return err->code;
	code = vfs_read_all(vfs, dir, CACHE_INDEX_FILE, INDEX_BYTES_MAX, &text, &own);
	vfs_close(vfs, dir);
	if (code == ERR_MEMORY)
		return mem_err(err);
	return code == ERR_OK ? index_take(index, buf_view(&text), ret_whole, err) : ERR_OK;
}

enum err_code cache_index_open(const struct vfs *vfs, const char *home, const struct limits *limits,
			       struct cache_index **ret_index, struct err *ret_unwritten,
			       struct err *err)
{
	AUTO(cache_index_drop) struct cache_index *index = index_new();
	bool is_whole = false;

	if (!index)
		return mem_err(err);
	if (index_read(vfs, home, index, &is_whole, err) != ERR_OK)
		return err->code;
	if (!is_whole) {
		cache_index_free(index);
		index = index_new();
		if (!index)
			return mem_err(err);
		if (remake(vfs, home, limits, index, err) != ERR_OK)
			return err->code;
		(void)remade_write(vfs, home, index, ret_unwritten); /* told by it */
	}
	*ret_index = TAKE(index, NULL);
	return ERR_OK;
}
