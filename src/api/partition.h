/* partition.h - one run at a time for each partition of a pipeline, and none after one that
 * succeeded.
 *
 * The truth is in the logs of the runs: each names its pipeline and partition in its first line. A
 * claim holds <state>/partitions.lock from the look at them until the new run owns its own lock, so
 * that of two starts that race exactly one wins. */
#ifndef API_PARTITION_H
#define API_PARTITION_H

#include "api/api.h"

struct partition_lock {
	const struct vfs *vfs;
	int fd; /* -1 = not held */
};

#define PARTITION_LOCK_INIT \
	{ \
		.fd = -1 \
	}

/* Take the lock, and see that no other run than `own_id` (may be empty) stands in the way. LOCKED:
 * one of the partition runs. REFUSED: one is interrupted or blocked, or has succeeded and it is not
 * to be run again. CORRUPT: the log of one says nothing for sure. */
MUST_CHECK enum err_code partition_claim(const struct sluice *sluice, struct str pipeline,
					 struct str partition, struct str own_id, bool is_again,
					 struct partition_lock *ret_lock, struct err *err);
void partition_unlock(struct partition_lock *lock); /* for AUTO() too */

/* Append the id of the run that stands in the way most: NOT_FOUND when there is none. */
MUST_CHECK enum err_code partition_find(const struct sluice *sluice, struct str pipeline,
					struct str partition, struct buf *out_id, struct err *err);

#endif
