/* row.h - one line for a terminal of a certain width: styled pieces that stop at its edge. */
#ifndef CLI_LIVE_ROW_H
#define CLI_LIVE_ROW_H

#include "base/buf.h"
#include "cli/print.h"

struct row {
	struct buf *out;
	unsigned width; /* columns taken so far */
	unsigned limit; /* columns there are */
};

/* Append a text of ours or one that was escaped: a column each character. What does not fit is left
 * out. */
void row_put(struct row *row, enum style style, struct str text);
void row_text(struct row *row, enum style style, const char *text);
void row_fmt(struct row *row, enum style style, const char *format, ...) PRINTF_LIKE(3, 4);
/* Blanks up to a column; one at least. */
void row_tab(struct row *row, unsigned column);
/* End the line; answers its width. */
unsigned row_end(struct row *row);

#endif
