/* query.h - questions about runs; readers never write */
#ifndef SLUICE_QUERY_H
#define SLUICE_QUERY_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Readers never write. A torn tail is noted in the text; a damaged log gives the good prefix and
 * CORRUPT (the text is returned all the same). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_status(struct sluice *sluice, const char *run_name, enum sluice_format format,
	      char **ret_text, struct sluice_error *err);
/* The status as it was at a point of the log: `at` is SEQ or `evt_SEQ`, an RFC 3339 time, or
 * `-10m`, so long ago; a number beyond the log means its end, and the answer says so. There are no
 * owner and no next commands in it: these are of now. USAGE for another text, NOT_FOUND when the
 * run did not exist then. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_status_at(struct sluice *sluice, const char *run_name, const char *at,
		 enum sluice_format format, char **ret_text, struct sluice_error *err);
/* Why a step is as it is, and what a resume would do with it: the chain of causes, one fact a line,
 * with the events that prove it. `step` NULL: how the run came to where it is, in at most 15 lines.
 * As JSON each fact has `depth`, `code` (stable), `step_id`, `event_id` and `text`. NOT_FOUND for
 * an unknown step, with the nearest one as hint. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_explain(struct sluice *sluice, const char *run_name, const char *step,
	       enum sluice_format format, char **ret_text, struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_summary(struct sluice *sluice, const char *run_name, enum sluice_format format,
	       char **ret_text, struct sluice_error *err);

struct sluice_events_opts {
	uint64_t tail; /* last n; 0 = all */
	bool follow;   /* go on until the run rests and its owner has let go of it, or, of one that
			* has   ended, a second later (a blocked one: not before sluice_run_free, so
			* never   wait for a follower before that), or the sink says stop */
	bool raw;      /* the stored lines instead of text */
	const char *type; /* only this type; USAGE: it is neither known nor begins with `x-` */
	const char *step; /* only this step; NOT_FOUND when the run has none of that name */
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_events(struct sluice *sluice, const char *run_name, const struct sluice_events_opts *options,
	      sluice_sink_fn *sink, void *arg, struct sluice_error *err);

/* What the steps of a run wrote; then, each under a heading, what their compensations did. */
struct sluice_logs_opts {
	const char *step; /* NULL = all steps, each with a heading */
	int64_t attempt;  /* -1 = the last one of each; NOT_FOUND when no step and no compensation
			   * has  this one */
	bool failed;      /* only failed steps and compensations */
	bool follow;
	uint64_t tail_bytes; /* begin so many bytes before the end of each; 0 = at its beginning */
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_logs(struct sluice *sluice, const char *run_name, const struct sluice_logs_opts *options,
	    sluice_sink_fn *sink, void *arg, struct sluice_error *err);

struct sluice_list_opts {
	const char *result; /* success, partial, failed, stopped, active, blocked */
	const char *pipeline;
	int64_t since_ms; /* UTC; 0 = all */
	uint64_t limit;   /* 0 = 100 */
	enum sluice_format format;
	const char *state; /* a state of runs, or interrupted, corrupt, removed */
	bool removed;      /* also runs whose directory is gone, from their records in runs.jsonl */
	uint32_t columns;  /* of text: no line is wider, if that can be; 0 = as wide as it takes */
};
/* The runs of the state directory, newest start first. Keeps a database of them beside the runs,
 * brings it up to date first, and goes without it when that cannot be (sluice_note says why). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_list(struct sluice *sluice,
							  const struct sluice_list_opts *options,
							  char **ret_text,
							  struct sluice_error *err);

struct sluice_stats_opts {
	const char *pipeline;      /* only this one; NULL = all */
	int64_t since_ms;          /* UTC of the start; 0 = all */
	enum sluice_format format; /* TEXT, JSON, CSV */
	bool prometheus;           /* Prometheus text instead of a format */
};
/* Figures of the runs of the state directory: results, success rate, durations (median and 95th
 * percentile, nearest rank, of what succeeded), retries, failures by class, per pipeline and per
 * step. From the database that sluice_list keeps, or from the logs. NOT_FOUND: no run of that
 * pipeline. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_stats(struct sluice *sluice,
							   const struct sluice_stats_opts *options,
							   char **ret_text,
							   struct sluice_error *err);

/* How long a step took in earlier successful runs. */
struct sluice_step_time {
	const char *step; /* borrowed from the answer; NULL = the whole run */
	int64_t median_ms;
	uint32_t samples; /* of how many runs, at least 1 */
};
struct sluice_step_times {
	struct sluice_step_time *items; /* the whole run first, then the steps in no order */
	size_t count;                   /* 0 = nothing is known */
};
/* Median durations of a pipeline's last few successful runs, for estimates: cheap, writes nothing,
 * and perhaps not of the very newest runs. Looks into the database that sluice_list keeps if there
 * is one, else into a bounded number of logs. Free with sluice_step_history_free. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_step_history(struct sluice *sluice, const char *pipeline,
		    struct sluice_step_times *ret_times, struct sluice_error *err);
SLUICE_API void sluice_step_history_free(struct sluice_step_times *times);

/* Two runs side by side (SLUICE_TEXT, JSON, CSV): times, parameters, definitions, and step by step
 * what became of them, with the first step where they diverge. A damaged log is compared as far as
 * it is good, and CORRUPT (the text is returned all the same). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_compare(struct sluice *sluice, const char *run_a, const char *run_b,
	       enum sluice_format format, char **ret_text, struct sluice_error *err);

/* Stable values. */
enum sluice_export_format {
	SLUICE_EXPORT_JSON = 0,         /* one document: run, params, steps, attempts, events */
	SLUICE_EXPORT_CSV = 1,          /* a row an attempt */
	SLUICE_EXPORT_CHROME_TRACE = 2, /* trace events, for Perfetto and chrome://tracing */
	SLUICE_EXPORT_OTLP = 3 /* an OTLP/HTTP request in JSON: run = trace, attempt = span */
};
/* Write a run for other programs, piece by piece: memory does not grow with the number of events. A
 * run that goes on is exported as it is now; of a damaged log the good part is written, then
 * CORRUPT. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_export(struct sluice *sluice, const char *run_name, enum sluice_export_format format,
	      sluice_sink_fn *sink, void *arg, struct sluice_error *err);

/* Recompute chain and fold; compare with the receipt when one is given (NULL = none). CORRUPT says
 * where and what; a receipt that does not match is CORRUPT too, and one that is not 16 hex digits
 * is USAGE. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_verify(struct sluice *sluice,
							    const char *run_name,
							    const char *receipt, char **ret_text,
							    struct sluice_error *err);
/* The same for every run of the state directory, newest first, without receipts: a line of text for
 * each, with its id, state, number of events, receipt and how its log ends. The runs are not
 * locked; those that go on are read as far as they are. When all lines are told: CORRUPT when a log
 * is damaged, else IO when one could not be read, NEWER, or NOT_FOUND when a directory among the
 * runs is none; the error names the first of them. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_verify_all(struct sluice *sluice, sluice_sink_fn *sink, void *arg, struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
