/* stats.h - figures of many runs: results, durations, retries, failures by class; per pipeline and
 * per step.
 *
 * Runs, steps and counts are added in any order; then the answer is written in one of the forms.
 *
 * What is counted: a run that ended has a result (S12: partial and rolled_back are failed); others
 * are unfinished. The success rate is success / (success + failed): a stop is nobody's failure.
 * Durations are of runs that succeeded (from run.created to run.completed, pauses included) and of
 * steps that succeeded and did not come from the cache (all their attempts, without the waits
 * between them). A percentile is the nearest rank: of n values in order, the one at position ceil(p
 * / 100 * n). */
#ifndef REPORT_STATS_H
#define REPORT_STATS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

#include <stdbool.h>

struct stats_values {
	int64_t *items; /* milliseconds */
	size_t count, capacity;
	bool is_sorted;
};

struct stats_class {
	struct str name;
	uint64_t failures; /* attempts that failed with it */
	uint64_t retries;  /* of them, those that were tried again */
	struct stats_class *next;
};

struct stats_step_sum {
	uint32_t pipeline; /* index */
	struct str step_id;
	int64_t position;                                 /* in its file */
	uint64_t runs;                                    /* that executed it */
	uint64_t succeeded, failed, skipped, compensated; /* how it ended in them */
	uint64_t attempts, retries;
	struct stats_values durations;
};

struct stats_pipeline {
	struct str name; /* empty: of damaged runs that do not tell */
	uint64_t success, failed, stopped;
	uint64_t partial, rolled_back; /* of those that failed */
	uint64_t unfinished, corrupt;
	uint64_t retries, gate_failures;
	struct stats_values durations;
	struct stats_class *classes; /* by name */
};

struct stats {
	struct arena arena;
	struct map pipelines_by_name;
	struct map steps_by_name;
	struct stats_pipeline *pipelines;
	size_t pipelines_count, pipelines_capacity;
	struct stats_step_sum *steps;
	size_t steps_count, steps_capacity;
	int64_t since_ms; /* UTC, as asked for; 0 = all */
};

/* No figures yet; `seed` is of the tables by name. */
void stats_init(struct stats *stats, uint64_t seed);
/* Frees them and their texts. */
void stats_fini(struct stats *stats);

struct stats_run {
	struct str pipeline; /* ptr NULL = not known */
	struct str state;
	struct str result;  /* ptr NULL = has not ended */
	struct str outcome; /* ptr NULL = has not ended */
	int64_t duration_ms;
	uint64_t retries;
	uint64_t gate_failures;
};
MUST_CHECK enum err_code stats_add_run(struct stats *stats, const struct stats_run *run,
				       struct err *err);

struct stats_step {
	struct str step_id;
	struct str state;
	int64_t position;
	uint64_t attempts;
	uint64_t retries;
	int64_t duration_ms;
	bool is_cached;
};
/* A step of a run that has ended. */
MUST_CHECK enum err_code stats_add_step(struct stats *stats, struct str pipeline,
					const struct stats_step *step, struct err *err);
/* Attempts of runs that have ended. */
MUST_CHECK enum err_code stats_add_class(struct stats *stats, struct str pipeline,
					 struct str error_class, bool is_retry, uint64_t count,
					 struct err *err);

/* The value at the nearest rank of `percent` (1 to 100); -1 when there is none. Sorts. */
int64_t stats_percentile(struct stats_values *values, unsigned percent);

/* A table of pipelines; with one of them, of its steps too; else the slowest steps of all. */
void stats_text(struct stats *stats, struct buf *out);
void stats_json(struct stats *stats, struct buf *out);
void stats_csv(struct stats *stats, struct buf *out); /* a row a pipeline (no step) and a step */
/* Text format 0.0.4 of Prometheus, with the metric names of the manual. */
void stats_prometheus(struct stats *stats, struct buf *out);

#endif
