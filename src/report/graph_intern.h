/* graph_intern.h - what the forms of a graph share: steps as boxes, needs as lines. */
#ifndef REPORT_GRAPH_INTERN_H
#define REPORT_GRAPH_INTERN_H

#include "report/graph.h"
#include "report/layout.h"

/* A graph with a layout whose lines are the needs of all steps, step after step, first `needs`,
 * then `needs_any`. Box i is step i. */
struct graph {
	const struct graph_request *request;
	const struct model *model;
	const struct run_state *run; /* may be NULL */
	struct layout layout;
	bool *line_is_any; /* by line: of needs_any */
};

#define GRAPH_ID_COLUMNS 40 /* longer ids are cut in pictures */

/* Append what is worth knowing beside the id: with a run its state, class, attempts and time; else
 * condition and attempts. May append nothing. */
void graph_note(const struct graph *graph, uint32_t step, struct buf *out);
/* Append the id, cut to GRAPH_ID_COLUMNS characters with `more` as its last. */
void graph_label(const struct graph *graph, uint32_t step, const char *more, struct buf *out);
/* How many characters a well-formed text has. */
uint32_t text_columns(struct str text);
/* The next character of `text` at *at, as it is, or U+FFFD for a malformed byte; *at moves behind
 * it. False at the end. */
bool text_next(struct str text, size_t *at, struct str *ret_character);
/* Append a text for XML: `& < > " '` as entities, controls that XML does not know as U+FFFD. */
void xml_put(struct buf *out, struct str text);

/* Each appends its form. The layout is found with the sizes that the form sets. */
MUST_CHECK enum err_code graph_svg(struct graph *graph, struct buf *out, struct err *err);
MUST_CHECK enum err_code graph_json(struct graph *graph, struct buf *out, struct err *err);
MUST_CHECK enum err_code graph_ascii(struct graph *graph, struct buf *out, struct err *err);
MUST_CHECK enum err_code graph_dot(struct graph *graph, struct buf *out, struct err *err);
MUST_CHECK enum err_code graph_mermaid(struct graph *graph, struct buf *out, struct err *err);

/* Find the layout of a picture in pixels. */
MUST_CHECK enum err_code graph_place_pixels(struct graph *graph, struct err *err);

#endif
