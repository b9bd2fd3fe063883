/* pattern.h - Lua patterns (Lua 5.4 manual, 6.4.1) with a bound on the work.
 *
 * The library's own matcher backtracks without an end in sight; this one counts every character
 * that it compares and gives up at a budget. Used for `pattern` of parameters and by the
 * sandbox. */
#ifndef LANG_PATTERN_H
#define LANG_PATTERN_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_ITEMS_MAX    160
#define PATTERN_CAPTURES_MAX 32
#define PATTERN_STEPS        200000 /* a budget that takes about a millisecond */

#define CAPTURE_POSITION SIZE_MAX /* `()`: a capture of the place */

struct pattern_item {
	uint8_t kind;   /* of pattern.c */
	uint8_t repeat; /* 0, '?', '*', '+' or '-' */
	uint8_t x, y;   /* one character, %bxy, number of a capture */
	struct str set; /* inside of [] */
};

struct pattern {
	struct pattern_item items[PATTERN_ITEMS_MAX];
	uint32_t count;
	uint32_t captures;
	bool is_anchored; /* begins with ^ */
};

struct pattern_match {
	size_t from, to; /* of the whole match */
	struct {
		size_t from;
		size_t len; /* or CAPTURE_POSITION */
	} captures[PATTERN_CAPTURES_MAX];
	uint32_t count;
};

enum pattern_result { PATTERN_MATCH, PATTERN_NONE, PATTERN_TOO_LONG };

/* Read a pattern; `text` is borrowed for its life. `^` at the beginning is an anchor unless
 * `is_literal_caret` (gmatch). INVALID. */
MUST_CHECK enum err_code pattern_read(struct str text, bool is_literal_caret,
				      struct pattern *ret_pattern, struct err *err);
/* The first match at or after `from`. *steps is what may still be done; it is used up. */
enum pattern_result pattern_find(const struct pattern *pattern, struct str subject, size_t from,
				 uint64_t *steps, struct pattern_match *ret_match);

/* Is the text a pattern? INVALID. */
MUST_CHECK enum err_code pattern_check(struct str text, struct err *err);
/* Does the whole subject match? */
enum pattern_result pattern_whole(struct str text, struct str subject);

#endif
