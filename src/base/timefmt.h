/* timefmt.h - the arithmetic of time as text: RFC 3339 stamps, durations, sizes.
 *
 * Times are int64_t: `_ns` nanoseconds of some clock, `_ms` milliseconds since 1970 in UTC. No
 * clock is read here. */
#ifndef BASE_TIMEFMT_H
#define BASE_TIMEFMT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

/* A time and a span behind it, of one unit; a sum that does not fit is cut to the farthest time
 * there is. */
int64_t time_after(int64_t time, int64_t span);
/* Milliseconds in nanoseconds, cut in the same way. */
int64_t ns_of_ms(int64_t ms);

#define STAMP_BYTES 24 /* "2026-01-31T12:00:00.000Z" */

/* RFC 3339 in UTC with milliseconds; years 0000 to 9999, others are clamped. Writes STAMP_BYTES
 * bytes and a NUL. */
void stamp_write(int64_t utc_ms, char text[STAMP_BYTES + 1]);
/* Reads RFC 3339: any number of fractional digits, `Z` or an offset. False if malformed. */
bool stamp_read(struct str text, int64_t *ret_utc_ms);

/* "250ms" "30s" "10m" "2h" "1d" and sums as "1h30m"; a bare number is refused. */
bool duration_read(struct str text, int64_t *ret_ns);
/* For people: "1.25s", "12m 5s", "3h 2m". Less than nothing is nothing: clocks can go back. */
void duration_human(struct buf *out, int64_t ms);
/* The shortest exact form that duration_read takes. */
void duration_exact(struct buf *out, int64_t ns);

/* "512B" "64KiB" "1MiB" "1GiB" "1TiB"; a bare number is refused. */
bool size_read(struct str text, uint64_t *ret_bytes);

#endif
