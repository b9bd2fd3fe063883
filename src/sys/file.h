/* file.h - files that a person names: read one, where it lies, is it a program.
 *
 * Unlike vfs.h, which never leaves a run's directory, these follow links and take any path, as
 * every command line tool does. Nothing is written. */
#ifndef SYS_FILE_H
#define SYS_FILE_H

#include "base/buf.h"

#include <stdbool.h>

/* Append the bytes of the file at `path`, `bytes_max` of them at most: a caller that has a limit
 * asks for one more than that. Plain files and pipes (a shell's `<(...)`); a pipe that nobody
 * writes to reads as empty. NOT_FOUND, INVALID for a directory or a device, IO, MEMORY. */
MUST_CHECK enum err_code file_read(const char *path, size_t bytes_max, struct buf *out,
				   struct err *err);

/* Append all that can be read from a descriptor, which stays open, or from whatever `path` names:
 * a pipe is waited for, a terminal too. What does not fit into the buffer is its error; IO. */
MUST_CHECK enum err_code file_drain_fd(int fd, struct buf *out, struct err *err);
/* NOT_FOUND too. */
MUST_CHECK enum err_code file_drain(const char *path, struct buf *out, struct err *err);

/* Append the absolute folder (links resolved, realpath(3)) in which the file at `path` lies.
 * NOT_FOUND, IO. */
MUST_CHECK enum err_code file_folder(const char *path, struct buf *out, struct err *err);

/* Append the absolute path of a folder (links resolved, realpath(3)). NOT_FOUND, INVALID when it is
 * something else, IO. */
MUST_CHECK enum err_code file_folder_at(const char *path, struct buf *out, struct err *err);

/* Append the path of the executable that runs (proc(5), /proc/self/exe). */
MUST_CHECK enum err_code file_self(struct buf *out, struct err *err);

/* Append the absolute path of the executable or library that holds the object at `address`
 * (dladdr(3)). NOT_FOUND when the loader does not know. */
MUST_CHECK enum err_code file_of_address(const void *address, struct buf *out, struct err *err);

/* Is there something at `path` that is no folder (stat(2)): a file, a pipe, a device? */
bool file_is_there(const char *path);

/* Does anything have this name, a link that leads nowhere too (lstat(2))? False when that cannot be
 * known. */
bool file_is_named(const char *path);
/* Can this process open `count` more files (RLIMIT_NOFILE)? IO with a hint when not: libuv ends the
 * process where it cannot, so it is asked before anything is made. */
MUST_CHECK enum err_code file_room_check(unsigned count, struct err *err);

/* Is it a plain file that this user may execute (access(2))? */
bool file_is_program(const char *path);

#endif
