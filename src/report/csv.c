/* csv.c - see csv.h */
#include "report/csv.h"

#include "base/timefmt.h"

void csv_cell(struct buf *out, struct str text, char after)
{
	bool is_quoted =
	    str_has(text, ',') || str_has(text, '"') || str_has(text, '\n') || str_has(text, '\r');

	if (is_quoted)
		buf_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_byte(out, '"');
		buf_byte(out, text.ptr[i]);
	}
	if (is_quoted)
		buf_byte(out, '"');
	buf_byte(out, after);
}

void csv_number(struct buf *out, int64_t number, char after)
{
	buf_i64(out, number);
	buf_byte(out, after);
}

void csv_stamp(struct buf *out, int64_t utc_ms, char after)
{
	char stamp[STAMP_BYTES + 1];

	if (utc_ms > 0) {
		stamp_write(utc_ms, stamp);
		buf_text(out, stamp);
	}
	buf_byte(out, after);
}
