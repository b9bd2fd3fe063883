/* graph_ascii.c - a graph of characters: boxes, and lines in tracks between their layers
 *
 * Drawn band after band, a layer of boxes and the gap below it, on a canvas of the width of the
 * picture. In a gap each source has at most one track, a row of its own where lines cross over to
 * their columns; two sources share a row when they do not meet in it, and no two share a column
 * unless a box has more lines than room for them. */
#include "report/graph_intern.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define UP    1
#define RIGHT 2
#define DOWN  4
#define LEFT  8

#define ARROW      'v'
#define NO_TRACK   UINT32_MAX
#define LIST_NEEDS 8 /* names of needs in a line of the list */
#define PORTS_MAX  40

/* A line, or the part of one between two bends, in one gap. */
struct piece {
	uint32_t gap;     /* below this layer */
	uint32_t source;  /* the line's box, or a number of its own for a bend */
	uint32_t box;     /* that it reaches, or STEP_NONE for a bend */
	int32_t from, to; /* columns */
	bool is_any;
};

/* The pieces of one source in one gap: from pieces[first] on. */
struct net {
	uint32_t first, count;
	int32_t left, right; /* columns that its track covers */
	uint32_t track;
	uint32_t above; /* nets that need a track above this one's, and have none yet */
};

struct cell {
	uint8_t solid, dashed; /* ways that lines leave it */
	char text;             /* 0 = none */
};

struct canvas {
	struct cell *cells; /* rows * columns */
	uint32_t columns, rows, capacity;
};

struct picture {
	const struct graph *graph;
	struct piece *pieces;
	uint32_t pieces_count;
	struct net *nets;
	uint32_t nets_count;
	uint32_t *net_at;      /* by column: the net whose source is there, +1; 0 = none */
	uint32_t *box_first;   /* boxes by layer, a list after the other */
	uint32_t *layer_boxes; /* layers + 1: where each begins */
	struct canvas canvas;
};

static void picture_fini(struct picture *picture)
{
	mem_free(picture->pieces);
	mem_free(picture->nets);
	mem_free(picture->net_at);
	mem_free(picture->box_first);
	mem_free(picture->layer_boxes);
	mem_free(picture->canvas.cells);
}

/* ---------------------------------------------------------------------------------- canvas */

static enum err_code canvas_clear(struct canvas *canvas, uint32_t rows, struct err *err)
{
	if (rows > canvas->capacity) {
		mem_free(canvas->cells);
		canvas->cells = mem_new((size_t)rows * canvas->columns + 1, sizeof(struct cell));
		canvas->capacity = canvas->cells ? rows : 0;
		if (!canvas->cells)
			return mem_err(err);
	}
	canvas->rows = rows;
	memset(canvas->cells, 0, (size_t)rows * canvas->columns * sizeof(struct cell));
	return ERR_OK;
}

static struct cell *cell_at(struct canvas *canvas, uint32_t row, int32_t column)
{
	BUG_IF(row >= canvas->rows || column < 0 || (uint32_t)column >= canvas->columns);
	return &canvas->cells[(size_t)row * canvas->columns + (uint32_t)column];
}

static void mark(struct canvas *canvas, uint32_t row, int32_t column, unsigned ways, bool is_dashed)
{
	struct cell *cell = cell_at(canvas, row, column);

	if (is_dashed)
		cell->dashed = (uint8_t)(cell->dashed | ways);
	else
		cell->solid = (uint8_t)(cell->solid | ways);
}

static void write_text(struct canvas *canvas, uint32_t row, int32_t column, struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		cell_at(canvas, row, column + (int32_t)i)->text = text.ptr[i];
}

/* By ways: bit 0 up, 1 right, 2 down, 3 left. */
static const char *const box_drawing[16] = {
    " ",
    "\xe2\x95\xb5",
    "\xe2\x95\xb6",
    "\xe2\x94\x94",
    "\xe2\x95\xb7",
    "\xe2\x94\x82",
    "\xe2\x94\x8c",
    "\xe2\x94\x9c",
    "\xe2\x95\xb4",
    "\xe2\x94\x98",
    "\xe2\x94\x80",
    "\xe2\x94\xb4",
    "\xe2\x94\x90",
    "\xe2\x94\xa4",
    "\xe2\x94\xac",
    "\xe2\x94\xbc",
};

static const char plain_drawing[] = " |-+||+++++++++++";

static void put_cell(struct buf *out, const struct cell *cell, bool is_plain)
{
	unsigned ways = cell->solid | cell->dashed;

	if (cell->text == ARROW && ways)
		buf_text(out, is_plain ? "v" : "\xe2\x96\xbc");
	else if (cell->text)
		buf_byte(out, cell->text);
	else if (!cell->solid && ways == (UP | DOWN))
		buf_text(out, is_plain ? ":" : "\xe2\x94\x86");
	else if (!cell->solid && ways == (LEFT | RIGHT))
		buf_text(out, is_plain ? "." : "\xe2\x94\x84");
	else if (is_plain)
		buf_byte(out, ways == (LEFT | RIGHT) ? '-' : plain_drawing[ways]);
	else
		buf_text(out, box_drawing[ways]);
}

static void canvas_put(struct buf *out, struct canvas *canvas, bool is_plain)
{
	for (uint32_t r = 0; r < canvas->rows; r++) {
		uint32_t end = canvas->columns;

		while (end > 0) {
			const struct cell *cell = cell_at(canvas, r, (int32_t)end - 1);

			if (cell->solid || cell->dashed || (cell->text && cell->text != ' '))
				break;
			end--;
		}
		for (uint32_t c = 0; c < end; c++)
			put_cell(out, cell_at(canvas, r, (int32_t)c), is_plain);
		buf_byte(out, '\n');
	}
}

/* ---------------------------------------------------------------------------------- pieces */

static int by_gap(const void *a, const void *b)
{
	const struct piece *left = a;
	const struct piece *right = b;

	if (left->gap != right->gap)
		return left->gap < right->gap ? -1 : 1;
	if (left->from != right->from)
		return left->from < right->from ? -1 : 1;
	return (left->to > right->to) - (left->to < right->to);
}

static enum err_code make_pieces(struct picture *picture, struct err *err)
{
	const struct layout *layout = &picture->graph->layout;

	picture->pieces = mem_new((size_t)layout->points_count + 1, sizeof(struct piece));
	picture->nets = mem_new((size_t)layout->points_count + 1, sizeof(struct net));
	picture->net_at = mem_new((size_t)layout->width + 1, sizeof(uint32_t));
	if (!picture->pieces || !picture->nets || !picture->net_at)
		return mem_err(err);
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		const struct layout_line *line = &layout->lines[i];

		for (uint32_t p = 0; p < line->count / 2; p++) {
			uint32_t point = line->first + 2 * p;

			picture->pieces[picture->pieces_count++] = (struct piece){
			    .gap = layout->boxes[line->from].layer + p,
			    .source = p == 0 ? line->from : layout->boxes_count + point,
			    .box = p + 1 == line->count / 2 ? line->to : STEP_NONE,
			    .from = layout->points[point].x,
			    .to = layout->points[point + 1].x,
			    .is_any = picture->graph->line_is_any[i]};
		}
	}
	qsort(picture->pieces, picture->pieces_count, sizeof(struct piece), by_gap);
	return ERR_OK;
}

/* The lines into one box get columns beside each other, in the order in which they come. Pieces are
 * sorted by the columns that they come from; `next` and `inputs` are scratch by box. */
static void give_ports(struct picture *picture, const uint32_t *inputs, uint32_t *next)
{
	for (uint32_t i = 0; i < picture->pieces_count; i++) {
		struct piece *piece = &picture->pieces[i];
		const struct layout_box *box;
		int32_t count;
		int32_t room;
		int32_t step;

		if (piece->box == STEP_NONE)
			continue;
		box = &picture->graph->layout.boxes[piece->box];
		count = (int32_t)inputs[piece->box];
		room = box->width - 2;
		step = 2 * count - 1 <= room ? 2 : count <= room ? 1 : 0;
		if (count == 1 && piece->from > box->x && piece->from < box->x + box->width - 1)
			piece->to = piece->from;
		else
			piece->to += ((int32_t)next[piece->box]++ * 2 - (count - 1)) * step / 2;
	}
}

/* ---------------------------------------------------------------------------------- tracks */

static void make_nets(struct picture *picture, uint32_t first, uint32_t last)
{
	picture->nets_count = 0;
	for (uint32_t i = first; i < last;) {
		struct net *net = &picture->nets[picture->nets_count++];
		int32_t from = picture->pieces[i].from;

		*net = (struct net){.first = i, .left = from, .right = from, .track = NO_TRACK};
		for (; i < last && picture->pieces[i].source == picture->pieces[net->first].source;
		     i++, net->count++) {
			int32_t to = picture->pieces[i].to;

			net->left = to < net->left ? to : net->left;
			net->right = to > net->right ? to : net->right;
		}
		picture->net_at[from] = picture->nets_count;
	}
}

/* Whose source comes down in the column where `piece` goes down, and is not its own? */
static struct net *net_above(const struct picture *picture, const struct net *net, uint32_t piece)
{
	uint32_t at = picture->net_at[picture->pieces[piece].to];
	struct net *other = at > 0 ? &picture->nets[at - 1] : NULL;

	return other && other != net && other->left < other->right ? other : NULL;
}

static void count_above(const struct picture *picture)
{
	for (uint32_t n = 0; n < picture->nets_count; n++) {
		struct net *net = &picture->nets[n];

		net->above = 0;
		for (uint32_t i = net->first; i < net->first + net->count; i++) {
			const struct net *other = net_above(picture, net, i);

			if (other && other->track == NO_TRACK)
				net->above++;
		}
	}
}

/* Fill one track from the left; answers how many nets got it. `any`: also one that should be
 * lower. */
static uint32_t fill_track(const struct picture *picture, uint32_t track, bool any)
{
	uint32_t filled = 0;
	int32_t right = INT32_MIN / 2;

	for (uint32_t n = 0; n < picture->nets_count; n++) {
		struct net *net = &picture->nets[n];

		if (net->left == net->right || net->track != NO_TRACK || net->left <= right + 1 ||
		    (net->above > 0 && !any))
			continue;
		net->track = track;
		right = net->right;
		filled++;
		if (any)
			break;
	}
	return filled;
}

static int by_left(const void *a, const void *b)
{
	const struct net *left = a;
	const struct net *right = b;

	if (left->left != right->left)
		return left->left < right->left ? -1 : 1;
	return (left->first > right->first) - (left->first < right->first);
}

/* Give every net that moves sideways a track; answers how many tracks there are. */
static uint32_t give_tracks(struct picture *picture)
{
	uint32_t open = 0;
	uint32_t tracks = 0;

	qsort(picture->nets, picture->nets_count, sizeof(struct net), by_left);
	for (uint32_t n = 0; n < picture->nets_count; n++) {
		picture->net_at[picture->pieces[picture->nets[n].first].from] = n + 1;
		open += picture->nets[n].left < picture->nets[n].right;
	}
	while (open > 0) {
		uint32_t filled;

		count_above(picture);
		filled = fill_track(picture, tracks, false);
		if (filled == 0) /* they wait for each other in a circle */
			filled = fill_track(picture, tracks, true);
		open -= filled;
		tracks++;
	}
	for (uint32_t n = 0; n < picture->nets_count; n++)
		picture->net_at[picture->pieces[picture->nets[n].first].from] = 0;
	return tracks;
}

/* --------------------------------------------------------------------------------- drawing */

static void draw_down(struct canvas *canvas, int32_t column, uint32_t from, uint32_t to,
		      bool is_any)
{
	for (uint32_t row = from; row < to; row++)
		mark(canvas, row, column, UP | DOWN, is_any);
}

static void draw_piece(struct canvas *canvas, const struct piece *piece, uint32_t track)
{
	int32_t step = piece->to > piece->from ? 1 : -1;
	uint32_t end = canvas->rows;

	if (track == NO_TRACK) {
		draw_down(canvas, piece->from, 0, end, piece->is_any);
	} else {
		draw_down(canvas, piece->from, 0, track, piece->is_any);
		mark(canvas, track, piece->from, UP, piece->is_any);
		for (int32_t column = piece->from; column != piece->to; column += step) {
			mark(canvas, track, column, step > 0 ? RIGHT : LEFT, piece->is_any);
			mark(canvas, track, column + step, step > 0 ? LEFT : RIGHT, piece->is_any);
		}
		mark(canvas, track, piece->to, DOWN, piece->is_any);
		draw_down(canvas, piece->to, track + 1, end, piece->is_any);
	}
	if (piece->box != STEP_NONE)
		cell_at(canvas, end - 1, piece->to)->text = ARROW;
}

static enum err_code draw_gap(struct picture *picture, uint32_t first, uint32_t last,
			      struct buf *out, struct err *err)
{
	uint32_t tracks;

	make_nets(picture, first, last);
	tracks = give_tracks(picture);
	if (canvas_clear(&picture->canvas, tracks > 0 ? tracks + 1 : 2, err) != ERR_OK)
		return err->code;
	for (uint32_t n = 0; n < picture->nets_count; n++) {
		const struct net *net = &picture->nets[n];

		for (uint32_t i = net->first; i < net->first + net->count; i++)
			draw_piece(&picture->canvas, &picture->pieces[i], net->track);
	}
	canvas_put(out, &picture->canvas, picture->graph->request->is_plain);
	return ERR_OK;
}

/* `load [hard]` */
static void heading(const struct graph *graph, uint32_t step, struct buf *out)
{
	graph_label(graph, step, "..", out);
	if (graph->model->steps[step].gate != GATE_NONE)
		buf_fmt(out, " [%s]", gate_kind_name(graph->model->steps[step].gate));
}

static void draw_box(struct picture *picture, uint32_t step, bool has_below, struct buf *out)
{
	struct canvas *canvas = &picture->canvas;
	const struct layout_box *box = &picture->graph->layout.boxes[step];
	bool is_any = picture->graph->model->steps[step].when.ptr != NULL;
	int32_t right = box->x + box->width - 1;
	uint32_t bottom = (uint32_t)box->height - 1;
	AUTO(buf_fini) struct buf text = BUF_INIT;

	for (int32_t column = box->x; column < right; column++) {
		for (uint32_t row = 0; row <= bottom; row += bottom) {
			mark(canvas, row, column, RIGHT, is_any);
			mark(canvas, row, column + 1, LEFT, is_any);
		}
	}
	for (uint32_t row = 0; row < bottom; row++) {
		mark(canvas, row, box->x, DOWN, is_any);
		mark(canvas, row + 1, box->x, UP, is_any);
		mark(canvas, row, right, DOWN, is_any);
		mark(canvas, row + 1, right, UP, is_any);
	}
	if (has_below)
		mark(canvas, bottom, box->x + box->width / 2, DOWN, is_any);
	heading(picture->graph, step, &text);
	write_text(canvas, 1, box->x + 2, buf_view(&text));
	buf_needs(out, &text);
	buf_clear(&text);
	graph_note(picture->graph, step, &text);
	buf_needs(out, &text);
	if (text.len > 0)
		write_text(canvas, 2, box->x + 2, buf_view(&text));
}

static enum err_code draw_layer(struct picture *picture, uint32_t layer, uint32_t gap,
				struct buf *out, struct err *err)
{
	const struct graph *graph = picture->graph;
	uint32_t rows = 1;

	for (uint32_t i = picture->layer_boxes[layer]; i < picture->layer_boxes[layer + 1]; i++) {
		uint32_t height = (uint32_t)graph->layout.boxes[picture->box_first[i]].height;

		rows = height > rows ? height : rows;
	}
	if (canvas_clear(&picture->canvas, rows, err) != ERR_OK)
		return err->code;
	for (uint32_t i = picture->layer_boxes[layer]; i < picture->layer_boxes[layer + 1]; i++) {
		uint32_t step = picture->box_first[i];

		draw_box(picture, step,
			 graph->model->dependents_at[step + 1] > graph->model->dependents_at[step],
			 out);
	}
	/* Lines that pass the layer, and those below boxes that are lower than others. */
	for (uint32_t i = gap; i < picture->pieces_count && picture->pieces[i].gap == layer; i++) {
		const struct piece *piece = &picture->pieces[i];
		uint32_t from = 0;

		if (piece->source < graph->layout.boxes_count)
			from = (uint32_t)graph->layout.boxes[piece->source].height;
		draw_down(&picture->canvas, piece->from, from, rows, piece->is_any);
	}
	canvas_put(out, &picture->canvas, graph->request->is_plain);
	return ERR_OK;
}

static enum err_code sort_boxes(struct picture *picture, struct err *err)
{
	const struct layout *layout = &picture->graph->layout;
	uint32_t *at = mem_new((size_t)layout->layers_count + 2, sizeof(*at));

	picture->layer_boxes = at;
	picture->box_first = mem_new((size_t)layout->boxes_count + 1, sizeof(uint32_t));
	if (!at || !picture->box_first)
		return mem_err(err);
	for (uint32_t i = 0; i < layout->boxes_count; i++)
		at[layout->boxes[i].layer + 2]++;
	for (uint32_t l = 2; l < layout->layers_count + 2; l++)
		at[l] += at[l - 1];
	for (uint32_t i = 0; i < layout->boxes_count; i++)
		picture->box_first[at[layout->boxes[i].layer + 1]++] = i;
	return ERR_OK;
}

static enum err_code draw(struct graph *graph, const uint32_t *inputs, struct buf *out,
			  struct err *err)
{
	AUTO(picture_fini)
	struct picture picture = {.graph = graph,
				  .canvas = {.columns = (uint32_t)graph->layout.width}};
	AUTO(mem_drop)
	uint32_t *next = mem_new((size_t)graph->model->steps_count + 1, sizeof(*next));
	uint32_t piece = 0;

	if (!next)
		return mem_err(err);
	if (make_pieces(&picture, err) != ERR_OK || sort_boxes(&picture, err) != ERR_OK)
		return err->code;
	give_ports(&picture, inputs, next);
	for (uint32_t l = 0; l < graph->layout.layers_count; l++) {
		uint32_t first = piece;

		if (draw_layer(&picture, l, first, out, err) != ERR_OK)
			return err->code;
		while (piece < picture.pieces_count && picture.pieces[piece].gap == l)
			piece++;
		if (l + 1 < graph->layout.layers_count &&
		    draw_gap(&picture, first, piece, out, err) != ERR_OK)
			return err->code;
	}
	return ERR_OK;
}

/* ------------------------------------------------------------------------------------ list */

static void list_needs(const struct graph *graph, const char *before, const uint32_t *needs,
		       uint32_t count, struct buf *out)
{
	for (uint32_t i = 0; i < count && i < LIST_NEEDS; i++)
		buf_fmt(out, "%s%.*s", i > 0 ? ", " : before,
			STR_ARG(graph->model->steps[needs[i]].id));
	if (count > LIST_NEEDS)
		buf_fmt(out, " and %u more", count - LIST_NEEDS);
}

static void list_step(const struct graph *graph, uint32_t index, struct buf *out)
{
	const struct step *step = &graph->model->steps[index];
	AUTO(buf_fini) struct buf note = BUF_INIT;

	buf_text(out, "  ");
	buf_str(out, step->id);
	if (step->gate != GATE_NONE)
		buf_fmt(out, " [%s]", gate_kind_name(step->gate));
	graph_note(graph, index, &note);
	buf_needs(out, &note);
	if (note.len > 0)
		buf_fmt(out, ": %.*s", STR_ARG(buf_view(&note)));
	list_needs(graph, " <- ", step->needs, step->needs_count, out);
	list_needs(graph, step->needs_count > 0 ? "; any of " : " <- any of ", step->needs_any,
		   step->needs_any_count, out);
	buf_byte(out, '\n');
}

/* The layers as a list, for graphs that are too wide for boxes. */
static enum err_code list(const struct graph *graph, struct buf *out, struct err *err)
{
	AUTO(picture_fini) struct picture picture = {.graph = graph};

	if (sort_boxes(&picture, err) != ERR_OK)
		return err->code;
	for (uint32_t l = 0; l < graph->layout.layers_count; l++) {
		buf_fmt(out, "Layer %u\n", l + 1);
		for (uint32_t i = picture.layer_boxes[l]; i < picture.layer_boxes[l + 1]; i++)
			list_step(graph, picture.box_first[i], out);
	}
	return buf_check(out, "graph", err);
}

/* ------------------------------------------------------------------------------------ sizes */

static enum err_code find_sizes(struct graph *graph, uint32_t *inputs, struct err *err)
{
	for (uint32_t i = 0; i < graph->layout.lines_count; i++)
		inputs[graph->layout.lines[i].to]++;
	for (uint32_t i = 0; i < graph->model->steps_count; i++) {
		uint32_t ports = inputs[i] < PORTS_MAX ? inputs[i] : PORTS_MAX;
		AUTO(buf_fini) struct buf text = BUF_INIT;
		size_t width;

		heading(graph, i, &text);
		if (buf_check(&text, "box", err) != ERR_OK)
			return err->code;
		width = text.len;
		buf_clear(&text);
		graph_note(graph, i, &text);
		if (buf_check(&text, "box", err) != ERR_OK)
			return err->code;
		width = text.len > width ? text.len : width;
		width = 2 * (size_t)ports > width + 1 ? 2 * (size_t)ports - 1 : width;
		graph->layout.boxes[i].width = (int32_t)width + 4;
		graph->layout.boxes[i].height = text.len > 0 ? 4 : 3;
	}
	graph->layout.gap_x = 3;
	graph->layout.gap_y = 3;
	graph->layout.bend_width = 1;
	return ERR_OK;
}

/* Do all lines that pass layers have bends there? In a huge graph the longest have none. */
static bool is_drawable(const struct graph *graph)
{
	const struct layout *layout = &graph->layout;

	if ((uint32_t)layout->width > graph->request->columns)
		return false;
	for (uint32_t i = 0; i < layout->lines_count; i++) {
		const struct layout_line *line = &layout->lines[i];

		if (line->count / 2 !=
		    layout->boxes[line->to].layer - layout->boxes[line->from].layer)
			return false;
	}
	return true;
}

enum err_code graph_ascii(struct graph *graph, struct buf *out, struct err *err)
{
	AUTO(mem_drop)
	uint32_t *inputs = mem_new((size_t)graph->model->steps_count + 1, sizeof(*inputs));

	if (!inputs)
		return mem_err(err);
	if (find_sizes(graph, inputs, err) != ERR_OK || layout_find(&graph->layout, err) != ERR_OK)
		return err->code;
	if (is_drawable(graph))
		return draw(graph, inputs, out, err);
	return list(graph, out, err);
}
