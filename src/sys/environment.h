/* environment.h - the variables that this process was started with (environ(7)).
 *
 * Nothing here changes them. What is returned is the process's own: it stays as long as nobody in
 * the program calls setenv(3). */
#ifndef SYS_ENVIRONMENT_H
#define SYS_ENVIRONMENT_H

/* The value of a variable, borrowed; NULL when it is not set. Empty is a value. */
const char *environment_get(const char *name);

/* All of them as "NAME=value", borrowed, NULL-ended. */
char *const *environment_all(void);

#endif
