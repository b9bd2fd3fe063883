/* intern.h - what the files of this folder share: the open run directory, and names in it. */
#ifndef RUNDIR_INTERN_H
#define RUNDIR_INTERN_H

#include "rundir/rundir.h"

#define RUNS_DIR         "runs"
#define BIRTH_PREFIX     ".new-" /* of a directory that is no run yet */
#define FROZEN_FILE      "pipeline.json"
#define SOURCE_FILE      "pipeline.yaml"
#define BLOBS_DIR        "blobs"
#define RUN_ID_BYTES_MAX 128
#define ENTRY_BYTES      512 /* a name of an attempt's file, with its directory */

struct rundir {
	struct vfs vfs;
	int fd;
	char *path; /* absolute, owned */
	char id_text[RUN_ID_BYTES_MAX + 1];
	struct str id;
};

/* `<folder>/<step>.<attempt><suffix>`. USAGE when the step is no name of a file. */
MUST_CHECK enum err_code entry_name(const char *folder, struct str step, uint32_t attempt,
				    const char *suffix, char name[ENTRY_BYTES], struct err *err);

/* Open a folder of the run directory, made (and synced into its parent) if absent. */
MUST_CHECK enum err_code folder_open(const struct vfs *vfs, int dir, const char *name, int *ret_fd,
				     struct err *err);

/* Open the run directory `name` in the open directory `runs`; no link is followed. Its path is its
 * name. As rundir_open otherwise; INVALID when it is no directory. */
MUST_CHECK enum err_code rundir_open_at(const struct vfs *vfs, int runs, const char *name,
					struct rundir **ret_dir, struct err *err);

/* Id and stamp of the run.created of the log in `dir`. NOT_FOUND when there is no whole one;
 * CORRUPT when it is damaged. */
MUST_CHECK enum err_code created_read(const struct vfs *vfs, int dir, char id[RUN_ID_BYTES_MAX + 1],
				      int64_t *ret_utc_ms, struct err *err);

#endif
