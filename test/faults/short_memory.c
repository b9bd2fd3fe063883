/* short_memory.c - memory that is short at the n-th allocation of a program: for LD_PRELOAD
 *
 *	SHORT_MEMORY=N	the N-th allocation from main() on fails; `N+`: and every later one
 *	SHORT_MEMORY_RECORD=FILE	at the end FILE has a line `N` for the first allocation from
 *each place (a stack of calls), and `all N`
 *
 * Allocations go on to the next malloc(3) in line, so that it works before a sanitizer's own, too
 * (ASAN_OPTIONS=verify_asan_link_order=0). Threads are counted together. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#define PUBLIC       __attribute__((visibility("default")))
#define EARLY_BYTES  65536
#define PLACES       16384 /* a power of two */
#define STACK_FRAMES 24

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static int (*next_memalign)(void **, size_t, size_t);

/* dlsym(3) may allocate before there is anything to ask: from here, never freed. */
static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;

static atomic_ulong calls;
static unsigned long fail_nth;
static bool fails_for_ever;
static bool is_begun;
static FILE *record;
static uint64_t places[PLACES];
static _Thread_local bool is_inside;

static void *early_take(size_t size)
{
	char *block = early + early_used;

	early_used += (size + 15) & ~(size_t)15;
	return early_used <= EARLY_BYTES ? block : NULL;
}

static bool is_early(const void *block)
{
	return (const char *)block >= early && (const char *)block < early + EARLY_BYTES;
}

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}

static void prepare(void)
{
	static bool is_preparing;
	void *found;

	if (next_memalign || is_preparing)
		return;
	is_preparing = true;
	/* POSIX: a pointer to a function comes out of dlsym as one to data. */
	found = next("malloc"), memcpy(&next_malloc, &found, sizeof(found));
	found = next("calloc"), memcpy(&next_calloc, &found, sizeof(found));
	found = next("realloc"), memcpy(&next_realloc, &found, sizeof(found));
	found = next("free"), memcpy(&next_free, &found, sizeof(found));
	found = next("posix_memalign"), memcpy(&next_memalign, &found, sizeof(found));
	is_preparing = false;
}

struct stack {
	uint64_t hash;
	int frames;
};

static _Unwind_Reason_Code frame_take(struct _Unwind_Context *context, void *arg)
{
	struct stack *stack = arg;

	stack->hash = (stack->hash ^ _Unwind_GetIP(context)) * UINT64_C(1099511628211);
	return ++stack->frames < STACK_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Is it the first one from this place? */
static bool is_new_place(void)
{
	struct stack stack = {.hash = UINT64_C(14695981039346656037)};
	size_t at;

	(void)_Unwind_Backtrace(frame_take, &stack);
	for (at = stack.hash % PLACES; places[at]; at = (at + 1) % PLACES) {
		if (places[at] == stack.hash)
			return false;
	}
	places[at] = stack.hash;
	return true;
}

static bool refuses(void)
{
	unsigned long n;

	if (!is_begun || is_inside)
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (record) {
		is_inside = true;
		if (is_new_place())
			fprintf(record, "%lu\n", n);
		is_inside = false;
	}
	if (!fail_nth || n < fail_nth || (n > fail_nth && !fails_for_ever))
		return false;
	errno = ENOMEM;
	return true;
}

PUBLIC void *malloc(size_t size)
{
	prepare();
	if (!next_malloc)
		return early_take(size);
	return refuses() ? NULL : next_malloc(size);
}

PUBLIC void *calloc(size_t count, size_t size)
{
	prepare();
	if (!next_calloc)
		return early_take(count * size); /* zero: nobody had it before */
	return refuses() ? NULL : next_calloc(count, size);
}

PUBLIC void *realloc(void *block, size_t size)
{
	prepare();
	if (is_early(block)) {
		size_t most = (size_t)(early + EARLY_BYTES - (char *)block);
		void *copy = next_malloc ? next_malloc(size) : early_take(size);

		return copy ? memcpy(copy, block, size < most ? size : most) : NULL;
	}
	if (!next_realloc)
		return early_take(size);
	return refuses() ? NULL : next_realloc(block, size);
}

PUBLIC void free(void *block)
{
	prepare();
	if (block && !is_early(block) && next_free)
		next_free(block);
}

PUBLIC int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	prepare();
	return refuses() ? ENOMEM : next_memalign(ret_block, alignment, size);
}

__attribute__((constructor)) static void begin(void)
{
	const char *wish = getenv("SHORT_MEMORY"), *file = getenv("SHORT_MEMORY_RECORD");
	char *end = NULL;

	prepare();
	if (file)
		record = fopen(file, "we");
	if (record)
		setlinebuf(record);
	if (wish)
		fail_nth = strtoul(wish, &end, 10);
	fails_for_ever = end && *end == '+';
	is_begun = true;
}

__attribute__((destructor)) static void end(void)
{
	is_begun = false;
	if (record)
		fprintf(record, "all %lu\n", atomic_load(&calls));
}
