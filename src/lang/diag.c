/* diag.c - see diag.h */
#include "lang/diag.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Code points of a source line that are shown around the place of an error. */
#define SHOWN_BEFORE 70
#define SHOWN_AFTER  40

struct diag_row {
	uint32_t number;
	const char *title;
	const char *text;
};

static const struct diag_row rows[] = {
#define DIAG(number, name, title, text) {(number), (title), (text)},
#include "lang/diag.def"
};

static const struct diag_row *row_of(uint32_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].number == number)
			return &rows[i];
	}
	return NULL;
}

const char *diag_title(uint32_t number)
{
	const struct diag_row *row = row_of(number);

	return row ? row->title : NULL;
}

const char *diag_explanation(uint32_t number)
{
	const struct diag_row *row = row_of(number);

	return row ? row->text : NULL;
}

void diags_init(struct diags *diags, size_t limit)
{
	*diags = (struct diags){.arena = ARENA_INIT, .limit = limit};
}

void diags_fini(struct diags *diags)
{
	mem_free(diags->items);
	arena_fini(&diags->arena);
	*diags = (struct diags){.arena = ARENA_INIT, .limit = diags->limit};
}

static struct str text_make(struct diags *diags, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static struct str text_make(struct diags *diags, const char *format, va_list args)
{
	char text[1024];
	int len = vsnprintf(text, sizeof(text), format, args);
	size_t kept = len < 0 ? 0 : (size_t)len;
	struct str copy;

	if (kept >= sizeof(text)) { /* a cut text stays UTF-8 */
		kept = sizeof(text) - 1;
		while (kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80)
			kept--;
	}
	copy = arena_str(&diags->arena, str_from(text, kept));
	if (!copy.ptr)
		diags->is_short_of_memory = true;
	return copy;
}

void diags_add(struct diags *diags, enum diag_code code, uint32_t line, uint32_t column,
	       const char *format, ...)
{
	struct err err = ERR_INIT;
	struct diag diag = {.code = code, .line = line, .column = column};
	va_list args;

	if (diags->count >= diags->limit) {
		diags->dropped++;
		return;
	}
	va_start(args, format);
	diag.text = text_make(diags, format, args);
	va_end(args);
	if (mem_grow((void **)&diags->items, &diags->capacity, diags->count + 1,
		     sizeof(*diags->items), &err) != ERR_OK) {
		diags->is_short_of_memory = true;
		return;
	}
	diags->items[diags->count++] = diag;
}

void diags_hint(struct diags *diags, const char *format, ...)
{
	va_list args;

	if (diags->count == 0 || diags->dropped > 0)
		return; /* the one that it belongs to was dropped */
	va_start(args, format);
	diags->items[diags->count - 1].hint = text_make(diags, format, args);
	va_end(args);
}

static int diag_cmp(const void *a, const void *b)
{
	const struct diag *left = a;
	const struct diag *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	if (left->code != right->code)
		return left->code < right->code ? -1 : 1;
	return str_cmp(left->text, right->text);
}

void diags_sort(struct diags *diags)
{
	if (diags->count > 1)
		qsort(diags->items, diags->count, sizeof(*diags->items), diag_cmp);
}

/* Line `number` (from 1) of the source, without its end: \n, \r\n or \r, as YAML counts. */
static struct str line_of(struct str source, uint32_t number)
{
	size_t at = 0;
	size_t end;

	if (str_starts(source, "\xEF\xBB\xBF"))
		at = 3;
	for (uint32_t line = 1;; line++) {
		for (end = at; end < source.len; end++) {
			if (source.ptr[end] == '\n' || source.ptr[end] == '\r')
				break;
		}
		if (line == number)
			return str_cut(source, at, end);
		if (end >= source.len)
			return STR_NONE;
		at = end + 1;
		if (source.ptr[end] == '\r' && at < source.len && source.ptr[at] == '\n')
			at++;
	}
}

static uint32_t code_point(struct str text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text.ptr;

	switch (len) {
	case 2:
		return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
	case 3:
		return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
	case 4:
		return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
		       (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
	default:
		return p[0];
	}
}

/* Controls, and what turns the direction of text round on a terminal. */
static bool is_hidden(uint32_t point)
{
	return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0xAD ||
	       point == 0x061C || (point >= 0x200B && point <= 0x200F) ||
	       (point >= 0x2028 && point <= 0x202E) || (point >= 0x2060 && point <= 0x2069) ||
	       point == 0xFEFF;
}

/* Append one character in a form that is safe to show; *at moves on. Returns its width. */
static size_t char_show(struct str text, size_t *at, struct buf *out)
{
	struct str rest = str_cut(text, *at, text.len);
	size_t len = utf8_len(rest);
	size_t before = out->len;
	uint32_t point;

	if (len == 0) {
		buf_fmt(out, "\\x%02X", (unsigned)(unsigned char)rest.ptr[0]);
		*at += 1;
		return out->len - before;
	}
	point = code_point(rest, len);
	*at += len;
	if (point == '\t') {
		buf_byte(out, ' ');
	} else if (is_hidden(point)) {
		buf_fmt(out, point < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)point);
		return out->len - before;
	} else {
		buf_put(out, rest.ptr, len);
	}
	return 1;
}

static void text_show(struct str text, struct buf *out)
{
	for (size_t at = 0; at < text.len;)
		(void)char_show(text, &at, out);
}

/* The source line around the place, and the caret below it. */
static void place_show(struct str line, uint32_t column, struct buf *out)
{
	uint32_t first = column > SHOWN_BEFORE ? column - SHOWN_BEFORE : 1;
	uint32_t here = 1;
	size_t caret = 0;
	size_t at = 0;

	buf_text(out, "    ");
	if (first > 1) {
		buf_text(out, "... ");
		caret = 4;
	}
	while (at < line.len && here < column + SHOWN_AFTER) {
		size_t len = utf8_len(str_cut(line, at, line.len));

		if (here < first) {
			at += len ? len : 1;
		} else {
			size_t width = char_show(line, &at, out);

			if (here < column)
				caret += width;
		}
		here++;
	}
	if (at < line.len)
		buf_text(out, " ...");
	buf_text(out, "\n    ");
	for (size_t i = 0; i < caret; i++)
		buf_byte(out, ' ');
	buf_text(out, "^\n");
}

void diags_print(const struct diags *diags, struct str file, struct str source, struct buf *out)
{
	for (size_t i = 0; i < diags->count; i++) {
		const struct diag *diag = &diags->items[i];

		text_show(file, out);
		if (diag->line)
			buf_fmt(out, ":%u:%u", (unsigned)diag->line, (unsigned)diag->column);
		buf_fmt(out, ": error[SLU%03u]: ", (unsigned)diag->code);
		text_show(diag->text, out);
		buf_byte(out, '\n');
		if (diag->line) {
			struct str line = line_of(source, diag->line);

			if (line.ptr)
				place_show(line, diag->column ? diag->column : 1, out);
		}
		if (diag->hint.len) {
			buf_text(out, "    hint: ");
			text_show(diag->hint, out);
			buf_byte(out, '\n');
		}
	}
	if (diags->dropped)
		buf_fmt(out, "%zu further errors are not shown\n", diags->dropped);
}
