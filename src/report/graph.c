/* graph.c - see graph.h: steps as boxes, needs as lines, and the form as JSON */
#include "report/graph.h"
#include "report/graph_intern.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "report/pretty.h"
#include "report/run_report.h"

#define REPLACEMENT STR("\xef\xbf\xbd")

/* ----------------------------------------------------------------------------------- texts */

bool text_next(struct str text, size_t *at, struct str *ret_character)
{
	size_t len;

	if (*at >= text.len)
		return false;
	len = utf8_len(str_cut(text, *at, text.len));
	*ret_character = len > 0 ? str_cut(text, *at, *at + len) : REPLACEMENT;
	*at += len > 0 ? len : 1;
	return true;
}

uint32_t text_columns(struct str text)
{
	struct str character;
	uint32_t columns = 0;

	for (size_t at = 0; text_next(text, &at, &character);)
		columns++;
	return columns;
}

void xml_put(struct buf *out, struct str text)
{
	struct str character;

	for (size_t at = 0; text_next(text, &at, &character);) {
		unsigned char c = (unsigned char)character.ptr[0];

		if (c == '&')
			buf_text(out, "&amp;");
		else if (c == '<')
			buf_text(out, "&lt;");
		else if (c == '>')
			buf_text(out, "&gt;");
		else if (c == '"')
			buf_text(out, "&quot;");
		else if (c == '\'')
			buf_text(out, "&#39;");
		else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ||
			 str_is(character, "\xef\xbf\xbe") || str_is(character, "\xef\xbf\xbf"))
			buf_str(out, REPLACEMENT);
		else
			buf_str(out, character);
	}
}

void graph_label(const struct graph *graph, uint32_t step, const char *more, struct buf *out)
{
	struct str id = graph->model->steps[step].id;
	uint32_t columns = text_columns(id);
	uint32_t keep =
	    columns <= GRAPH_ID_COLUMNS ? columns : GRAPH_ID_COLUMNS - text_columns(str_of(more));
	struct str character;
	size_t at = 0;

	for (uint32_t i = 0; i < keep && text_next(id, &at, &character); i++)
		buf_str(out, character);
	if (keep < columns)
		buf_text(out, more);
}

static void run_note(const struct step_state *at, struct buf *out)
{
	buf_text(out, step_state_name(at->state));
	if (at->is_given)
		buf_text(out, " (given)");
	else if (at->state == STEP_SKIPPED)
		buf_fmt(out, " (%s)", skip_reason_name(at->skip));
	else if (at->state == STEP_FAILED)
		buf_fmt(out, " (%.*s%s)", STR_ARG(step_class_text(at)),
			at->is_waived ? ", overridden" : "");
	else if (at->is_retry)
		buf_fmt(out, ", retry after %.*s", STR_ARG(step_class_text(at)));
	if (at->attempts > 1)
		buf_fmt(out, ", %u attempts", at->attempts);
	if (step_took_ms(at) >= 0 && at->state != STEP_PENDING) {
		buf_text(out, ", ");
		duration_human(out, at->duration_ms);
	}
}

void graph_note(const struct graph *graph, uint32_t step, struct buf *out)
{
	const struct step *def = &graph->model->steps[step];

	if (graph->run) {
		run_note(&graph->run->steps[step], out);
		return;
	}
	if (def->when.ptr)
		buf_text(out, "conditional");
	if (def->retry->max_attempts > 1)
		buf_fmt(out, "%s%u attempts", def->when.ptr ? ", " : "", def->retry->max_attempts);
}

/* ---------------------------------------------------------------------------------- lines */

static enum err_code make_lines(struct graph *graph, struct err *err)
{
	const struct model *model = graph->model;
	size_t count = 0;
	uint32_t next = 0;

	for (uint32_t i = 0; i < model->steps_count; i++)
		count += (size_t)model->steps[i].needs_count + model->steps[i].needs_any_count;
	graph->layout.boxes = mem_new(model->steps_count, sizeof(*graph->layout.boxes));
	graph->layout.lines = mem_new(count + 1, sizeof(*graph->layout.lines));
	graph->line_is_any = mem_new(count + 1, sizeof(*graph->line_is_any));
	if (!graph->layout.boxes || !graph->layout.lines || !graph->line_is_any)
		return mem_err(err);
	graph->layout.boxes_count = model->steps_count;
	graph->layout.lines_count = (uint32_t)count;
	for (uint32_t i = 0; i < model->steps_count; i++) {
		const struct step *step = &model->steps[i];

		for (uint32_t n = 0; n < step->needs_count; n++, next++) {
			graph->layout.lines[next].from = step->needs[n];
			graph->layout.lines[next].to = i;
		}
		for (uint32_t n = 0; n < step->needs_any_count; n++, next++) {
			graph->layout.lines[next].from = step->needs_any[n];
			graph->layout.lines[next].to = i;
			graph->line_is_any[next] = true;
		}
	}
	return ERR_OK;
}

static void graph_fini(struct graph *graph)
{
	layout_fini(&graph->layout);
	mem_free(graph->layout.boxes);
	mem_free(graph->layout.lines);
	mem_free(graph->line_is_any);
}

/* ----------------------------------------------------------------------------------- JSON */

static void run_members(struct buf *out, const struct step_state *at)
{
	bool is_error = at->state == STEP_FAILED || (at->state == STEP_PENDING && at->is_retry);

	field_str(out, "state", str_of(step_state_name(at->state)));
	field_i64(out, "attempt", at->attempt);
	field_i64(out, "attempts", at->attempts);
	field_str(out, "error_class", is_error ? step_class_text(at) : STR_NONE);
	field_str(out, "skip_reason",
		  at->state == STEP_SKIPPED ? str_of(skip_reason_name(at->skip)) : STR_NONE);
	field_stamp(out, "started_at", at->started_ms);
	field_stamp(out, "ended_at", at->ended_ms);
	field_known(out, "duration_ms", step_took_ms(at));
}

static void node_member(struct buf *out, const struct graph *graph, uint32_t index)
{
	const struct step *step = &graph->model->steps[index];
	const struct layout_box *box = &graph->layout.boxes[index];

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "id", step->id);
	field_i64(out, "layer", box->layer);
	field_i64(out, "place", box->place);
	field_i64(out, "x", box->x);
	field_i64(out, "y", box->y);
	field_i64(out, "width", box->width);
	field_i64(out, "height", box->height);
	field_str(out, "gate",
		  step->gate == GATE_NONE ? STR_NONE : str_of(gate_kind_name(step->gate)));
	field_str(out, "when", step->when);
	field_str(out, "description", step->description.len > 0 ? step->description : STR_NONE);
	if (graph->run)
		run_members(out, &graph->run->steps[index]);
	buf_byte(out, '}');
}

static void edge_member(struct buf *out, const struct graph *graph, uint32_t index)
{
	const struct layout *layout = &graph->layout;
	const struct layout_line *line = &layout->lines[index];

	field_comma(out);
	buf_byte(out, '{');
	field_str(out, "from", graph->model->steps[line->from].id);
	field_str(out, "to", graph->model->steps[line->to].id);
	field_str(out, "kind", graph->line_is_any[index] ? STR("needs_any") : STR("needs"));
	field_bool(out, "implicit",
		   !graph->line_is_any[index] && graph->model->steps[line->to].needs_implicit);
	field_open(out, "points", '[');
	for (uint32_t p = line->first; p < line->first + line->count; p++) {
		/* Points inside of a straight piece say nothing. */
		if (p > line->first && p + 1 < line->first + line->count &&
		    layout->points[p].x == layout->points[p - 1].x &&
		    layout->points[p].x == layout->points[p + 1].x)
			continue;
		field_comma(out);
		buf_fmt(out, "[%d,%d]", layout->points[p].x, layout->points[p].y);
	}
	buf_text(out, "]}");
}

enum err_code graph_json(struct graph *graph, struct buf *out, struct err *err)
{
	AUTO(buf_fini) struct buf json = BUF_INIT;

	if (graph_place_pixels(graph, err) != ERR_OK)
		return err->code;
	buf_byte(&json, '{');
	field_str(&json, "pipeline", graph->model->pipeline);
	field_str(&json, "run_id", graph->run ? graph->run->run_id : STR_NONE);
	field_str(&json, "state",
		  graph->run ? str_of(run_state_name(graph->run->state)) : STR_NONE);
	field_i64(&json, "layers", graph->layout.layers_count);
	field_i64(&json, "width", graph->layout.width);
	field_i64(&json, "height", graph->layout.height);
	field_open(&json, "nodes", '[');
	for (uint32_t i = 0; i < graph->model->steps_count; i++)
		node_member(&json, graph, i);
	buf_byte(&json, ']');
	field_open(&json, "edges", '[');
	for (uint32_t i = 0; i < graph->layout.lines_count; i++)
		edge_member(&json, graph, i);
	buf_text(&json, "]}");
	pretty_answer(out, &json);
	return buf_check(out, "graph", err);
}

/* ----------------------------------------------------------------------------------- forms */

typedef enum err_code form_fn(struct graph *graph, struct buf *out, struct err *err);

static form_fn *const forms[] = {
    [GRAPH_ASCII] = graph_ascii, [GRAPH_DOT] = graph_dot,   [GRAPH_MERMAID] = graph_mermaid,
    [GRAPH_SVG] = graph_svg,     [GRAPH_JSON] = graph_json,
};

enum err_code graph_draw(const struct graph_request *request, struct buf *out, struct err *err)
{
	AUTO(graph_fini)
	struct graph graph = {.request = request, .model = request->model, .run = request->run};

	if (request->format >= ARRAY_LEN(forms))
		return err_set(err, ERR_USAGE, "no such form of a graph");
	if (make_lines(&graph, err) != ERR_OK || forms[request->format](&graph, out, err) != ERR_OK)
		return err->code;
	return buf_check(out, "graph", err);
}
