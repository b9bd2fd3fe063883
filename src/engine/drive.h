/* drive.h - the loop of a process that owns one run and serves nobody else: tick, wait, tick.
 *
 * A host with a loop of its own uses engine_tick, engine_wait_ns and the descriptors instead. */
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

/* Ask the run to stop. Any thread; async-signal-safe. */
void drive_stop(struct drive *drive, bool now);

#endif
