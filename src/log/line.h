/* line.h - one line of an event log, inside the folder: its fixed end, and its reading for speed.
 *
 * A line is `{"event_id":"evt_7",...` and then its end `,"h":"<16 hex>"}`. The members in between
 * are compact: no blanks outside of RAW values. Their order is free when reading. */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include "base/json.h"
#include "log/log.h"

#define LINE_END_BYTES    24
#define LINE_MINUTE_BYTES 17 /* "2026-01-31T12:00:" */

/* RAW values nest one level less than a text may: they are inside the line's object. */
#define LINE_RAW_DEPTH_MAX (JSON_DEPTH_MAX - 1)

#define LINE_TYPES   64  /* more than there are types of events */
#define LINE_MEMBERS 128 /* more than there are members */

/* What is kept from line to line so that reading is cheap: never a value of a line, only where to
 * look first. Zero it to begin. */
struct line_memo {
	char minute[LINE_MINUTE_BYTES];
	int64_t minute_ms;                  /* of `minute`, 0 seconds */
	uint8_t type_by[LINE_TYPES];        /* the last type of a name of that length and letter */
	uint8_t member_after[LINE_MEMBERS]; /* what followed a member last time, + 1 */
};

#define LINE_H_BYTES 8 /* of the chain's value that a line shows, as LOG_H_BYTES hex digits */

/* The bytes that the chain covers: the line without its end; and the value in that end. False when
 * the line has no such end. */
bool line_body(struct str line, struct str *ret_body, uint8_t ret_h[LINE_H_BYTES]);

/* The event of a whole line that line_body() accepted. Strict: grammar, every field's kind, no
 * member twice, none unknown; what its type requires is not checked here (event_check). `scratch`
 * is cleared first. CORRUPT. */
MUST_CHECK enum err_code line_decode(struct str line, struct line_memo *memo, struct buf *scratch,
				     struct event *ret_event, struct err *err);
/* The same for a line that a newer version may have written: unknown members and known ones of
 * another kind are left out. */
MUST_CHECK enum err_code line_decode_newer(struct str line, struct buf *scratch,
					   struct event *ret_event, struct err *err);

/* H(0); from H(n-1) to H(n); and what of it is printed. */
void line_chain_start(struct str run_id, uint8_t chain[SHA256_BYTES]);
void line_chain_next(struct str body, uint8_t chain[SHA256_BYTES]);
void line_chain_print(const uint8_t chain[SHA256_BYTES], char h[LOG_H_BYTES + 1]);

#endif
