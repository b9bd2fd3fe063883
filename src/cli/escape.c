/* escape.c - see escape.h */
#include "cli/escape.h"

/* The code point of a well-formed sequence. */
static uint32_t decode(const unsigned char *bytes, size_t len)
{
	static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t point = bytes[0] & lead_mask[len];

	for (size_t i = 1; i < len; i++)
		point = point << 6 | (bytes[i] & 0x3fU);
	return point;
}

static bool is_harmless(uint32_t point)
{
	if (point == '\n' || point == '\t')
		return true;
	if (point < 0x20 || (point >= 0x7f && point <= 0x9f))
		return false;
	return point != 0x061c && point != 0x200e && point != 0x200f &&
	       !(point >= 0x202a && point <= 0x202e) && !(point >= 0x2066 && point <= 0x2069);
}

/* Could the rest of the text be the beginning of a sequence that goes on in the next piece? */
static bool is_cut(struct str rest)
{
	unsigned char lead = (unsigned char)rest.ptr[0];
	size_t want = lead >= 0xf0 && lead <= 0xf4   ? 4
		      : lead >= 0xe0 && lead <= 0xef ? 3
		      : lead >= 0xc2 && lead <= 0xdf ? 2
						     : 1;

	if (rest.len >= want)
		return false;
	for (size_t i = 1; i < rest.len; i++) {
		if (((unsigned char)rest.ptr[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

size_t escape_put(struct buf *out, struct str text, bool is_end)
{
	size_t at = 0;

	while (at < text.len) {
		struct str rest = str_cut(text, at, text.len);
		const unsigned char *bytes = (const void *)rest.ptr;
		size_t len = utf8_len(rest);

		if (len == 0 && !is_end && is_cut(rest))
			break;
		if (len > 0 && is_harmless(decode(bytes, len))) {
			buf_put(out, rest.ptr, len);
			at += len;
			continue;
		}
		len = len > 0 ? len : 1;
		for (size_t i = 0; i < len; i++)
			buf_fmt(out, "\\x%02x", bytes[i]);
		at += len;
	}
	return at;
}
