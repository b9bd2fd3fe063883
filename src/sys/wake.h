/* wake.h - a descriptor that one thread makes readable for another (eventfd(2)). */
#ifndef SYS_WAKE_H
#define SYS_WAKE_H

#include "base/err.h"

/* A new descriptor, not readable. It does not block and is not inherited. Close with wake_close. */
MUST_CHECK enum err_code wake_open(int *ret_fd, struct err *err);
void wake_close(int *fd); /* accepts -1; sets it to -1 */
/* Any thread; async-signal-safe; keeps errno. */
void wake_raise(int fd);
/* Not readable any more, until the next raise. */
void wake_clear(int fd);

#endif
