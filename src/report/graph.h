/* graph.h - the dependencies of a pipeline as a picture: boxes of characters, SVG, DOT, Mermaid,
 * and the same places as JSON. With a run, each step shows its state, attempts and time.
 *
 * Ids and descriptions are untrusted: each form quotes them by its own rules, and malformed UTF-8
 * becomes U+FFFD. Nothing is read or executed. */
#ifndef REPORT_GRAPH_H
#define REPORT_GRAPH_H

#include "base/buf.h"
#include "core/run_state.h"

enum graph_format { GRAPH_ASCII, GRAPH_DOT, GRAPH_MERMAID, GRAPH_SVG, GRAPH_JSON };

#define GRAPH_COLUMNS_MIN 20
#define GRAPH_COLUMNS_MAX 2000

struct graph_request {
	const struct model *model;
	const struct run_state *run; /* NULL = the definition alone */
	enum graph_format format;
	uint32_t
	    columns;   /* GRAPH_ASCII: what is wider becomes a list; at least GRAPH_COLUMNS_MIN */
	bool is_plain; /* GRAPH_ASCII: no bytes beyond ASCII */
};

/* LIMIT when there is more than can be drawn, MEMORY. */
MUST_CHECK enum err_code graph_draw(const struct graph_request *request, struct buf *out,
				    struct err *err);

#endif
