/* escape.c - any bytes on their way to a terminal, in pieces: nothing that a terminal obeys comes
 * through, what comes through is the text itself, and pieces give what the whole gives. The judge
 * is the C library's reading of UTF-8. */
#include "cli/escape.h"

#include "base/mem.h"
#include "fuzz.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

static bool is_obeyed(wchar_t c)
{
	static const wchar_t turns[] = L"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
				       L"\u2066\u2067\u2068\u2069";

	return (c < 0x20 && c != L'\n' && c != L'\t') || (c >= 0x7f && c < 0xa0) ||
	       wcschr(turns, c) != NULL;
}

/* The rule, a character at a time. */
static void judge(struct str text, struct buf *out)
{
	size_t at = 0;

	while (at < text.len) {
		mbstate_t state;
		wchar_t c = 0;
		size_t len;

		memset(&state, 0, sizeof(state));
		len = mbrtowc(&c, text.ptr + at, text.len - at, &state);
		if (len == 0)
			len = 1; /* NUL */
		else if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			len = SIZE_MAX; /* not in Unicode */
		if (len <= 4 && c != 0 && !is_obeyed(c)) {
			buf_put(out, text.ptr + at, len);
			at += len;
			continue;
		}
		for (len = len <= 4 ? len : 1; len > 0; len--)
			buf_fmt(out, "\\x%02x", (unsigned char)text.ptr[at++]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_fini) struct buf whole = BUF_INIT;
	AUTO(buf_fini) struct buf pieces = BUF_INIT;
	AUTO(buf_fini) struct buf judged = BUF_INIT;
	struct bytes bytes = {data, size};
	size_t step = byte_next(&bytes) % 8 + 1U;
	struct str text = text_next(&bytes, bytes.left);
	size_t at = 0;

	BUG_IF(!setlocale(LC_CTYPE, "C.UTF-8"));
	BUG_IF(escape_put(&whole, text, true) != text.len);
	judge(text, &judged);
	BUG_IF(!str_eq(buf_view(&whole), buf_view(&judged)) || !utf8_valid(buf_view(&whole)));
	for (size_t end = step; at < text.len; end += step) {
		bool is_end = end >= text.len;
		struct str piece = str_cut(text, at, is_end ? text.len : end);
		char *copy = mem_text(piece.ptr, piece.len); /* nothing behind it is looked at */
		size_t used;

		BUG_IF(!copy);
		used = escape_put(&pieces, str_from(copy, piece.len), is_end);
		BUG_IF(used > piece.len || piece.len - used > 3 || (is_end && used < piece.len));
		at += used;
		mem_free(copy);
	}
	BUG_IF(!str_eq(buf_view(&whole), buf_view(&pieces)));
	return 0;
}
