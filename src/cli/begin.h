/* begin.h - what `run` and `rerun` share: start a run here or in the background, follow the one
 * that is there already, wait for the end. */
#ifndef CLI_BEGIN_H
#define CLI_BEGIN_H

#include "cli/cli.h"

struct begin;

/* Start the run with begin->options. */
typedef enum sluice_code begin_start_fn(const struct begin *begin, struct sluice_run **ret_run,
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
	const char *run_name;             /* rerun */
};

/* As the options --detach and --wait say; answers the exit status. */
int begin_run(struct begin *begin);

#endif
