/* mend.c - see mend.h. Shares no code with src/log: the chain is that of docs/semantics.md (S11),
 * with nettle. The fuzzers that include this mutate whole lines too. */
#include "mend.h"

#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NUMBER "{\"event_id\":\"evt_"

static void digest(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[32])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, a_len, a);
	sha256_update(&ctx, b_len, b);
	sha256_digest(&ctx, 32, out);
}

static void line_mend(struct str line, uint64_t number, uint8_t chain[32], struct buf *out,
		      char h[MEND_H_BYTES + 1])
{
	size_t from = out->len;
	size_t end = line.len;

	/* Its old end, if it has one: ,"h":"<16>"} */
	if (line.len >= 24 && memcmp(line.ptr + line.len - 24, ",\"h\":\"", 6) == 0)
		end = line.len - 24;
	else if (line.len > 0 && line.ptr[line.len - 1] == '}')
		end = line.len - 1;
	if (str_starts(line, NUMBER) && end >= sizeof(NUMBER) - 1) {
		size_t digits = sizeof(NUMBER) - 1;

		while (digits < end && line.ptr[digits] >= '0' && line.ptr[digits] <= '9')
			digits++;
		buf_fmt(out, NUMBER "%llu", (unsigned long long)number);
		buf_str(out, str_cut(line, digits, end));
	} else {
		buf_str(out, str_cut(line, 0, end));
	}
	digest(chain, 32, out->ptr + from, out->len - from, chain);
	for (size_t i = 0; i < MEND_H_BYTES / 2; i++)
		(void)snprintf(h + 2 * i, 3, "%02x", chain[i]);
	buf_fmt(out, ",\"h\":\"%s\"}\n", h);
}

void mend(struct str text, struct str run_id, struct buf *out, char h[MEND_H_BYTES + 1])
{
	uint8_t chain[32];
	uint64_t number = 0;
	size_t at = 0;

	digest(run_id.ptr, run_id.len, "", 0, chain);
	while (at < text.len) {
		size_t end = str_find(text, "\n", at);

		if (end == SIZE_MAX) {
			buf_str(out, str_cut(text, at, text.len));
			return;
		}
		line_mend(str_cut(text, at, end), ++number, chain, out, h);
		at = end + 1;
	}
}
