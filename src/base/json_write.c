/* json_write.c - strings and numbers as JSON: see json.h */
#include "base/json_intern.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void json_put_plain(struct buf *out, struct str text)
{
	char *room = buf_room(out, text.len + 2);

	if (!room)
		return;
	room[0] = '"';
	if (text.len)
		memcpy(room + 1, text.ptr, text.len);
	room[text.len + 1] = '"';
	buf_added(out, text.len + 2);
}

void json_put_str(struct buf *out, struct str text)
{
	const char *at = text.ptr ? text.ptr : "";
	const char *end = at + text.len;

	if (json_special(at, end) == end) {
		json_put_plain(out, text);
		return;
	}
	buf_byte(out, '"');
	while (at < end) {
		const char *special = json_special(at, end);
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

/* `digits` of a number d.ddd * 10^exponent, without trailing zeros, as plain or exponent
 * notation. */
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
