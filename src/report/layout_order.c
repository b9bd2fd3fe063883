/* layout_order.c - the order of the nodes in each layer: few lines cross
 *
 * Starts with the order in which a walk in depth meets the nodes (a tree then has no crossing),
 * then sweeps down and up: each node goes to the mean of its neighbours in the layer before, and
 * pairs beside each other are swapped where that helps. The best order that was seen is kept. */
#include "report/layout_intern.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SWEEPS_MAX  24
#define SWEEPS_WORK 6000000 /* nodes and pieces looked at, in all sweeps */
#define IDLE_MAX    4       /* sweeps without a better order */
#define SWAP_ROUNDS 4
#define SWAP_WORK   200000 /* pieces that swaps may look at in one sweep */

struct keyed {
	double key;
	uint32_t node;
	uint32_t place; /* before: equal keys keep their order */
};

struct ordering {
	struct sheet *sheet;
	struct keyed *keyed; /* scratch: nodes */
	uint32_t *tree;      /* scratch: crossings are counted in it */
	uint32_t *best;      /* the best `row` so far */
	uint64_t crossings;  /* of the best */
	uint64_t swap_work;
};

static void ordering_fini(struct ordering *ordering)
{
	mem_free(ordering->keyed);
	mem_free(ordering->tree);
	mem_free(ordering->best);
}

static void take_places(struct sheet *sheet)
{
	for (uint32_t l = 0; l < sheet->layers; l++) {
		for (uint32_t i = sheet->row_at[l]; i < sheet->row_at[l + 1]; i++)
			sheet->place[sheet->row[i]] = i - sheet->row_at[l];
	}
}

/* ----------------------------------------------------------------------------- beginning */

static void meet(struct sheet *sheet, uint32_t node, uint32_t *filled)
{
	uint32_t layer = sheet->layer[node];

	sheet->place[node] = filled[layer];
	sheet->row[sheet->row_at[layer] + filled[layer]++] = node;
}

static enum err_code first_order(struct sheet *sheet, struct err *err)
{
	AUTO(mem_drop) uint32_t *filled = mem_new((size_t)sheet->layers + 1, sizeof(*filled));
	AUTO(mem_drop) uint32_t *next = mem_new((size_t)sheet->nodes + 1, sizeof(*next));
	AUTO(mem_drop) uint32_t *stack = mem_new((size_t)sheet->nodes + 1, sizeof(*stack));
	AUTO(mem_drop) uint8_t *met = mem_new((size_t)sheet->nodes + 1, 1);

	if (!filled || !next || !stack || !met)
		return mem_err(err);
	for (uint32_t i = 0; i < sheet->nodes; i++)
		sheet->row_at[sheet->layer[i] + 1]++;
	for (uint32_t l = 0; l < sheet->layers; l++)
		sheet->row_at[l + 1] += sheet->row_at[l];
	memcpy(next, sheet->down.at, sheet->nodes * sizeof(*next));
	for (uint32_t root = 0; root < sheet->nodes; root++) {
		uint32_t depth = 0;

		if (met[root] || sheet->up.at[root + 1] > sheet->up.at[root])
			continue;
		stack[depth++] = root;
		met[root] = 1;
		meet(sheet, root, filled);
		while (depth > 0) {
			uint32_t node = stack[depth - 1];
			uint32_t child;

			if (next[node] == sheet->down.at[node + 1]) {
				depth--;
				continue;
			}
			child = sheet->down.nodes[next[node]++];
			if (met[child])
				continue;
			met[child] = 1;
			meet(sheet, child, filled);
			stack[depth++] = child;
		}
	}
	return ERR_OK;
}

/* ----------------------------------------------------------------------------- crossings */

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The places of the neighbours below each node in ascending order: for counting. */
static void sort_neighbours(const struct sheet *sheet, const struct sheet_side *side, uint32_t node,
			    uint32_t *places)
{
	uint32_t count = side->at[node + 1] - side->at[node];

	for (uint32_t i = 0; i < count; i++)
		places[i] = sheet->place[side->nodes[side->at[node] + i]];
	if (count > 1)
		qsort(places, count, sizeof(*places), by_number);
}

/* Crossings between a layer and the next one, as inversions (Barth, Juenger and Mutzel 2002). */
static uint64_t layer_crossings(const struct ordering *ordering, uint32_t layer)
{
	const struct sheet *sheet = ordering->sheet;
	uint32_t below = sheet->row_at[layer + 2] - sheet->row_at[layer + 1];
	uint32_t *tree = ordering->tree;
	uint32_t *places = ordering->tree + below + 1;
	uint64_t crossings = 0;
	uint64_t seen = 0;

	memset(tree, 0, (below + 1) * sizeof(*tree));
	for (uint32_t i = sheet->row_at[layer]; i < sheet->row_at[layer + 1]; i++) {
		uint32_t node = sheet->row[i];
		uint32_t count = sheet->down.at[node + 1] - sheet->down.at[node];

		sort_neighbours(sheet, &sheet->down, node, places);
		for (uint32_t p = 0; p < count; p++) {
			uint64_t upto = 0;

			for (uint32_t t = places[p] + 1; t > 0; t &= t - 1)
				upto += tree[t];
			crossings += seen - upto;
		}
		for (uint32_t p = 0; p < count; p++) {
			for (uint32_t t = places[p] + 1; t <= below; t += t & (~t + 1))
				tree[t]++;
		}
		seen += count;
	}
	return crossings;
}

static uint64_t all_crossings(const struct ordering *ordering)
{
	uint64_t crossings = 0;

	for (uint32_t l = 0; l + 1 < ordering->sheet->layers; l++)
		crossings += layer_crossings(ordering, l);
	return crossings;
}

/* --------------------------------------------------------------------------------- sweeps */

static int by_key(const void *a, const void *b)
{
	const struct keyed *left = a;
	const struct keyed *right = b;

	if (left->key < right->key || left->key > right->key)
		return left->key < right->key ? -1 : 1;
	return (left->place > right->place) - (left->place < right->place);
}

/* Order one layer by the means of the neighbours in `side`; who has none stays about where it
 * is. */
static void sort_layer(struct ordering *ordering, uint32_t layer, const struct sheet_side *side,
		       uint32_t other_count)
{
	struct sheet *sheet = ordering->sheet;
	uint32_t first = sheet->row_at[layer];
	uint32_t count = sheet->row_at[layer + 1] - first;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t node = sheet->row[first + i];
		uint32_t degree = side->at[node + 1] - side->at[node];
		double sum = 0;

		for (uint32_t n = side->at[node]; n < side->at[node + 1]; n++)
			sum += sheet->place[side->nodes[n]];
		ordering->keyed[i] = (struct keyed){
		    degree > 0 ? sum / degree : (double)i * other_count / count, node, i};
	}
	qsort(ordering->keyed, count, sizeof(*ordering->keyed), by_key);
	for (uint32_t i = 0; i < count; i++) {
		sheet->row[first + i] = ordering->keyed[i].node;
		sheet->place[ordering->keyed[i].node] = i;
	}
}

/* How many crossings two nodes have with `left` on the left, minus how many the other way. */
static int64_t swap_gain(struct ordering *ordering, const struct sheet_side *side, uint32_t left,
			 uint32_t right)
{
	const struct sheet *sheet = ordering->sheet;
	uint32_t a_count = side->at[left + 1] - side->at[left];
	uint32_t b_count = side->at[right + 1] - side->at[right];
	uint32_t *a = ordering->tree;
	uint32_t *b = ordering->tree + a_count;
	uint32_t less = 0;
	uint32_t upto = 0;
	int64_t gain = 0;

	ordering->swap_work += a_count + b_count + 1;
	sort_neighbours(sheet, side, left, a);
	sort_neighbours(sheet, side, right, b);
	for (uint32_t i = 0; i < a_count; i++) {
		while (less < b_count && b[less] < a[i])
			less++;
		while (upto < b_count && b[upto] <= a[i])
			upto++;
		gain += (int64_t)less - (int64_t)(b_count - upto);
	}
	return gain;
}

static bool swap_in_layer(struct ordering *ordering, uint32_t layer)
{
	struct sheet *sheet = ordering->sheet;
	bool is_better = false;

	for (uint32_t i = sheet->row_at[layer]; i + 1 < sheet->row_at[layer + 1]; i++) {
		uint32_t left = sheet->row[i];
		uint32_t right = sheet->row[i + 1];

		if (ordering->swap_work > SWAP_WORK)
			return false;
		if (swap_gain(ordering, &sheet->up, left, right) +
			swap_gain(ordering, &sheet->down, left, right) <=
		    0)
			continue;
		sheet->row[i] = right;
		sheet->row[i + 1] = left;
		sheet->place[right]--;
		sheet->place[left]++;
		is_better = true;
	}
	return is_better;
}

static void swap_pairs(struct ordering *ordering)
{
	bool is_better = true;

	ordering->swap_work = 0;
	for (unsigned round = 0; round < SWAP_ROUNDS && is_better; round++) {
		is_better = false;
		for (uint32_t l = 0; l < ordering->sheet->layers; l++)
			is_better = swap_in_layer(ordering, l) || is_better;
	}
}

static void sweep(struct ordering *ordering, bool is_down)
{
	const struct sheet *sheet = ordering->sheet;

	for (uint32_t i = 1; i < sheet->layers; i++) {
		uint32_t layer = is_down ? i : sheet->layers - 1 - i;
		uint32_t other = is_down ? layer - 1 : layer + 1;

		sort_layer(ordering, layer, is_down ? &sheet->up : &sheet->down,
			   sheet->row_at[other + 1] - sheet->row_at[other]);
	}
	swap_pairs(ordering);
}

static unsigned sweeps_for(const struct sheet *sheet)
{
	uint64_t sweeps = SWEEPS_WORK / ((uint64_t)sheet->nodes + sheet->pieces + 1);

	return sweeps > SWEEPS_MAX ? SWEEPS_MAX : sweeps < 2 ? 2 : (unsigned)sweeps;
}

static enum err_code improve(struct ordering *ordering, struct err *err)
{
	struct sheet *sheet = ordering->sheet;
	unsigned sweeps = sweeps_for(sheet);
	unsigned idle = 0;

	ordering->keyed = mem_new((size_t)sheet->nodes + 1, sizeof(*ordering->keyed));
	ordering->tree = mem_new((size_t)sheet->nodes + sheet->pieces + 2, sizeof(*ordering->tree));
	ordering->best = mem_new((size_t)sheet->nodes + 1, sizeof(*ordering->best));
	if (!ordering->keyed || !ordering->tree || !ordering->best)
		return mem_err(err);
	memcpy(ordering->best, sheet->row, sheet->nodes * sizeof(*sheet->row));
	ordering->crossings = all_crossings(ordering);
	for (unsigned i = 0; i < sweeps && idle < IDLE_MAX && ordering->crossings > 0; i++) {
		uint64_t crossings;

		sweep(ordering, i % 2 == 0);
		crossings = all_crossings(ordering);
		idle++;
		if (crossings >= ordering->crossings)
			continue;
		ordering->crossings = crossings;
		memcpy(ordering->best, sheet->row, sheet->nodes * sizeof(*sheet->row));
		idle = 0;
	}
	memcpy(sheet->row, ordering->best, sheet->nodes * sizeof(*sheet->row));
	take_places(sheet);
	return ERR_OK;
}

enum err_code sheet_order(struct sheet *sheet, struct err *err)
{
	AUTO(ordering_fini) struct ordering ordering = {.sheet = sheet};

	sheet->row = mem_new((size_t)sheet->nodes + 1, sizeof(*sheet->row));
	sheet->row_at = mem_new((size_t)sheet->layers + 2, sizeof(*sheet->row_at));
	sheet->place = mem_new((size_t)sheet->nodes + 1, sizeof(*sheet->place));
	if (!sheet->row || !sheet->row_at || !sheet->place)
		return mem_err(err);
	if (first_order(sheet, err) != ERR_OK)
		return err->code;
	return improve(&ordering, err);
}
