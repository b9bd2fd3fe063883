/* rebuild.h - the projections in a run directory, made anew from its log */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include "rundir/rundir.h"

/* Make audit.jsonl and, if the definition wants one, checkpoint.json from the log as it is now. The
 * caller holds run.lock, or knows that nobody writes the run. CORRUPT or NEWER when the log cannot
 * be read to its end, or the checkpoint says that it was cut: nothing is written then. */
MUST_CHECK enum err_code projections_rebuild(const struct rundir *dir, const struct limits *limits,
					     struct err *err);

/* Entries of audit.jsonl for the whole log, appended. */
MUST_CHECK enum err_code projections_audit(const struct rundir *dir, const struct limits *limits,
					   struct buf *out, struct err *err);

#endif
