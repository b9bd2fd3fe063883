/* floor.h - what the floor programs share: a floor does only what the machine must do for a piece
 * of work, so that a figure can be read as a ratio to it.
 *
 * All of it ends the program with a message when a system call fails: a floor that did half of its
 * work would be a wrong figure. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FLOOR_PROGRAM "/bin/true"
/* One event line of the usual size, e.g. step.succeeded with its chain. */
#define FLOOR_LINE_BYTES 232

/* Print `what` and errno, exit 1. */
_Noreturn void floor_die(const char *what);

/* The argument as a number of at least 1. */
unsigned long floor_number(const char *text);

/* Make a plain file (0600) in `dir`, open for writing; never an existing one. */
int floor_create(int dir, const char *name);

/* Write all of it at the end of the file. */
void floor_write(int fd, const void *bytes, size_t len);

/* Append `count` (at most 1024) event lines with one write, then fdatasync if `sync`. */
void floor_lines(int fd, unsigned long count, bool sync);

/* Start FLOOR_PROGRAM with vfork; both streams go to `log`. */
pid_t floor_spawn(int log);

/* Wait for a child (-1 = any) and insist on exit 0. With `block` false 0 means that none has
 * ended. */
pid_t floor_wait(pid_t pid, bool block);

/* Make logs/<step>.0.log in `logs`, start FLOOR_PROGRAM on it, close it. */
pid_t floor_step(int logs, unsigned long step);

#endif
