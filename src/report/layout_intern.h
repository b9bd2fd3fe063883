/* layout_intern.h - what the stages of a layout share: boxes and bends as nodes in layers. */
#ifndef REPORT_LAYOUT_INTERN_H
#define REPORT_LAYOUT_INTERN_H

#include "report/layout.h"

#include <stdbool.h>

/* The nodes beside one node in the layer above or below, as lists one after the other. */
struct sheet_side {
	uint32_t *at;    /* nodes + 1 */
	uint32_t *nodes; /* of the list of node i: from at[i] to at[i + 1] */
};

/* Boxes come first, then bends; pieces join nodes of layers beside each other. */
struct sheet {
	const struct layout *layout;
	uint32_t boxes;  /* nodes below this are boxes */
	uint32_t nodes;  /* boxes and bends */
	uint32_t pieces; /* joints between layers beside each other */
	uint32_t layers;
	uint32_t *layer;   /* by node */
	uint32_t *bend_at; /* by line: its first bend; those of the next layers follow */
	uint32_t *bends;   /* by line: how many; 0 also for lines that get none */
	uint32_t *row;     /* nodes in order, layer after layer */
	uint32_t *row_at;  /* by layer: where it begins in `row`; layers + 1 */
	uint32_t *place;   /* by node: in its layer, from 0 */
	struct sheet_side up, down;
	int32_t *center; /* by node */
};

/* How wide a node is: a bend is as wide as the line. */
static inline int32_t sheet_width(const struct sheet *sheet, uint32_t node)
{
	return node < sheet->boxes ? sheet->layout->boxes[node].width : sheet->layout->bend_width;
}

/* How far apart the centers of two nodes beside each other are at least. */
static inline int32_t sheet_apart(const struct sheet *sheet, uint32_t left, uint32_t right)
{
	int32_t gap = left < sheet->boxes && right < sheet->boxes ? sheet->layout->gap_x
								  : (sheet->layout->gap_x + 1) / 2;

	return sheet_width(sheet, left) - sheet_width(sheet, left) / 2 + gap +
	       sheet_width(sheet, right) / 2;
}

/* Put the nodes of each layer into an order with few crossings; `row` and `place` are filled. */
MUST_CHECK enum err_code sheet_order(struct sheet *sheet, struct err *err);
/* Find `center` of every node: no two overlap, long lines are straight where there is room. */
MUST_CHECK enum err_code sheet_place(struct sheet *sheet, struct err *err);

#endif
