/* heap.h - a binary min-heap of (time, id): which timer is due next.
 *
 * There is no removal by id: a timer that no longer matters is recognised by its owner when it
 * comes up. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct heap_item {
	int64_t due_ns;
	uint64_t id; /* the owner's; equal times come up in order of id */
};

struct heap {
	struct heap_item *items;
	size_t count;
	size_t capacity;
};

/* Frees the items; a zeroed heap is empty and ready. */
void heap_fini(struct heap *heap);
/* MEMORY. */
MUST_CHECK enum err_code heap_push(struct heap *heap, struct heap_item item, struct err *err);
/* The least item, or NULL. Valid until the next push or pop. */
const struct heap_item *heap_top(const struct heap *heap);
/* Remove the least; the heap must not be empty. */
struct heap_item heap_pop(struct heap *heap);

#endif
