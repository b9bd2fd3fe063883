/* memory_storage.c - see memory_storage.h */
#include "memory_storage.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 256
#define OPEN_MAX  128
#define NONE      -1

struct file {
	bool is_used;
	bool is_dir;
	int parent; /* NONE: without a name */
	char name[256];
	char *bytes;
	size_t len;
	unsigned opens;
	int locked_by; /* descriptor, NONE */
};

struct memory_storage {
	pthread_mutex_t lock;
	struct file files[FILES_MAX]; /* 0 is the root */
	int open[OPEN_MAX];           /* file of each descriptor, NONE */
	uint64_t calls;
	uint64_t fail_at; /* 0 = never */
	int error;
};

struct memory_storage *memory_storage_new(void)
{
	struct memory_storage *storage = calloc(1, sizeof(*storage));

	if (!storage)
		abort();
	(void)pthread_mutex_init(&storage->lock, NULL);
	storage->files[0] = (struct file){.is_used = true, .is_dir = true, .parent = 0};
	storage->files[0].locked_by = NONE;
	for (int i = 0; i < OPEN_MAX; i++)
		storage->open[i] = NONE;
	return storage;
}

void memory_storage_free(struct memory_storage *storage)
{
	for (int i = 0; i < FILES_MAX; i++)
		free(storage->files[i].bytes);
	(void)pthread_mutex_destroy(&storage->lock);
	free(storage);
}

void memory_storage_fail(struct memory_storage *storage, uint64_t n, int error)
{
	storage->fail_at = n ? storage->calls + n : 0;
	storage->error = error;
}

uint64_t memory_storage_calls(const struct memory_storage *storage)
{
	return storage->calls;
}

unsigned memory_storage_open_files(const struct memory_storage *storage)
{
	unsigned count = 0;

	for (int i = 0; i < OPEN_MAX; i++)
		count += storage->open[i] != NONE;
	return count;
}

/* ------------------------------------------------------------------------------------ names */

static int child_of(const struct memory_storage *storage, int dir, const char *name, size_t len)
{
	if (len == 1 && name[0] == '.')
		return dir;
	for (int i = 1; i < FILES_MAX; i++) {
		const struct file *file = &storage->files[i];

		if (file->is_used && file->parent == dir && strlen(file->name) == len &&
		    memcmp(file->name, name, len) == 0)
			return i;
	}
	return NONE;
}

/* The directory that the last part of `path` is in, and where that part begins; or -errno. */
static int walk(const struct memory_storage *storage, int dir, const char *path,
		const char **ret_last)
{
	for (;;) {
		const char *slash = strchr(path, '/');

		if (!storage->files[dir].is_dir)
			return -ENOTDIR;
		if (strncmp(path, "..", 2) == 0 && (path[2] == '/' || !path[2]))
			return -EXDEV;
		if (!slash) {
			*ret_last = path;
			return dir;
		}
		dir = child_of(storage, dir, path, (size_t)(slash - path));
		if (dir == NONE)
			return -ENOENT;
		path = slash + 1;
	}
}

static int make(struct memory_storage *storage, int dir, const char *name, bool is_dir)
{
	for (int i = 1; i < FILES_MAX; i++) {
		struct file *file = &storage->files[i];

		if (file->is_used)
			continue;
		*file = (struct file){
		    .is_used = true, .is_dir = is_dir, .parent = dir, .locked_by = NONE};
		(void)snprintf(file->name, sizeof(file->name), "%s", name);
		return i;
	}
	return -ENOSPC;
}

static void forget(struct file *file)
{
	if (file->parent != NONE || file->opens)
		return;
	free(file->bytes);
	*file = (struct file){.is_used = false};
}

static int open_file(struct memory_storage *storage, int index)
{
	for (int i = 0; i < OPEN_MAX; i++) {
		if (storage->open[i] != NONE)
			continue;
		storage->open[i] = index;
		storage->files[index].opens++;
		return i;
	}
	return -EMFILE;
}

static int file_of(const struct memory_storage *storage, int fd)
{
	return fd >= 0 && fd < OPEN_MAX && storage->open[fd] != NONE ? storage->open[fd] : -EBADF;
}

/* ------------------------------------------------------------------------------- operations */

/* Each operation begins and ends with these. */
static int enter(struct memory_storage *storage)
{
	(void)pthread_mutex_lock(&storage->lock);
	storage->calls++;
	return storage->fail_at && storage->calls >= storage->fail_at ? -storage->error : 0;
}

#define LEAVE(storage, answer) \
	do { \
		(void)pthread_mutex_unlock(&(storage)->lock); \
		return answer; \
	} while (0)

static int open_in(struct memory_storage *storage, int dir, const char *path,
		   enum sluice_open_mode mode)
{
	bool makes = mode == SLUICE_OPEN_NEW || mode == SLUICE_OPEN_CREATE ||
		     mode == SLUICE_OPEN_CREATE_APPEND;
	const char *last = "";
	int at = file_of(storage, dir);
	int file;

	if (at >= 0)
		at = walk(storage, at, path, &last);
	if (at < 0)
		return at;
	file = child_of(storage, at, last, strlen(last));
	if (file != NONE && mode == SLUICE_OPEN_NEW)
		return -EEXIST;
	if (file == NONE)
		file = makes ? make(storage, at, last, false) : -ENOENT;
	if (file < 0)
		return file;
	if (storage->files[file].is_dir != (mode == SLUICE_OPEN_DIR))
		return storage->files[file].is_dir ? -EISDIR : -ENOTDIR;
	return open_file(storage, file);
}

static int memory_open(void *self, int dir, const char *path, enum sluice_open_mode mode)
{
	int code = enter(self);

	if (code == 0)
		code = open_in(self, dir, path, mode);
	LEAVE((struct memory_storage *)self, code);
}

static int memory_close(void *self, int fd)
{
	struct memory_storage *storage = self;
	int file;

	(void)pthread_mutex_lock(&storage->lock);
	file = file_of(storage, fd);
	if (file >= 0) {
		storage->open[fd] = NONE;
		storage->files[file].opens--;
		if (storage->files[file].locked_by == fd)
			storage->files[file].locked_by = NONE;
		forget(&storage->files[file]);
	}
	LEAVE(storage, file < 0 ? file : 0);
}

static int64_t memory_read(void *self, int fd, void *bytes, size_t len, uint64_t offset)
{
	struct memory_storage *storage = self;
	int64_t code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0 && file < 0)
		code = file;
	if (code == 0 && offset < storage->files[file].len) {
		code = (int64_t)(storage->files[file].len - offset);
		code = code < (int64_t)len ? code : (int64_t)len;
		memcpy(bytes, storage->files[file].bytes + offset, (size_t)code);
	}
	LEAVE(storage, code);
}

static int64_t put(struct file *file, const void *bytes, size_t len, uint64_t offset)
{
	size_t end = offset + len > file->len ? offset + len : file->len;
	char *grown = realloc(file->bytes, end + 1);

	if (!grown)
		return -ENOSPC;
	file->bytes = grown;
	if (offset > file->len)
		memset(file->bytes + file->len, 0, offset - file->len);
	memcpy(file->bytes + offset, bytes, len);
	file->bytes[end] = '\0';
	file->len = end;
	return (int64_t)len;
}

static int64_t memory_write_at(void *self, int fd, const void *bytes, size_t len, uint64_t offset)
{
	struct memory_storage *storage = self;
	int64_t code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0)
		code = file < 0 ? file : put(&storage->files[file], bytes, len, offset);
	LEAVE(storage, code);
}

static int64_t memory_write(void *self, int fd, const void *bytes, size_t len)
{
	struct memory_storage *storage = self;
	int64_t code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0)
		code = file < 0 ? file
				: put(&storage->files[file], bytes, len, storage->files[file].len);
	LEAVE(storage, code);
}

static int memory_sync(void *self, int fd)
{
	struct memory_storage *storage = self;
	int code = enter(storage);

	if (code == 0 && file_of(storage, fd) < 0)
		code = -EBADF;
	LEAVE(storage, code);
}

static int memory_truncate(void *self, int fd, uint64_t size)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0 && file < 0)
		code = file;
	if (code == 0 && size < storage->files[file].len) {
		storage->files[file].len = size;
		storage->files[file].bytes[size] = '\0';
	}
	LEAVE(storage, code);
}

static void info_put(const struct memory_storage *storage, int file, struct sluice_file_info *info)
{
	*info = (struct sluice_file_info){
	    .size_bytes = storage->files[file].len,
	    .inode = (uint64_t)file + 1,
	    .device = 7,
	    .links = storage->files[file].parent != NONE,
	    .is_file = !storage->files[file].is_dir,
	    .is_dir = storage->files[file].is_dir,
	    .modified_ms = 1,
	};
}

static int memory_stat(void *self, int fd, struct sluice_file_info *ret_info)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0 && file < 0)
		code = file;
	if (code == 0)
		info_put(storage, file, ret_info);
	LEAVE(storage, code);
}

static int memory_stat_at(void *self, int dir, const char *name, struct sluice_file_info *ret_info)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int at = file_of(storage, dir);
	int file = NONE;

	if (code == 0 && at < 0)
		code = at;
	if (code == 0) {
		file = child_of(storage, at, name, strlen(name));
		code = file == NONE ? -ENOENT : 0;
	}
	if (code == 0)
		info_put(storage, file, ret_info);
	LEAVE(storage, code);
}

static int rename_in(struct memory_storage *storage, int dir, const char *from, int to_dir,
		     const char *to, bool is_new)
{
	const char *last = "";
	const char *to_last = "";
	int at = file_of(storage, dir);
	int to_at = file_of(storage, to_dir);
	int file;
	int other;

	if (at < 0 || to_at < 0)
		return -EBADF;
	at = walk(storage, at, from, &last);
	to_at = walk(storage, to_at, to, &to_last);
	if (at < 0 || to_at < 0)
		return at < 0 ? at : to_at;
	file = child_of(storage, at, last, strlen(last));
	other = child_of(storage, to_at, to_last, strlen(to_last));
	if (file == NONE)
		return -ENOENT;
	if (other != NONE && is_new)
		return -EEXIST;
	if (other != NONE && other != file) {
		storage->files[other].parent = NONE;
		forget(&storage->files[other]);
	}
	storage->files[file].parent = to_at;
	(void)snprintf(storage->files[file].name, sizeof(storage->files[file].name), "%s", to_last);
	return 0;
}

static int memory_rename(void *self, int dir, const char *from, int to_dir, const char *to)
{
	int code = enter(self);

	if (code == 0)
		code = rename_in(self, dir, from, to_dir, to, false);
	LEAVE((struct memory_storage *)self, code);
}

static int memory_rename_new(void *self, int dir, const char *from, int to_dir, const char *to)
{
	int code = enter(self);

	if (code == 0)
		code = rename_in(self, dir, from, to_dir, to, true);
	LEAVE((struct memory_storage *)self, code);
}

static int unlink_in(struct memory_storage *storage, int dir, const char *path)
{
	const char *last = "";
	int at = file_of(storage, dir);
	int file;

	if (at >= 0)
		at = walk(storage, at, path, &last);
	if (at < 0)
		return at;
	file = child_of(storage, at, last, strlen(last));
	if (file == NONE)
		return -ENOENT;
	for (int i = 1; i < FILES_MAX; i++) {
		if (storage->files[i].is_used && storage->files[i].parent == file)
			return -ENOTEMPTY;
	}
	storage->files[file].parent = NONE;
	forget(&storage->files[file]);
	return 0;
}

static int memory_unlink(void *self, int dir, const char *path)
{
	int code = enter(self);

	if (code == 0)
		code = unlink_in(self, dir, path);
	LEAVE((struct memory_storage *)self, code);
}

static int memory_make_dir(void *self, int dir, const char *path)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	const char *last = "";
	int at = file_of(storage, dir);

	if (code == 0) {
		code = at < 0 ? at : walk(storage, at, path, &last);
		at = code;
	}
	if (code >= 0)
		code = child_of(storage, at, last, strlen(last)) != NONE
			   ? -EEXIST
			   : make(storage, at, last, true);
	LEAVE(storage, code < 0 ? code : 0);
}

static int memory_root(void *self, const char *path, bool makes)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int at = 0;

	while (code >= 0 && *path) {
		char name[256];
		size_t len = strcspn(path, "/");
		int next;

		(void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
		path += len + (path[len] == '/');
		if (!len)
			continue;
		next = strcmp(name, "..") == 0 ? storage->files[at].parent
					       : child_of(storage, at, name, len);
		if (next == NONE)
			next = makes ? make(storage, at, name, true) : -ENOENT;
		code = next < 0 ? next : 0;
		at = next;
	}
	if (code >= 0)
		code = storage->files[at].is_dir ? open_file(storage, at) : -ENOTDIR;
	LEAVE(storage, code);
}

static int memory_list(void *self, int dir, uint64_t *place, char *name)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int at = file_of(storage, dir);

	if (code == 0 && at < 0)
		code = at;
	for (uint64_t i = *place + 1; code == 0 && i < FILES_MAX; i++) {
		*place = i;
		if (!storage->files[i].is_used || storage->files[i].parent != at)
			continue;
		(void)snprintf(name, 256, "%s", storage->files[i].name);
		code = 1;
	}
	LEAVE(storage, code);
}

static int memory_lock(void *self, int fd)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0 && file < 0)
		code = file;
	if (code == 0 && storage->files[file].locked_by != NONE &&
	    storage->files[file].locked_by != fd)
		code = -EAGAIN;
	if (code == 0)
		storage->files[file].locked_by = fd;
	LEAVE(storage, code);
}

static int memory_lock_held(void *self, int fd)
{
	struct memory_storage *storage = self;
	int code = enter(storage);
	int file = file_of(storage, fd);

	if (code == 0)
		code = file < 0 ? file
				: storage->files[file].locked_by != NONE &&
				      storage->files[file].locked_by != fd;
	LEAVE(storage, code);
}

struct sluice_storage_def memory_storage_def(struct memory_storage *storage)
{
	return (struct sluice_storage_def){
	    .ops =
		{
		    .open = memory_open,
		    .close = memory_close,
		    .read = memory_read,
		    .write = memory_write,
		    .write_at = memory_write_at,
		    .sync_data = memory_sync,
		    .sync = memory_sync,
		    .truncate = memory_truncate,
		    .stat = memory_stat,
		    .stat_at = memory_stat_at,
		    .rename = memory_rename,
		    .rename_new = memory_rename_new,
		    .unlink = memory_unlink,
		    .make_dir = memory_make_dir,
		    .root = memory_root,
		    .list = memory_list,
		    .lock = memory_lock,
		    .lock_held = memory_lock_held,
		},
	    .self = storage,
	};
}

static int find(const struct memory_storage *storage, const char *path)
{
	int at = 0;

	while (at != NONE && *path) {
		size_t len = strcspn(path, "/");

		if (len)
			at = child_of(storage, at, path, len);
		path += len + (path[len] == '/');
	}
	return at;
}

const char *memory_storage_text(struct memory_storage *storage, const char *path)
{
	int at = find(storage, path);

	return at == NONE ? NULL : storage->files[at].bytes;
}

const char *memory_storage_bytes(struct memory_storage *storage, const char *path, size_t *ret_len)
{
	int at = find(storage, path);

	*ret_len = at == NONE ? 0 : storage->files[at].len;
	return at == NONE ? NULL : storage->files[at].bytes;
}

void memory_storage_put(struct memory_storage *storage, const char *path, const void *bytes,
			size_t len)
{
	char folder[256];
	const char *name = strrchr(path, '/') + 1;
	int dir;
	int at;

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
	dir = memory_root(storage, folder, true);
	if (dir < 0)
		abort();
	at = child_of(storage, storage->open[dir], name, strlen(name));
	if (at == NONE)
		at = make(storage, storage->open[dir], name, false);
	if (at < 0)
		abort();
	storage->files[at].len = 0;
	if (len > 0 && put(&storage->files[at], bytes, len, 0) < 0)
		abort();
	(void)memory_close(storage, dir);
}
