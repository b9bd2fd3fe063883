/* run_intern.h - what the files about runs of this process share: start.c, resume.c, run.c and what
 * helps them; nobody else includes it. */
#ifndef API_RUN_INTERN_H
#define API_RUN_INTERN_H

#include "api/api.h"
#include "engine/drive.h"
#include "engine/engine.h"

struct sluice_run {
	struct sluice *sluice; /* borrowed */
	struct engine *engine;
	struct drive *drive;
	struct sluice_observer observer;
	char boot_id[BOOT_ID_BYTES + 1];
};

/* run.c: an empty handle. The observer is copied. */
MUST_CHECK enum err_code run_new(struct sluice *sluice, const struct sluice_observer *observer,
				 struct sluice_run **ret_run, struct err *err);
void run_drop(struct sluice_run **run);
/* What the engine needs of the world; `boot_id` is borrowed. */
struct engine_ports run_ports(struct sluice *sluice, const char *boot_id);
struct engine_observer run_observer(struct sluice_run *run);
/* Exit status of `run` and `resume` for a run that rests so (S13). */
int run_exit_status(const struct run_state *state);

#endif
