/* layout.h - where the boxes and lines of a layered graph are drawn.
 *
 * Sugiyama's way: every line goes down from a layer to a later one; lines that pass layers get a
 * bend in each of them; the boxes of a layer are ordered so that few lines cross, and placed so
 * that long lines are straight. Pure and deterministic: the same input gives the same output.
 * Lengths are whole units of the caller's (pixels, columns).
 *
 * Work and memory are bounded: sweeps become fewer as the graph grows, and when the bends would be
 * more than LAYOUT_BENDS_MAX the longest lines get none and are drawn straight from end to end. */
#ifndef REPORT_LAYOUT_H
#define REPORT_LAYOUT_H

#include "base/err.h"

#include <stdint.h>

#define LAYOUT_BENDS_MAX 100000
#define LAYOUT_BOXES_MAX 1000000

struct layout_box {
	int32_t width, height; /* given, at least 1 */
	int32_t x, y;          /* found: the left upper corner */
	uint32_t layer;        /* found: 0 = the uppermost */
	uint32_t place;        /* found: in its layer, from the left; bends count */
};

struct layout_point {
	int32_t x, y;
};

struct layout_line {
	uint32_t from, to; /* given: boxes; `from` comes above `to` */
	uint32_t first;    /* found: of its points */
	uint32_t count; /* found: 2, and 2 more for each layer that it passes with a bend: where it
			 * enters and where it leaves that layer */
};

struct layout {
	struct layout_box *boxes; /* the caller's */
	uint32_t boxes_count;
	struct layout_line *lines; /* the caller's */
	uint32_t lines_count;
	int32_t gap_x;      /* between boxes beside each other */
	int32_t gap_y;      /* between layers */
	int32_t bend_width; /* room for a line that passes a layer, at least 1 */
	/* Found: */
	struct layout_point *points; /* freed by layout_fini */
	uint32_t points_count;
	uint32_t layers_count;
	int32_t width, height; /* of all that is drawn */
};

/* Fill what is to be found. USAGE when lines form a circle or name boxes that are not there; LIMIT
 * for more than LAYOUT_BOXES_MAX boxes; MEMORY. */
MUST_CHECK enum err_code layout_find(struct layout *layout, struct err *err);
/* Free the points. The boxes and lines are the caller's. */
void layout_fini(struct layout *layout);

#endif
