/* export_intern.h - what the forms of an export share: the output, and the attempts of a log. */
#ifndef REPORT_EXPORT_INTERN_H
#define REPORT_EXPORT_INTERN_H

#include "base/map.h"
#include "report/export.h"

/* An export at work. */
struct exporter {
	const struct rundir *dir;
	const struct limits *limits;
	struct fold_run fold; /* of the whole */
	char trace_id[33];    /* 32 hex digits */
	struct buf out;       /* gathered for the sink */
	export_sink_fn *sink;
	void *sink_arg;
	bool is_over;         /* the sink wants no more */
	struct buf element;   /* of the list at hand, while it is made */
	bool has_elements;    /* the list at hand has some */
	uint32_t lanes_named; /* chrome-trace: lanes of slots that have a name already */
	uint32_t waits_named; /* and of waits */
};

/* Begin a list; begin an element of it (write it into the buffer that this answers); end the
 * element. */
void export_list(struct exporter *exporter, const char *before);
struct buf *export_element(struct exporter *exporter);
void export_element_end(struct exporter *exporter);

/* One execution of a step, as far as the log tells. Texts are borrowed for the call. */
struct attempt_row {
	struct str step_id;
	uint32_t attempt;
	const char *state; /* succeeded, failed, lost, interrupted, running,
			    * compensated, compensation_failed */
	struct str error_class;
	struct str reason;
	struct str outputs_hash;
	struct str cached_from;
	int64_t started_ms; /* UTC; 0 = it ended without having started: a gate that was rejected */
	int64_t ended_ms;   /* UTC; 0 = it has not ended */
	int64_t duration_ms; /* as recorded, else from the times; -1 = it has not ended */
	int64_t exit_code;   /* -1 = none */
	int64_t signal;      /* 0 = none */
	bool is_undo;        /* a compensation of the step */
	uint32_t lane;       /* the lowest that was free when it started, from 0 */
};

/* A step that waited: for a retry, a person. */
struct wait_row {
	struct str step_id;
	struct str reason;
	int64_t from_ms, to_ms;
	uint32_t lane; /* of waits, from 0 */
};

/* What a reading of the log tells; any may be NULL. */
struct export_visitor {
	void (*attempt)(struct exporter *exporter, const struct attempt_row *row);
	void (*wait)(struct exporter *exporter, const struct wait_row *row);
	void (*event)(struct exporter *exporter, const struct event *event, struct str line);
};

/* Read the log up to where the fold ended. Attempts and waits come when they end; those that did
 * not end, at the end. */
MUST_CHECK enum err_code export_read(struct exporter *exporter,
				     const struct export_visitor *visitor, struct err *err);

/* Give the sink what was gathered, once it is enough; all of it with `is_end`. */
void export_flush(struct exporter *exporter, bool is_end);

/* The whole export in one form each, to the sink. The errors are those of export_read. */
MUST_CHECK enum err_code export_json(struct exporter *exporter, struct err *err);
MUST_CHECK enum err_code export_csv(struct exporter *exporter, struct err *err);
MUST_CHECK enum err_code export_chrome_trace(struct exporter *exporter, struct err *err);
MUST_CHECK enum err_code export_otlp(struct exporter *exporter, struct err *err);

#endif
