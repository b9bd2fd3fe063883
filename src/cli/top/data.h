/* data.h - what `sluice top` shows, read through the public interface.
 *
 * Everything read belongs to an arena that the next reading forgets. A run whose log has not grown
 * is not read again. */
#ifndef CLI_TOP_DATA_H
#define CLI_TOP_DATA_H

#include "base/arena.h"
#include "cli/live/tree.h"
#include "sluice/sluice.h"

struct top_run {
	struct str id, pipeline;
	struct str state;    /* "executing", "blocked" ..., "success" and so on when it ended */
	struct str reason;   /* of a failure or a block */
	struct str active;   /* names of the steps that run or wait, as far as there is room */
	int64_t started_ms;  /* UTC */
	int64_t duration_ms; /* -1 while it goes on */
	uint32_t steps, done, failed, running, waiting;
	bool is_active;
};

struct top_runs {
	struct arena arena;
	struct top_run *items; /* active ones first, then newest first */
	size_t count;
	uint32_t active, blocked;
	struct seen *seen; /* what was read of a run, by its id */
	size_t seen_count, seen_capacity;
};

/* Read at most `limit` runs. On failure nothing is shown and `err` says why. */
MUST_CHECK enum sluice_code top_runs_read(struct top_runs *runs, struct sluice *sluice,
					  size_t limit, struct sluice_error *err);
void top_runs_fini(struct top_runs *runs);

struct top_step {
	struct str state, reason, error_class;
	int64_t started_ms, duration_ms; /* -1 = not known */
	uint32_t attempt;
};

struct top_detail {
	struct arena arena;
	struct live_tree tree;
	struct top_step *steps; /* tree.count, in the order of the file */
	struct str pipeline, state, reason;
	int64_t created_ms;
};

/* Read one run with its steps in the order in which they are drawn. */
MUST_CHECK enum sluice_code top_detail_read(struct top_detail *detail, struct sluice *sluice,
					    const char *run, bool is_utf8,
					    struct sluice_error *err);
void top_detail_fini(struct top_detail *detail);

#endif
