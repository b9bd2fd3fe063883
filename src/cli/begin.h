/* begin.h - what `run`, `rerun` and a resume in the background share: carry a run on here or
 * behind, follow the one that is there already, wait for the end. */
#ifndef CLI_BEGIN_H
#define CLI_BEGIN_H

#include "cli/cli.h"

struct begin;

/* Start the run with begin->options, or go on with it. Only of a resume there may be nothing
 * to carry on: *ret_run is NULL, begin->rests is the exit status. */
typedef enum sluice_code begin_start_fn(struct begin *begin, struct sluice_run **ret_run,
					struct sluice_error *err);
/* The run that is in its way; may be NULL. */
typedef enum sluice_code begin_find_fn(const struct begin *begin, char **ret_run_id,
				       struct sluice_error *err);

/* The texts belong to the command line. */
struct begin {
	struct cli *cli;
	struct sluice_run_opts options;
	begin_start_fn *start;
	begin_find_fn *find;
	struct sluice_pipeline *pipeline; /* run */
	const char *run_name;             /* rerun, resume */
	struct sluice_resume_opts
	    *resume; /* resume: instead of `options`, but for their observer */
	int rests;   /* exit status of a run that there is nothing to carry on of */
};

/* As the options --detach and --wait say; answers the exit status. */
int begin_run(struct begin *begin);

#endif
