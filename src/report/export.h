/* export.h - a run for other programs: one JSON document, a table of attempts, a trace to look at,
 * spans for a collector.
 *
 * The log is read more than once and written piece by piece: memory grows with the number of steps,
 * not with that of events. All readings stop at the same event, so a run that goes on is exported
 * as it was when the export began. Secrets are in no log and so in no export. */
#ifndef REPORT_EXPORT_H
#define REPORT_EXPORT_H

#include "rundir/fold.h"

enum export_format {
	EXPORT_JSON,         /* {"run","params","steps","attempts","events"}; events as stored */
	EXPORT_CSV,          /* a row an attempt, with a heading */
	EXPORT_CHROME_TRACE, /* the trace event format of Perfetto and chrome://tracing: a lane a
			      * slot, waits below them, gates as instants */
	EXPORT_OTLP, /* an OTLP/HTTP request in JSON: the run is a trace, an attempt a span */
};

/* Called with consecutive pieces; false ends the export early, which is no error. */
typedef bool export_sink_fn(void *arg, const char *bytes, size_t len);

/* Export the run. A torn or damaged log gives its good part; *ret_reading says how it ends. */
MUST_CHECK enum err_code export_run(const struct rundir *dir, const struct limits *limits,
				    enum export_format format, export_sink_fn *sink, void *arg,
				    struct log_reading *ret_reading, struct err *err);

#endif
