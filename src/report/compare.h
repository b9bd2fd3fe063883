/* compare.h - two runs side by side: parameters, definitions, and step by step what became of them.
 *
 * Steps are in topological order of the first run, then those that only the second has. The first
 * divergence is the first step in that order that only one run has, or whose definition, state,
 * class of failure or outputs differ; times and attempts differ without being one. Outputs are
 * compared by hash, definitions by their frozen form (all defaults filled in). */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include "rundir/fold.h"

/* One of the runs. Zero it first; free it with compare_side_fini. */
struct compare_side {
	struct arena arena;
	struct fold_run fold;
	struct buf frozen;  /* its definition */
	struct str *hashes; /* of each step's outputs; ptr NULL = none */
	uint32_t hashes_count;
	const struct model *seen; /* the model that `hashes` is of */
};

/* Read a run. A torn or damaged log gives its good part; side->fold.reading says so. */
MUST_CHECK enum err_code compare_read(const struct rundir *dir, const struct limits *limits,
				      struct compare_side *side, struct err *err);
void compare_side_fini(struct compare_side *side);

/* Appended; the JSON is indented and ends in a newline. MEMORY, LIMIT. */
MUST_CHECK enum err_code compare_text(const struct compare_side *a, const struct compare_side *b,
				      struct buf *out, struct err *err);
MUST_CHECK enum err_code compare_json(const struct compare_side *a, const struct compare_side *b,
				      struct buf *out, struct err *err);
/* A row a step, with a heading. */
MUST_CHECK enum err_code compare_csv(const struct compare_side *a, const struct compare_side *b,
				     struct buf *out, struct err *err);

#endif
