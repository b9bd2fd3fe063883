/* run_intern.h - what the files about runs of this process share: start.c, resume.c, run.c and what
 * helps them; nobody else includes it. */
#ifndef API_RUN_INTERN_H
#define API_RUN_INTERN_H

#include "api/api.h"
#include "api/run_host.h"
#include "engine/drive.h"
#include "engine/engine.h"
#include "sys/vfs_mem.h"

/* Somebody who watches a run. */
struct run_observer {
	struct sluice_observer observer;
	int64_t due_ns; /* of its next tick, by the clock of the handle */
};

struct sluice_run {
	struct sluice *sluice; /* borrowed */
	struct engine *engine;
	struct drive *drive;
	struct run_observer *observers; /* in the order in which they came */
	size_t observers_count, observers_capacity;
	struct run_host host;
	bool is_rollback;       /* a person asked for it: to be rolled back is what was wanted */
	struct vfs_mem *memory; /* of a dry run, else NULL */
	struct vfs vfs;         /* in it */
	char boot_id[BOOT_ID_BYTES + 1];
};

/* run.c: an empty handle; NULL and an error when it cannot be made. The observer is copied. */
MUST_CHECK struct sluice_run *run_new(struct sluice *sluice, const struct sluice_observer *observer,
				      struct err *err);
void run_drop(struct sluice_run **run);
/* What the engine needs of the world; the run is borrowed. */
struct engine_ports run_ports(struct sluice_run *run);

/* observe.c: what the engine is told to tell; the observers there are. */
struct engine_observer run_observer(struct sluice_run *run);
MUST_CHECK enum err_code run_observers_add(struct sluice_run *run,
					   const struct sluice_observer *observer, struct err *err);
/* How long between two looks at who wants a tick: as the most impatient asks; -1 = nobody. */
int64_t run_tick_ns(const struct sluice_run *run);
void run_tick(void *arg); /* drive_tick_fn; `arg` is the run */
/* Exit status of `run` and `resume`, or of `rollback`, for a run that rests so (S13). */
int run_exit_status(const struct run_state *state, bool is_rollback);
/* How a run stands; `h` is the last one of its log. `is_rollback` as above. */
void run_fill_end(const struct run_state *state, const char *h, bool is_rollback,
		  struct sluice_end *ret_end);

#endif
