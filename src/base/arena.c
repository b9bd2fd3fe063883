/* arena.c - see arena.h */
#include "base/arena.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024)
#define ALIGNMENT   _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size; /* bytes of data */
	size_t used;
	_Alignas(max_align_t) unsigned char data[];
};

static struct arena_block *block_add(struct arena *arena, size_t least)
{
	size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_BYTES;
	struct arena_block *block;

	if (size > ((size_t)1 << 22)) /* doubling ends at 4 MiB */
		size = (size_t)1 << 22;
	if (size < least)
		size = least;
	block = mem_resize(NULL, sizeof(*block) + size, 1);
	if (!block)
		return NULL;
	block->size = size;
	block->used = 0;
	block->next = arena->blocks;
	arena->blocks = block;
	return block;
}

/* Not cleared. */
static void *room_of(struct arena *arena, size_t bytes)
{
	struct arena_block *block = arena->blocks;
	void *room;

	if (bytes > SIZE_MAX / 4)
		return NULL;
	bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (bytes == 0)
		bytes = ALIGNMENT;
	if (!block || block->size - block->used < bytes)
		block = block_add(arena, bytes);
	if (!block)
		return NULL;
	room = block->data + block->used;
	block->used += bytes;
	arena->used += bytes;
	return room;
}

void *arena_new(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	void *room;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	room = room_of(arena, bytes);
	if (room)
		memset(room, 0, bytes);
	return room;
}

struct str arena_str(struct arena *arena, struct str text)
{
	char *copy = room_of(arena, text.len + 1);

	if (!copy)
		return STR_NONE;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return (struct str){copy, text.len};
}

void arena_clear(struct arena *arena)
{
	struct arena_block *kept = arena->blocks;

	if (!kept)
		return;
	for (struct arena_block *block = kept->next; block; block = block->next) {
		if (block->size > kept->size)
			kept = block;
	}
	while (arena->blocks) {
		struct arena_block *old = arena->blocks;

		arena->blocks = old->next;
		if (old != kept)
			mem_free(old);
	}
	kept->next = NULL;
	kept->used = 0;
	arena->blocks = kept;
	arena->used = 0;
}

void arena_fini(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *old = arena->blocks;

		arena->blocks = old->next;
		mem_free(old);
	}
	arena->used = 0;
}
