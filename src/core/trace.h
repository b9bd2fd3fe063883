/* trace.h - the trace that a run is part of, as the W3C recommendation Trace Context (level 1, 3.2)
 * writes it: `00-<32 hex: trace>-<16 hex: parent's span>-<2 hex: flags>`. Pure. */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "base/str.h"

/* "00-", the ids, the flags and what stands between them. */
#define TRACE_PARENT_BYTES 55

/* Slices of the text that was read. */
struct trace_parent {
	struct str trace_id; /* 32 hex digits, not all 0 */
	struct str span_id;  /* 16 hex digits, not all 0 */
	bool is_sampled;     /* of the flags the only one that is passed on */
};

/* Read a `traceparent`. A later version than 00 is read as 00 is, as far as it has the same parts
 * (3.2.4). False when it is malformed: the recommendation has a new trace begun then. */
bool trace_parent_read(struct str text, struct trace_parent *ret_parent);
/* Write one, of version 00, with its NUL; the span is `span_id`. */
void trace_parent_write(struct str trace_id, uint64_t span_id, bool is_sampled,
			char text[TRACE_PARENT_BYTES + 1]);
/* Is it the id of a trace: 32 lower case hex digits, not all 0? */
bool trace_id_valid(struct str text);

#endif
