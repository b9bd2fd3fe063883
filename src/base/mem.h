/* mem.h - heap memory, counted, and scope-bound release.
 *
 * Everything that is not on a stack or in an arena comes from here, so that a test can make the
 * n-th allocation fail (mem_fail_at) and count what is still held. A NULL answer means that memory
 * is short; callers turn it into ERR_MEMORY with mem_err(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Release at the end of the scope: `AUTO(buf_fini) struct buf text = BUF_INIT;` calls
 * buf_fini(&text). TAKE(p, NULL) hands ownership out of such a variable. */
#define AUTO(function) __attribute__((cleanup(function)))
#define TAKE(variable, nothing) \
	__extension__({ \
		__typeof__(variable) taken_ = (variable); \
		(variable) = (nothing); \
		taken_; \
	})

/* The build clears what is not given a value (-ftrivial-auto-var-init); not this large one, which
 * is written before it is read. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define NOT_CLEARED __attribute__((uninitialized))
#endif
#endif
#ifndef NOT_CLEARED
#define NOT_CLEARED
#endif

/* A seldom way of a function that is called for every line: apart, so that the usual way sets up no
 * frame for it. */
#define SELDOM __attribute__((noinline, cold))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Zeroed memory for `count` objects of `size` bytes; NULL when short or when the product
 * overflows. Free with mem_free. */
void *mem_new(size_t count, size_t size) __attribute__((malloc, warn_unused_result));

/* The same for a large table that is looked at here and there: on huge pages where the system has
 * them for who asks (madvise(2)), so that a look does not cost a walk through page tables, too. */
void *mem_new_table(size_t count, size_t size) __attribute__((malloc, warn_unused_result));

/* Resize to `count` objects; the old block stays valid when it answers NULL. New bytes are not
 * cleared. */
void *mem_resize(void *block, size_t count, size_t size) MUST_CHECK;

/* Accepts NULL. */
void mem_free(void *block);

/* A NUL-ended copy of `len` bytes. */
char *mem_text(const char *text, size_t len) __attribute__((malloc, warn_unused_result));

/* Make room for at least `need` objects in a growing array: doubles. */
MUST_CHECK enum err_code mem_grow(void **block, size_t *capacity, size_t need, size_t size,
				  struct err *err);

/* ERR_MEMORY with the one text for it. */
enum err_code mem_err(struct err *err);

/* For AUTO() on a plain pointer: frees *(void **)holder. */
void mem_drop(void *holder);

/* Tests only: fail allocation number `nth` of this thread from now (1 = the next), and every later
 * one too when `for_ever`; 0 turns it off. mem_calls counts the allocations since then. */
void mem_fail_at(uint64_t nth, int for_ever);
uint64_t mem_calls(void);

#endif
