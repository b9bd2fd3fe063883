/* vfs.h - files of a run, behind one interface: the operating system's, or the simulator's disk.
 *
 * Callers use this file only; vfs.c is the one caller of a driver and turns its -errno answers into
 * errors with the file's name. A descriptor belongs to the driver that gave it. Paths are relative
 * to a directory descriptor and never leave it: no absolute path, no "..", no symbolic link on the
 * way (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS in the real driver). Everything is O_CLOEXEC;
 * new files have mode 0600, directories 0700, whatever the umask. */
#ifndef SYS_VFS_H
#define SYS_VFS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum vfs_mode {
	VFS_READ,       /* must exist and be a plain file */
	VFS_READ_WRITE, /* must exist and be a plain file */
	VFS_APPEND,     /* must exist and be a plain file; read, and writes go to the end */
	VFS_NEW,        /* must not exist; read and write */
	VFS_CREATE,     /* made if absent; read and write */
	VFS_CREATE_APPEND,
	VFS_DIR, /* must exist and be a directory; "." is the directory itself */
};

#define VFS_NAME_BYTES 256            /* a name in a directory, with its NUL */
#define VFS_LIST_BYTES ((size_t)8192) /* names that are listed at once */

struct vfs_stat {
	uint64_t size_bytes;
	uint64_t inode;
	uint64_t device;
	uint32_t links;
	bool is_file;
	bool is_dir;
	int64_t modified_ms;
};

typedef enum err_code vfs_list_fn(void *arg, const char *name, struct err *err);

/* Every op returns 0 or more on success and -errno on failure; all are required. */
struct vfs_ops {
	const char *name;
	int (*open)(void *self, int dir, const char *path, enum vfs_mode mode);
	int (*close)(void *self, int fd);
	ssize_t (*read)(void *self, int fd, void *bytes, size_t len, uint64_t offset);
	ssize_t (*write)(void *self, int fd, const void *bytes, size_t len); /* appends */
	ssize_t (*write_at)(void *self, int fd, const void *bytes, size_t len, uint64_t offset);
	int (*sync_data)(void *self, int fd); /* fdatasync */
	int (*sync)(void *self, int fd);      /* fsync; of a directory too */
	int (*truncate)(void *self, int fd, uint64_t size);
	int (*stat)(void *self, int fd, struct vfs_stat *ret_stat);
	int (*rename)(void *self, int dir, const char *from, int to_dir, const char *to);
	int (*unlink)(void *self, int dir, const char *path);
	int (*make_dir)(void *self, int dir, const char *path);
	/* Open the directory at an absolute path, links followed: the place where paths begin.
	 * `make` makes it and its parents (0700) when absent; what it made is synced. */
	int (*root)(void *self, const char *path, bool make);
	/* -EEXIST when `to` is there. */
	int (*rename_new)(void *self, int dir, const char *from, int to_dir, const char *to);
	/* The next names in the directory ("." and ".." left out), one after another, each with its
	 * NUL, into names[VFS_LIST_BYTES]: how many, 0 at the end. As many at once as the driver
	 * likes. *place is 0 at the start and the driver's own after that, as the order. */
	int (*list)(void *self, int dir, uint64_t *place, char *names);
	/* Exclusive lock of the open file description, no waiting: 0, or -EAGAIN when held. */
	int (*lock)(void *self, int fd);
	/* Does another open file description hold the lock? 1 or 0; takes nothing. */
	int (*lock_held)(void *self, int fd);
	/* What has this plain name in `dir`; a link is not followed. */
	int (*stat_at)(void *self, int dir, const char *name, struct vfs_stat *ret_stat);
};

struct vfs {
	const struct vfs_ops *ops;
	void *self;
};

/* The operating system's files. */
extern const struct vfs vfs_os;

/* NOT_FOUND, EXISTS (VFS_NEW), INVALID when the path leaves `dir`, a link is on the way, or it is
 * not a plain file (VFS_DIR: a directory). A pipe or device is refused without waiting for it. IO
 * when it is to be written to in place and has another name: that may be anybody's file. */
MUST_CHECK enum err_code vfs_open(const struct vfs *vfs, int dir, const char *path,
				  enum vfs_mode mode, int *ret_fd, struct err *err);
/* Open an absolute directory to begin paths from; links in `path` are followed. With `make` it is
 * made with its parents (0700) when absent. NOT_FOUND, INVALID when it is not a directory. */
MUST_CHECK enum err_code vfs_root(const struct vfs *vfs, const char *path, bool make, int *ret_fd,
				  struct err *err);
/* The same for a state directory that should be there: IO when it is not a directory, since there
 * is no place for runs then (S13). */
MUST_CHECK enum err_code vfs_home(const struct vfs *vfs, const char *path, int *ret_fd,
				  struct err *err);
/* Accepts -1. Errors of close are not reported: what had to last was synced before. */
void vfs_close(const struct vfs *vfs, int fd);
/* Of a file that was written and is not synced: there are file systems that only now say what could
 * not be written (close(2)). */
MUST_CHECK enum err_code vfs_close_written(const struct vfs *vfs, int fd, struct err *err);
/* Reads until `len` bytes or the end; *ret_len says how many. */
MUST_CHECK enum err_code vfs_read(const struct vfs *vfs, int fd, void *bytes, size_t len,
				  uint64_t offset, size_t *ret_len, struct err *err);
/* Whole file appended to `out`; LIMIT when it is larger than `limit_bytes`. */
MUST_CHECK enum err_code vfs_read_all(const struct vfs *vfs, int dir, const char *path,
				      size_t limit_bytes, struct buf *out, struct err *err);
/* All bytes or an error (some may then be written): EINTR and short writes go on. */
MUST_CHECK enum err_code vfs_write(const struct vfs *vfs, int fd, const void *bytes, size_t len,
				   struct err *err);
MUST_CHECK enum err_code vfs_write_at(const struct vfs *vfs, int fd, const void *bytes, size_t len,
				      uint64_t offset, struct err *err);
MUST_CHECK enum err_code vfs_sync_data(const struct vfs *vfs, int fd, struct err *err);
MUST_CHECK enum err_code vfs_sync(const struct vfs *vfs, int fd, struct err *err);
MUST_CHECK enum err_code vfs_truncate(const struct vfs *vfs, int fd, uint64_t size,
				      struct err *err);
MUST_CHECK enum err_code vfs_stat(const struct vfs *vfs, int fd, struct vfs_stat *ret_stat,
				  struct err *err);
/* What has this plain name (no '/') in `dir` now; a link is not followed. NOT_FOUND. */
MUST_CHECK enum err_code vfs_stat_at(const struct vfs *vfs, int dir, const char *name,
				     struct vfs_stat *ret_stat, struct err *err);
MUST_CHECK enum err_code vfs_rename(const struct vfs *vfs, int dir, const char *from, int to_dir,
				    const char *to, struct err *err);
/* EXISTS when `to` is there. */
MUST_CHECK enum err_code vfs_rename_new(const struct vfs *vfs, int dir, const char *from,
					int to_dir, const char *to, struct err *err);
/* A file, or an empty directory. */
MUST_CHECK enum err_code vfs_unlink(const struct vfs *vfs, int dir, const char *path,
				    struct err *err);
/* OK too when it is there already. */
MUST_CHECK enum err_code vfs_make_dir(const struct vfs *vfs, int dir, const char *path,
				      struct err *err);
MUST_CHECK enum err_code vfs_list(const struct vfs *vfs, int dir, vfs_list_fn *visit, void *arg,
				  struct err *err);
/* LOCKED when another open file holds it. */
MUST_CHECK enum err_code vfs_lock(const struct vfs *vfs, int fd, struct err *err);
/* Whether another open file holds the lock; takes nothing. */
MUST_CHECK enum err_code vfs_lock_held(const struct vfs *vfs, int fd, bool *ret_held,
				       struct err *err);

/* Write a whole small file durably: new file, sync, and sync of the directory. EXISTS if it is
 * there. */
MUST_CHECK enum err_code vfs_put_new(const struct vfs *vfs, int dir, const char *path,
				     const void *bytes, size_t len, struct err *err);
/* Replace a file atomically and durably: temporary name, sync, rename, sync of the directory. */
MUST_CHECK enum err_code vfs_replace(const struct vfs *vfs, int dir, const char *path,
				     const void *bytes, size_t len, struct err *err);

#endif
