/* map.c - see map.h
 *
 * The table that is searched holds eight bytes a place, so that it stays in the caches of the
 * processor for long; the entries lie beside it in the order in which they came, which is mostly
 * that in which they are asked for. */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define SLOTS_MIN 16

void map_init(struct map *map, uint64_t seed)
{
	*map = (struct map){.seed = seed};
}

void map_fini(struct map *map)
{
	mem_free(map->slots);
	mem_free(map->entries);
	*map = (struct map){.seed = map->seed};
}

/* Three of four slots may be taken. */
static size_t room_of(size_t slots)
{
	return slots / 4 * 3;
}

/* Where the search for a key of this hash begins. */
static size_t home_of(const struct map *map, uint32_t hash)
{
	return hash & (map->capacity - 1);
}

/* The slot of `key`, or the free one where it belongs. */
static struct map_slot *slot_of(const struct map *map, struct str key, uint32_t hash)
{
	size_t at = home_of(map, hash);

	for (;;) {
		struct map_slot *slot = &map->slots[at];

		if (!slot->entry ||
		    (slot->hash == hash && str_eq(map->entries[slot->entry - 1].key, key)))
			return slot;
		at = (at + 1) & (map->capacity - 1);
	}
}

/* Put the slots of all entries, which differ, into a larger table. */
static enum err_code slots_grow(struct map *map, size_t capacity, struct err *err)
{
	struct map_slot *slots = mem_new_table(capacity, sizeof(*slots));

	if (!slots)
		return mem_err(err);
	for (size_t i = 0; i < map->capacity; i++) {
		size_t at = map->slots[i].hash & (capacity - 1);

		if (!map->slots[i].entry)
			continue;
		while (slots[at].entry)
			at = (at + 1) & (capacity - 1);
		slots[at] = map->slots[i];
	}
	mem_free(map->slots);
	map->slots = slots;
	map->capacity = capacity;
	return ERR_OK;
}

enum err_code map_reserve(struct map *map, size_t count, struct err *err)
{
	size_t capacity = map->capacity ? map->capacity : SLOTS_MIN;

	if (count >= MAP_NONE)
		return mem_err(err);
	while (room_of(capacity) < count)
		capacity *= 2;
	if (capacity > map->capacity && slots_grow(map, capacity, err) != ERR_OK)
		return err->code;
	if (count <= map->entries_capacity)
		return ERR_OK;
	return mem_grow((void **)&map->entries, &map->entries_capacity, count,
			sizeof(*map->entries), err);
}

/* Index of the entry + 1, 0 if there is none. */
static uint32_t find(const struct map *map, struct str key)
{
	if (map->count == 0)
		return 0;
	return slot_of(map, key, (uint32_t)hash_text(map->seed, key))->entry;
}

void map_prefetch(const struct map *map, struct str key)
{
	if (map->capacity)
		__builtin_prefetch(&map->slots[home_of(map, (uint32_t)hash_text(map->seed, key))]);
}

uint32_t map_get(const struct map *map, struct str key)
{
	uint32_t entry = find(map, key);

	return entry ? map->entries[entry - 1].value : MAP_NONE;
}

uint32_t map_get_near(const struct map *map, struct str key, size_t *likely)
{
	size_t at = *likely;

	if (at >= map->count || !str_eq(map->entries[at].key, key)) {
		uint32_t entry = find(map, key);

		if (!entry)
			return MAP_NONE;
		at = entry - 1;
	}
	*likely = at + 1;
	return map->entries[at].value;
}

/* Its entry, new or old; NULL when memory is short. */
static struct map_entry *entry_of(struct map *map, struct str key, uint32_t value, bool *ret_is_new,
				  struct err *err)
{
	uint32_t hash = (uint32_t)hash_text(map->seed, key);
	struct map_slot *slot;

	if (map_reserve(map, map->count + 1, err) != ERR_OK)
		return NULL;
	slot = slot_of(map, key, hash);
	*ret_is_new = !slot->entry;
	if (*ret_is_new) {
		map->entries[map->count++] = (struct map_entry){key, value};
		*slot = (struct map_slot){hash, (uint32_t)map->count};
	}
	return &map->entries[slot->entry - 1];
}

enum err_code map_add(struct map *map, struct str key, uint32_t value, struct err *err)
{
	bool is_new;

	if (!entry_of(map, key, value, &is_new, err))
		return err->code;
	if (!is_new)
		return err_set(err, ERR_EXISTS, "'%.*s' is there already", STR_ARG(key));
	return ERR_OK;
}

enum err_code map_set(struct map *map, struct str key, uint32_t value, struct err *err)
{
	struct map_entry *entry;
	bool is_new;

	entry = entry_of(map, key, value, &is_new, err);
	if (!entry)
		return err->code;
	*entry = (struct map_entry){key, value};
	return ERR_OK;
}

enum err_code map_get_or_add(struct map *map, struct str key, uint32_t value, uint32_t *ret_old,
			     struct err *err)
{
	const struct map_entry *entry;
	bool is_new;

	entry = entry_of(map, key, value, &is_new, err);
	if (!entry)
		return err->code;
	*ret_old = is_new ? MAP_NONE : entry->value;
	return ERR_OK;
}

void map_move(struct map *map, size_t i, struct str key, uint32_t value)
{
	BUG_IF(i >= map->count || !str_eq(map->entries[i].key, key));
	map->entries[i] = (struct map_entry){key, value};
}
