/* layout.c - see layout.h: layers, bends, and the way from nodes back to boxes and lines */
#include "report/layout.h"
#include "report/layout_intern.h"

#include "base/mem.h"

static void sheet_fini(struct sheet *sheet)
{
	mem_free(sheet->layer);
	mem_free(sheet->bend_at);
	mem_free(sheet->bends);
	mem_free(sheet->row);
	mem_free(sheet->row_at);
	mem_free(sheet->place);
	mem_free(sheet->up.at);
	mem_free(sheet->up.nodes);
	mem_free(sheet->down.at);
	mem_free(sheet->down.nodes);
	mem_free(sheet->center);
}

static enum err_code check_input(const struct layout *layout, struct err *err)
{
	if (layout->boxes_count > LAYOUT_BOXES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d boxes cannot be drawn",
			       LAYOUT_BOXES_MAX);
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		if (layout->lines[i].from >= layout->boxes_count ||
		    layout->lines[i].to >= layout->boxes_count)
			return err_set(err, ERR_USAGE, "line %u has no box at its end", i);
	}
	return ERR_OK;
}

/* -------------------------------------------------------------------------------- layers */

/* Lists of the lines that leave each box, by a counting sort. */
static enum err_code leaving_lines(const struct layout *layout, uint32_t **ret_at,
				   uint32_t **ret_lines, struct err *err)
{
	uint32_t *at = mem_new((size_t)layout->boxes_count + 2, sizeof(*at));
	uint32_t *lines = mem_new((size_t)layout->lines_count + 1, sizeof(*lines));

	*ret_at = at;
	*ret_lines = lines;
	if (!at || !lines)
		return mem_err(err);
	for (uint32_t i = 0; i < layout->lines_count; i++)
		at[layout->lines[i].from + 2]++;
	for (uint32_t i = 2; i < layout->boxes_count + 2; i++)
		at[i] += at[i - 1];
	for (uint32_t i = 0; i < layout->lines_count; i++)
		lines[at[layout->lines[i].from + 1]++] = i;
	return ERR_OK;
}

/* A box with more lines below than above goes as far down as they allow: that shortens more lines
 * than it makes longer. `order` is topological. */
static void pull_down(const struct sheet *sheet, const uint32_t *order, const uint32_t *at,
		      const uint32_t *lines, const uint32_t *above)
{
	for (uint32_t i = sheet->boxes; i > 0; i--) {
		uint32_t box = order[i - 1];
		uint32_t least = UINT32_MAX;

		if (at[box + 1] - at[box] <= above[box])
			continue;
		for (uint32_t l = at[box]; l < at[box + 1]; l++) {
			uint32_t layer = sheet->layer[sheet->layout->lines[lines[l]].to];

			if (layer < least)
				least = layer;
		}
		if (least > 0)
			sheet->layer[box] = least - 1;
	}
}

/* The longest way from the top gives the layer (Kahn's order). */
static enum err_code find_layers(struct sheet *sheet, struct err *err)
{
	const struct layout *layout = sheet->layout;
	uint32_t n = sheet->boxes;
	AUTO(mem_drop) uint32_t *at = NULL;
	AUTO(mem_drop) uint32_t *lines = NULL;
	AUTO(mem_drop) uint32_t *order = mem_new((size_t)n + 1, sizeof(*order));
	AUTO(mem_drop) uint32_t *open = mem_new((size_t)n + 1, sizeof(*open));
	AUTO(mem_drop) uint32_t *above = mem_new((size_t)n + 1, sizeof(*above));
	uint32_t ready = 0;

	sheet->layer = mem_new((size_t)n + 1, sizeof(*sheet->layer));
	if (!order || !open || !above || !sheet->layer)
		return mem_err(err);
	if (leaving_lines(layout, &at, &lines, err) != ERR_OK)
		return err->code;
	for (uint32_t i = 0; i < layout->lines_count; i++)
		above[layout->lines[i].to] = ++open[layout->lines[i].to];
	for (uint32_t i = 0; i < n; i++) {
		if (open[i] == 0)
			order[ready++] = i;
	}
	for (uint32_t done = 0; done < ready; done++) {
		for (uint32_t l = at[order[done]]; l < at[order[done] + 1]; l++) {
			uint32_t to = layout->lines[lines[l]].to;

			if (sheet->layer[to] < sheet->layer[order[done]] + 1)
				sheet->layer[to] = sheet->layer[order[done]] + 1;
			if (--open[to] == 0)
				order[ready++] = to;
		}
	}
	if (ready < n)
		return err_set(err, ERR_USAGE, "the lines form a circle");
	pull_down(sheet, order, at, lines, above);
	for (uint32_t i = 0; i < n; i++) {
		if (sheet->layer[i] + 1 > sheet->layers)
			sheet->layers = sheet->layer[i] + 1;
	}
	return ERR_OK;
}

/* --------------------------------------------------------------------------------- bends */

static uint32_t span_of(const struct sheet *sheet, uint32_t line)
{
	return sheet->layer[sheet->layout->lines[line].to] -
	       sheet->layer[sheet->layout->lines[line].from];
}

/* The longest span of lines that get bends, so that these are not too many. */
static uint32_t longest_bent(const struct sheet *sheet)
{
	uint32_t longest = sheet->layers;

	for (; longest > 1; longest = longest / 2) {
		uint64_t bends = 0;

		for (uint32_t i = 0; i < sheet->layout->lines_count; i++) {
			if (span_of(sheet, i) <= longest)
				bends += span_of(sheet, i) - 1;
		}
		if (bends <= LAYOUT_BENDS_MAX)
			break;
	}
	return longest;
}

static enum err_code make_bends(struct sheet *sheet, struct err *err)
{
	const struct layout *layout = sheet->layout;
	uint32_t longest = longest_bent(sheet);
	uint32_t *grown;

	sheet->bend_at = mem_new((size_t)layout->lines_count + 1, sizeof(*sheet->bend_at));
	sheet->bends = mem_new((size_t)layout->lines_count + 1, sizeof(*sheet->bends));
	if (!sheet->bend_at || !sheet->bends)
		return mem_err(err);
	sheet->nodes = sheet->boxes;
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		uint32_t span = span_of(sheet, i);

		sheet->bend_at[i] = sheet->nodes;
		if (span > longest)
			continue;
		sheet->bends[i] = span - 1;
		sheet->nodes += span - 1;
		sheet->pieces += span;
	}
	grown = mem_resize(sheet->layer, (size_t)sheet->nodes + 1, sizeof(*grown));
	if (!grown)
		return mem_err(err);
	sheet->layer = grown;
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		for (uint32_t b = 0; b < sheet->bends[i]; b++)
			sheet->layer[sheet->bend_at[i] + b] =
			    sheet->layer[layout->lines[i].from] + 1 + b;
	}
	return ERR_OK;
}

/* Piece `p` of a line goes from one node to the next. Lines without bends that pass layers have no
 * piece. */
static bool piece_of(const struct sheet *sheet, uint32_t line, uint32_t p, uint32_t *ret_from,
		     uint32_t *ret_to)
{
	uint32_t bends = sheet->bends[line];

	if (p > bends || (bends == 0 && span_of(sheet, line) > 1))
		return false;
	*ret_from = p == 0 ? sheet->layout->lines[line].from : sheet->bend_at[line] + p - 1;
	*ret_to = p == bends ? sheet->layout->lines[line].to : sheet->bend_at[line] + p;
	return true;
}

static enum err_code make_side(struct sheet *sheet, struct sheet_side *side, bool is_up,
			       struct err *err)
{
	uint32_t from;
	uint32_t to;

	side->at = mem_new((size_t)sheet->nodes + 2, sizeof(*side->at));
	side->nodes = mem_new((size_t)sheet->pieces + 1, sizeof(*side->nodes));
	if (!side->at || !side->nodes)
		return mem_err(err);
	for (uint32_t i = 0; i < sheet->layout->lines_count; i++) {
		for (uint32_t p = 0; piece_of(sheet, i, p, &from, &to); p++)
			side->at[(is_up ? to : from) + 2]++;
	}
	for (uint32_t i = 2; i < sheet->nodes + 2; i++)
		side->at[i] += side->at[i - 1];
	for (uint32_t i = 0; i < sheet->layout->lines_count; i++) {
		for (uint32_t p = 0; piece_of(sheet, i, p, &from, &to); p++)
			side->nodes[side->at[(is_up ? to : from) + 1]++] = is_up ? from : to;
	}
	return ERR_OK;
}

/* -------------------------------------------------------------------------------- answers */

static int32_t layer_height(const struct sheet *sheet, uint32_t layer)
{
	int32_t height = 1;

	for (uint32_t i = sheet->row_at[layer]; i < sheet->row_at[layer + 1]; i++) {
		if (sheet->row[i] < sheet->boxes &&
		    sheet->layout->boxes[sheet->row[i]].height > height)
			height = sheet->layout->boxes[sheet->row[i]].height;
	}
	return height;
}

static void tell_line(struct layout *layout, const struct sheet *sheet, uint32_t index,
		      const int32_t *top)
{
	struct layout_line *line = &layout->lines[index];
	const struct layout_box *from = &layout->boxes[line->from];
	const struct layout_box *to = &layout->boxes[line->to];
	struct layout_point *point = layout->points + layout->points_count;

	line->first = layout->points_count;
	line->count = 2 + 2 * sheet->bends[index];
	*point++ = (struct layout_point){sheet->center[line->from], from->y + from->height};
	for (uint32_t b = 0; b < sheet->bends[index]; b++) {
		uint32_t node = sheet->bend_at[index] + b;
		uint32_t layer = sheet->layer[node];

		*point++ = (struct layout_point){sheet->center[node], top[layer]};
		*point++ =
		    (struct layout_point){sheet->center[node], top[layer + 1] - layout->gap_y};
	}
	*point = (struct layout_point){sheet->center[line->to], to->y};
	layout->points_count += line->count;
}

static enum err_code tell(struct layout *layout, const struct sheet *sheet, struct err *err)
{
	AUTO(mem_drop) int32_t *top = mem_new((size_t)sheet->layers + 1, sizeof(*top));
	size_t bends = sheet->nodes - sheet->boxes;

	layout->points = mem_new((layout->lines_count + bends) * 2 + 1, sizeof(*layout->points));
	if (!top || !layout->points)
		return mem_err(err);
	layout->points_count = 0;
	layout->layers_count = sheet->layers;
	layout->width = 0;
	for (uint32_t l = 0; l < sheet->layers; l++)
		top[l + 1] = top[l] + layer_height(sheet, l) + layout->gap_y;
	for (uint32_t i = 0; i < sheet->nodes; i++) {
		int32_t right =
		    sheet->center[i] - sheet_width(sheet, i) / 2 + sheet_width(sheet, i);

		if (right > layout->width)
			layout->width = right;
		if (i >= sheet->boxes)
			continue;
		layout->boxes[i].layer = sheet->layer[i];
		layout->boxes[i].place = sheet->place[i];
		layout->boxes[i].x = sheet->center[i] - layout->boxes[i].width / 2;
		layout->boxes[i].y = top[sheet->layer[i]];
	}
	layout->height = sheet->layers > 0 ? top[sheet->layers] - layout->gap_y : 0;
	for (uint32_t i = 0; i < layout->lines_count; i++)
		tell_line(layout, sheet, i, top);
	return ERR_OK;
}

enum err_code layout_find(struct layout *layout, struct err *err)
{
	AUTO(sheet_fini) struct sheet sheet = {.layout = layout, .boxes = layout->boxes_count};

	layout->points = NULL;
	if (check_input(layout, err) != ERR_OK || find_layers(&sheet, err) != ERR_OK ||
	    make_bends(&sheet, err) != ERR_OK ||
	    make_side(&sheet, &sheet.up, true, err) != ERR_OK ||
	    make_side(&sheet, &sheet.down, false, err) != ERR_OK ||
	    sheet_order(&sheet, err) != ERR_OK || sheet_place(&sheet, err) != ERR_OK)
		return err->code;
	return tell(layout, &sheet, err);
}

void layout_fini(struct layout *layout)
{
	mem_free(layout->points);
	layout->points = NULL;
}
