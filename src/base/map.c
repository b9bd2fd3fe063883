/* map.c - see map.h */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

void map_init(struct map *map, uint64_t seed)
{
	*map = (struct map){.seed = seed};
}

void map_fini(struct map *map)
{
	mem_free(map->slots);
	*map = (struct map){.seed = map->seed};
}

/* The slot that holds `key`, or the empty one where it belongs. */
static struct map_slot *slot_of(const struct map *map, struct str key, uint32_t hash)
{
	size_t at = hash & (map->capacity - 1);

	for (;;) {
		struct map_slot *slot = &map->slots[at];

		if (!slot->key.ptr || (slot->hash == hash && str_eq(slot->key, key)))
			return slot;
		at = (at + 1) & (map->capacity - 1);
	}
}

static enum err_code grow(struct map *map, struct err *err)
{
	struct map old = *map;

	map->capacity = old.capacity ? old.capacity * 2 : 16;
	map->slots = mem_new(map->capacity, sizeof(*map->slots));
	if (!map->slots) {
		*map = old;
		return mem_err(err);
	}
	for (size_t i = 0; i < old.capacity; i++) {
		if (old.slots[i].key.ptr)
			*slot_of(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
	}
	mem_free(old.slots);
	return ERR_OK;
}

uint32_t map_get(const struct map *map, struct str key)
{
	const struct map_slot *slot;

	if (map->count == 0)
		return MAP_NONE;
	slot = slot_of(map, key, (uint32_t)hash_text(map->seed, key));
	return slot->key.ptr ? slot->value : MAP_NONE;
}

static enum err_code put(struct map *map, struct str key, uint32_t value, bool replace,
			 struct err *err)
{
	uint32_t hash = (uint32_t)hash_text(map->seed, key);
	struct map_slot *slot;

	if (!key.ptr)
		key = STR("");
	if (map->count + 1 > map->capacity / 4 * 3 && grow(map, err) != ERR_OK)
		return err->code;
	slot = slot_of(map, key, hash);
	if (slot->key.ptr && !replace)
		return err_set(err, ERR_EXISTS, "'%.*s' is there already", STR_ARG(key));
	if (!slot->key.ptr)
		map->count++;
	*slot = (struct map_slot){key, hash, value};
	return ERR_OK;
}

enum err_code map_add(struct map *map, struct str key, uint32_t value, struct err *err)
{
	return put(map, key, value, false, err);
}

enum err_code map_set(struct map *map, struct str key, uint32_t value, struct err *err)
{
	return put(map, key, value, true, err);
}
