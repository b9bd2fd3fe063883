/* cache.c - `cache: true`: an earlier success of the same definition, parameters, environment and
 * inputs stands for a step.
 *
 * The key is a hash of all that the command gets; secrets are in it and nowhere else. The index
 * says where a success may be, the log of that run says what it was, and the files say whether its
 * artifacts are still that. Whatever does not fit means that the step runs. */
#include "engine/engine_intern.h"

#include "base/mem.h"
#include "lang/lang.h"
#include "store/cache_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_VERSION "sluice cache 1"

struct cached {
	struct str key, run_id, step_id;
	uint32_t attempt;
	struct str outputs, outputs_ref, outputs_hash;
	struct str updates, updates_ref;
	struct str quality;
	struct decide_artifact *artifacts;
	size_t artifacts_count;
};

/* What an attempt that runs would be found under. */
struct slot {
	bool is_used;
	uint32_t attempt;
	char key[SHA256_HEX_BYTES + 1];
};

struct cache {
	struct arena arena;
	struct cache_index *index;
	struct err unwritten; /* why the index could not be made again; code OK = it was */
	struct map sources;   /* runs whose logs were read */
	struct map successes; /* run/step/attempt -> list */
	struct cached **list;
	size_t count, capacity;
	struct slot *slots; /* by step */
	uint32_t *noted;    /* steps whose success goes into the index */
	size_t noted_count;
	bool is_short; /* some text of the run that is being read could not be kept */
};

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	cache_index_free(cache->index);
	map_fini(&cache->sources);
	map_fini(&cache->successes);
	mem_free(cache->list);
	mem_free(cache->slots);
	mem_free(cache->noted);
	arena_fini(&cache->arena);
	mem_free(cache);
}

static enum err_code cache_make(struct engine *engine, struct err *err)
{
	uint32_t steps = engine->fold.model->steps_count;
	struct cache *cache;

	if (engine->cache)
		return ERR_OK;
	cache = mem_new(1, sizeof(*cache));
	if (!cache)
		return mem_err(err);
	map_init(&cache->sources, engine->fold.state.seed);
	map_init(&cache->successes, engine->fold.state.seed);
	cache->slots = mem_new(steps, sizeof(*cache->slots));
	cache->noted = mem_new(steps, sizeof(*cache->noted));
	if (!cache->slots || !cache->noted)
		(void)mem_err(err);
	else if (cache_index_open(engine->ports.vfs, engine->ports.home, engine->ports.limits,
				  &cache->index, &cache->unwritten, err) == ERR_OK) {
		engine->cache = cache;
		return ERR_OK;
	}
	cache_free(cache);
	return err->code;
}

/* ----------------------------------------------------------------------------------- the key */

static void add_text(struct sha256 *sha, struct str text)
{
	uint64_t len = text.len;
	unsigned char bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(len >> 8 * i);
	sha256_add(sha, bytes, sizeof(bytes));
	if (text.len)
		sha256_add(sha, text.ptr, text.len);
}

/* Different in each run or attempt, and no input of it. */
static bool is_own(const char *entry)
{
	return str_starts(str_of(entry), "SLUICE_") || str_starts(str_of(entry), "TRACEPARENT=");
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code add_environment(struct engine *engine, char *const *envp, struct sha256 *sha,
				     struct err *err)
{
	size_t count = 0;
	char **sorted;

	while (envp[count])
		count++;
	sorted = arena_new(&engine->tick, count + 1, sizeof(*sorted));
	if (!sorted)
		return mem_err(err);
	memcpy(sorted, envp, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), text_cmp);
	for (size_t i = 0; i < count; i++) {
		if (!is_own(sorted[i]))
			add_text(sha, str_of(sorted[i]));
	}
	add_text(sha, STR_NONE);
	return ERR_OK;
}

static enum err_code add_file(const char *path, struct sha256 *sha, struct err *err)
{
	struct file_digest digest;

	if (rundir_digest(path, false, &digest, err) != ERR_OK)
		return err->code;
	add_text(sha, str_of(path));
	add_text(sha, str_of(digest.sha256));
	return ERR_OK;
}

static enum err_code add_files(struct engine *engine, uint32_t step,
			       const struct prepared *prepared, struct sha256 *sha, struct err *err)
{
	const struct step *def = &engine->fold.model->steps[step];

	for (uint32_t i = 0; i < def->inputs_count; i++) {
		char *path = NULL;

		if (prepare_path(engine, step, &def->inputs[i], false, &path, err) != ERR_OK ||
		    add_file(path, sha, err) != ERR_OK)
			return err->code;
	}
	add_text(sha, STR_NONE);
	for (uint32_t i = 0; i < def->artifacts_count; i++) {
		char *path = NULL;

		if (prepare_path(engine, step, &def->artifacts[i].path, true, &path, err) != ERR_OK)
			return err->code;
		add_text(sha, str_of(path));
	}
	add_text(sha, prepared->stdin_text);
	return prepared->stdin_path ? add_file(prepared->stdin_path, sha, err) : ERR_OK;
}

static enum err_code add_definition(struct engine *engine, uint32_t step,
				    const struct prepared *prepared, struct sha256 *sha,
				    struct err *err)
{
	const struct model *model = engine->fold.model;
	AUTO(buf_fini) struct buf text = BUF_INIT;

	lang_freeze_step(model, &model->steps[step], &text);
	if (prepared->command->has_context)
		process_context(&engine->fold.state, &text);
	if (buf_check(&text, "a step's definition", err) != ERR_OK)
		return err->code;
	add_text(sha, STR(KEY_VERSION));
	add_text(sha, buf_view(&text));
	add_text(sha, str_of(prepared->cwd));
	for (char **word = prepared->argv; *word; word++)
		add_text(sha, str_of(*word));
	add_text(sha, STR_NONE);
	return ERR_OK;
}

/* A file of it cannot be read: then there is no key, and the attempt tells what is wrong. */
static enum err_code key_make(struct engine *engine, uint32_t step, const struct prepared *prepared,
			      struct slot *slot, struct err *err)
{
	struct err own = ERR_INIT;
	uint8_t digest[SHA256_BYTES];
	struct sha256 sha;

	sha256_start(&sha);
	if (add_definition(engine, step, prepared, &sha, &own) == ERR_OK &&
	    add_environment(engine, prepared->envp, &sha, &own) == ERR_OK &&
	    add_files(engine, step, prepared, &sha, &own) == ERR_OK) {
		sha256_end(&sha, digest);
		sha256_hex(digest, slot->key);
		slot->attempt = prepared->attempt;
		slot->is_used = true;
		return ERR_OK;
	}
	slot->is_used = false;
	if (own.code != ERR_MEMORY)
		return ERR_OK;
	*err = own;
	return err->code;
}

/* -------------------------------------------------------------------------- an earlier run's
 * log */

struct loading {
	struct cache *cache;
	struct str run_id;
	size_t before; /* so many successes are of other runs */
	struct decide_artifact artifacts[DECIDE_EVENTS_MAX]; /* of the attempt that is being read */
	size_t artifacts_count;
	struct str quality;
	struct str step_id;
	uint32_t attempt;
};

static struct str keep(struct cache *cache, struct str text)
{
	struct str kept = text.ptr ? arena_str(&cache->arena, text) : STR_NONE;

	cache->is_short = cache->is_short || (text.ptr && !kept.ptr);
	return kept;
}

static void begin_attempt(struct loading *loading, const struct event *event)
{
	struct str id = event_text(event, EVENT_FIELD_STEP_ID);

	if (loading->step_id.ptr && str_eq(loading->step_id, id) &&
	    loading->attempt == event->attempt)
		return;
	loading->artifacts_count = 0;
	loading->quality = STR_NONE;
	loading->step_id = keep(loading->cache, id);
	loading->attempt = event->attempt;
}

static void load_artifact(struct loading *loading, const struct event *event)
{
	begin_attempt(loading, event);
	if (loading->artifacts_count == ARRAY_LEN(loading->artifacts))
		return;
	loading->artifacts[loading->artifacts_count++] = (struct decide_artifact){
	    .name = keep(loading->cache, event_text(event, EVENT_FIELD_NAME)),
	    .path = keep(loading->cache, event_text(event, EVENT_FIELD_ARTIFACT_PATH)),
	    .sha256 = keep(loading->cache, event_text(event, EVENT_FIELD_OUTPUTS_HASH)),
	    .bytes = (uint64_t)event_int(event, EVENT_FIELD_BYTES, 0),
	};
}

/* The name of a success: `run/step/attempt`. */
static struct str place_name(struct cache *cache, struct str run_id, struct str step_id,
			     uint32_t attempt)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%.*s/%.*s/%u", STR_ARG(run_id), STR_ARG(step_id),
		       attempt);
	return keep(cache, str_of(text));
}

static enum err_code load_success(struct loading *loading, const struct event *event,
				  struct err *err)
{
	struct cache *cache = loading->cache;
	struct cached *cached = arena_new(&cache->arena, 1, sizeof(*cached));
	void *list = cache->list;
	struct str name;

	begin_attempt(loading, event);
	if (!cached)
		return mem_err(err);
	*cached = (struct cached){
	    .key = keep(cache, event_text(event, EVENT_FIELD_CACHE_KEY)),
	    .run_id = loading->run_id,
	    .step_id = loading->step_id,
	    .attempt = event->attempt,
	    .outputs = keep(cache, event_text(event, EVENT_FIELD_OUTPUTS)),
	    .outputs_ref = keep(cache, event_text(event, EVENT_FIELD_OUTPUTS_REF)),
	    .outputs_hash = keep(cache, event_text(event, EVENT_FIELD_OUTPUTS_HASH)),
	    .updates = keep(cache, event_text(event, EVENT_FIELD_CONTEXT_UPDATES)),
	    .updates_ref = keep(cache, event_text(event, EVENT_FIELD_CONTEXT_UPDATES_REF)),
	    .quality = loading->quality,
	    .artifacts =
		arena_new(&cache->arena, loading->artifacts_count + 1, sizeof(*cached->artifacts)),
	    .artifacts_count = loading->artifacts_count,
	};
	if (!cached->artifacts || cache->is_short) /* a success without its outputs is none */
		return mem_err(err);
	memcpy(cached->artifacts, loading->artifacts,
	       loading->artifacts_count * sizeof(*cached->artifacts));
	name = place_name(cache, loading->run_id, loading->step_id, event->attempt);
	if (!name.ptr)
		return mem_err(err);
	if (mem_grow(&list, &cache->capacity, cache->count + 1, sizeof(struct cached *), err) !=
	    ERR_OK)
		return err->code;
	cache->list = list;
	if (map_set(&cache->successes, name, (uint32_t)cache->count, err) != ERR_OK)
		return err->code;
	cache->list[cache->count++] = cached;
	return ERR_OK;
}

/* What was undone, be it only in part, stands for nothing any more. */
static void drop_undone(struct loading *loading, const struct event *event)
{
	struct str id = event_text(event, EVENT_FIELD_STEP_ID);

	for (size_t i = loading->before; i < loading->cache->count; i++) {
		if (str_eq(loading->cache->list[i]->step_id, id))
			loading->cache->list[i]->key = STR_NONE; /* fits no key */
	}
}

static enum err_code load_event(void *arg, const struct event *event, struct str line,
				struct err *err)
{
	struct loading *loading = arg;

	(void)line;
	if (event->type == EVENT_ARTIFACT_EMITTED) {
		load_artifact(loading, event);
	} else if (event->type == EVENT_QUALITY_RECORDED) {
		begin_attempt(loading, event);
		loading->quality = keep(loading->cache, event_text(event, EVENT_FIELD_DATA));
	} else if (event->type == EVENT_STEP_SUCCEEDED && event_has(event, EVENT_FIELD_CACHE_KEY)) {
		return load_success(loading, event, err);
	} else if (event->type == EVENT_COMPENSATION_STARTED) {
		drop_undone(loading, event);
	}
	return ERR_OK;
}

static enum err_code open_run(const struct engine *engine, struct str run_id,
			      struct rundir **ret_dir, struct err *err)
{
	AUTO(buf_fini) struct buf path = BUF_INIT;

	buf_fmt(&path, "%s/runs/%.*s", engine->ports.home, STR_ARG(run_id));
	if (buf_check(&path, "a path", err) != ERR_OK)
		return err->code;
	return rundir_open(engine->ports.vfs, path.ptr, ret_dir, err);
}

/* Read a run once. One that is gone or damaged has no successes: nothing is taken from it. */
static enum err_code load_run(struct engine *engine, struct str run_id, struct err *err)
{
	struct cache *cache = engine->cache;
	AUTO(rundir_drop) struct rundir *dir = NULL;
	AUTO(mem_drop) struct loading *loading = NULL;
	struct log_reading reading = {.end = LOG_END_DAMAGED};
	struct err own = ERR_INIT;

	if (map_get(&cache->sources, run_id) != MAP_NONE)
		return ERR_OK;
	loading = mem_new(1, sizeof(*loading));
	if (!loading)
		return mem_err(err);
	cache->is_short = false;
	loading->cache = cache;
	loading->before = cache->count;
	loading->run_id = run_id; /* of the index, which lives as long */
	if (map_add(&cache->sources, run_id, 0, err) != ERR_OK)
		return err->code;
	if (open_run(engine, run_id, &dir, &own) != ERR_OK ||
	    log_read(engine->ports.vfs, rundir_fd(dir), engine->ports.limits, 0, load_event,
		     loading, &reading, &own) != ERR_OK)
		reading.end = LOG_END_DAMAGED;
	if (own.code == ERR_MEMORY)
		return mem_err(err);
	if (reading.end == LOG_END_WHOLE || reading.end == LOG_END_TORN)
		return ERR_OK;
	for (size_t i = loading->before; i < cache->count; i++)
		cache->list[i]->key = STR_NONE; /* fits no key */
	return ERR_OK;
}

/* ------------------------------------------------------------------------------------ looking */

/* Are its files what they were? Synced, as those of a success are. */
static bool artifacts_fit(const struct step *def, const struct cached *cached)
{
	if (cached->artifacts_count != def->artifacts_count)
		return false;
	for (size_t i = 0; i < cached->artifacts_count; i++) {
		const struct decide_artifact *artifact = &cached->artifacts[i];
		struct file_digest digest;
		struct err own = ERR_INIT;

		if (!artifact->path.ptr || !artifact->sha256.ptr ||
		    rundir_digest(artifact->path.ptr, true, &digest, &own) != ERR_OK ||
		    !str_is(artifact->sha256, digest.sha256))
			return false;
	}
	return true;
}

/* What its log has by reference only. False when the blob is gone or another. */
static bool fetch(struct engine *engine, const struct rundir *dir, struct str ref,
		  struct str *ret_text)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct err own = ERR_INIT;

	if (!ref.ptr || ret_text->ptr)
		return true;
	if (rundir_blob_get(dir, ref, engine->ports.limits, &text, &own) != ERR_OK)
		return false;
	*ret_text = keep(engine->cache, buf_view(&text));
	return ret_text->ptr != NULL;
}

static bool blobs_fit(struct engine *engine, struct cached *cached)
{
	AUTO(rundir_drop) struct rundir *dir = NULL;
	struct err own = ERR_INIT;

	if (!cached->outputs_ref.ptr && !cached->updates_ref.ptr)
		return true;
	return open_run(engine, cached->run_id, &dir, &own) == ERR_OK &&
	       fetch(engine, dir, cached->outputs_ref, &cached->outputs) &&
	       fetch(engine, dir, cached->updates_ref, &cached->updates);
}

static enum err_code find(struct engine *engine, uint32_t step, struct str key,
			  const struct cached **ret_cached, struct err *err)
{
	struct cache *cache = engine->cache;
	const struct cache_place *place = cache_index_find(cache->index, key);
	struct cached *cached;
	struct str name;
	uint32_t at;

	/* Not of this run: whoever runs a step again in it wants it to run. */
	if (!place || str_eq(place->run_id, engine->fold.state.run_id))
		return ERR_OK;
	if (load_run(engine, place->run_id, err) != ERR_OK)
		return err->code;
	name = place_name(cache, place->run_id, place->step_id, place->attempt);
	if (!name.ptr)
		return mem_err(err);
	at = map_get(&cache->successes, name);
	if (at == MAP_NONE)
		return ERR_OK;
	cached = cache->list[at];
	if (cached->key.ptr && str_eq(cached->key, key) &&
	    artifacts_fit(&engine->fold.model->steps[step], cached) && blobs_fit(engine, cached))
		*ret_cached = cached;
	return ERR_OK;
}

enum err_code cache_look(struct engine *engine, uint32_t step, const struct prepared *prepared,
			 const struct cached **ret_cached, struct err *err)
{
	struct slot *slot;

	*ret_cached = NULL;
	if (!engine->ports.home || prepared->is_undo)
		return ERR_OK;
	if (cache_make(engine, err) != ERR_OK)
		return err->code;
	slot = &engine->cache->slots[step];
	if (key_make(engine, step, prepared, slot, err) != ERR_OK)
		return err->code;
	return slot->is_used ? find(engine, step, str_of(slot->key), ret_cached, err) : ERR_OK;
}

/* ------------------------------------------------------------------------------------- taking */

/* A large value gets a blob in this run too. */
static enum err_code take_value(struct engine *engine, struct str text, struct str *ret_text,
				struct str *ret_ref, struct buf *by_reference, struct err *err)
{
	char ref[SHA256_HEX_BYTES + 1];

	buf_clear(by_reference);
	*ret_text = text;
	if (text.len <= engine->ports.limits->inline_bytes)
		return ERR_OK;
	if (rundir_blob_put(engine->dir, text, ref, err) != ERR_OK)
		return err_while(err, "keep a large result");
	*ret_ref = arena_str(&engine->tick, str_of(ref));
	if (!ret_ref->ptr)
		return mem_err(err);
	buf_str(by_reference, text);
	return buf_check(by_reference, "a large result", err);
}

enum err_code cache_take(struct engine *engine, const struct cached *cached,
			 struct decide_result *result, struct err *err)
{
	if (take_value(engine, cached->outputs, &result->outputs, &result->outputs_ref,
		       &engine->outputs_text, err) != ERR_OK ||
	    take_value(engine, cached->updates, &result->updates, &result->updates_ref,
		       &engine->updates_text, err) != ERR_OK)
		return err->code;
	result->outputs_hash = cached->outputs_hash;
	result->quality = cached->quality;
	result->artifacts = cached->artifacts;
	result->artifacts_count = cached->artifacts_count;
	result->cached_from =
	    place_name(engine->cache, cached->run_id, cached->step_id, cached->attempt);
	return result->cached_from.ptr ? ERR_OK : mem_err(err);
}

/* -------------------------------------------------------------------------------------- noting */

enum err_code cache_note(struct engine *engine, uint32_t step, struct decide_result *result,
			 struct err *err)
{
	struct cache *cache = engine->cache;
	struct slot *slot = cache ? &cache->slots[step] : NULL;

	if (!slot || !slot->is_used || slot->attempt != engine->fold.state.steps[step].attempt)
		return ERR_OK;
	/* What was tolerated is asked about each time. */
	if (!result->is_ok || result->verdict == VERDICT_FAILED || result->quality_reason.len)
		return ERR_OK;
	result->cache_key = arena_str(&engine->tick, str_of(slot->key));
	if (!result->cache_key.ptr)
		return mem_err(err);
	for (size_t i = 0; i < cache->noted_count; i++) {
		if (cache->noted[i] == step)
			return ERR_OK;
	}
	cache->noted[cache->noted_count++] = step;
	return ERR_OK;
}

static enum err_code append_noted(struct engine *engine, struct err *err)
{
	const struct run_state *run = &engine->fold.state;
	struct cache *cache = engine->cache;
	struct cache_place *places =
	    arena_new(&engine->tick, cache->noted_count + 1, sizeof(*places));
	size_t count = 0;

	if (!places)
		return mem_err(err);
	for (size_t i = 0; i < cache->noted_count; i++) {
		uint32_t step = cache->noted[i];

		if (run->steps[step].state == STEP_SUCCEEDED &&
		    run->steps[step].attempt == cache->slots[step].attempt)
			places[count++] = (struct cache_place){
			    .key = str_of(cache->slots[step].key),
			    .run_id = run->run_id,
			    .step_id = run->model->steps[step].id,
			    .attempt = run->steps[step].attempt,
			};
	}
	cache->noted_count = 0;
	if (!count)
		return ERR_OK;
	return cache_index_append(engine->ports.vfs, engine->ports.home, places, count, err);
}

enum err_code cache_record(struct engine *engine, struct err *err)
{
	struct cache *cache = engine->cache;
	struct input input = {.kind = INPUT_PROJECTION_FAILED, .text = STR(CACHE_INDEX_FILE)};
	struct err own = ERR_INIT;

	if (!cache || (!cache->noted_count && cache->unwritten.code == ERR_OK))
		return ERR_OK;
	if (cache->unwritten.code != ERR_OK) {
		own = cache->unwritten;
		err_reset(&cache->unwritten);
		cache->noted_count = 0;
	} else if (append_noted(engine, &own) == ERR_OK) {
		return ERR_OK;
	}
	input.error = str_of(own.text);
	if (engine_feed(engine, &input, err) != ERR_OK)
		return err->code;
	return engine_commit(engine, err);
}
