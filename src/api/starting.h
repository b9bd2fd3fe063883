/* starting.h - a start being put together: what was asked for, checked, before anything is
 * written. */
#ifndef API_STARTING_H
#define API_STARTING_H

#include "api/run_intern.h"
#include "core/trace.h"

/* What the engine's texts borrow from. Zero at first, but for sluice, options, and the source in
 * start.
 */
struct starting {
	struct sluice *sluice;
	const struct sluice_run_opts *options;
	struct model model; /* shallow: only read, and only for the call */
	struct arena arena;
	struct buf given;       /* outputs of steps that are not executed */
	struct buf params_json; /* of the params file and the context together */
	struct str *params;
	bool is_again; /* also a partition that succeeded */
	char trace_id[33];
	char traceparent[TRACE_PARENT_BYTES + 1];
	char id[129];
	struct engine_start start;
};

/* Frees what preparing made; a zeroed one is fine. */
void starting_fini(struct starting *starting);

/* A run of `starting->model` with these options. */
MUST_CHECK enum err_code starting_prepare(struct starting *starting, struct err *err);
/* A run as `fold` was started and goes on now: the same part, parameters and partition; those of
 * the options win. */
MUST_CHECK enum err_code starting_repeat(struct starting *starting, const struct fold_run *fold,
					 struct err *err);

#endif
