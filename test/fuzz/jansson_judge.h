/* jansson_judge.h - what jansson says of a text; apart, because its names clash with base/json.h.
 */
#ifndef FUZZ_JANSSON_JUDGE_H
#define FUZZ_JANSSON_JUDGE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Is it JSON? Also true where jansson has a limit that JSON has not: numbers beyond the types of C,
 * and NUL in a key. */
bool jansson_takes(const char *text, size_t len);
/* Does jansson take it without such an exception, and does it nest at most `depth_max` deep? */
bool jansson_takes_at_once(const char *text, size_t len, unsigned depth_max);
/* Are both the same value? True as well when jansson cannot tell. */
bool jansson_same(struct str a, struct str b);
/* Is `value` that of the member of the object, and empty when the object has none, or an empty one?
 * True as well when jansson cannot tell. */
bool jansson_same_member(struct str object, const char *key, struct str value);
/* Is that the value of the literal? */
bool jansson_same_text(struct str literal, struct str text);
bool jansson_same_integer(struct str literal, int64_t value);
bool jansson_same_double(struct str literal, double value);

#endif
