/* library.h - shared libraries that are loaded when they are wanted (dlopen(3)). */
#ifndef SYS_LIBRARY_H
#define SYS_LIBRARY_H

#include "base/err.h"

/* Load a library, all its symbols bound, none of them shown to others; it stays loaded.
 * UNSUPPORTED with the loader's words when it cannot be. */
MUST_CHECK enum err_code library_open(const char *name, void **ret_library, struct err *err);

/* What the library has under this name, NULL when nothing. What is answered for a function may be
 * used as one (POSIX, dlsym). */
void *library_symbol(void *library, const char *name);

#endif
