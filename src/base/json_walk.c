/* json_walk.c - what is read from a checked value: members, items, texts, numbers. See json.h */
#include "base/json_intern.h"

#include "base/mem.h"

#include <string.h>

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
	const char *p = json_blanks_skip(text.ptr + at, end);

	if (p == end || *p == '}' || *p == ']')
		return NULL;
	p = json_blanks_skip(p + 1, end); /* the bracket or a comma */
	return p == end || *p == '}' || *p == ']' ? NULL : p;
}

enum json_type json_type_of(struct str value)
{
	const char *end = value.ptr + value.len;
	const char *at = json_blanks_skip(value.ptr, end);

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
	value = json_blanks_skip(after, end);
	if (value < end && *value == ':')
		value = json_blanks_skip(value + 1, end);
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
	const char *after = json_escape_end(at, end);
	const char *found;
	unsigned code;

	if (!after) /* not a checked text: keep what is there */
		return end;
	if (at[1] != 'u') {
		found = strchr(from, at[1]);
		buf_byte(out, found ? to[found - from] : at[1]);
		return after;
	}
	code = (unsigned)json_hex(at + 2, end);
	if (after - at == 12)
		code =
		    0x10000 + ((code - 0xD800) << 10) + ((unsigned)json_hex(at + 8, end) - 0xDC00);
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
