/* buf.h - a growing byte buffer with a hard limit and a sticky failure.
 *
 * Appending never returns an error: a buffer that ran out of memory or over its limit ignores
 * further bytes and says so once, at buf_check(). So code that writes a line reads as the line.
 * The bytes are always followed by a NUL that is not counted. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *ptr; /* NULL until the first byte */
	size_t len;
	size_t capacity;
	size_t limit;         /* bytes; 0 = BUF_LIMIT_DEFAULT */
	enum err_code failed; /* OK, MEMORY or LIMIT */
};

#define BUF_LIMIT_DEFAULT ((size_t)1 << 30)
#define BUF_INIT \
	{ \
		.ptr = NULL \
	}

/* Empty, without memory yet; 0 = BUF_LIMIT_DEFAULT. BUF_INIT does the same. */
void buf_init(struct buf *buf, size_t limit_bytes);
/* Frees the bytes; the buffer may be used again. */
void buf_fini(struct buf *buf);
/* Empty it and forget a failure; keeps the memory. */
void buf_clear(struct buf *buf);
/* Cut back to `len` bytes (no more than it has). Does not forget a failure. */
void buf_cut(struct buf *buf, size_t len);

/* Append bytes, a slice, a NUL-ended text, one byte, a decimal number, what printf(3) would write.
 * None fails (see above); the texts may not lie in the buffer itself. */
void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_str(struct buf *buf, struct str text);
/* In each place of use: there the length of a literal is known. */
static inline void buf_text(struct buf *buf, const char *text)
{
	buf_put(buf, text, strlen(text));
}
/* In place too, where there is room. */
static inline void buf_byte(struct buf *buf, char byte)
{
	if (buf->failed != ERR_OK || buf->capacity - buf->len < 2) {
		buf_put(buf, &byte, 1);
		return;
	}
	buf->ptr[buf->len++] = byte;
	buf->ptr[buf->len] = '\0';
}
void buf_u64(struct buf *buf, uint64_t value);
void buf_i64(struct buf *buf, int64_t value);

/* The same for what printf(3) would write. */
void buf_fmt(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vfmt(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Room for `len` more bytes at the returned place; NULL when it failed. Then buf_added(). */
char *buf_room(struct buf *buf, size_t len);
/* So many of them were written: at most the `len` that was asked for. */
void buf_added(struct buf *buf, size_t len);

/* What is in `part` goes into it: when something is missing there, it is missing here. To be called
 * before `part` is cleared. */
void buf_needs(struct buf *buf, const struct buf *part);

/* What it holds; valid until the next append. */
struct str buf_view(const struct buf *buf);

/* MEMORY or LIMIT if an append failed since the last clear. `what` names the text being built. */
MUST_CHECK enum err_code buf_check(const struct buf *buf, const char *what, struct err *err);

#endif
