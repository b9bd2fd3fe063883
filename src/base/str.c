/* str.c - see str.h */
#include "base/str.h"

#include <locale.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NEAREST_BYTES_MAX 64

bool str_starts(struct str a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && (len == 0 || memcmp(a.ptr, prefix, len) == 0);
}

bool str_ends(struct str a, const char *suffix)
{
	size_t len = strlen(suffix);

	return a.len >= len && (len == 0 || memcmp(a.ptr + a.len - len, suffix, len) == 0);
}

int str_cmp(struct str a, struct str b)
{
	size_t least = a.len < b.len ? a.len : b.len;
	int order = least ? memcmp(a.ptr, b.ptr, least) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_has(struct str a, char byte)
{
	return a.len && memchr(a.ptr, byte, a.len) != NULL;
}

size_t str_find(struct str a, const char *needle, size_t from)
{
	const char *found;

	if (!a.ptr || from > a.len)
		return SIZE_MAX;
	found = memmem(a.ptr + from, a.len - from, needle, strlen(needle));
	return found ? (size_t)(found - a.ptr) : SIZE_MAX;
}

struct str str_cut(struct str a, size_t from, size_t to)
{
	if (to > a.len)
		to = a.len;
	if (from > to)
		from = to;
	return (struct str){a.ptr ? a.ptr + from : NULL, to - from};
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct str str_trim(struct str a)
{
	size_t from = 0;
	size_t to = a.len;

	while (from < to && is_blank(a.ptr[from]))
		from++;
	while (to > from && is_blank(a.ptr[to - 1]))
		to--;
	return str_cut(a, from, to);
}

bool str_to_u64(struct str a, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (a.len == 0)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned digit = (unsigned char)a.ptr[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret_value = value;
	return true;
}

bool str_to_i64(struct str a, int64_t *ret_value)
{
	bool negative = a.len > 0 && a.ptr[0] == '-';
	uint64_t value;

	if (!str_to_u64(negative ? str_cut(a, 1, a.len) : a, &value))
		return false;
	if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

/* Made once, whichever thread is first; (locale_t)0 when memory is short. */
static locale_t c_locale(void)
{
	static _Atomic(locale_t) made;
	locale_t nothing = (locale_t)0;
	locale_t fresh;

	if (atomic_load(&made))
		return atomic_load(&made);
	fresh = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (fresh && !atomic_compare_exchange_strong(&made, &nothing, fresh))
		freelocale(fresh);
	return atomic_load(&made);
}

bool str_to_double(struct str a, double *ret_value)
{
	locale_t locale;
	char text[64];
	char *end;
	double value;

	if (a.len == 0 || a.len >= sizeof(text) || is_blank(a.ptr[0]))
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (!strchr("0123456789+-.eE", a.ptr[i]) || a.ptr[i] == '\0')
			return false;
	}
	locale = c_locale();
	if (!locale)
		return false;
	memcpy(text, a.ptr, a.len);
	text[a.len] = '\0';
	value = strtod_l(text, &end, locale);
	if (*end != '\0' || !isfinite(value))
		return false;
	*ret_value = value;
	return true;
}

size_t utf8_len(struct str a)
{
	const unsigned char *p = (const unsigned char *)a.ptr;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t len;

	if (a.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (a.len < len)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0; /* overlong */
	else if (p[0] == 0xED)
		high = 0x9F; /* surrogates */
	else if (p[0] == 0xF0)
		low = 0x90; /* overlong */
	else if (p[0] == 0xF4)
		high = 0x8F; /* beyond U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	}
	return len;
}

struct str utf8_cut(struct str a, size_t bytes_max)
{
	size_t at = bytes_max;

	if (a.len <= bytes_max)
		return a;
	for (size_t back = 0; back < 3 && at > 0 && ((unsigned char)a.ptr[at] & 0xC0) == 0x80;
	     back++)
		at--;
	/* A sequence that begins before the end and is whole without it. */
	return str_cut(a, 0, utf8_len(str_cut(a, at, a.len)) > bytes_max - at ? at : bytes_max);
}

void hex_write(const void *bytes, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[from[i] >> 4];
		text[2 * i + 1] = digits[from[i] & 15];
	}
	text[2 * len] = '\0';
}

bool utf8_valid(struct str a)
{
	size_t at = 0;

	while (at < a.len) {
		uint64_t word;
		size_t len;

		if (at + 8 <= a.len) { /* eight ASCII bytes at a time */
			memcpy(&word, a.ptr + at, 8);
			if (!(word & 0x8080808080808080u)) {
				at += 8;
				continue;
			}
		}
		len = utf8_len(str_cut(a, at, a.len));
		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool name_valid(struct str a)
{
	if (a.len == 0 || a.len > 64 || !(is_alpha(a.ptr[0]) || a.ptr[0] == '_'))
		return false;
	for (size_t i = 1; i < a.len; i++) {
		if (!is_alpha(a.ptr[i]) && !is_digit(a.ptr[i]) && a.ptr[i] != '_')
			return false;
	}
	return true;
}

bool id_valid(struct str a)
{
	if (a.len == 0 || a.len > 128 || !(is_alpha(a.ptr[0]) || is_digit(a.ptr[0])))
		return false;
	for (size_t i = 1; i < a.len; i++) {
		char c = a.ptr[i];

		if (!is_alpha(c) && !is_digit(c) && c != '.' && c != '_' && c != '-')
			return false;
		if (c == '.' && a.ptr[i - 1] == '.')
			return false;
	}
	return true;
}

/* Edits that make `a` of `b`, by rows: a letter more, less or other, or two that are swapped
 * (optimal string alignment). Both texts are at most NEAREST_BYTES_MAX long. */
static size_t edit_distance(struct str a, struct str b)
{
	size_t rows[3][NEAREST_BYTES_MAX + 1]; /* row i is rows[i % 3] */

	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		const size_t *before = rows[(i + 1) % 3]; /* row i - 2 */
		const size_t *above = rows[(i - 1) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t cost = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

			if (above[j] + 1 < cost)
				cost = above[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
			    a.ptr[i - 2] == b.ptr[j - 1] && before[j - 2] + 1 < cost)
				cost = before[j - 2] + 1;
			row[j] = cost;
		}
	}
	return rows[a.len % 3][b.len];
}

const char *str_nearest(struct str word, const char *const *candidates, size_t count)
{
	size_t best = word.len / 3 + 1;
	const char *nearest = NULL;

	if (word.len == 0 || word.len > NEAREST_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct str candidate = str_of(candidates[i]);
		size_t distance;

		if (candidate.len > NEAREST_BYTES_MAX)
			continue;
		distance = edit_distance(word, candidate);
		if (distance < best || (distance == best && !nearest)) {
			best = distance;
			nearest = candidates[i];
		}
	}
	return nearest;
}
