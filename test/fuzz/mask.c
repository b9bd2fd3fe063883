/* mask.c - secrets in a stream: pieces give what the whole gives, and both give what a search of
 * the whole text gives that knows the texts and nothing else.
 *
 * An input: how many secrets, how long each is, how long the pieces are, the secrets, the stream.
 * Before each place of the stream where a byte 0xff stands, a secret is put in. */
#include "keeper/mask.h"

#include "base/mem.h"
#include "fuzz.h"

#include <string.h>

#define SECRETS_MAX 4

/* At each place the longest text that matches. */
static void judge(const struct mask *mask, struct str text, struct buf *out)
{
	size_t at = 0;

	while (at < text.len) {
		size_t longest = 0;

		for (size_t i = 0; i < mask_count(mask); i++) {
			struct str secret = mask_at(mask, i);

			if (secret.len > longest && secret.len <= text.len - at &&
			    memcmp(text.ptr + at, secret.ptr, secret.len) == 0)
				longest = secret.len;
		}
		if (longest > 0)
			buf_text(out, "***");
		else
			buf_byte(out, text.ptr[at]);
		at += longest > 0 ? longest : 1;
	}
}

static bool has(struct str text, struct str part)
{
	return part.len > 0 && memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

/* Each secret is among the texts, and in the output there is none, but for one that the asterisks
 * themselves could be part of. */
static void check_gone(const struct mask *mask, const struct str *secrets, size_t count,
		       struct str out)
{
	for (size_t i = 0; i < count; i++) {
		bool is_known = secrets[i].len == 0;

		for (size_t k = 0; k < mask_count(mask) && !is_known; k++)
			is_known = str_eq(mask_at(mask, k), secrets[i]);
		BUG_IF(!is_known);
		BUG_IF(!str_has(secrets[i], '*') && has(out, secrets[i]));
	}
}

static void stream_make(struct bytes *bytes, const struct str *secrets, size_t count,
			struct buf *out)
{
	size_t next = 0;

	while (bytes->left > 0) {
		uint8_t byte = byte_next(bytes);

		if (byte == 0xff && count > 0)
			buf_str(out, secrets[next++ % count]);
		else
			buf_byte(out, (char)byte);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_fini) struct buf stream = BUF_INIT;
	AUTO(buf_fini) struct buf pieces = BUF_INIT;
	AUTO(buf_fini) struct buf judged = BUF_INIT;
	AUTO(mask_drop) struct mask *mask = NULL;
	struct bytes bytes = {data, size};
	struct str secrets[SECRETS_MAX];
	size_t lens[SECRETS_MAX];
	size_t count = byte_next(&bytes) % (SECRETS_MAX + 1U);
	size_t piece = byte_next(&bytes) % 32U + 1;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < count; i++)
		lens[i] = byte_next(&bytes) % 24U;
	for (size_t i = 0; i < count; i++)
		secrets[i] = text_next(&bytes, lens[i]);
	stream_make(&bytes, secrets, count, &stream);
	BUG_IF(mask_new(secrets, count, &mask, &err) != ERR_OK);
	for (size_t at = 0; at < stream.len; at += piece)
		mask_feed(mask, str_cut(buf_view(&stream), at, at + piece), &pieces);
	mask_end(mask, &pieces);
	judge(mask, buf_view(&stream), &judged);
	BUG_IF(!str_eq(buf_view(&pieces), buf_view(&judged)));
	check_gone(mask, secrets, count, buf_view(&pieces));
	return 0;
}
