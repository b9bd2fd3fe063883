/* path.h - files that are not a run's own: paths of the user, followed as a command would follow
 * them.
 *
 * For what lies in a run directory there is vfs.h. Descriptors are the operating system's (vfs_os),
 * O_CLOEXEC. */
#ifndef SYS_PATH_H
#define SYS_PATH_H

#include "base/buf.h"
#include "base/err.h"

/* Open for reading; links are followed. NOT_FOUND; INVALID when it is not a plain file (a pipe is
 * not waited for). */
MUST_CHECK enum err_code path_open(const char *path, int *ret_fd, struct err *err);

/* Append `path` as an absolute one: a relative path is joined to the working directory. Nothing is
 * resolved. */
MUST_CHECK enum err_code path_absolute(const char *path, struct buf *out, struct err *err);

#endif
