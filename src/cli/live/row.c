/* row.c - see row.h */
#include "cli/live/row.h"

#include "base/mem.h"

#include <stdarg.h>

/* Bytes of the first `columns` characters of a text in UTF-8; *ret_columns is how many there
 * are. */
static size_t fitting(struct str text, unsigned columns, unsigned *ret_columns)
{
	size_t at = 0;
	unsigned taken = 0;

	while (at < text.len) {
		bool begins = ((unsigned char)text.ptr[at] & 0xc0) != 0x80;

		if (begins && taken == columns)
			break;
		taken += begins;
		at++;
	}
	*ret_columns = taken;
	return at;
}

void row_put(struct row *row, enum style style, struct str text)
{
	unsigned left = row->limit > row->width ? row->limit - row->width : 0;
	unsigned columns;
	size_t bytes = fitting(text, left, &columns);

	if (bytes == 0)
		return;
	print_style(row->out, style, str_from(text.ptr, bytes));
	row->width += columns;
}

void row_text(struct row *row, enum style style, const char *text)
{
	row_put(row, style, str_of(text));
}

void row_fmt(struct row *row, enum style style, const char *format, ...)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	row_put(row, style, buf_view(&text));
}

void row_tab(struct row *row, unsigned column)
{
	do
		row_text(row, STYLE_PLAIN, " ");
	while (row->width < column && row->width < row->limit);
}

unsigned row_end(struct row *row)
{
	buf_byte(row->out, '\n');
	return row->width;
}
