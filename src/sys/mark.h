/* mark.h - has a file changed since it was last looked at? Told by what stat(2) says, without
 * opening it.
 *
 * For caches of what lies in the operating system's files: cheaper than vfs.h by two system calls a
 * file, and with the time of change in nanoseconds. Descriptors are those of vfs_os. */
#ifndef SYS_MARK_H
#define SYS_MARK_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct mark {
	uint64_t inode;
	uint64_t size_bytes;
	int64_t changed_ns; /* st_ctim: since 1970 in UTC; no program can set it */
};

/* All three members: then the file is as it was. */
bool mark_eq(const struct mark *a, const struct mark *b);

/* Of an open file or directory. */
MUST_CHECK enum err_code mark_of(int fd, struct mark *ret_mark, struct err *err);
/* Of a plain file below `dir`; false when there is none, or it is something else. */
bool mark_at(int dir, const char *path, struct mark *ret_mark);

typedef enum err_code mark_name_fn(void *arg, const char *name, uint64_t inode, struct err *err);

/* Visit the names in a directory with their inodes, "." and ".." left out (getdents(2)). */
MUST_CHECK enum err_code mark_names(int dir, mark_name_fn *visit, void *arg, struct err *err);

#endif
