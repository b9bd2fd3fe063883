/* grid.c - see grid.h */
#include "report/grid.h"

#include "base/mem.h"
#include "base/timefmt.h"

void grid_cell(struct grid *grid, struct str text)
{
	size_t column = grid->cells++ % grid->columns;

	if (text.len > grid->width[column])
		grid->width[column] = text.len;
	buf_str(&grid->text, text);
	buf_byte(&grid->text, '\0');
}

void grid_words(struct grid *grid, const char *const *words)
{
	while (words[grid->columns])
		grid->columns++;
	for (size_t i = 0; i < grid->columns; i++)
		grid_cell(grid, str_of(words[i]));
}

void grid_number(struct grid *grid, uint64_t number)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	buf_u64(&text, number);
	buf_needs(&grid->text, &text);
	grid_cell(grid, buf_view(&text));
}

void grid_time(struct grid *grid, int64_t ms)
{
	AUTO(buf_fini) struct buf text = BUF_INIT;

	if (ms < 0)
		buf_byte(&text, '-');
	else
		duration_human(&text, ms);
	buf_needs(&grid->text, &text);
	grid_cell(grid, buf_view(&text));
}

void grid_put(struct grid *grid, struct buf *out)
{
	size_t at = 0;

	if (grid->text.failed != ERR_OK)
		out->failed = grid->text.failed;
	for (size_t i = 0; i < grid->cells && out->failed == ERR_OK; i++) {
		struct str cell = str_of(grid->text.ptr + at);
		bool is_last = (i + 1) % grid->columns == 0;

		at += cell.len + 1;
		buf_str(out, cell);
		for (size_t n = cell.len; !is_last && n < grid->width[i % grid->columns] + 2; n++)
			buf_byte(out, ' ');
		if (is_last)
			buf_byte(out, '\n');
	}
}

void grid_fini(struct grid *grid)
{
	buf_fini(&grid->text);
}
