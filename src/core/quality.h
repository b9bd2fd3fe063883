/* quality.h - figures of a step's data, and the thresholds that they are held against.
 *
 * Pure. A threshold whose figure is missing is not met quietly: it is told apart, and fails the
 * step. */
#ifndef CORE_QUALITY_H
#define CORE_QUALITY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum quality_figure {
	QUALITY_RECORDS, /* record_count */
	QUALITY_VALID,   /* valid_count */
	QUALITY_INVALID, /* invalid_count */
	QUALITY_NULL,    /* null_count */
	QUALITY_FIGURES,
};

/* What a result file says. */
struct quality_figures {
	bool is_given; /* there is a `quality` at all */
	bool has[QUALITY_FIGURES];
	int64_t count[QUALITY_FIGURES]; /* 0 or more */
	struct str custom;              /* custom_metrics, a JSON object; ptr NULL = none */
};

/* The thresholds of a step. */
struct quality {
	bool has_min_valid_rate, has_max_null_rate, has_min_record_count, has_max_record_count;
	double min_valid_rate; /* 0 to 1 */
	double max_null_rate;  /* 0 to 1 */
	int64_t min_record_count;
	int64_t max_record_count;
	bool is_soft; /* missed: a warning; else the step fails */
};

enum quality_verdict {
	QUALITY_MET,
	QUALITY_MISSED,
	QUALITY_ABSENT, /* a figure that a threshold needs is not there */
};

/* As in a result file: "record_count"; static. */
const char *quality_figure_name(enum quality_figure figure);

/* Do the figures fit each other? INVALID with what does not: more valid or null records than there
 * are. A missing valid_count or invalid_count follows from the other one and record_count, and is
 * filled in. */
MUST_CHECK enum err_code quality_check(struct quality_figures *figures, struct err *err);

/* Hold the figures against thresholds. What is missed or absent is appended to `out_reason`, for a
 * person. A rate of no records is missed. */
enum quality_verdict quality_judge(const struct quality *quality,
				   const struct quality_figures *figures, struct buf *out_reason);

/* Append the figures as a JSON object, with the rates that follow from them. */
void quality_put(const struct quality_figures *figures, struct buf *out);

#endif
