/* drive.h - the loop of a process that owns one run and serves nobody else: tick, wait, tick.
 *
 * A host with a loop of its own uses drive_fd, drive_wait_ns and drive_step instead of
 * drive_run. */
#ifndef ENGINE_DRIVE_H
#define ENGINE_DRIVE_H

#include "engine/engine.h"

struct drive;

/* Loop, control socket and the descriptor that wakes it. The engine is borrowed. */
MUST_CHECK enum err_code drive_open(struct engine *engine, struct drive **ret_drive,
				    struct err *err);
void drive_close(struct drive *drive); /* accepts NULL */

typedef void drive_tick_fn(void *arg);

/* Run until the engine is over. `on_tick` (may be NULL) is called about every `tick_ns`. */
MUST_CHECK enum err_code drive_run(struct drive *drive, int64_t tick_ns, drive_tick_fn *on_tick,
				   void *arg, struct err *err);

/* For a host with a loop of its own. Readable when drive_step has something to do; constant. */
int drive_fd(const struct drive *drive);
/* How long until drive_step has something to do by itself, in ns: 0 now, -1 never. */
int64_t drive_wait_ns(const struct drive *drive);
/* Do what there is to do, without waiting for more. *ret_is_over: as engine_is_over. */
MUST_CHECK enum err_code drive_step(struct drive *drive, bool *ret_is_over, struct err *err);

/* Ask the run to stop. Any thread; async-signal-safe. */
void drive_stop(struct drive *drive, bool now);

#endif
