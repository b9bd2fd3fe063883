/* heap.c - see heap.h */
#include "base/heap.h"

#include "base/mem.h"

void heap_fini(struct heap *heap)
{
	mem_free(heap->items);
	*heap = (struct heap){0};
}

static bool less(const struct heap_item *a, const struct heap_item *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->id < b->id);
}

static void swap(struct heap_item *a, struct heap_item *b)
{
	struct heap_item c = *a;

	*a = *b;
	*b = c;
}

enum err_code heap_push(struct heap *heap, struct heap_item item, struct err *err)
{
	size_t at = heap->count;
	void *items = heap->items;

	if (mem_grow(&items, &heap->capacity, at + 1, sizeof(item), err) != ERR_OK)
		return err->code;
	heap->items = items;
	heap->items[at] = item;
	heap->count++;
	while (at > 0 && less(&heap->items[at], &heap->items[(at - 1) / 2])) {
		swap(&heap->items[at], &heap->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	return ERR_OK;
}

const struct heap_item *heap_top(const struct heap *heap)
{
	return heap->count ? &heap->items[0] : NULL;
}

struct heap_item heap_pop(struct heap *heap)
{
	struct heap_item least;
	size_t at = 0;

	BUG_IF(heap->count == 0);
	least = heap->items[0];
	heap->items[0] = heap->items[--heap->count];
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < heap->count && less(&heap->items[child + 1], &heap->items[child]))
			child++;
		if (child >= heap->count || !less(&heap->items[child], &heap->items[at]))
			return least;
		swap(&heap->items[at], &heap->items[child]);
		at = child;
	}
}
