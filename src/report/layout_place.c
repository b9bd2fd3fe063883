/* layout_place.c - the place of each node in its layer: no two overlap, lines are straight
 *
 * Sweeps: each node wants to be at the weighted mean of its neighbours; the places of a layer that
 * come nearest to what its nodes want and keep their distance are found exactly, in linear time, by
 * pooling neighbours that would collide (isotonic regression). Joints of long lines weigh most.
 * Then whole numbers, and long lines are drawn straight where there is room for it. */
#include "report/layout_intern.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

#define SWEEPS_MAX  24
#define SWEEPS_WORK 6000000
#define ALIGN_WAYS  3

struct pool {
	double sum; /* of weight * wish */
	double weight;
	uint32_t count;
};

struct placing {
	struct sheet *sheet;
	double *at;     /* center, by node */
	double *offset; /* by node: the least distance from the first of its layer */
	struct pool *pools;
};

static void placing_fini(struct placing *placing)
{
	mem_free(placing->at);
	mem_free(placing->offset);
	mem_free(placing->pools);
}

/* How much a piece wants to be straight: as usual, in a chain more, between bends most. `is_up`:
 * `b` is above. */
static double piece_weight(const struct sheet *sheet, uint32_t a, uint32_t b, bool is_up)
{
	unsigned bends = (a >= sheet->boxes ? 1U : 0U) + (b >= sheet->boxes ? 1U : 0U);
	uint32_t upper = is_up ? b : a;
	uint32_t lower = is_up ? a : b;

	if (bends > 0)
		return bends == 2 ? 8 : 2;
	return sheet->down.at[upper + 1] - sheet->down.at[upper] == 1 &&
		       sheet->up.at[lower + 1] - sheet->up.at[lower] == 1
		   ? 6
		   : 1;
}

static void add_wishes(const struct placing *placing, const struct sheet_side *side, uint32_t node,
		       double *sum, double *weight)
{
	for (uint32_t i = side->at[node]; i < side->at[node + 1]; i++) {
		double w =
		    piece_weight(placing->sheet, node, side->nodes[i], side == &placing->sheet->up);

		*sum += w * placing->at[side->nodes[i]];
		*weight += w;
	}
}

/* Place one layer by the neighbours in `a` and, when it is given, in `b`. */
static void place_layer(struct placing *placing, uint32_t layer, const struct sheet_side *a,
			const struct sheet_side *b)
{
	const struct sheet *sheet = placing->sheet;
	uint32_t first = sheet->row_at[layer];
	uint32_t last = sheet->row_at[layer + 1];
	struct pool *pools = placing->pools;
	uint32_t count = 0;
	uint32_t next = first;

	for (uint32_t i = first; i < last; i++) {
		uint32_t node = sheet->row[i];
		double sum = 0;
		double weight = 0;

		add_wishes(placing, a, node, &sum, &weight);
		if (b)
			add_wishes(placing, b, node, &sum, &weight);
		if (weight <= 0) {
			weight = 0.01; /* it has no wish, and gives way */
			sum = weight * placing->at[node];
		}
		pools[count++] = (struct pool){sum - weight * placing->offset[node], weight, 1};
		while (count > 1 && pools[count - 2].sum * pools[count - 1].weight >
					pools[count - 1].sum * pools[count - 2].weight) {
			pools[count - 2].sum += pools[count - 1].sum;
			pools[count - 2].weight += pools[count - 1].weight;
			pools[count - 2].count += pools[count - 1].count;
			count--;
		}
	}
	for (uint32_t p = 0; p < count; p++) {
		double at = pools[p].sum / pools[p].weight;

		for (uint32_t i = 0; i < pools[p].count; i++, next++)
			placing->at[sheet->row[next]] = at + placing->offset[sheet->row[next]];
	}
}

static void sweep(struct placing *placing, bool is_down, bool is_both)
{
	const struct sheet *sheet = placing->sheet;
	const struct sheet_side *side = is_down ? &sheet->up : &sheet->down;
	const struct sheet_side *other = is_down ? &sheet->down : &sheet->up;

	for (uint32_t i = 0; i < sheet->layers; i++)
		place_layer(placing, is_down ? i : sheet->layers - 1 - i, side,
			    is_both ? other : NULL);
}

static void begin(struct placing *placing)
{
	const struct sheet *sheet = placing->sheet;

	for (uint32_t l = 0; l < sheet->layers; l++) {
		uint32_t first = sheet->row_at[l];
		double half;

		for (uint32_t i = first + 1; i < sheet->row_at[l + 1]; i++)
			placing->offset[sheet->row[i]] =
			    placing->offset[sheet->row[i - 1]] +
			    sheet_apart(sheet, sheet->row[i - 1], sheet->row[i]);
		if (sheet->row_at[l + 1] == first)
			continue;
		half = placing->offset[sheet->row[sheet->row_at[l + 1] - 1]] / 2;
		for (uint32_t i = first; i < sheet->row_at[l + 1]; i++)
			placing->at[sheet->row[i]] = placing->offset[sheet->row[i]] - half;
	}
}

/* --------------------------------------------------------------------------- whole numbers */

static void round_all(const struct placing *placing)
{
	const struct sheet *sheet = placing->sheet;

	for (uint32_t l = 0; l < sheet->layers; l++) {
		for (uint32_t i = sheet->row_at[l]; i < sheet->row_at[l + 1]; i++) {
			uint32_t node = sheet->row[i];
			int32_t least = INT32_MIN;

			sheet->center[node] = (int32_t)lround(placing->at[node]);
			if (i > sheet->row_at[l])
				least = sheet->center[sheet->row[i - 1]] +
					sheet_apart(sheet, sheet->row[i - 1], node);
			if (sheet->center[node] < least)
				sheet->center[node] = least;
		}
	}
}

/* Between which centers a node can be moved without its neighbours. */
static void room_of(const struct sheet *sheet, uint32_t node, int32_t *least, int32_t *most)
{
	uint32_t layer = sheet->layer[node];
	uint32_t i = sheet->row_at[layer] + sheet->place[node];

	*least = INT32_MIN / 2;
	*most = INT32_MAX / 2;
	if (i > sheet->row_at[layer])
		*least =
		    sheet->center[sheet->row[i - 1]] + sheet_apart(sheet, sheet->row[i - 1], node);
	if (i + 1 < sheet->row_at[layer + 1])
		*most =
		    sheet->center[sheet->row[i + 1]] - sheet_apart(sheet, node, sheet->row[i + 1]);
}

/* The bends of one line get one place if there is one for all of them, best below or above an
 * end. */
static void straighten(const struct sheet *sheet, uint32_t line)
{
	int32_t least = INT32_MIN / 2;
	int32_t most = INT32_MAX / 2;
	int32_t ends[2] = {sheet->center[sheet->layout->lines[line].from],
			   sheet->center[sheet->layout->lines[line].to]};
	int32_t at;

	if (sheet->bends[line] == 0)
		return;
	for (uint32_t b = 0; b < sheet->bends[line]; b++) {
		int32_t from;
		int32_t to;

		room_of(sheet, sheet->bend_at[line] + b, &from, &to);
		least = from > least ? from : least;
		most = to < most ? to : most;
	}
	if (least > most)
		return;
	at = sheet->center[sheet->bend_at[line] + sheet->bends[line] / 2];
	for (unsigned e = 0; e < 2; e++) {
		if (ends[e] >= least && ends[e] <= most) {
			at = ends[e];
			break;
		}
	}
	at = at < least ? least : at > most ? most : at;
	for (uint32_t b = 0; b < sheet->bends[line]; b++)
		sheet->center[sheet->bend_at[line] + b] = at;
}

/* Rounding has made steps of one: a box with one neighbour goes exactly below or above it. */
static void align(const struct sheet *sheet, const struct sheet_side *side, uint32_t node)
{
	uint32_t other;
	int32_t least;
	int32_t most;
	int32_t off;

	if (side->at[node + 1] - side->at[node] != 1)
		return;
	other = side->nodes[side->at[node]];
	off = sheet->center[other] - sheet->center[node];
	room_of(sheet, node, &least, &most);
	if (off != 0 && abs(off) <= ALIGN_WAYS && sheet->center[other] >= least &&
	    sheet->center[other] <= most)
		sheet->center[node] = sheet->center[other];
}

static void finish(const struct sheet *sheet)
{
	int32_t left = INT32_MAX;

	for (uint32_t l = 0; l < sheet->layers; l++) {
		for (uint32_t i = sheet->row_at[l]; i < sheet->row_at[l + 1]; i++)
			align(sheet, &sheet->up, sheet->row[i]);
	}
	for (uint32_t l = sheet->layers; l > 0; l--) {
		for (uint32_t i = sheet->row_at[l - 1]; i < sheet->row_at[l]; i++) {
			uint32_t node = sheet->row[i];

			if (sheet->up.at[node + 1] == sheet->up.at[node])
				align(sheet, &sheet->down, node);
		}
	}
	for (uint32_t i = 0; i < sheet->layout->lines_count; i++)
		straighten(sheet, i);
	for (uint32_t i = 0; i < sheet->nodes; i++) {
		int32_t at = sheet->center[i] - sheet_width(sheet, i) / 2;

		left = at < left ? at : left;
	}
	for (uint32_t i = 0; i < sheet->nodes; i++)
		sheet->center[i] -= left;
}

enum err_code sheet_place(struct sheet *sheet, struct err *err)
{
	AUTO(placing_fini) struct placing placing = {.sheet = sheet};
	uint64_t work = SWEEPS_WORK / ((uint64_t)sheet->nodes + sheet->pieces + 1);
	unsigned sweeps = work > SWEEPS_MAX ? SWEEPS_MAX : work < 4 ? 4 : (unsigned)work;

	sheet->center = mem_new((size_t)sheet->nodes + 1, sizeof(*sheet->center));
	placing.at = mem_new((size_t)sheet->nodes + 1, sizeof(*placing.at));
	placing.offset = mem_new((size_t)sheet->nodes + 1, sizeof(*placing.offset));
	placing.pools = mem_new((size_t)sheet->nodes + 1, sizeof(*placing.pools));
	if (!sheet->center || !placing.at || !placing.offset || !placing.pools)
		return mem_err(err);
	begin(&placing);
	for (unsigned i = 0; i < sweeps; i++)
		sweep(&placing, i % 2 == 0, i + 4 >= sweeps);
	round_all(&placing);
	finish(sheet);
	return ERR_OK;
}
