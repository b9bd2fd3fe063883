/* view.h - the pages of `sluice top` as lines of styled pieces, without a terminal.
 *
 * The same lines go to ncurses and, in plain mode, to a pipe. Text from outside is escaped here. */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include "base/buf.h"
#include "cli/top/data.h"

enum top_style { TOP_PLAIN, TOP_GOOD, TOP_BAD, TOP_WARN, TOP_DIM, TOP_BOLD };

/* Takes a piece of a line; `columns` were taken before it. */
typedef void top_put_fn(void *arg, enum top_style style, struct str text);

struct top_out {
	top_put_fn *put;
	void *arg;
	bool is_utf8;
	unsigned columns; /* of the screen; 0 = as many as it takes */
	int64_t now_ms;   /* UTC */
};

/* The headings of the table of runs, and one of its lines. */
void top_view_heading(const struct top_out *out);
void top_view_run(const struct top_out *out, const struct top_run *run);
/* The head of a run's page, and the line of one of its steps. */
void top_view_detail(const struct top_out *out, const struct top_detail *detail);
void top_view_step(const struct top_out *out, const struct top_detail *detail, uint32_t step);
/* A line of a step's output. */
void top_view_output(const struct top_out *out, struct str line);

#endif
