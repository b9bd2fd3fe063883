/* mem.c - see mem.h */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((uintptr_t)1 << 21)

/* Test aids, zero in the product; of each thread, so that threads need not meet here. */
static _Thread_local uint64_t calls;
static _Thread_local uint64_t fail_nth;
static _Thread_local int fail_for_ever;

static int refuses(void)
{
	calls++;
	if (fail_nth == 0)
		return 0;
	return calls == fail_nth || (fail_for_ever && calls > fail_nth);
}

void *mem_new(size_t count, size_t size)
{
	return refuses() ? NULL : calloc(count ? count : 1, size);
}

void *mem_new_table(size_t count, size_t size)
{
	void *table = mem_new(count, size);
	uintptr_t from = ((uintptr_t)table + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uintptr_t to = ((uintptr_t)table + count * size) & ~(HUGE_PAGE - 1);

	/* Nothing of so large a block was touched yet. It is a wish: small pages do, too. */
	if (table && from < to)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
	return table;
}

void *mem_resize(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (refuses() || __builtin_mul_overflow(count ? count : 1, size, &bytes))
		return NULL;
	return realloc(block, bytes);
}

void mem_free(void *block)
{
	free(block);
}

char *mem_text(const char *text, size_t len)
{
	char *copy = mem_new(len + 1, 1);

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

enum err_code mem_grow(void **block, size_t *capacity, size_t need, size_t size, struct err *err)
{
	size_t target = *capacity ? *capacity : 16;
	void *grown;

	if (need <= *capacity)
		return ERR_OK;
	while (target < need) {
		if (target > SIZE_MAX / 2)
			return mem_err(err);
		target *= 2;
	}
	grown = mem_resize(*block, target, size);
	if (!grown)
		return mem_err(err);
	*block = grown;
	*capacity = target;
	return ERR_OK;
}

enum err_code mem_err(struct err *err)
{
	return err_set(err, ERR_MEMORY, "memory is short");
}

void mem_drop(void *holder)
{
	void *block;

	memcpy(&block, holder, sizeof(block));
	free(block);
}

void mem_fail_at(uint64_t nth, int for_ever)
{
	calls = 0;
	fail_nth = nth;
	fail_for_ever = for_ever;
}

uint64_t mem_calls(void)
{
	return calls;
}
