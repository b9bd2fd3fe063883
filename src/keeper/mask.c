/* mask.c - see mask.h */
#include "keeper/mask.h"

#include "base/mem.h"

#include <string.h>

#define STARS "***"

struct mask {
	struct buf *texts; /* longest first */
	size_t count;
	size_t capacity;
	bool begins[256]; /* some text begins with this byte */
	struct buf held;  /* what may yet become a match */
};

static void buf_wipe(struct buf *buf)
{
	if (buf->ptr)
		explicit_bzero(buf->ptr, buf->capacity);
	buf_fini(buf);
}

void mask_free(struct mask *mask)
{
	if (!mask)
		return;
	for (size_t i = 0; i < mask->count; i++)
		buf_wipe(&mask->texts[i]);
	mem_free(mask->texts);
	buf_wipe(&mask->held);
	mem_free(mask);
}

void mask_drop(struct mask **mask)
{
	mask_free(*mask);
	*mask = NULL;
}

size_t mask_count(const struct mask *mask)
{
	return mask->count;
}

struct str mask_at(const struct mask *mask, size_t i)
{
	BUG_IF(i >= mask->count);
	return buf_view(&mask->texts[i]);
}

/* Takes the text over. Empty and known ones are dropped; the order is longest first. */
static enum err_code text_add(struct mask *mask, struct buf *text, struct err *err)
{
	size_t at = 0;

	if (buf_check(text, "a secret", err) != ERR_OK)
		goto drop;
	if (text->len == 0)
		goto drop;
	for (size_t i = 0; i < mask->count; i++) {
		if (str_eq(buf_view(&mask->texts[i]), buf_view(text)))
			goto drop;
	}
	if (mem_grow((void **)&mask->texts, &mask->capacity, mask->count + 1, sizeof(*mask->texts),
		     err) != ERR_OK)
		goto drop;
	while (at < mask->count && mask->texts[at].len >= text->len)
		at++;
	memmove(&mask->texts[at + 1], &mask->texts[at], (mask->count - at) * sizeof(*mask->texts));
	mask->texts[at] = *text;
	mask->count++;
	mask->begins[(unsigned char)text->ptr[0]] = true;
	return ERR_OK;

drop:
	buf_wipe(text);
	return err->code;
}

/* As inside a JSON string (RFC 8259 section 7): the short escapes, or \u00xx throughout. */
static void json_put(struct buf *out, struct str secret, bool escapes_slash)
{
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";

	for (size_t i = 0; i < secret.len; i++) {
		unsigned char byte = (unsigned char)secret.ptr[i];
		const char *found = byte ? strchr(from, byte) : NULL;

		if (found) {
			buf_byte(out, '\\');
			buf_byte(out, to[found - from]);
		} else if (byte == '/' && escapes_slash) {
			buf_text(out, "\\/");
		} else if (byte < 0x20) {
			buf_fmt(out, "\\u%04x", byte);
		} else {
			buf_byte(out, (char)byte);
		}
	}
}

/* Percent-encoding (RFC 3986 section 2): all but the unreserved characters. */
static void percent_put(struct buf *out, struct str secret, bool is_upper, bool is_form)
{
	for (size_t i = 0; i < secret.len; i++) {
		unsigned char byte = (unsigned char)secret.ptr[i];
		bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
				(byte >= '0' && byte <= '9') || (byte && strchr("-._~", byte));

		if (is_plain)
			buf_byte(out, (char)byte);
		else if (is_form && byte == ' ')
			buf_byte(out, '+');
		else
			buf_fmt(out, is_upper ? "%%%02X" : "%%%02x", byte);
	}
}

static char base64_of(unsigned value, bool is_url)
{
	static const char common[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	if (value < 62)
		return common[value];
	if (value == 62)
		return is_url ? '-' : '+';
	return is_url ? '_' : '/';
}

/* How the base64 of a text goes on behind the secret. */
enum tail { TAIL_MORE, TAIL_END, TAIL_PADDED, TAILS };

/* The characters of the base64 (RFC 4648) of a text that holds the secret at an offset of `shift`
 * modulo 3, as far as the secret alone decides them; at the end of the text also the last one. */
static void base64_put(struct buf *out, struct str secret, size_t shift, enum tail tail,
		       bool is_url)
{
	size_t bits = 8 * (shift + secret.len);
	size_t at = (8 * shift + 5) / 6 * 6;

	for (; at + 6 <= bits || (tail != TAIL_MORE && at < bits); at += 6) {
		unsigned value = 0;

		for (size_t i = 0; i < 6; i++) {
			size_t bit = at + i - 8 * shift;
			unsigned byte =
			    bit / 8 < secret.len ? (unsigned char)secret.ptr[bit / 8] : 0;

			value = value << 1 | (byte >> (7 - bit % 8) & 1U);
		}
		buf_byte(out, base64_of(value, is_url));
	}
	for (; tail == TAIL_PADDED && at % 24; at += 6)
		buf_byte(out, '=');
}

static enum err_code forms_add(struct mask *mask, struct str secret, struct err *err)
{
	struct buf text = BUF_INIT;

	for (int i = 0; i < 2; i++) {
		json_put(&text, secret, i);
		if (text_add(mask, &text, err) != ERR_OK)
			return err->code;
		text = (struct buf)BUF_INIT;
	}
	for (int i = 0; i < 4; i++) {
		percent_put(&text, secret, i & 1, i & 2);
		if (text_add(mask, &text, err) != ERR_OK)
			return err->code;
		text = (struct buf)BUF_INIT;
	}
	for (size_t i = 0; i < 6 * TAILS; i++) {
		base64_put(&text, secret, i % 3, (enum tail)(i / 3 % TAILS), i / 3 / TAILS);
		if (text_add(mask, &text, err) != ERR_OK)
			return err->code;
		text = (struct buf)BUF_INIT;
	}
	return ERR_OK;
}

enum err_code mask_new(const struct str *secrets, size_t count, struct mask **ret_mask,
		       struct err *err)
{
	AUTO(mask_drop) struct mask *mask = mem_new(1, sizeof(*mask));

	if (!mask)
		return mem_err(err);
	for (size_t i = 0; i < count; i++) {
		struct buf text = BUF_INIT;

		buf_str(&text, secrets[i]);
		if (text_add(mask, &text, err) != ERR_OK)
			return err->code;
		if (secrets[i].len >= MASK_FORMS_FROM && forms_add(mask, secrets[i], err) != ERR_OK)
			return err->code;
	}
	*ret_mask = TAKE(mask, NULL);
	return ERR_OK;
}

enum match { MATCH_NONE, MATCH_WHOLE, MATCH_OPEN };

/* The longest text at the start of `bytes`; OPEN when more bytes could make a longer one. */
static enum match match_at(const struct mask *mask, struct str bytes, size_t *ret_len)
{
	for (size_t i = 0; i < mask->count; i++) {
		struct str text = buf_view(&mask->texts[i]);
		size_t len = text.len < bytes.len ? text.len : bytes.len;

		if (memcmp(text.ptr, bytes.ptr, len) != 0)
			continue;
		if (len < text.len)
			return MATCH_OPEN; /* longer ones come first */
		*ret_len = len;
		return MATCH_WHOLE;
	}
	return MATCH_NONE;
}

/* The same when nothing more will come. */
static size_t match_last(const struct mask *mask, struct str bytes)
{
	for (size_t i = 0; i < mask->count; i++) {
		struct str text = buf_view(&mask->texts[i]);

		if (text.len <= bytes.len && memcmp(text.ptr, bytes.ptr, text.len) == 0)
			return text.len;
	}
	return 0;
}

/* Pass on what can be told; returns how many bytes were used up. */
static size_t run(const struct mask *mask, struct str bytes, bool is_last, struct buf *out)
{
	size_t at = 0;
	size_t from = 0; /* plain bytes from here on are not passed on yet */

	while (at < bytes.len) {
		struct str rest = str_cut(bytes, at, bytes.len);
		size_t len = 0;
		enum match match = MATCH_NONE;

		if (mask->begins[(unsigned char)bytes.ptr[at]])
			match = match_at(mask, rest, &len);
		if (match == MATCH_OPEN && !is_last)
			break;
		if (match == MATCH_OPEN)
			len = match_last(mask, rest);
		if (len == 0) {
			at++;
			continue;
		}
		buf_str(out, str_cut(bytes, from, at));
		buf_text(out, STARS);
		at += len;
		from = at;
	}
	buf_str(out, str_cut(bytes, from, at));
	return at;
}

void mask_feed(struct mask *mask, struct str bytes, struct buf *out)
{
	size_t used;

	if (mask->held.len == 0) {
		used = run(mask, bytes, false, out);
		buf_str(&mask->held, str_cut(bytes, used, bytes.len));
	} else {
		buf_str(&mask->held, bytes);
		used = run(mask, buf_view(&mask->held), false, out);
		if (used)
			memmove(mask->held.ptr, mask->held.ptr + used, mask->held.len - used);
		buf_cut(&mask->held, mask->held.len - used);
	}
	if (mask->held.failed != ERR_OK)
		out->failed = mask->held.failed;
}

void mask_end(struct mask *mask, struct buf *out)
{
	(void)run(mask, buf_view(&mask->held), true, out); /* the last run uses up everything */
	buf_cut(&mask->held, 0);
}
