/* fuzz.h - what the fuzzers share: their entry, and an input that is taken piece by piece.
 *
 * A fuzzer judges with BUG_IF. Whatever judge there is shares no code with what it judges. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Called by the fuzzer's library with one input; always answers 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. At its end bytes are 0 and texts are empty. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t byte_next(struct bytes *bytes)
{
	if (bytes->left == 0)
		return 0;
	bytes->left--;
	return *bytes->at++;
}

/* The next `len` bytes at most, borrowed from the input. */
static inline struct str text_next(struct bytes *bytes, size_t len)
{
	struct str text = str_from((const char *)bytes->at, len < bytes->left ? len : bytes->left);

	bytes->at += text.len;
	bytes->left -= text.len;
	return text;
}

/* All up to the next newline, or to the end; the newline itself is passed over. */
static inline struct str line_next(struct bytes *bytes)
{
	struct str rest = str_from((const char *)bytes->at, bytes->left);
	size_t end = str_find(rest, "\n", 0);
	struct str line = text_next(bytes, end < rest.len ? end : rest.len);

	(void)byte_next(bytes);
	return line;
}

#endif
