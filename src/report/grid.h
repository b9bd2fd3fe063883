/* grid.h - a table for people: columns as wide as their widest text, two blanks between them.
 *
 * Fill it cell by cell, row by row; then grid_put lays it out. */
#ifndef REPORT_GRID_H
#define REPORT_GRID_H

#include "base/buf.h"

#define GRID_COLUMNS_MAX 10

struct grid {
	struct buf text; /* cells, each ended by a NUL */
	size_t columns;
	size_t width[GRID_COLUMNS_MAX];
	size_t cells;
};

/* The heading: as many columns as there are words before the NULL. To be called first. */
void grid_words(struct grid *grid, const char *const *words);
void grid_cell(struct grid *grid, struct str text);
void grid_number(struct grid *grid, uint64_t number);
void grid_time(struct grid *grid, int64_t ms); /* negative: "-" */
/* Append the table; a failure to build it shows in `out`. */
void grid_put(struct grid *grid, struct buf *out);
void grid_fini(struct grid *grid);

#endif
