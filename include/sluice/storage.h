/* storage.h - a clock and files of the host's own, for a state directory that is not in a file
 * system of the operating system, and for tests */
#ifndef SLUICE_STORAGE_H
#define SLUICE_STORAGE_H

#include <sluice/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What time it is. Both are asked on the thread that carries a run on, and on those of
 * functions. */
struct sluice_clock_def {
	/* Nanoseconds of a clock that never goes back or jumps, like CLOCK_BOOTTIME: deadlines. */
	int64_t (*boot_ns)(void *arg);
	/* Milliseconds since 1970 in UTC: stamps of events, never their order. */
	int64_t (*utc_ms)(void *arg);
	void *arg;
};

/* How a file is opened. */
enum sluice_open_mode {
	SLUICE_OPEN_READ = 0,      /* must exist and be a plain file */
	SLUICE_OPEN_READ_WRITE,    /* likewise */
	SLUICE_OPEN_APPEND,        /* likewise; read, and writes go to the end */
	SLUICE_OPEN_NEW,           /* must not exist; read and write */
	SLUICE_OPEN_CREATE,        /* made if absent; read and write */
	SLUICE_OPEN_CREATE_APPEND, /* made if absent; read, and writes go to the end */
	SLUICE_OPEN_DIR            /* must be a directory; "." is `dir` itself */
};

struct sluice_file_info {
	uint64_t size_bytes;
	uint64_t inode; /* with the device unlike any other file's, as long as it exists */
	uint64_t device;
	uint32_t links; /* names that the file has */
	bool is_file;   /* a plain file */
	bool is_dir;
	int64_t modified_ms;
};

/* The operations of a storage, all of them required. Each answers 0 or more, or a negative error
 * number
 * (-ENOENT, -EEXIST, -ENOSPC, -EIO ...), as the Linux system call of that name does. Descriptors
 * are small numbers >= 0 of the storage's own. A `path` is relative to the directory `dir`, may
 * have several parts, and must not lead out of it: no "..", no link on the way (-EXDEV, -ELOOP).
 * Different threads may call at once, each with descriptors of its own (logs of functions).
 *
 * What the contract of Sluice rests on: bytes that were written before sync_data answered 0 are
 * there after a crash, and so are names that were made in a directory before its sync answered 0;
 * rename replaces as a whole; a lock ends with the process that holds it. */
struct sluice_storage_ops {
	int (*open)(void *self, int dir, const char *path, enum sluice_open_mode mode);
	int (*close)(void *self, int fd);
	/* How many bytes, 0 at the end. */
	int64_t (*read)(void *self, int fd, void *bytes, size_t len, uint64_t offset);
	int64_t (*write)(void *self, int fd, const void *bytes, size_t len); /* at the end */
	int64_t (*write_at)(void *self, int fd, const void *bytes, size_t len, uint64_t offset);
	int (*sync_data)(void *self, int fd);
	int (*sync)(void *self, int fd); /* of a directory too */
	int (*truncate)(void *self, int fd, uint64_t size);
	int (*stat)(void *self, int fd, struct sluice_file_info *ret_info);
	/* What has this name in `dir`, a link not followed. */
	int (*stat_at)(void *self, int dir, const char *name, struct sluice_file_info *ret_info);
	int (*rename)(void *self, int dir, const char *from, int to_dir, const char *to);
	/* -EEXIST when `to` is there. */
	int (*rename_new)(void *self, int dir, const char *from, int to_dir, const char *to);
	int (*unlink)(void *self, int dir, const char *path); /* a file, or an empty directory */
	int (*make_dir)(void *self, int dir, const char *path);
	/* Open the directory at an absolute path, where relative ones begin; it may have ".."
	 * parts. With `make` it is made with its parents when absent, durably. */
	int (*root)(void *self, const char *path, bool make);
	/* The next name of a directory into name[256], "." and ".." left out: 1, or 0 at the end.
	 * *place is 0 at the start, and the storage's own after that. */
	int (*list)(void *self, int dir, uint64_t *place, char *name);
	/* Lock the open file for its opener alone, without waiting: -EAGAIN when another open file
	 * has it. */
	int (*lock)(void *self, int fd);
	/* Does another open file hold the lock? 1 or 0. */
	int (*lock_held)(void *self, int fd);
};

struct sluice_storage_def {
	struct sluice_storage_ops ops;
	void *self; /* must live as long as the handle */
};

#ifdef __cplusplus
}
#endif

#endif
