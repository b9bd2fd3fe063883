/* removal.h - taking a directory away with all that is in it, and never anything else.
 *
 * Everything goes by descriptors: a directory is entered by openat2(2) beneath the one before it,
 * no symbolic link is followed, no other file system is entered (a mount of the same one neither).
 * What a run directory does not hold is found before anything is touched. The depth is bounded, not
 * the number of entries. Descriptors are the operating system's (vfs_os). */
#ifndef SYS_REMOVAL_H
#define SYS_REMOVAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define REMOVAL_DEPTH_MAX 64 /* directories below each other */

struct removal_sum {
	uint64_t bytes;   /* on the disk (stat(2): st_blocks) */
	uint64_t entries; /* files and directories below */
};

/* Is the open directory ours alone: owned by the effective user, not writable by others (a sticky
 * one neither)? REFUSED says what it is. */
MUST_CHECK enum err_code removal_owned(int dir, struct err *err);

/* Look through everything below the open directory `dir`, which must be ours alone. REFUSED, with
 * the place, for a mount and for what is nested too deeply; and, but in the folders of its top
 * level whose names `free_folders` has (NULL-ended; NULL = everywhere), for whatever is not a plain
 * file or directory of the effective user under one name only: links, pipes, sockets, devices. IO,
 * MEMORY. */
MUST_CHECK enum err_code removal_look(int dir, const char *const *free_folders,
				      struct removal_sum *ret_sum, struct err *err);

/* Remove the directory `name` in `parent` and everything in it; links are removed, not followed. OK
 * too when it is not there. REFUSED for a mount and for depth; then, and when it is cut short, some
 * of it is gone and the same call goes on. */
MUST_CHECK enum err_code removal_delete(int parent, const char *name, struct err *err);

#endif
