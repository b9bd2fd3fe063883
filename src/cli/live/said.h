/* said.h - an event line as far as people are told of it.
 *
 * A line is walked once; texts without escapes are borrowed from it, the others decoded. Lines come
 * from the library, which has checked them. */
#ifndef CLI_LIVE_SAID_H
#define CLI_LIVE_SAID_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers that the line does not have are -1, texts empty. */
struct said {
	struct str type, step, class, reason, state, actor, outcome, sync, which;
	int64_t attempt, delay_ms, duration_ms, exit_code, signal;
	int64_t utc_ms; /* 0 when the stamp cannot be read */
	bool is_soft;
	bool is_now;
	bool is_cached;
	struct buf decoded; /* texts that had escapes */
};

/* Borrows `line`. A text that memory is too short for is left out: it is only shown. */
void said_read(struct said *said, struct str line);
void said_fini(struct said *said);

/* Is the line of this type? */
bool said_is(const struct said *said, const char *type);

#endif
