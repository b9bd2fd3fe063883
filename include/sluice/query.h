/* query.h - questions about runs; readers never write */
#ifndef SLUICE_QUERY_H
#define SLUICE_QUERY_H

#include <sluice/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Readers never write. A torn tail is noted in the text; a damaged log gives the good prefix and
 * CORRUPT (the text is returned all the same). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_status(struct sluice *sluice,
							    const char *run_name,
							    enum sluice_format format,
							    char **ret_text,
							    struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_summary(struct sluice *sluice,
							     const char *run_name,
							     enum sluice_format format,
							     char **ret_text,
							     struct sluice_error *err);

struct sluice_events_opts {
	uint64_t tail;     /* last n; 0 = all */
	bool follow;       /* go on until the run rests, or the sink says stop */
	bool raw;          /* the stored lines instead of text */
	const char *type;  /* only this event type */
	const char *step;  /* only this step */
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_events(struct sluice *sluice, const char *run_name,
	      const struct sluice_events_opts *options, sluice_sink_fn *sink, void *arg,
	      struct sluice_error *err);

struct sluice_logs_opts {
	const char *step;  /* NULL = all steps, each with a heading */
	int64_t attempt;   /* -1 = the last one of each */
	bool failed;       /* only failed steps */
	bool follow;
};
SLUICE_API SLUICE_MUST_CHECK enum sluice_code
sluice_logs(struct sluice *sluice, const char *run_name, const struct sluice_logs_opts *options,
	    sluice_sink_fn *sink, void *arg, struct sluice_error *err);

struct sluice_list_opts {
	const char *result;   /* success, partial, failed, stopped, active, blocked */
	const char *pipeline;
	int64_t since_ms;     /* UTC; 0 = all */
	uint64_t limit;       /* 0 = 100 */
	enum sluice_format format;
	const char *state;    /* a state of runs, or interrupted, corrupt, removed */
	bool removed;         /* also runs whose directory is gone, from their records in runs.jsonl */
};
/* The runs of the state directory, newest start first. Keeps a database of them beside the runs, brings
 * it up to date first, and goes without it when that cannot be (sluice_note says why). */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_list(struct sluice *sluice,
							  const struct sluice_list_opts *options,
							  char **ret_text,
							  struct sluice_error *err);

/* Recompute chain and fold; compare with the receipt when one is given (NULL = none). CORRUPT says where
 * and what; a receipt that does not match is CORRUPT too. */
SLUICE_API SLUICE_MUST_CHECK enum sluice_code sluice_verify(struct sluice *sluice,
							    const char *run_name,
							    const char *receipt, char **ret_text,
							    struct sluice_error *err);

#ifdef __cplusplus
}
#endif

#endif
