/* map.h - text to number, with a seeded hash, so that hostile names cannot make it slow.
 *
 * Keys are borrowed: they must outlive the map. There is no order and no removal. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_entry {
	struct str key;
	uint32_t value;
};

struct map_slot {
	uint32_t hash;
	uint32_t entry; /* index + 1; 0 = free */
};

struct map {
	struct map_slot *slots;    /* a power of two of them */
	struct map_entry *entries; /* in the order in which they came */
	size_t capacity;           /* of slots */
	size_t entries_capacity;
	size_t count;
	uint64_t seed;
};

/* Empty, without memory yet. `seed`: any number that a maker of keys cannot guess. */
void map_init(struct map *map, uint64_t seed);
/* Frees the table, not the keys. */
void map_fini(struct map *map);
/* Make room for `count` keys in all. MEMORY. */
MUST_CHECK enum err_code map_reserve(struct map *map, size_t count, struct err *err);
/* `key` will be looked for a few keys from now: a look at memory that nobody has read takes as long
 * as hashing several. */
void map_prefetch(const struct map *map, struct str key);
/* Value of `key`, or MAP_NONE. */
uint32_t map_get(const struct map *map, struct str key);
/* The same where keys are mostly asked for in the order in which they came: looked for at *likely
 * before it is looked up by its hash, which costs two looks at memory that nobody has read. Moves
 * *likely, never more than a hint, behind the key. */
uint32_t map_get_near(const struct map *map, struct str key, size_t *likely);
/* Add a key that is not there yet. EXISTS when it is (the old value stays), MEMORY. */
MUST_CHECK enum err_code map_add(struct map *map, struct str key, uint32_t value, struct err *err);
/* Add or replace. */
MUST_CHECK enum err_code map_set(struct map *map, struct str key, uint32_t value, struct err *err);
/* Add a key unless it is there: *ret_old is its value then, MAP_NONE when it was added. MEMORY. */
MUST_CHECK enum err_code map_get_or_add(struct map *map, struct str key, uint32_t value,
					uint32_t *ret_old, struct err *err);
/* Key number `i`, in the order in which they came, lies at `key` from now on and has that value:
 * the same text in another place. */
void map_move(struct map *map, size_t i, struct str key, uint32_t value);

#endif
