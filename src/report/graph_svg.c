/* graph_svg.c - a graph as an SVG 1.1 picture that needs nothing else
 *
 * No script, no font, no link. Colours follow the reader's light or dark scheme (Media Queries 5,
 * prefers-color-scheme); a reader without style sheets sees black on white. What is said by colour
 * is said in words too. */
#include "report/graph_intern.h"

#include "base/mem.h"

#define MARGIN           24
#define HEAD             40 /* the heading's height */
#define LETTER_X10       79 /* width of a letter of an id at 13 px, in tenths */
#define SMALL_X10        64 /* of a note at 10.5 px */
#define PADDING          14
#define BOX_LOW          36 /* without a note */
#define BOX_HIGH         50
#define BADGE_LETTER_X10 60

static const char style[] =
    "<style>\n"
    ".bg{fill:#fff}.h{fill:#1f2328;font:600 15px ui-sans-serif,system-ui,sans-serif}\n"
    ".d{fill:#59636e;font:12px ui-sans-serif,system-ui,sans-serif}\n"
    ".b{fill:#f6f8fa;stroke:#8c959f;stroke-width:1.3}\n"
    ".c{stroke-dasharray:6 3}\n"
    ".i{fill:#1f2328;font:600 13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}\n"
    ".m{fill:#59636e;font:10.5px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}\n"
    ".e{fill:none;stroke:#8c959f;stroke-width:1.4}.y{stroke-dasharray:5 4}.a{fill:#8c959f}\n"
    ".g{fill:#6e40c9}.gs{fill:#57606a}.gm{fill:#9a6700}\n"
    ".t{fill:#fff;font:700 9px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}\n"
    ".running{fill:#ddf4ff;stroke:#0969da}.waiting{fill:#fff8c5;stroke:#9a6700}\n"
    ".succeeded{fill:#dafbe1;stroke:#1a7f37}.failed{fill:#ffebe9;stroke:#cf222e}\n"
    ".skipped{fill:#eaeef2;stroke:#afb8c1}.compensated{fill:#fbefff;stroke:#8250df}\n"
    "@media (prefers-color-scheme:dark){\n"
    ".bg{fill:#0d1117}.h,.i{fill:#e6edf3}.d,.m{fill:#9198a1}\n"
    ".b{fill:#161b22;stroke:#656c76}.e{stroke:#656c76}.a{fill:#656c76}\n"
    ".running{fill:#0c2d6b;stroke:#58a6ff}.waiting{fill:#3b2300;stroke:#d29922}\n"
    ".succeeded{fill:#033a16;stroke:#3fb950}.failed{fill:#490202;stroke:#f85149}\n"
    ".skipped{fill:#21262d;stroke:#484f58}.compensated{fill:#271052;stroke:#a371f7}\n"
    "}\n"
    "</style>\n";

static int32_t note_width(const struct graph *graph, uint32_t step, struct buf *label)
{
	AUTO(buf_fini) struct buf note = BUF_INIT;

	graph_note(graph, step, &note);
	buf_needs(label, &note);
	return (int32_t)text_columns(buf_view(&note)) * SMALL_X10 / 10;
}

static const char *badge_of(const struct step *step)
{
	switch (step->gate) {
	case GATE_HARD:
		return "HARD GATE";
	case GATE_SOFT:
		return "SOFT GATE";
	case GATE_MANUAL:
		return "APPROVAL";
	case GATE_NONE:
		break;
	}
	return NULL;
}

static const char *badge_class(const struct step *step)
{
	return step->gate == GATE_HARD ? "g" : step->gate == GATE_MANUAL ? "gm" : "gs";
}

static int32_t badge_width(const char *badge)
{
	return (int32_t)text_columns(str_of(badge)) * BADGE_LETTER_X10 / 10 + 12;
}

enum err_code graph_place_pixels(struct graph *graph, struct err *err)
{
	for (uint32_t i = 0; i < graph->model->steps_count; i++) {
		const char *badge = badge_of(&graph->model->steps[i]);
		AUTO(buf_fini) struct buf label = BUF_INIT;
		int32_t note = note_width(graph, i, &label);
		int32_t width;

		graph_label(graph, i, "\xe2\x80\xa6", &label);
		if (buf_check(&label, "label", err) != ERR_OK)
			return err->code;
		width = (int32_t)text_columns(buf_view(&label)) * LETTER_X10 / 10;
		width = note > width ? note : width;
		/* The badge leaves the middle of the edge to the lines that end there. */
		if (badge && 2 * badge_width(badge) > width)
			width = 2 * badge_width(badge);
		graph->layout.boxes[i].width = width + 2 * PADDING;
		graph->layout.boxes[i].height = note > 0 ? BOX_HIGH : BOX_LOW;
	}
	graph->layout.gap_x = 28;
	graph->layout.gap_y = 46;
	graph->layout.bend_width = 8;
	return layout_find(&graph->layout, err);
}

/* Straight through a layer, a curve between two. */
static void line_put(struct buf *out, const struct graph *graph, uint32_t index)
{
	const struct layout_line *line = &graph->layout.lines[index];
	const struct layout_point *points = graph->layout.points + line->first;

	buf_fmt(out, "<path class=\"e%s\" marker-end=\"url(#a)\" d=\"M%d %d",
		graph->line_is_any[index] ? " y" : "", points[0].x, points[0].y);
	for (uint32_t i = 1; i < line->count; i++) {
		int32_t middle = (points[i - 1].y + points[i].y) / 2;

		if (points[i].x == points[i - 1].x)
			buf_fmt(out, "V%d", points[i].y);
		else
			buf_fmt(out, "C%d %d %d %d %d %d", points[i - 1].x, middle, points[i].x,
				middle, points[i].x, points[i].y);
	}
	buf_text(out, "\"/>\n");
}

static void title_put(struct buf *out, const struct graph *graph, uint32_t index, struct str note)
{
	const struct step *step = &graph->model->steps[index];

	buf_text(out, "<title>");
	xml_put(out, step->id);
	if (step->gate != GATE_NONE)
		buf_fmt(out, " [%s gate]", gate_kind_name(step->gate));
	if (note.len > 0) {
		buf_text(out, ": ");
		xml_put(out, note);
	}
	if (step->when.ptr) {
		buf_text(out, "\nwhen: ");
		xml_put(out, step->when);
	}
	if (step->description.len > 0) {
		buf_byte(out, '\n');
		xml_put(out, step->description);
	}
	buf_text(out, "</title>");
}

static void badge_put(struct buf *out, const struct step *step, const struct layout_box *box)
{
	const char *badge = badge_of(step);
	int32_t width;
	int32_t x;

	if (!badge)
		return;
	width = badge_width(badge);
	x = box->x + box->width - width - 8;
	buf_fmt(out,
		"<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"14\" rx=\"7\"/>"
		"<text class=\"t\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
		badge_class(step), x, box->y - 7, width, x + width / 2, box->y + 3, badge);
}

static void node_put(struct buf *out, const struct graph *graph, uint32_t index)
{
	const struct step *step = &graph->model->steps[index];
	const struct layout_box *box = &graph->layout.boxes[index];
	AUTO(buf_fini) struct buf note = BUF_INIT;
	AUTO(buf_fini) struct buf label = BUF_INIT;
	int32_t middle = box->x + box->width / 2;

	graph_note(graph, index, &note);
	graph_label(graph, index, "\xe2\x80\xa6", &label);
	buf_needs(out, &note);
	buf_needs(out, &label);
	buf_text(out, "<g>");
	title_put(out, graph, index, buf_view(&note));
	buf_fmt(out,
		"<rect class=\"b%s%s%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"7\"/>",
		step->when.ptr ? " c" : "", graph->run ? " " : "",
		graph->run ? step_state_name(graph->run->steps[index].state) : "", box->x, box->y,
		box->width, box->height);
	buf_fmt(out, "<text class=\"i\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", middle,
		box->y + (note.len > 0 ? 22 : 23));
	xml_put(out, buf_view(&label));
	buf_text(out, "</text>");
	if (note.len > 0) {
		buf_fmt(out, "<text class=\"m\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", middle,
			box->y + 38);
		xml_put(out, buf_view(&note));
		buf_text(out, "</text>");
	}
	badge_put(out, step, box);
	buf_text(out, "</g>\n");
}

/* Pipeline, run and state: a heading for the eye, title and desc for everybody else. */
static void heading_put(struct buf *out, const struct graph *graph)
{
	bool has_when = false;
	bool has_any = false;

	for (uint32_t i = 0; i < graph->model->steps_count; i++) {
		has_when = has_when || graph->model->steps[i].when.ptr;
		has_any = has_any || graph->model->steps[i].needs_any_count > 0;
	}
	buf_fmt(out, "<text class=\"h\" x=\"%d\" y=\"26\">", MARGIN);
	xml_put(out, graph->model->pipeline);
	buf_text(out, "<tspan class=\"d\" dx=\"10\">");
	if (graph->run) {
		xml_put(out, graph->run->run_id);
		buf_fmt(out, " \xc2\xb7 %s", run_state_name(graph->run->state));
	} else {
		buf_fmt(out, "%u step%s", graph->model->steps_count,
			graph->model->steps_count == 1 ? "" : "s");
	}
	if (has_when)
		buf_text(out, " \xc2\xb7 dashed box: has a condition");
	if (has_any)
		buf_text(out, " \xc2\xb7 dashed line: any of");
	buf_text(out, "</tspan></text>\n");
}

static void describe(struct buf *out, const struct graph *graph)
{
	buf_text(out, "<title id=\"title\">");
	xml_put(out, graph->model->pipeline);
	if (graph->run) {
		buf_text(out, ", run ");
		xml_put(out, graph->run->run_id);
	}
	buf_text(out, "</title>\n<desc id=\"desc\">");
	buf_fmt(out, "%u steps in %u layers; an arrow goes from a step to one that needs it.",
		graph->model->steps_count, graph->layout.layers_count);
	if (graph->run) {
		buf_fmt(out, " The run is %s:", run_state_name(graph->run->state));
		for (unsigned s = STEP_PENDING; s <= STEP_COMPENSATED; s++) {
			if (graph->run->count[s] > 0)
				buf_fmt(out, " %u %s", graph->run->count[s],
					step_state_name((enum step_state_id)s));
		}
		buf_byte(out, '.');
	}
	buf_text(out, "</desc>\n");
}

enum err_code graph_svg(struct graph *graph, struct buf *out, struct err *err)
{
	AUTO(buf_fini) struct buf heading = BUF_INIT;
	int32_t width;
	int32_t height;
	int32_t letters;

	if (graph_place_pixels(graph, err) != ERR_OK)
		return err->code;
	heading_put(&heading, graph);
	/* The heading is longer than a narrow graph; the tags in it are about 90 bytes. */
	letters = heading.len < 1000 ? (int32_t)heading.len - 90 : 910;
	width = graph->layout.width > letters * 8 ? graph->layout.width : letters * 8;
	width += 2 * MARGIN;
	height = graph->layout.height + HEAD + 2 * MARGIN;
	buf_fmt(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title desc\">\n",
		width, height, width, height);
	describe(out, graph);
	buf_text(out, style);
	buf_text(out, "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
		      "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">"
		      "<path class=\"a\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n");
	buf_fmt(out, "<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n", width, height);
	buf_needs(out, &heading);
	buf_str(out, buf_view(&heading));
	buf_fmt(out, "<g transform=\"translate(%d %d)\">\n", (width - graph->layout.width) / 2,
		HEAD + MARGIN);
	for (uint32_t i = 0; i < graph->layout.lines_count; i++)
		line_put(out, graph, i);
	for (uint32_t i = 0; i < graph->model->steps_count; i++)
		node_put(out, graph, i);
	buf_text(out, "</g>\n</svg>\n");
	return buf_check(out, "graph", err);
}
