/* run_lock.h - run.lock: who owns a run, and how far its log is synced.
 *
 * The owner holds an exclusive OFD lock on the file for as long as it lives; the kernel drops it
 * when the process dies. In the file the owner publishes its pid and the synced seq and offset, for
 * followers; they are a hint for readers, never proof: proof is the lock. (The control socket's
 * name follows from the run directory, S12.) */
#ifndef LOG_RUN_LOCK_H
#define LOG_RUN_LOCK_H

#include "sys/vfs.h"

#define RUN_LOCK_FILE "run.lock"

struct run_lock {
	int fd; /* -1 = not held */
};

struct run_lock_info {
	bool is_held; /* by a live process: tried, not read */
	int32_t pid;
	uint64_t synced_seq;
	uint64_t synced_offset_bytes;
};

/* Make the file if absent and take the lock. LOCKED names the owner's pid and what to do. */
MUST_CHECK enum err_code run_lock_take(const struct vfs *vfs, int dir, struct run_lock *ret_lock,
				       struct err *err);
void run_lock_release(const struct vfs *vfs, struct run_lock *lock);
/* Publish the synced head; one pwrite, no sync: it is a hint. */
MUST_CHECK enum err_code run_lock_publish(const struct vfs *vfs, const struct run_lock *lock,
					  uint64_t seq, uint64_t offset_bytes, struct err *err);
/* For readers and followers: never blocks the owner. A missing file is "not held". */
MUST_CHECK enum err_code run_lock_look(const struct vfs *vfs, int dir,
				       struct run_lock_info *ret_info, struct err *err);

#endif
