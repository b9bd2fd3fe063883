/* witness.h - what the files of the keeper say of a run's log (S9.4).
 *
 * A keeper arms commands for an engine whose run.created or run.resumed was durable before, and
 * each record in attempts.log has the number of that event, its epoch. A log that ends before it
 * was cut. Only records of this boot count, as everywhere (record.h): what a loss of power left of
 * the file is no evidence. */
#ifndef KEEPER_WITNESS_H
#define KEEPER_WITNESS_H

#include "sys/vfs.h"

#define KEEPER_LOG_FILE  "attempts.log"
#define KEEPER_LOCK_FILE "keeper.lock" /* "<pid> <socket>\n", held while the keeper lives */

/* Make damage of the error that opening one of the two files gave, when something else has the
 * name: a link, a pipe, a directory. Answers its code. */
enum err_code witness_foreign(struct err *err);

/* The newest epoch of a record of `boot` (record_boot) in the run directory; 0 = there is none.
 * Read from the end of the file, so that its length does not matter; to be read before the log,
 * which may grow meanwhile. CORRUPT when one of the two files is no plain file, IO when it cannot
 * be read. */
MUST_CHECK enum err_code witness_read(const struct vfs *vfs, int dir, uint32_t boot,
				      uint64_t *ret_epoch, struct err *err);

/* Does a log whose last event has this number agree? CORRUPT: it was cut. */
MUST_CHECK enum err_code witness_check(uint64_t epoch, uint64_t last_seq, struct err *err);

#endif
