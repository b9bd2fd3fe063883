/* graph_text.c - a graph for other programs: DOT (Graphviz) and Mermaid, which find the places */
#include "report/graph_intern.h"

#include "base/mem.h"

#include <ctype.h>

struct look {
	const char *fill, *stroke;
};

/* By enum step_state_id. Dark text is readable on each. */
static const struct look looks[] = {
    [STEP_PENDING] = {"#f6f8fa", "#8c959f"},     [STEP_RUNNING] = {"#ddf4ff", "#0969da"},
    [STEP_WAITING] = {"#fff8c5", "#9a6700"},     [STEP_SUCCEEDED] = {"#dafbe1", "#1a7f37"},
    [STEP_FAILED] = {"#ffebe9", "#cf222e"},      [STEP_SKIPPED] = {"#eaeef2", "#8c959f"},
    [STEP_COMPENSATED] = {"#fbefff", "#8250df"},
};

/* ------------------------------------------------------------------------------------- DOT */

/* A quoted string: `"` and `\` escaped, a line end as \n, other controls as U+FFFD. */
static void dot_text(struct buf *out, struct str text)
{
	struct str character;

	for (size_t at = 0; text_next(text, &at, &character);) {
		unsigned char c = (unsigned char)character.ptr[0];

		if (c == '"' || c == '\\')
			buf_fmt(out, "\\%c", c);
		else if (c == '\n')
			buf_text(out, "\\n");
		else if (c == '\t')
			buf_byte(out, ' ');
		else if (c < 0x20 || c == 0x7f)
			buf_text(out, "\xef\xbf\xbd");
		else if (c == '&')
			buf_text(out, "&amp;"); /* Graphviz reads entities in labels */
		else
			buf_str(out, character);
	}
}

static void dot_node(const struct graph *graph, uint32_t index, struct buf *out)
{
	const struct step *step = &graph->model->steps[index];
	AUTO(buf_fini) struct buf note = BUF_INIT;

	graph_note(graph, index, &note);
	buf_needs(out, &note);
	buf_fmt(out, "  n%u [label=\"", index);
	dot_text(out, step->id);
	if (step->gate != GATE_NONE)
		buf_fmt(out, "\\n%s gate", gate_kind_name(step->gate));
	if (note.len > 0) {
		buf_text(out, "\\n");
		dot_text(out, buf_view(&note));
	}
	buf_text(out, "\", tooltip=\"");
	dot_text(out, step->description.len > 0 ? step->description : step->id);
	buf_byte(out, '"');
	if (step->when.ptr)
		buf_text(out, ", style=\"rounded,filled,dashed\"");
	if (step->gate != GATE_NONE)
		buf_text(out, ", penwidth=2");
	if (graph->run) {
		const struct look *look = &looks[graph->run->steps[index].state];

		buf_fmt(out, ", fillcolor=\"%s\", color=\"%s\"", look->fill, look->stroke);
	}
	buf_text(out, "];\n");
}

enum err_code graph_dot(struct graph *graph, struct buf *out, struct err *err)
{
	buf_text(out, "digraph \"");
	dot_text(out, graph->model->pipeline);
	buf_text(out, "\" {\n  rankdir=TB;\n"
		      "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f6f8fa\", "
		      "fontname=\"monospace\", fontsize=11];\n");
	for (uint32_t i = 0; i < graph->model->steps_count; i++)
		dot_node(graph, i, out);
	for (uint32_t i = 0; i < graph->layout.lines_count; i++)
		buf_fmt(out, "  n%u -> n%u%s;\n", graph->layout.lines[i].from,
			graph->layout.lines[i].to,
			graph->line_is_any[i] ? " [style=dashed, label=\"any\"]" : "");
	buf_text(out, "}\n");
	return buf_check(out, "graph", err);
}

/* --------------------------------------------------------------------------------- Mermaid */

/* What its grammar or HTML could take for its own is written as `#<code>;`. */
static void mermaid_text(struct buf *out, struct str text)
{
	struct str character;

	for (size_t at = 0; text_next(text, &at, &character);) {
		unsigned char c = (unsigned char)character.ptr[0];

		if (c >= 0x80 || isalnum(c) || c == ' ' || c == '.' || c == '_' || c == '-' ||
		    c == ',')
			buf_str(out, character);
		else if (c < 0x20 || c == 0x7f)
			buf_byte(out, ' ');
		else
			buf_fmt(out, "#%u;", c);
	}
}

static void mermaid_node(const struct graph *graph, uint32_t index, struct buf *out)
{
	const struct step *step = &graph->model->steps[index];
	const char *open = step->gate != GATE_NONE ? "{{\"" : step->when.ptr ? "([\"" : "[\"";
	const char *close = step->gate != GATE_NONE ? "\"}}" : step->when.ptr ? "\"])" : "\"]";
	AUTO(buf_fini) struct buf note = BUF_INIT;

	graph_note(graph, index, &note);
	buf_needs(out, &note);
	buf_fmt(out, "  n%u%s", index, open);
	mermaid_text(out, step->id);
	if (step->gate != GATE_NONE)
		buf_fmt(out, "<br/>%s gate", gate_kind_name(step->gate));
	if (note.len > 0) {
		buf_text(out, "<br/>");
		mermaid_text(out, buf_view(&note));
	}
	buf_text(out, close);
	if (graph->run)
		buf_fmt(out, ":::%s", step_state_name(graph->run->steps[index].state));
	buf_byte(out, '\n');
}

enum err_code graph_mermaid(struct graph *graph, struct buf *out, struct err *err)
{
	buf_text(out, "flowchart TD\n");
	for (uint32_t i = 0; i < graph->model->steps_count; i++)
		mermaid_node(graph, i, out);
	for (uint32_t i = 0; i < graph->layout.lines_count; i++)
		buf_fmt(out, "  n%u %s n%u\n", graph->layout.lines[i].from,
			graph->line_is_any[i] ? "-. any .->" : "-->", graph->layout.lines[i].to);
	for (unsigned s = STEP_PENDING; graph->run && s < sizeof(looks) / sizeof(looks[0]); s++)
		buf_fmt(out, "  classDef %s fill:%s,stroke:%s,color:#1f2328\n",
			step_state_name((enum step_state_id)s), looks[s].fill, looks[s].stroke);
	return buf_check(out, "graph", err);
}
