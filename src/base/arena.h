/* arena.h - memory that is given back all at once: a run's, a tick's, a definition's.
 *
 * Pointers stay valid until arena_clear or arena_fini. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;                /* bytes given out, padding included */
};

#define ARENA_INIT \
	{ \
		.blocks = NULL \
	}

/* Zeroed bytes, aligned for any type; NULL when memory is short. */
void *arena_new(struct arena *arena, size_t count, size_t size) MUST_CHECK;
/* A NUL-ended copy as a slice; ptr is NULL when memory is short. */
struct str arena_str(struct arena *arena, struct str text) MUST_CHECK;
/* Forget everything, keep the largest block for the next round. */
void arena_clear(struct arena *arena);
void arena_fini(struct arena *arena);

#endif
