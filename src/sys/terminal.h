/* terminal.h - what the command line needs of its terminal and its process: is it one, how wide,
 * who am I, and the signals that ask it to end. */
#ifndef SYS_TERMINAL_H
#define SYS_TERMINAL_H

#include "base/buf.h"

#include <stdbool.h>

/* isatty(3). */
bool terminal_is(int fd);
/* Columns of the terminal, now (ioctl TIOCGWINSZ); 80 when they cannot be known. */
unsigned terminal_columns(int fd);
/* Rows of it, at least 2; 24 when they cannot be known. */
unsigned terminal_rows(int fd);

/* Write all bytes. False when nobody reads any more (EPIPE) or it failed; errno says why. */
bool terminal_write(int fd, const char *bytes, size_t len);

/* From now on SIGINT, SIGTERM and SIGHUP call `ask` with how many of them came so far (1, 2 ...),
 * in a signal handler: it may use async-signal-safe functions only. NULL gives them their default
 * action back. A SIGINT or SIGHUP that the process was started to ignore (nohup) stays ignored. */
void terminal_on_end(void (*ask)(unsigned count));
/* Let descriptors 0, 1 and 2 that the process was started without be /dev/null, so that no file or
 * socket gets their number: reading and writing them fails with EBADF as before. False: they cannot
 * be had. */
MUST_CHECK bool terminal_keep_standard(void);
/* A reader that went away is an error of write(2), not a death. */
void terminal_ignore_pipe(void);

/* Go on in the background: fork, and in the child a session of its own with stdio on /dev/null.
 * *ret_is_child tells the two apart; *ret_fd is the child's end to write a report to, or the
 * parent's end to read it from; both close it with terminal_close. */
MUST_CHECK enum err_code terminal_detach(bool *ret_is_child, int *ret_fd, struct err *err);
/* Everything until the other end is closed. */
MUST_CHECK enum err_code terminal_hear(int fd, struct buf *out, struct err *err);
void terminal_close(int fd);

/* Become another program (execv(3)), with the caller's descriptors and environment. Comes back only
 * when that failed. */
enum err_code terminal_become(char *const argv[], struct err *err);

#endif
