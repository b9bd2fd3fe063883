/* buf.c - see buf.h */
#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t limit_bytes)
{
	*buf = (struct buf){.limit = limit_bytes};
}

void buf_fini(struct buf *buf)
{
	mem_free(buf->ptr);
	*buf = (struct buf){.limit = buf->limit};
}

void buf_clear(struct buf *buf)
{
	buf->failed = ERR_OK;
	buf_cut(buf, 0);
}

void buf_cut(struct buf *buf, size_t len)
{
	BUG_IF(len > buf->len);
	buf->len = len;
	if (buf->ptr)
		buf->ptr[len] = '\0';
}

/* Never beyond the limit: what there is room for is within it. */
static bool SELDOM grow(struct buf *buf, size_t len)
{
	size_t limit = buf->limit ? buf->limit : BUF_LIMIT_DEFAULT;
	size_t target = buf->capacity ? buf->capacity : 256;
	char *grown;

	if (len > limit || buf->len > limit - len) {
		buf->failed = ERR_LIMIT;
		return false;
	}
	while (target < buf->len + len + 1)
		target *= 2;
	if (target > limit + 1)
		target = limit + 1;
	grown = mem_resize(buf->ptr, target, 1);
	if (!grown) {
		buf->failed = ERR_MEMORY;
		return false;
	}
	buf->ptr = grown;
	buf->capacity = target;
	return true;
}

char *buf_room(struct buf *buf, size_t len)
{
	if (buf->failed != ERR_OK)
		return NULL;
	if (len >= buf->capacity - buf->len && !grow(buf, len))
		return NULL;
	return buf->ptr + buf->len;
}

void buf_added(struct buf *buf, size_t len)
{
	BUG_IF(len >= buf->capacity - buf->len);
	buf->len += len;
	buf->ptr[buf->len] = '\0';
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
	char *room = buf_room(buf, len);

	if (!room)
		return;
	if (len)
		memcpy(room, bytes, len);
	buf_added(buf, len);
}

void buf_str(struct buf *buf, struct str text)
{
	buf_put(buf, text.ptr, text.len);
}

void buf_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_put(buf, digits + at, sizeof(digits) - at);
}

void buf_i64(struct buf *buf, int64_t value)
{
	if (value < 0)
		buf_byte(buf, '-');
	buf_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_vfmt(struct buf *buf, const char *format, va_list args)
{
	size_t free_bytes = buf->failed == ERR_OK ? buf->capacity - buf->len : 0;
	va_list again;
	char *room;
	int len;

	/* Into what is free: nearly always that is enough, and the text is made once. */
	va_copy(again, args);
	len = vsnprintf(free_bytes ? buf->ptr + buf->len : NULL, free_bytes, format, again);
	va_end(again);
	BUG_IF(len < 0);
	room = buf_room(buf, (size_t)len);
	if (!room) {
		if (free_bytes)
			buf->ptr[buf->len] = '\0';
		return;
	}
	if ((size_t)len >= free_bytes)
		(void)vsnprintf(room, (size_t)len + 1, format, args);
	buf_added(buf, (size_t)len);
}

void buf_fmt(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vfmt(buf, format, args);
	va_end(args);
}

void buf_needs(struct buf *buf, const struct buf *part)
{
	if (buf->failed == ERR_OK)
		buf->failed = part->failed;
}

struct str buf_view(const struct buf *buf)
{
	return (struct str){buf->ptr ? buf->ptr : "", buf->len};
}

enum err_code buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (buf->failed == ERR_OK)
		return ERR_OK;
	if (buf->failed == ERR_MEMORY)
		return mem_err(err);
	return err_set(err, ERR_LIMIT, "%s is over its limit of %zu bytes", what,
		       buf->limit ? buf->limit : BUF_LIMIT_DEFAULT);
}
