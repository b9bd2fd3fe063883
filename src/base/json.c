/* json.c - see json.h
 *
 * One pass over the bytes: strings are searched eight or sixteen bytes at a time, containers
 * recurse at most depth_max deep, and the keys of the open objects are kept on one stack to be
 * compared when their object ends. Nothing is allocated for objects of few keys. */
#include "base/json.h"

#include "base/mem.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define KEYS_AT_HAND  48 /* keys of open objects that need no allocation */
#define KEYS_PAIRWISE 8  /* objects of up to so many keys are compared pair by pair */

#define REPEAT(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS    REPEAT(0x80)

/* The first byte that a string cannot just contain: a control character, a quote, a backslash, DEL,
 * or anything beyond ASCII. */
static inline const char *special_find(const char *at, const char *end)
{
#ifdef __SSE2__
	while (end - at >= 16) { /* as signed bytes, what is beyond ASCII is below a blank too */
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i hit =
		    _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
					      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))),
				 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')),
					      _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))));
		int mask = _mm_movemask_epi8(hit);

		if (mask)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	while (end - at >= 8) {
		uint64_t word;
		uint64_t quote;
		uint64_t slash;
		uint64_t del;
		uint64_t hit;

		memcpy(&word, at, 8);
		word = le64toh(word);
		quote = word ^ REPEAT('"');
		slash = word ^ REPEAT('\\');
		del = word ^ REPEAT(0x7F);
		/* A borrow only disturbs bytes above a true hit; the lowest one is exact. */
		hit = (((word - REPEAT(0x20)) & ~word) | ((quote - REPEAT(1)) & ~quote) |
		       ((slash - REPEAT(1)) & ~slash) | ((del - REPEAT(1)) & ~del) | word) &
		      HIGH_BITS;
		if (hit)
			return at + (__builtin_ctzll(hit) >> 3);
		at += 8;
	}
	for (; at < end; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7F)
			return at;
	}
	return end;
}

/* ---- writer ---- */

static void put_special(struct buf *out, const char *at, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	unsigned char c = (unsigned char)*at;
	const char *found;

	if (c >= 0x80) {
		if (len == 0)
			buf_put(out, "\xEF\xBF\xBD", 3); /* U+FFFD for a malformed byte */
		else if (len == 3 && !memcmp(at, "\xE2\x80\xA8", 3))
			buf_put(out, "\\u2028", 6);
		else if (len == 3 && !memcmp(at, "\xE2\x80\xA9", 3))
			buf_put(out, "\\u2029", 6);
		else
			buf_put(out, at, len);
		return;
	}
	found = memchr(from, c, sizeof(from) - 1);
	if (found) {
		const char pair[2] = {'\\', to[found - from]};

		buf_put(out, pair, 2);
	} else {
		const char code[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

		buf_put(out, code, 6);
	}
}

void json_put_str(struct buf *out, struct str text)
{
	const char *at = text.ptr ? text.ptr : "";
	const char *end = at + text.len;

	buf_byte(out, '"');
	while (at < end) {
		const char *special = special_find(at, end);
		size_t len;

		buf_put(out, at, (size_t)(special - at));
		if (special == end)
			break;
		len = utf8_len(str_from(special, (size_t)(end - special)));
		put_special(out, special, len);
		at = special + (len ? len : 1);
	}
	buf_byte(out, '"');
}

/* `digits` of a number d.ddd * 10^exponent, without trailing zeros, as plain or exponent notation.
 */
static void put_decimal(struct buf *out, const char *digits, int count, int exponent)
{
	if (exponent >= -5 && exponent < 0) {
		buf_text(out, "0.");
		for (int i = -1; i > exponent; i--)
			buf_byte(out, '0');
		buf_put(out, digits, (size_t)count);
	} else if (exponent >= 0 && exponent < 17) {
		for (int i = 0; i < count || i <= exponent; i++) {
			if (i == exponent + 1)
				buf_byte(out, '.');
			buf_byte(out, i < count ? digits[i] : '0');
		}
	} else {
		buf_byte(out, digits[0]);
		if (count > 1)
			buf_byte(out, '.');
		buf_put(out, digits + 1, (size_t)count - 1);
		buf_byte(out, 'e');
		buf_i64(out, exponent);
	}
}

/* The decimal point of the process may be any text: only the digits of printf's answer are used. */
static int digits_of(double value, int precision, char digits[17], int *ret_exponent)
{
	char text[64];
	const char *at = text;
	int count = 0;

	(void)snprintf(text, sizeof(text), "%.*e", precision - 1, value);
	for (; *at && *at != 'e'; at++) {
		if (*at >= '0' && *at <= '9' && count < 17)
			digits[count++] = *at;
	}
	BUG_IF(*at != 'e' || count != precision);
	*ret_exponent = (int)strtol(at + 1, NULL, 10);
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return count;
}

void json_put_double(struct buf *out, double value)
{
	double size = fabs(value);

	BUG_IF(!isfinite(value));
	if (size == 0) {
		buf_text(out, signbit(value) ? "-0.0" : "0"); /* "-0" would lose its sign */
		return;
	}
	if (size < 9007199254740992.0 && floor(size) == size) {
		buf_i64(out, (int64_t)value);
		return;
	}
	if (value < 0)
		buf_byte(out, '-');
	for (int precision = 15; precision <= 17; precision++) {
		char digits[17];
		char exact[40];
		double again;
		int exponent;
		int count = digits_of(size, precision, digits, &exponent);

		/* "digits e exponent" as an integer of digits: no point needed. */
		(void)snprintf(exact, sizeof(exact), "%.*se%d", count, digits,
			       exponent - (count - 1));
		if (precision < 17 && (!str_to_double(str_of(exact), &again) || again != size))
			continue;
		put_decimal(out, digits, count, exponent);
		return;
	}
}

/* ---- scanner ---- */

struct scan {
	const char *start;
	const char *at;
	const char *end;
	const char *problem; /* why it stopped at `at`; NULL = memory was short */
	unsigned depth_left;
	struct str *keys; /* of the objects that are open, outer first */
	size_t keys_count;
	size_t keys_capacity;
	struct str *keys_heap; /* NULL while keys_at_hand is enough */
	struct str keys_at_hand[KEYS_AT_HAND];
};

static bool stop(struct scan *scan, const char *at, const char *problem)
{
	scan->at = at;
	scan->problem = problem;
	return false;
}

static int hex_value(const char *at, const char *end)
{
	int value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static bool is_low(int unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

static bool is_high(int unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

/* The end of the escape whose backslash is at `at`; NULL when it is malformed. */
static const char *escape_end(const char *at, const char *end)
{
	int unit;

	if (end - at < 2)
		return NULL;
	if (at[1] != 'u')
		return at[1] && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
	unit = hex_value(at + 2, end);
	if (unit < 0 || is_low(unit))
		return NULL;
	if (!is_high(unit))
		return at + 6;
	if (end - at < 12 || at[6] != '\\' || at[7] != 'u' || !is_low(hex_value(at + 8, end)))
		return NULL;
	return at + 12;
}

/* From behind the opening quote to the closing quote. On failure *ret_bad is where and the answer
 * is NULL. */
static const char *string_end(const char *at, const char *end, bool *ret_plain,
			      const char **ret_bad)
{
	bool plain = true;

	for (;;) {
		const char *next;
		size_t len;

		at = special_find(at, end);
		*ret_bad = at;
		if (at == end)
			return NULL;
		switch (*at) {
		case '"':
			*ret_plain = plain;
			return at;
		case '\\':
			plain = false;
			next = escape_end(at, end);
			if (!next)
				return NULL;
			at = next;
			break;
		default:
			if ((unsigned char)*at < 0x20)
				return NULL;
			len = utf8_len(str_from(at, (size_t)(end - at)));
			if (len == 0)
				return NULL;
			at += len;
		}
	}
}

static const char *blanks_skip(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

static bool is_digit(const char *at, const char *end)
{
	return at < end && *at >= '0' && *at <= '9';
}

static const char *digits_skip(const char *at, const char *end)
{
	while (is_digit(at, end))
		at++;
	return at;
}

/* RFC 8259 section 6. NULL when malformed. */
static const char *number_end(const char *at, const char *end)
{
	if (at < end && *at == '-')
		at++;
	if (!is_digit(at, end))
		return NULL;
	at = *at == '0' ? at + 1 : digits_skip(at, end);
	if (at < end && *at == '.') {
		if (!is_digit(++at, end))
			return NULL;
		at = digits_skip(at, end);
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		if (!is_digit(at, end))
			return NULL;
		at = digits_skip(at, end);
	}
	return at;
}

static bool value_scan(struct scan *scan);

static bool string_scan(struct scan *scan)
{
	const char *bad;
	bool plain;
	const char *close = string_end(scan->at + 1, scan->end, &plain, &bad);

	if (!close)
		return stop(scan, bad, "malformed string");
	scan->at = close + 1;
	return true;
}

static bool key_push(struct scan *scan, struct str key)
{
	if (scan->keys_count == scan->keys_capacity) {
		size_t twice = scan->keys_capacity * 2;
		struct str *grown = mem_resize(scan->keys_heap, twice, sizeof(*grown));

		if (!grown)
			return stop(scan, scan->at, NULL);
		if (!scan->keys_heap)
			memcpy(grown, scan->keys, scan->keys_count * sizeof(*grown));
		scan->keys_heap = scan->keys = grown;
		scan->keys_capacity = twice;
	}
	scan->keys[scan->keys_count++] = key;
	return true;
}

static int key_order(const void *a, const void *b)
{
	const struct str *left = a;
	const struct str *right = b;

	if (left->len != right->len)
		return left->len < right->len ? -1 : 1;
	return left->len ? memcmp(left->ptr, right->ptr, left->len) : 0;
}

/* Replace keys that have escapes by their text in `text`, which does not move: it has its room. */
static bool keys_decode(struct str *keys, size_t count, struct buf *text)
{
	size_t room = 0;

	for (size_t i = 0; i < count; i++)
		room += str_has(keys[i], '\\') ? keys[i].len : 0;
	if (room == 0)
		return true;
	if (!buf_room(text, room))
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t from = text->len;

		if (!str_has(keys[i], '\\'))
			continue;
		json_decode(keys[i], text);
		keys[i] = str_from(text->ptr + from, text->len - from);
	}
	return true;
}

/* Are the keys from `base` on all different? Then they leave the stack. */
static bool keys_pop(struct scan *scan, size_t base)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	struct str *keys = scan->keys + base;
	size_t count = scan->keys_count - base;
	bool twice = false;

	scan->keys_count = base;
	if (count < 2)
		return true;
	if (!keys_decode(keys, count, &text))
		return stop(scan, scan->at, NULL);
	if (count > KEYS_PAIRWISE)
		qsort(keys, count, sizeof(*keys), key_order);
	for (size_t i = 1; i < count && !twice; i++) {
		if (count > KEYS_PAIRWISE)
			twice = str_eq(keys[i - 1], keys[i]);
		for (size_t j = 0; count <= KEYS_PAIRWISE && j < i && !twice; j++)
			twice = str_eq(keys[j], keys[i]);
	}
	return twice ? stop(scan, scan->at, "an object has a key twice") : true;
}

static bool key_scan(struct scan *scan)
{
	const char *from = scan->at + 1;

	if (scan->at == scan->end || *scan->at != '"')
		return stop(scan, scan->at, "a key is expected");
	if (!string_scan(scan))
		return false;
	if (!key_push(scan, str_from(from, (size_t)(scan->at - 1 - from))))
		return false;
	scan->at = blanks_skip(scan->at, scan->end);
	if (scan->at == scan->end || *scan->at != ':')
		return stop(scan, scan->at, "':' is expected");
	scan->at = blanks_skip(scan->at + 1, scan->end);
	return true;
}

static bool container_scan(struct scan *scan, bool is_object)
{
	const char close = is_object ? '}' : ']';
	size_t base = scan->keys_count;

	if (scan->depth_left == 0)
		return stop(scan, scan->at, "it is nested too deep");
	scan->depth_left--;
	scan->at = blanks_skip(scan->at + 1, scan->end);
	if (scan->at < scan->end && *scan->at == close) {
		scan->at++;
		scan->depth_left++;
		return true;
	}
	for (;;) {
		if (is_object && !key_scan(scan))
			return false;
		if (!value_scan(scan))
			return false;
		scan->at = blanks_skip(scan->at, scan->end);
		if (scan->at == scan->end)
			return stop(scan, scan->at, "it ends too early");
		if (*scan->at == close)
			break;
		if (*scan->at != ',')
			return stop(scan, scan->at, "',' is expected");
		scan->at = blanks_skip(scan->at + 1, scan->end);
	}
	scan->at++;
	scan->depth_left++;
	return keys_pop(scan, base);
}

static bool word_scan(struct scan *scan, const char *word, size_t len)
{
	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return stop(scan, scan->at, "a value is expected");
	scan->at += len;
	return true;
}

static bool value_scan(struct scan *scan)
{
	const char *end;

	if (scan->at == scan->end)
		return stop(scan, scan->at, "it ends too early");
	switch (*scan->at) {
	case '{':
		return container_scan(scan, true);
	case '[':
		return container_scan(scan, false);
	case '"':
		return string_scan(scan);
	case 't':
		return word_scan(scan, "true", 4);
	case 'f':
		return word_scan(scan, "false", 5);
	case 'n':
		return word_scan(scan, "null", 4);
	default:
		end = number_end(scan->at, scan->end);
		if (!end)
			return stop(scan, scan->at, "a value is expected");
		scan->at = end;
		return true;
	}
}

static enum err_code scan_failed(const struct scan *scan, struct err *err)
{
	if (!scan->problem)
		return mem_err(err);
	return err_set(err, ERR_INVALID, "byte %zu: %s", (size_t)(scan->at - scan->start),
		       scan->problem);
}

enum err_code json_scan(struct str text, size_t *at, unsigned depth_max, struct err *err)
{
	struct scan scan;
	bool good;

	BUG_IF(*at > text.len || depth_max > JSON_DEPTH_MAX);
	/* Not cleared as a whole: the keys at hand are a kilobyte, and this is a hot path. */
	scan.start = text.ptr;
	scan.at = text.ptr + *at;
	scan.end = text.ptr + text.len;
	scan.problem = NULL;
	scan.depth_left = depth_max;
	scan.keys = scan.keys_at_hand;
	scan.keys_count = 0;
	scan.keys_capacity = KEYS_AT_HAND;
	scan.keys_heap = NULL;
	good = value_scan(&scan);
	mem_free(scan.keys_heap);
	if (!good)
		return scan_failed(&scan, err);
	*at = (size_t)(scan.at - text.ptr);
	return ERR_OK;
}

enum err_code json_check(struct str text, unsigned depth_max, struct err *err)
{
	const char *end;
	size_t at;

	if (!text.ptr)
		text = STR("");
	end = text.ptr + text.len;
	at = (size_t)(blanks_skip(text.ptr, end) - text.ptr);
	if (json_scan(text, &at, depth_max, err) != ERR_OK)
		return err->code;
	at = (size_t)(blanks_skip(text.ptr + at, end) - text.ptr);
	if (at != text.len)
		return err_set(err, ERR_INVALID, "byte %zu: something follows the value", at);
	return ERR_OK;
}

bool json_scan_string(struct str text, size_t *at, bool *ret_plain)
{
	const char *bad;
	const char *close;

	if (*at >= text.len || text.ptr[*at] != '"')
		return false;
	close = special_find(text.ptr + *at + 1, text.ptr + text.len);
	if (close < text.ptr + text.len && *close == '"') { /* nearly always */
		*at = (size_t)(close + 1 - text.ptr);
		*ret_plain = true;
		return true;
	}
	close = string_end(text.ptr + *at + 1, text.ptr + text.len, ret_plain, &bad);
	if (!close)
		return false;
	*at = (size_t)(close + 1 - text.ptr);
	return true;
}

/* ---- walking a checked value ---- */

/* Behind the string whose opening quote is at `at`. */
static const char *string_skip(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\')
			at++;
	}
	return at < end ? at + 1 : end;
}

/* Behind the value at `at`. */
static const char *value_skip(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		switch (*at) {
		case '"':
			at = string_skip(at, end);
			break;
		case '{':
		case '[':
			depth++;
			at++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return at;
			depth--;
			at++;
			break;
		default:
			if (depth == 0) { /* a number or a word */
				while (at < end && !strchr(",]} \t\r\n", *at))
					at++;
				return at;
			}
			at++;
			continue;
		}
		if (depth == 0)
			return at;
	}
	return end;
}

/* To the next element: behind the opening bracket or the comma. NULL at the end. */
static const char *element_next(struct str text, size_t at)
{
	const char *end = text.ptr + text.len;
	const char *p = blanks_skip(text.ptr + at, end);

	if (p == end || *p == '}' || *p == ']')
		return NULL;
	p = blanks_skip(p + 1, end); /* the bracket or a comma */
	return p == end || *p == '}' || *p == ']' ? NULL : p;
}

enum json_type json_type_of(struct str value)
{
	const char *end = value.ptr + value.len;
	const char *at = blanks_skip(value.ptr, end);

	switch (at < end ? *at : '\0') {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

bool json_member(struct str object, size_t *at, struct str *ret_key, struct str *ret_value)
{
	const char *end = object.ptr + object.len;
	const char *key = *at < object.len ? element_next(object, *at) : NULL;
	const char *value;
	const char *after;

	if (!key)
		return false;
	after = string_skip(key, end);
	value = blanks_skip(after, end);
	if (value < end && *value == ':')
		value = blanks_skip(value + 1, end);
	*ret_key = str_from(key + 1, (size_t)(after - key) - 2);
	after = value_skip(value, end);
	*ret_value = str_from(value, (size_t)(after - value));
	*at = (size_t)(after - object.ptr);
	return true;
}

bool json_item(struct str array, size_t *at, struct str *ret_value)
{
	const char *value = *at < array.len ? element_next(array, *at) : NULL;
	const char *after;

	if (!value)
		return false;
	after = value_skip(value, array.ptr + array.len);
	*ret_value = str_from(value, (size_t)(after - value));
	*at = (size_t)(after - array.ptr);
	return true;
}

struct str json_get(struct str object, const char *key)
{
	struct str found;
	struct str value;
	size_t at = 0;

	while (json_member(object, &at, &found, &value)) {
		AUTO(buf_fini) struct buf text = BUF_INIT;

		if (str_has(found, '\\')) {
			json_decode(found, &text);
			found = buf_view(&text);
		}
		if (str_is(found, key))
			return value;
	}
	return STR_NONE;
}

static void put_utf8(struct buf *out, unsigned code)
{
	char bytes[4];
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};

	for (size_t i = len; i-- > 1; code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3F));
	bytes[0] = (char)(lead[len] | code);
	buf_put(out, bytes, len);
}

/* Append what the escape at `at` stands for; answers its end. */
static const char *escape_decode(const char *at, const char *end, struct buf *out)
{
	static const char from[] = "bfnrt";
	static const char to[] = "\b\f\n\r\t";
	const char *after = escape_end(at, end);
	const char *found;
	unsigned code;

	if (!after) /* not a checked text: keep what is there */
		return end;
	if (at[1] != 'u') {
		found = strchr(from, at[1]);
		buf_byte(out, found ? to[found - from] : at[1]);
		return after;
	}
	code = (unsigned)hex_value(at + 2, end);
	if (after - at == 12)
		code =
		    0x10000 + ((code - 0xD800) << 10) + ((unsigned)hex_value(at + 8, end) - 0xDC00);
	put_utf8(out, code);
	return after;
}

/* Without its quotes; a raw key has none, and cannot begin with one. */
static struct str inside_of(struct str literal)
{
	if (literal.len >= 2 && literal.ptr[0] == '"')
		return str_cut(literal, 1, literal.len - 1);
	return literal;
}

void json_decode(struct str literal, struct buf *out)
{
	struct str text = inside_of(literal);
	const char *at = text.ptr;
	const char *end = at + text.len;

	while (at < end) {
		const char *slash = memchr(at, '\\', (size_t)(end - at));

		buf_put(out, at, (size_t)((slash ? slash : end) - at));
		if (!slash)
			break;
		at = escape_decode(slash, end, out);
	}
}

bool json_plain(struct str literal, struct str *ret_text)
{
	struct str text = inside_of(literal);

	if (str_has(text, '\\'))
		return false;
	*ret_text = text;
	return true;
}

bool json_to_i64(struct str value, int64_t *ret_value)
{
	return str_to_i64(value, ret_value);
}

bool json_to_u64(struct str value, uint64_t *ret_value)
{
	return str_to_u64(value, ret_value);
}

bool json_to_double(struct str value, double *ret_value)
{
	return json_type_of(value) == JSON_NUMBER && str_to_double(value, ret_value);
}
