/* probe.h - what the machine can do, found out by doing it: for `sluice doctor`.
 *
 * Whatever a probe makes is named `.doctor-*`, lies in the directory it is given, and is gone when
 * it returns. */
#ifndef SYS_PROBE_H
#define SYS_PROBE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The nearest directory that exists, at `path` (absolute) or above it, opened; the caller closes it
 * with probe_close. *ret_is_there: it is `path` itself. NOT_FOUND, INVALID when a file is in the
 * way, IO. */
MUST_CHECK enum err_code probe_open(const char *path, int *ret_dir, bool *ret_is_there,
				    struct err *err);
void probe_close(int *dir); /* -1 is fine; becomes -1 */

struct probe_place {
	const char *kind; /* of the file system: "ext4"; "" when it is not known to us */
	bool is_remote;   /* other machines see it */
	bool is_memory;   /* gone after a power loss, whatever is flushed */
	bool is_ours;     /* owned by the effective user, others may not write */
	bool is_readable_by_others;
	uint32_t uid, mode;
	uint64_t bytes_free, bytes;   /* for this user */
	uint64_t inodes_free, inodes; /* 0 of 0 where the file system has no bound */
};

/* What kind of place the directory is: statfs(2), statvfs(3), stat(2). IO. */
MUST_CHECK enum err_code probe_place(int dir, struct probe_place *ret_place, struct err *err);

/* How long fdatasync(2) of a small append takes: the median of some, in ns. FULL, IO. */
MUST_CHECK enum err_code probe_flush(int dir, int64_t *ret_median_ns, struct err *err);

/* Do locks of open files exclude each other (fcntl(2), F_OFD_SETLK)? UNSUPPORTED says how not;
 * IO. */
MUST_CHECK enum err_code probe_lock(int dir, struct err *err);

/* Can a directory be renamed without replacing another, and be synced (renameat2(2), fsync(2))?
 * UNSUPPORTED, IO. */
MUST_CHECK enum err_code probe_rename(int dir, struct err *err);

struct probe_limits {
	uint64_t open_files, processes; /* RLIMIT_NOFILE, RLIMIT_NPROC; UINT64_MAX = none */
	bool has_inotify;               /* one more can be had */
	uint64_t inotify_watches;       /* of the user; 0 = not known */
};
void probe_limits(struct probe_limits *ret_limits);

#define PROBE_TEXT_BYTES 128

/* Release of the kernel, and the names of the calls that it lacks or refuses to us ("openat2
 * clone3"), empty when all that we need are there. */
void probe_kernel(char release[PROBE_TEXT_BYTES], char missing[PROBE_TEXT_BYTES]);

/* Run the program with the word --version; its answer without the end of the line, and whether it
 * needs no shared library (elf(5): no PT_INTERP). Waits for its end, some seconds at most.
 * NOT_FOUND, INVALID when it does not answer, IO. */
MUST_CHECK enum err_code probe_program(const char *path, char answer[PROBE_TEXT_BYTES],
				       bool *ret_is_static, struct err *err);

#endif
