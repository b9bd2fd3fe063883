/* cache_index.h - <state>/cache.jsonl: where the successes are that a step may take instead of
 * running.
 *
 * A projection: every line follows from a `step.succeeded` with a `cache_key`, so nothing is
 * synced, a line that was lost is only a step that runs, and a file that is missing or damaged is
 * made again from the logs of all runs. It is a pointer, never a proof: whoever follows it reads
 * the run's own log. */
#ifndef STORE_CACHE_INDEX_H
#define STORE_CACHE_INDEX_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/limit.h"
#include "base/map.h"
#include "sys/vfs.h"

#define CACHE_INDEX_FILE "cache.jsonl"

struct cache_place {
	struct str key; /* 64 hex digits */
	struct str run_id;
	struct str step_id;
	uint32_t attempt;
};

struct cache_index {
	struct arena arena;
	struct map keys; /* key -> places; the last one of a key wins */
	struct cache_place *places;
	size_t count, capacity;
};

/* Read it, or make it again. What cannot be read of a run while it is made is left out; that the
 * new file could not be written is told by *ret_unwritten (code OK = it was, or nothing had to
 * be). */
MUST_CHECK enum err_code cache_index_open(const struct vfs *vfs, const char *home,
					  const struct limits *limits,
					  struct cache_index **ret_index, struct err *ret_unwritten,
					  struct err *err);
void cache_index_free(struct cache_index *index);
void cache_index_drop(struct cache_index **index);

/* NULL when there is none. */
const struct cache_place *cache_index_find(const struct cache_index *index, struct str key);

/* Append lines, each on a line of its own whatever an earlier writer left. LOCKED when somebody
 * holds the file for longer than a second. */
MUST_CHECK enum err_code cache_index_append(const struct vfs *vfs, const char *home,
					    const struct cache_place *places, size_t count,
					    struct err *err);

#endif
