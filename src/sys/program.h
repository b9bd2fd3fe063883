/* program.h - can a program be started by this name on this machine? */
#ifndef SYS_PROGRAM_H
#define SYS_PROGRAM_H

#include "base/str.h"

#include <stdbool.h>

/* With a slash the name is a path, relative to `folder` (absolute); without one it is looked up in
 * PATH as execvp(3) does: an unset PATH is /bin:/usr/bin, an empty part of it is `folder`. It must
 * be a regular file that the effective user may execute. */
bool program_exists(struct str name, struct str folder);

#endif
