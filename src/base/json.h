/* json.h - our own JSON writer and scanner, for event lines and result context.
 *
 * The writer appends to a buf. The scanner never builds a tree: a value is the slice of its text,
 * and an object is walked member by member. Strict RFC 8259: no trailing commas, no NaN, no control
 * characters or malformed UTF-8 in strings, no lone surrogates, no duplicate keys; it is compared
 * with jansson by tests and fuzzers. Everything else of the program that reads JSON uses
 * jansson. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64

enum json_type {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
};

/* Append a string literal: quotes, escapes (\" \\ \b \f \n \r \t \u00XX), DEL, U+2028 and U+2029
 * escaped too; malformed UTF-8 becomes U+FFFD, a byte at a time. Other UTF-8 stays as it is. */
void json_put_str(struct buf *out, struct str text);
/* The same for a text that has nothing to escape. */
void json_put_plain(struct buf *out, struct str text);
/* Append a finite double in the shortest form that reads back equal (17 digits at most); integers
 * below 2^53 without a point. NaN and infinities are a broken invariant of the caller. */
void json_put_double(struct buf *out, double value);

/* Check one whole value (blanks around it allowed): grammar, UTF-8, depth, duplicate keys
 * (compared decoded). INVALID with the byte offset in the text. */
MUST_CHECK enum err_code json_check(struct str text, unsigned depth_max, struct err *err);

/* The same for one value that begins at *at, in a text that goes on after it: *at moves behind the
 * value. No blanks before it. The offset in the error counts from the start of `text`. */
MUST_CHECK enum err_code json_scan(struct str text, size_t *at, unsigned depth_max,
				   struct err *err);
/* Step over one string literal at *at (its opening quote): false when there is none or it is
 * malformed. *ret_plain: it has no escapes. For readers that know what comes next. */
bool json_scan_string(struct str text, size_t *at, bool *ret_plain);

/* How many bytes at the beginning of `text` are in a literal as they are: printable ASCII, neither
 * quote nor backslash. */
size_t json_plain_len(struct str text);

/* Type of a checked value by its first byte (after blanks). */
enum json_type json_type_of(struct str value);

/* Walk a checked object: start with *at = 0; each call gives the raw key (without quotes, still
 * escaped) and the raw value; false at the end. json_item does the same for an array. */
bool json_member(struct str object, size_t *at, struct str *ret_key, struct str *ret_value);
bool json_item(struct str array, size_t *at, struct str *ret_value);

/* Value of a key in a checked object (key without escapes); ptr NULL if absent. */
struct str json_get(struct str object, const char *key);

/* Decode a checked string literal, or a raw key, to text appended to `out`. */
void json_decode(struct str literal, struct buf *out);
/* The inside of a string literal that has no escapes, borrowed; false when it has some. */
bool json_plain(struct str literal, struct str *ret_text);

/* False when the value is not a number of that kind or does not fit: an integer has neither point
 * nor exponent, a double is finite and has at most 63 characters. */
bool json_to_i64(struct str value, int64_t *ret_value);
bool json_to_u64(struct str value, uint64_t *ret_value);
bool json_to_double(struct str value, double *ret_value);

#endif
