/* json_scan.c - is a text JSON, and where does its value end? See json.h
 *
 * One pass over the bytes: strings are searched eight or sixteen bytes at a time, containers
 * recurse at most depth_max deep, and the keys of the open objects are kept on one stack to be
 * compared when their object ends. Nothing is allocated for objects of few keys. */
#include "base/json_intern.h"

#include "base/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_AT_HAND  48 /* keys of open objects that need no allocation */
#define KEYS_PAIRWISE 8  /* objects of up to so many keys are compared pair by pair */

#define REPEAT(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS    REPEAT(0x80)

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

const char *json_special_of_few(const char *at, const char *end)
{
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

int json_hex(const char *at, const char *end)
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

const char *json_escape_end(const char *at, const char *end)
{
	int unit;

	if (end - at < 2)
		return NULL;
	if (at[1] != 'u')
		return at[1] && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
	unit = json_hex(at + 2, end);
	if (unit < 0 || is_low(unit))
		return NULL;
	if (!is_high(unit))
		return at + 6;
	if (end - at < 12 || at[6] != '\\' || at[7] != 'u' || !is_low(json_hex(at + 8, end)))
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

		at = json_special(at, end);
		*ret_bad = at;
		if (at == end)
			return NULL;
		switch (*at) {
		case '"':
			*ret_plain = plain;
			return at;
		case '\\':
			plain = false;
			next = json_escape_end(at, end);
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
	scan->at = json_blanks_skip(scan->at, scan->end);
	if (scan->at == scan->end || *scan->at != ':')
		return stop(scan, scan->at, "':' is expected");
	scan->at = json_blanks_skip(scan->at + 1, scan->end);
	return true;
}

static bool container_scan(struct scan *scan, bool is_object)
{
	const char close = is_object ? '}' : ']';
	size_t base = scan->keys_count;

	if (scan->depth_left == 0)
		return stop(scan, scan->at, "it is nested too deep");
	scan->depth_left--;
	scan->at = json_blanks_skip(scan->at + 1, scan->end);
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
		scan->at = json_blanks_skip(scan->at, scan->end);
		if (scan->at == scan->end)
			return stop(scan, scan->at, "it ends too early");
		if (*scan->at == close)
			break;
		if (*scan->at != ',')
			return stop(scan, scan->at, "',' is expected");
		scan->at = json_blanks_skip(scan->at + 1, scan->end);
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
	NOT_CLEARED struct scan scan;
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
	at = (size_t)(json_blanks_skip(text.ptr, end) - text.ptr);
	if (json_scan(text, &at, depth_max, err) != ERR_OK)
		return err->code;
	at = (size_t)(json_blanks_skip(text.ptr + at, end) - text.ptr);
	if (at != text.len)
		return err_set(err, ERR_INVALID, "byte %zu: something follows the value", at);
	return ERR_OK;
}

size_t json_plain_len(struct str text)
{
	return text.len ? (size_t)(json_special(text.ptr, text.ptr + text.len) - text.ptr) : 0;
}

/* A string literal with escapes, or with more than ASCII; or none. */
static SELDOM bool scan_odd_string(struct str text, size_t *at, bool *ret_plain)
{
	const char *bad;
	const char *close = string_end(text.ptr + *at + 1, text.ptr + text.len, ret_plain, &bad);

	if (!close)
		return false;
	*at = (size_t)(close + 1 - text.ptr);
	return true;
}

bool json_scan_string(struct str text, size_t *at, bool *ret_plain)
{
	const char *close;

	if (*at >= text.len || text.ptr[*at] != '"')
		return false;
	close = json_special(text.ptr + *at + 1, text.ptr + text.len);
	if (close == text.ptr + text.len || *close != '"')
		return scan_odd_string(text, at, ret_plain);
	*at = (size_t)(close + 1 - text.ptr);
	*ret_plain = true;
	return true;
}
